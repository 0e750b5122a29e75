"""Playback by keys and by the dragged playhead: no key is lost, and the address is the moment on the screen."""

import asyncio
import time

import pytest
from playwright.async_api import BrowserContext, Page, WebSocketRoute, expect

from tests.browser.app_page import AppPage
from tests.browser.recorded_page import fragment
from tests.browser.running_up import Running

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

NEAR_SECONDS = 0.05
"""A frame and a half."""
_MOMENT = "(Date.parse(new URLSearchParams(location.hash.slice(1)).get('at')) / 1000)"


async def moment(page: Page) -> float:
    """The moment that the address names, Unix seconds."""
    return float(await page.evaluate(f"() => {_MOMENT}"))


async def goes(page: Page, before: float, seconds: float) -> float:
    """Waits until the address names the moment that far from ``before``; returns it."""
    script = f"([wanted, near]) => Math.abs({_MOMENT} - wanted) < near"
    await page.wait_for_function(script, arg=[before + seconds, NEAR_SECONDS])
    return await moment(page)


LATE_SECONDS = 0.3


def answer_late(page_side: WebSocketRoute) -> None:
    """Lets what the relay says of the clock, and of tiles, come late."""
    relay_side = page_side.connect_to_server()
    loop = asyncio.get_running_loop()
    relay_side.on_message(lambda message: loop.call_later(LATE_SECONDS, page_side.send, message))


async def test_every_key_counts_though_answers_come_late_and_the_playhead_is_dragged(
    pantau: Running, browser: BrowserContext
) -> None:
    await browser.route_web_socket("**/control*", answer_late)
    begin = round(time.time() - 5)
    app = await AppPage.open(browser, f"{pantau.url}/#{fragment(begin, 'cam-001', grid='1')}", language="en")
    page = app.page
    await page.locator("pantau-wall-tile").click()
    at = await goes(page, begin, 0)
    for key, times, seconds in (
        ("Shift+ArrowLeft", 12, -120),
        ("Control+ArrowRight", 3, 15),
        ("Control+Shift+ArrowRight", 1, 60),
        ("PageUp", 2, -600),
    ):
        for _press in range(times):
            await page.keyboard.press(key)
        at = await goes(page, at, seconds)
    await page.keyboard.press("i")
    await page.keyboard.press("PageDown")
    await page.keyboard.press("o")
    await expect(page.locator("pantau-timeline-panel .range")).to_contain_text("5:00")
    box = await page.locator("pantau-timeline-view canvas").bounding_box()
    assert box is not None
    before = await moment(page)
    await page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 5)
    await page.mouse.down()
    await page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 5, steps=5)
    await page.mouse.up()
    await page.wait_for_function(f"(before) => {_MOMENT} !== before", arg=before)
    await page.keyboard.press("q")
    await page.wait_for_function("() => probe.described()[0].camera === 'cam-001'")
    await page.keyboard.press("b")
    await expect(page.locator("pantau-timeline-panel .moment.live")).to_have_count(1)
    assert app.errors == []
