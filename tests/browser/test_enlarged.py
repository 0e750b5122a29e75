"""The page enlarged to 200 % and 400 %: no control is out of reach, and only tables are wider (WCAG 1.4.4, 1.4.10)."""

import time
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import BrowserContext, Page, ViewportSize, expect

from services.wall.front.api.static import FOLDER
from tests.browser.app_page import AppPage
from tests.browser.chromium import PATIENCE_MS
from tests.browser.running_up import Running
from tests.browser.views import show, views

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not (FOLDER / "index.html").is_file(), reason="the app is not built: make web"),
]
UNREACHED: Final = (Path(__file__).parent / "unreached.js").read_text()
REST_SECONDS: Final = 30.0


async def unreached(page: Page) -> list[list[Any]]:
    """What lies out of reach when the page has come to rest."""
    deadline = time.monotonic() + REST_SECONDS
    while True:
        found: list[list[Any]] = await page.evaluate(UNREACHED)
        if not found or time.monotonic() > deadline:
            return found
        await page.wait_for_timeout(100)


@pytest.mark.parametrize(("width", "height"), [(640, 360), (320, 256)], ids=["1280x720 at 200 %", "1280x1024 at 400 %"])
async def test_an_enlarged_page_has_every_control_of_each_view_in_reach(
    pantau: Running, browser: BrowserContext, width: int, height: int
) -> None:
    opened = {"title": "Enlarged", "cameras": ["cam-001"], "from_us": 1_790_000_000_000_000}
    incident = pantau.api("/incidents", "POST", opened)["id"]
    page = (
        await AppPage.open(browser, f"{pantau.url}/#grid=4&tiles=cam-001,cam-002", language="id", pictures=False)
    ).page
    page.set_default_timeout(PATIENCE_MS)
    await page.set_viewport_size(ViewportSize(width=width, height=height))
    await expect(page.locator("pantau-top-bar time")).to_be_visible()
    found = [("wall", *each) for each in await unreached(page)]
    for name, view in views(incident=incident, camera=pantau.api("/cameras/cam-001")).items():
        await show(page, view)
        found += [(name, *each) for each in await unreached(page)]
    pantau.api(f"/incidents/{incident}/close", "POST")
    assert found == []
