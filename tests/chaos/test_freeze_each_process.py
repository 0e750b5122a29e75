"""SIGSTOP of each process in turn: it is killed and replaced, and the state says meanwhile what frames show."""

import asyncio
import os
import re
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from pydantic import SecretStr

from services.contracts import subjects
from services.mesh.bus import Bus, BusMessage
from services.mesh.log import get_logger
from services.mesh.settings import MeshSettings
from tests.integration.up_process import Up, running
from tests.processes import children, command_line, runs

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

CAMERAS = ("cam-001", "cam-002", "cam-003")
LIBAV_CAMERA = "cam-003"
PATIENCE_SECONDS = 60.0
DISAGREE_SECONDS = 10.0
"""Five on a quiet machine (docs/architecture.md, Who watches whom)."""
LOOK_SECONDS = 0.1
log = get_logger()


@dataclass
class Watched:
    """A running Pantau: what its cameras send, and what its API says of them."""

    up: Up
    frames: dict[str, list[float]] = field(default_factory=lambda: {camera: [] for camera in CAMERAS})
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

    def disagreed_seconds(self, since: float) -> float:
        """The longest time that the state said of a camera what its frames did not show."""
        longest = 0.0
        for camera in CAMERAS:
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
                flowing = all(self.silent_seconds(camera, now) < 0.5 for camera in CAMERAS)
                states = self.states[-1] if self.states else (0.0, {})
                if flowing and now - states[0] < 1 and all(states[1].get(each) == "online" for each in CAMERAS):
                    return
                await asyncio.sleep(LOOK_SECONDS)


def found(up: Up, text: str) -> int:
    """The process of this Pantau with ``text`` on its command line; the first, where there are several."""
    pids = sorted(int(path.name) for path in Path("/proc").glob("[0-9]*"))
    for pid in pids:
        with suppress(OSError):
            if str(up.data).encode() in Path(f"/proc/{pid}/environ").read_bytes() and text in command_line(pid):
                return pid
    raise AssertionError(f"no process runs with {text}")


VICTIMS: dict[str, Callable[[Up], int]] = {
    "registry": lambda up: up.children()["registry"],
    "ingest parent": lambda up: up.children()["ingest"],
    "ingest worker": lambda up: found(up, "--worker-of"),
    "libav server": lambda up: found(up, "libav_process"),
    "libav reader": lambda up: children(found(up, "libav_process"))[0],
    "recorder": lambda up: up.children()["recorder"],
    "front": lambda up: up.children()["wall"],
    "relay": lambda up: up.children()["wall relay 0"],
    "nats": lambda up: up.children()["nats"],
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def watched(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Watched]:
    data = tmp_path_factory.mktemp("freeze")
    async with running(data, f"--demo={len(CAMERAS)}", PANTAU_INGEST_WORKERS="1") as up:
        await up.online(*CAMERAS)
        async with aiohttp.ClientSession(headers={"Origin": up.url}) as client:
            camera = await up.get(f"/cameras/{LIBAV_CAMERA}")
            profiles = {name: {**profile, "reader": "libav"} for name, profile in camera["profiles"].items()}
            async with client.patch(f"{up.url}/api/v1/cameras/{LIBAV_CAMERA}", json={"profiles": profiles}) as answer:
                assert answer.status == 200, await answer.text()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (await up.get(f"/cameras/{LIBAV_CAMERA}"))["state"]["profiles"]["main"]["reader"] != "libav":
                await asyncio.sleep(LOOK_SECONDS)
        password = re.search(r'password: "([^"]+)"', (data / "nats" / "nats.conf").read_text())
        assert password is not None
        url = next(line["url"] for line in up.log() if line["event"] == "nats.started")
        bus = await Bus.connect(
            MeshSettings(nats_url=url, nats_user="pantau", nats_password=SecretStr(password.group(1))), "test"
        )
        watched = Watched(up)
        await bus.subscribe(subjects.media("*", "main", "*"), watched.take_frame)
        asking = asyncio.create_task(watched.ask_states())
        try:
            yield watched
        finally:
            asking.cancel()
            await bus.close()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("victim", VICTIMS)
async def test_a_frozen_process_is_killed_and_replaced_and_the_state_says_what_frames_show(
    victim: str, watched: Watched
) -> None:
    await watched.well()
    pid = VICTIMS[victim](watched.up)
    frozen_at = time.monotonic()
    os.kill(pid, signal.SIGSTOP)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while runs(pid):
            await asyncio.sleep(0.02)
    noticed_seconds = time.monotonic() - frozen_at
    await asyncio.sleep(1)
    await watched.well()
    well_seconds = time.monotonic() - frozen_at
    disagreed_seconds = watched.disagreed_seconds(frozen_at)
    log.info(
        "freeze.figures", victim=victim, noticed=round(noticed_seconds, 2), well=round(well_seconds, 2),
        disagreed=round(disagreed_seconds, 2),
    )  # fmt: skip
    assert VICTIMS[victim](watched.up) != pid
    assert disagreed_seconds < DISAGREE_SECONDS
