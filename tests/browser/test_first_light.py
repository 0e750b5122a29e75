"""A person sees what was asked for: the wall after its load, a tile after a click. How soon, `bench check` measures."""

import pytest
from playwright.async_api import BrowserContext

from tests.browser.probe import Probe
from tests.browser.running_up import Running

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

PATIENCE_SECONDS = 150.0


async def test_sixteen_named_moving_cameras_are_seen_after_the_page_s_load(
    pantau: Running, browser: BrowserContext
) -> None:
    names = {camera["id"]: camera["name"] for camera in pantau.api("/cameras")["cameras"]}
    page = await browser.new_page()
    probe = await Probe.install(page, first_pictures=True)
    await page.goto(pantau.url)
    moving = await probe.moving(16, PATIENCE_SECONDS)
    assert {tile.camera: tile.name for tile in moving} == names


async def test_a_tile_aimed_at_another_camera_shows_it_under_no_other_name(
    pantau: Running, browser: BrowserContext
) -> None:
    # passes if nothing raises
    page = await browser.new_page()
    probe = await Probe.install(page, first_pictures=True)
    await page.goto(f"{pantau.url}/#grid=4&tiles=cam-001,cam-002,cam-003,cam-004")
    await probe.moving(4, PATIENCE_SECONDS)
    for camera in (6, 9, 12, 15):
        await page.locator("pantau-wall-tile[data-slot='0']").click()
        await probe.click_until_seen_ms(f"#camera-cam-{camera:03} .camera", 0, camera)  # raises on a wrong picture
