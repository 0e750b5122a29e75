"""What the cameras of a running Pantau send, beside what its API says of them."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise

import aiohttp

from services.contracts import subjects
from services.mesh.bus import BusMessage
from services.mesh.settings import MeshSettings
from tests.flushed import HeardBus
from tests.integration.up_process import Up

PATIENCE_SECONDS = 60.0
LOOK_SECONDS = 0.1


@dataclass
class Watched:
    """A running Pantau: what its cameras send, and what its API says of them."""

    up: Up
    frames: dict[str, list[float]]
    states: list[tuple[float, dict[str, str]]] = field(default_factory=list)

    async def take_frame(self, message: BusMessage) -> None:
        self.frames[message.subject.rpartition(".")[2]].append(time.monotonic())

    async def ask_states(self) -> None:
        while True:
            with suppress(aiohttp.ClientError, TimeoutError, AssertionError, OSError):  # the front is frozen, or away
                async with asyncio.timeout(1):
                    self.states.append((time.monotonic(), await self.up.cameras()))
            await asyncio.sleep(LOOK_SECONDS)

    def silent_seconds(self, camera: str, at: float) -> float:
        """How long the camera had sent nothing at that time."""
        return at - max((sent for sent in self.frames[camera] if sent <= at), default=0.0)

    def longest_silence(self, camera: str, since: float) -> float:
        """The longest time without a frame of it that ended after ``since``, or lasts."""
        times = [sent for sent in self.frames[camera] if sent >= since]
        return max((after - before for before, after in pairwise([since, *times, time.monotonic()])), default=0.0)

    def since(self, at: float) -> list[tuple[float, dict[str, str]]]:
        """What was said after that time."""
        return [(asked_at, states) for asked_at, states in self.states if asked_at >= at]

    def disagreed_seconds(self, since: float) -> float:
        """The longest time that the state said of a camera what its frames did not show."""
        longest = 0.0
        for camera in self.frames:
            lies = 0.0
            for before, (at, states) in zip(self.states, self.states[1:], strict=False):
                silent = self.silent_seconds(camera, at)
                says_online = states.get(camera) in ("online", "degraded")
                # "online" becomes a lie with the silence; "offline" with the frames, which must have come for a while.
                flows = silent < 1 and self.silent_seconds(camera, at - 3) < 1
                lies = (
                    silent if says_online and silent > 1 else lies + at - before[0] if not says_online and flows else 0
                )
                if at > since:
                    longest = max(longest, lies)
        return longest

    async def well(self) -> None:
        """Returns when all cameras are online and send."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                now = time.monotonic()
                flowing = all(self.silent_seconds(camera, now) < 0.5 for camera in self.frames)
                states = self.states[-1] if self.states else (0.0, {})
                if flowing and now - states[0] < 1 and all(states[1].get(each) == "online" for each in self.frames):
                    return
                await asyncio.sleep(LOOK_SECONDS)


@asynccontextmanager
async def watching(up: Up, cameras: Sequence[str]) -> AsyncIterator[Watched]:
    """Watches until the end of the block."""
    url = next(line["url"] for line in up.log() if line["event"] == "nats.started")
    creds = up.data / "nats" / "authority" / "creds" / "admin.creds"
    bus = await HeardBus.connect(MeshSettings(nats_url=url, nats_creds=creds), "test")
    watched = Watched(up, {camera: [] for camera in cameras})
    await bus.subscribe(subjects.media("*", "main", "*"), watched.take_frame)
    asking = asyncio.create_task(watched.ask_states())
    try:
        yield watched
    finally:
        asking.cancel()
        await bus.close()
