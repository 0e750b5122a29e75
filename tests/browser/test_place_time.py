"""Place and time: a clerk who knows a street and a minute gets stills, and plays them."""

import asyncio
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


async def recorded(pantau: Running) -> int:
    """A second of which cam-001 has footage around it, Unix seconds."""
    while True:
        now = datetime.now(UTC)
        query = urlencode({"from": (now - timedelta(seconds=60)).isoformat(), "to": now.isoformat()})
        for found in pantau.api(f"/cameras/cam-001/timeline?{query}")["ranges"]:
            begin, end = (datetime.fromisoformat(found[name]).timestamp() for name in ("from", "to"))
            if end - begin > 8:
                return round((begin + end) / 2)
        await asyncio.sleep(0.5)


async def test_a_street_and_a_time_give_stills_that_play(pantau: Running, browser: BrowserContext) -> None:
    zone = ZoneInfo(pantau.api("/me")["time_zone"])
    (camera,) = [each for each in pantau.api("/cameras")["cameras"] if each["id"] == "cam-001"]
    street = camera["name"].partition(",")[0]
    app = await AppPage.open(browser, f"{pantau.url}/#grid=1&tiles=cam-002", language="id")
    page = app.page
    await page.locator("#camera-cam-001").wait_for(timeout=PATIENCE_MS)
    at = await recorded(pantau)
    await page.keyboard.press("g")
    form = page.locator("pantau-place-dialog")
    await form.locator("input[name=place]").fill(street)
    seen_at = datetime.fromtimestamp(at, zone)
    if seen_at.date() != datetime.now(zone).date():  # a day without a name is today, which has begun since
        await form.locator("input[name=day]").fill(seen_at.strftime("%d/%m/%Y"))
    await form.locator("input[name=time]").fill(seen_at.strftime("%H.%M.%S"))
    await page.keyboard.press("Enter")
    still = form.locator(f"article[data-camera=cam-001] .still.asked[data-at='{at * 1000}']")
    await still.locator("img").wait_for(timeout=PATIENCE_MS)
    await still.dispatch_event("click")
    await expect(form).to_have_count(0)
    await expect(page).to_have_url(re.compile("cam-001.*&at="))
    assert app.errors == []
