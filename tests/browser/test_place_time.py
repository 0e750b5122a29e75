"""Place and time: a clerk who knows a street and a minute gets stills, and plays them."""

import asyncio
import math
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import BrowserContext, expect

from tests.browser.app_page import AppPage
from tests.browser.running_up import Running

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

PATIENCE_MS = 60_000
MARGIN_SECONDS = 4


async def recorded(pantau: Running, camera: str) -> int:
    """A full minute around which the camera has footage, Unix seconds."""
    while True:
        now = datetime.now(UTC)
        query = urlencode({"from": (now - timedelta(seconds=150)).isoformat(), "to": now.isoformat()})
        for found in pantau.api(f"/cameras/{camera}/timeline?{query}")["ranges"]:
            begin, end = (datetime.fromisoformat(found[name]).timestamp() for name in ("from", "to"))
            minute = math.floor((end - MARGIN_SECONDS) / 60) * 60
            if begin + MARGIN_SECONDS < minute:
                return minute
        await asyncio.sleep(0.5)


async def test_a_street_a_day_and_a_time_give_the_still_of_that_second_in_six_interactions_and_it_plays(
    pantau: Running, browser: BrowserContext
) -> None:
    zone = ZoneInfo(pantau.api("/me")["time_zone"])
    (camera,) = [each["id"] for each in pantau.api("/cameras")["cameras"] if "Dieng" in each["name"]]
    app = await AppPage.open(browser, f"{pantau.url}/#grid=1&tiles=cam-002", language="id")
    page = app.page
    await page.locator(f"#camera-{camera}").wait_for(timeout=PATIENCE_MS)
    at = await recorded(pantau, camera)
    form = page.locator("pantau-place-dialog")
    interactions = 1
    await page.keyboard.press("g")
    seen_at = datetime.fromtimestamp(at, zone)
    for field, text in (("place", "dieng"), ("day", f"{seen_at:%d/%m}"), ("time", f"{seen_at:%H.%M}")):
        interactions += 1  # the words and the key to the next field
        await expect(form.locator(f"input[name={field}]")).to_be_focused()
        await page.keyboard.type(text)
        if field != "time":
            await page.keyboard.press("Tab")
    of_the_second = re.compile(f"{camera}/snapshot[.]jpg.*picture=exact")
    async with page.expect_response(of_the_second, timeout=PATIENCE_MS) as answer:
        interactions += 1
        await page.keyboard.press("Enter")
    taken_at = datetime.fromisoformat((await (await answer.value).all_headers())["pantau-capture-time"])
    assert abs(taken_at.timestamp() - at) <= 1
    assert interactions <= 6
    still = form.locator(f"article[data-camera={camera}] .still.asked[data-at='{at * 1000}']")
    await still.locator("img").wait_for(timeout=PATIENCE_MS)
    assert await still.locator("img").evaluate("async (still) => { await still.decode(); return still.naturalWidth; }")
    await still.dispatch_event("click")
    await expect(form).to_have_count(0)
    await expect(page).to_have_url(re.compile(f"{camera}.*&at="))
    assert app.errors == []
