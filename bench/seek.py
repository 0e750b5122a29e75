"""How soon Chromium shows a recorded moment that it was asked for: bus, recorder, relay and browser together."""

import asyncio
import random
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from bench.picture_page import PicturePage, Shown
from bench.report import percentile, table
from bench.storage import US, footage
from services.mesh import log
from services.mesh.bus import Bus
from services.mesh.nats_server import NatsServer
from services.mesh.settings import MeshSettings
from tests.browser.chromium import chromium
from tests.integration.recorded_playback import record
from tests.integration.recorders import running
from tests.recorder.units import FRAME_US
from tests.wall.relay.running import running_relay

TILES: Final = (1, 9)
FOOTAGE_SECONDS: Final = 30


async def measure(stack: AsyncExitStack, folder: Path, tiles: int, seeks: int) -> list[list[Shown]]:
    """What each tile showed after each seek. The clock stands, as for somebody who searches."""
    nats = await stack.enter_async_context(NatsServer(folder / "nats"))
    settings = MeshSettings(nats_url=nats.url, data=folder, admin_port=0)
    bus = await Bus.connect(settings, "bench")
    stack.push_async_callback(bus.close)
    recorder = await stack.enter_async_context(running(settings, folder / "disk", "recorder-1"))
    front = await stack.enter_async_context(running_relay(bus, settings))
    browser = await stack.enter_async_context(chromium(folder / "chromium"))
    start_us = time.time_ns() // 1000 - 2 * FOOTAGE_SECONDS * US
    units = list(footage(FOOTAGE_SECONDS, start_us))
    cameras = [f"cam-{number}" for number in range(tiles)]
    for camera in cameras:
        await front.add_camera(camera)
        await record(bus, recorder, camera, units)
    page = await PicturePage.create(browser, front)
    await page.open(cameras, "recorded")
    frames = (FOOTAGE_SECONDS - 2) * US // FRAME_US
    took: list[list[Shown]] = []
    for _ in range(seeks + 1):
        await page.seek(start_us + random.randrange(frames) * FRAME_US + FRAME_US // 2, FRAME_US)
        took.append(await page.shown(tiles))
        await asyncio.sleep(0.1)
    return took[1:]  # the first one waited for the connection


async def run(*, quick: bool) -> None:
    """Prints the table."""
    log.configure("bench", level="warning")
    rows: list[list[object]] = []
    for tiles in TILES:
        with tempfile.TemporaryDirectory(prefix="pantau-bench-") as folder:
            async with AsyncExitStack() as stack:
                took = await measure(stack, Path(folder), tiles, 30 if quick else 100)
        firsts = [max(shown.first_ms for shown in each) for each in took]
        exact = [max(shown.live_ms for shown in each) for each in took]
        spread = [percentile(values, share) for values in (firsts, exact) for share in (0.5, 0.95)]
        rows.append([tiles, len(took), *spread])
    columns = ["tiles", "seeks", "first picture p50 ms", "p95 ms", "the moment's own p50 ms", "p95 ms"]
    note = (
        "1280×720, GOP 2 s, the last of the tiles. The first picture is the keyframe before the moment; until its own"
        " is there, half a GOP is decoded on average, for each tile. Target: 300 ms (p95) to the first picture."
    )
    print(table("From a moment to its picture", columns, rows, note))
