"""How soon Chromium shows a recorded moment that it was asked for: bus, recorder, relay and browser together."""

import asyncio
import random
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from bench.report import percentile, table
from bench.storage import US, footage
from services.mesh import log
from services.mesh.bus import Bus
from services.mesh.natsserver import NatsServer
from services.mesh.sessions import Aim, ClockControl
from services.mesh.settings import MeshSettings
from tests.browser.chromium import chromium
from tests.browser.wall_page import WallPage
from tests.integration.recorders import running
from tests.integration.test_playback import record
from tests.recorder.units import FRAME_US
from tests.wall.relay.running import running_relay

TILES: Final = (1, 9)
FOOTAGE_SECONDS: Final = 30
GOPS: Final = 5
"""The pictures of so many GOPs are different: their numbers tell the moment within 10 s."""
_SEEN = "number => wall.tiles.every(tile => tile.last && tile.last.number === number)"
_WHEN = "wall.tiles.map(tile => tile.last.at)"


async def measure(stack: AsyncExitStack, folder: Path, tiles: int, seeks: int) -> list[list[float]]:
    """For each seek, for each tile, the ms from asking to seeing. The clock stands, as for somebody who searches."""
    nats = await stack.enter_async_context(NatsServer(folder / "nats"))
    settings = MeshSettings(nats_url=nats.url, data=folder, admin_port=0)
    bus = await Bus.connect(settings, "bench")
    stack.push_async_callback(bus.close)
    recorder = await stack.enter_async_context(running(settings, folder / "disk", "recorder-1"))
    front = await stack.enter_async_context(running_relay(bus, settings))
    browser = await stack.enter_async_context(chromium(folder / "chromium"))
    start_us = time.time_ns() // 1000 - 2 * FOOTAGE_SECONDS * US
    units = list(footage(FOOTAGE_SECONDS, start_us, GOPS))
    cameras = [f"cam-{number}" for number in range(tiles)]
    for camera in cameras:
        await front.add_camera(camera)
        await record(bus, recorder, camera, units)
    page = await WallPage.create(browser, front)
    await page.connect(tiles, *[Aim(slot=n, camera=camera, source="recorded") for n, camera in enumerate(cameras)])
    frames, loop = (FOOTAGE_SECONDS - 2) * US // FRAME_US, GOPS * 50
    took: list[list[float]] = []
    frame = 0
    for _ in range(seeks + 1):
        frame = (frame + random.randrange(5, loop - 5)) % frames
        asked_ms = time.time() * 1000
        at_us = start_us + frame * FRAME_US + FRAME_US // 2
        await front.control(page.session.session, ClockControl(action="seek", at_us=at_us))
        await page.page.wait_for_function(_SEEN, arg=frame % loop, timeout=15_000, polling=10)
        took.append([at_ms - asked_ms for at_ms in await page.page.evaluate(_WHEN)])
        await asyncio.sleep(0.2)
    return took[1:]  # the first one waited for the connection


async def run(*, quick: bool) -> None:
    """Prints the table."""
    log.configure("bench", level="warning")
    rows: list[list[object]] = []
    for tiles in TILES:
        with tempfile.TemporaryDirectory(prefix="pantau-bench-") as folder:
            async with AsyncExitStack() as stack:
                took = await measure(stack, Path(folder), tiles, 30 if quick else 100)
        for which, values in (("first", [min(each) for each in took]), ("last", [max(each) for each in took])):
            rows.append([tiles, which, len(took), percentile(values, 0.5), percentile(values, 0.95)])
    note = (
        "1280×720, GOP 2 s: on average half a GOP is decoded for each tile. Target: 300 ms (p95) to the first picture."
    )
    print(table("From a moment to its picture", ["tiles", "picture of", "seeks", "p50 ms", "p95 ms"], rows, note))
