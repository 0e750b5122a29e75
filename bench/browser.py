"""How soon Chromium shows a camera that it was asked for, and how old its pictures are then.

The worst case of each: nearly the whole GOP is cached, and no keyframe comes to help.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final

from bench.picture_page import PicturePage, Shown
from bench.pictures import KINDS
from bench.report import percentile, table
from services.mesh import log
from services.mesh.bus import Bus
from services.mesh.nats_server import NatsServer
from services.mesh.settings import MeshSettings
from tests.browser.chromium import chromium
from tests.wall.relay.camera import BusCamera, Clip, clip
from tests.wall.relay.running import Front, running_relay

GOPS_SECONDS: Final = (2, 4, 10)
UNCACHED: Final = 0.15
"""The part of a GOP that is still to come; a second at most."""
TARGETS_MS: Final = {
    ("main", 1): (150, {2: 200, 4: 350, 10: 900}),
    ("sub", 1): (150, {2: 80, 4: 120, 10: 260}),
    ("sub", 16): (400, {2: 700}),
}
"""First (p95) and live: p50 of one tile, the last of sixteen."""


_names = count(1)
"""Of cameras: the relay remembers one's last epoch for a while."""


class Rewound(BusCamera):
    """A camera whose GOP can be had at once."""

    async def rewind(self) -> None:
        """Begins anew: all of a GOP but its last part is there, and the rest comes in its own time."""
        frames = len(self.clip.frames)
        if self._task is not None:
            self._task.cancel()
        self.epoch, self.sequence = self.epoch + 1, 0
        for _ in range(frames - round(min(UNCACHED * frames, self.clip.fps))):
            await self.publish_next()
        self._task = asyncio.create_task(self.run())


@asynccontextmanager
async def rig() -> AsyncIterator[tuple[Bus, Front, PicturePage]]:
    """A nats-server, a relay and a browser."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pantau-bench-")))
        nats = await stack.enter_async_context(NatsServer(folder / "nats"))
        settings = MeshSettings(nats_url=nats.url, data=folder, admin_port=0)
        bus = await Bus.connect(settings, "bench")
        stack.push_async_callback(bus.close)
        front = await stack.enter_async_context(running_relay(bus, settings))
        browser = await stack.enter_async_context(chromium(folder / "chromium"))
        yield bus, front, await PicturePage.create(browser, front)


async def measure(
    bus: Bus, front: Front, page: PicturePage, pictures: Clip, tiles: int, rounds: int
) -> tuple[list[list[Shown]], list[list[Shown]], list[float]]:
    """What new sessions showed, what re-aimed slots showed, round by round, and the ages of pictures."""
    new: list[list[Shown]] = []
    aimed: list[list[Shown]] = []
    ages: list[float] = []
    async with AsyncExitStack() as stack:
        sets = []
        for _ in range(2):
            cameras = [Rewound(bus, f"cam-{next(_names)}", pictures) for _ in range(tiles)]
            for camera in cameras:
                await front.add_camera(camera.camera)
                await stack.enter_async_context(camera)
            sets.append(cameras)
        first, second = ([camera.camera for camera in cameras] for cameras in sets)
        for number in range(rounds):
            for found, cameras, ask in (
                (new, sets[0], partial(page.open, first)),
                (aimed, sets[1], partial(page.aim, second)),
            ):
                for camera in cameras:
                    await camera.rewind()
                await asyncio.sleep(0.1)
                await ask()
                found.append(await page.shown(tiles))
            if number == rounds - 1:
                ages = await page.ages_ms(4)
            await page.close()
    return new, aimed, ages


async def run(*, quick: bool) -> None:
    """Prints both tables."""
    rows: list[list[object]] = []
    steady: list[list[object]] = []
    rounds = 4 if quick else 10
    log.configure("bench", level="warning")
    async with rig() as (bus, front, page):
        for kind, tiles in TARGETS_MS:
            first_target, live_targets = TARGETS_MS[kind, tiles]
            for gop in GOPS_SECONDS:
                encoding = KINDS[kind].encoding
                pictures = clip(3, **(encoding | {"gop": gop * encoding["fps"]}))
                new, aimed, ages = await measure(bus, front, page, pictures, tiles, rounds)
                for how, found in (("new", new), ("re-aimed", aimed)):
                    firsts = [max(shown.first_ms for shown in tile) for tile in found]
                    lives = [max(shown.live_ms for shown in tile) for tile in found]
                    first = (percentile(firsts, 0.5), percentile(firsts, 0.95), first_target)
                    live = (percentile(lives, 0.5), percentile(lives, 0.95), live_targets.get(gop, "–"))
                    rows.append([f"{tiles} × {kind}", gop, how, *first, *live])
                steady.append([f"{tiles} × {kind}", gop, percentile(ages, 0.5), percentile(ages, 0.95), len(ages)])
    columns = ["tiles", "GOP s", "session", "first p50 ms", "p95 ms", "target", "live p50 ms", "p95 ms", "target"]
    note = "Sixteen tiles: when the last one did. Re-aimed: all slots of an open session at once."
    print(table("From the offer, or the aim, to the picture", columns, rows, note))
    print(table("Age of pictures", ["tiles", "GOP s", "p50 ms", "p95 ms", "pictures"], steady))
