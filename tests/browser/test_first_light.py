"""How soon a person sees what was asked for: the wall after its load, a tile after a click.

The promises are for a machine that does nothing else, so each is tried a few times, and the best try has to keep it,
with as much more time as the machine needs more.
"""

import pytest
from playwright.async_api import BrowserContext

from tests.browser.probe import Probe
from tests.browser.running_up import Running
from tests.machine import slowness

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

TRIES = 5
SIXTEEN_MS = 3000
PATIENCE_SECONDS = 30.0


async def test_sixteen_named_moving_cameras_are_seen_within_seconds_of_the_page_s_load(
    pantau: Running, browser: BrowserContext
) -> None:
    names = {camera["id"]: camera["name"] for camera in pantau.api("/cameras")["cameras"]}
    took_ms = []
    for _ in range(TRIES):
        page = await browser.new_page()
        probe = await Probe.install(page, first_pictures=True)
        await page.goto(pantau.url)
        moving = await probe.moving(16, PATIENCE_SECONDS)
        took_ms.append(max(tile.moving_ms for tile in moving) / slowness())
        assert {tile.camera: tile.name for tile in moving} == names
        await page.close()
        if took_ms[-1] <= SIXTEEN_MS:
            return
    raise AssertionError(f"ms of a quick machine from the load to the last of sixteen moving pictures: {took_ms}")


async def test_a_tile_aimed_at_another_camera_shows_it_within_half_a_second_whatever_its_gop(
    pantau: Running, browser: BrowserContext
) -> None:
    """Without the cached GOP each camera would take a second on average, and four in a row hardly ever this little."""
    page = await browser.new_page()
    probe = await Probe.install(page, first_pictures=True)
    await page.goto(f"{pantau.url}/#grid=4&tiles=cam-001,cam-002,cam-003,cam-004")
    await probe.moving(4, PATIENCE_SECONDS)
    rounds = []
    for _ in range(TRIES):
        took_ms = []
        for camera in (6, 9, 12, 15):
            await page.locator("pantau-wall-tile[data-slot='0']").click()
            took_ms.append(await probe.click_until_seen_ms(f"#camera-cam-{camera:03} .camera", 0, camera))
            await page.wait_for_timeout(200)
        rounds.append(max(took_ms) / slowness())
        if rounds[-1] <= 500:
            return
    raise AssertionError(f"ms of a quick machine from a click to the camera's picture, worst of four: {rounds}")
