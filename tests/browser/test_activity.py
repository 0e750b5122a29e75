"""Finding by activity, as an operator does it: a key leads to the last activity, the list to a minute."""

import asyncio
import re
import time

import pytest
from playwright.async_api import BrowserContext, Page

from services.wall.front.http.times import rfc3339
from tests.browser.recorded_page import clock_stands
from tests.browser.running_up import Running

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

CAMERA = "cam-001"
KNOWN_SECONDS = 120.0
"""A segment is a minute, and is judged within a pass of upkeep after it is closed."""


def busiest(pantau: Running) -> list[dict[str, object]]:
    now_us = time.time_ns() // 1000
    query = f"camera={CAMERA}&from={rfc3339(now_us - 3_600_000_000)}&to={rfc3339(now_us)}&most=5"
    found: list[dict[str, object]] = pantau.api(f"/activity/busiest?{query}")["minutes"]
    return found


async def known(pantau: Running) -> None:
    """Waits until there is activity to find."""
    deadline = time.monotonic() + KNOWN_SECONDS
    while not busiest(pantau):
        assert time.monotonic() < deadline, f"no activity of {CAMERA} after {KNOWN_SECONDS} s"
        await asyncio.sleep(1)


async def shown_moment(page: Page, after: str) -> str:
    """The moment that the page's address names, once it is another than ``after``."""
    async with asyncio.timeout(90):
        while True:
            found = re.search(r"at=([^&]+)", await page.evaluate("location.hash"))
            if found and found.group(1) != after:
                return found.group(1)
            await asyncio.sleep(0.1)


async def test_a_key_leads_to_the_last_activity_and_the_list_to_a_busy_minute(
    pantau: Running, browser: BrowserContext
) -> None:
    await known(pantau)
    page = await browser.new_page()
    await page.goto(f"{pantau.url}/#grid=1&tiles={CAMERA}")
    await page.locator("pantau-wall-tile").first.wait_for(state="attached")
    await page.keyboard.press("t")
    await page.locator("pantau-timeline-view").wait_for()
    await page.keyboard.press("p")
    await shown_moment(page, "")
    await page.evaluate("document.querySelector('pantau-app').app.playback.pause()")  # it may have stopped at the end
    await clock_stands(page)
    jumped = await shown_moment(page, "")

    await page.keyboard.press("a")
    minutes = page.locator("pantau-busiest-dialog li button")
    await minutes.first.wait_for()
    count = await minutes.count()
    assert 1 <= count <= 20
    bars = await page.locator("pantau-busiest-dialog .bar i").evaluate_all("bars => bars.map((bar) => bar.style.width)")
    assert all(0 < float(width.removesuffix("%")) <= 100 for width in bars)
    await minutes.first.click()
    await page.locator("pantau-busiest-dialog").wait_for(state="detached")
    moment = await shown_moment(page, jumped)
    assert moment[17:19] in ("00", "01", "02", "03", "04", "05"), f"{moment} is not the beginning of a minute"
