"""The relay against a real browser: pictures are read from decoded pixels."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext

from services.mesh.bus import Bus
from services.mesh.sessions import Aim
from services.mesh.settings import MeshSettings
from tests.browser.chromium import chromium
from tests.browser.wall_page import WallPage
from tests.wall.relay.camera import BusCamera, clip
from tests.wall.relay.running import Front, running_relay

pytestmark = pytest.mark.browser


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[BrowserContext]:
    async with chromium(tmp_path / "chromium") as context:
        yield context


@pytest.fixture
async def front(bus: Bus, mesh_settings: MeshSettings) -> AsyncIterator[Front]:
    async with running_relay(bus, mesh_settings) as front:
        yield front


async def test_one_tile_shows_the_camera_at_once_and_stays_live(
    bus: Bus, front: Front, browser: BrowserContext
) -> None:
    await front.add_camera("cam-7")
    async with BusCamera(bus, "cam-7", clip(7)) as camera:
        await asyncio.sleep(1.5)
        page = await WallPage.create(browser, front)
        began = time.time()
        await page.connect(1, Aim(slot=0, camera="cam-7"))
        first = await page.wait_for(0, 7)
        assert first.at_ms / 1000 - began < 1.0
        await asyncio.sleep(3)
        (last,) = await page.last()
        assert last is not None
        assert (camera.sequence - 1 - last.number) % 100 < 4
        stats = await page.stats()
        assert stats["packetsLost"] == 0
        assert stats["pliCount"] == 0
