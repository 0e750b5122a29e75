"""Every page, panel and dialog against axe-core: WCAG 2.2 A and AA and its best practice, in each language."""

import asyncio
import time
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import BrowserContext, Page, expect

from services.wall.front.api.static import FOLDER
from tests.browser.app_page import AppPage
from tests.browser.running_up import Running
from tests.browser.views import close, show, views

AXE: Final = Path(__file__).resolve().parents[2] / "services/wall/web/node_modules/axe-core/axe.min.js"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(480),
    pytest.mark.skipif(not (FOLDER / "index.html").is_file(), reason="the app is not built: make web"),
]
CHECK: Final = """async () => {
  const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
  const { violations } = await axe.run(document, { runOnly: tags, resultTypes: ["violations"] });
  return violations.map(({ id, nodes }) => [id, nodes.map(({ target }) => JSON.stringify(target))]);
}"""
REST_SECONDS: Final = 60.0


async def violations(page: Page) -> list[list[Any]]:
    """What is broken when the page has come to rest: while a panel comes in, its buttons lie over each other."""
    deadline = time.monotonic() + REST_SECONDS
    while True:
        found: list[list[Any]] = await page.evaluate(CHECK)
        if not found or time.monotonic() > deadline:
            return found
        await page.wait_for_timeout(500)


@pytest.mark.parametrize("language", ["id", "en"])
async def test_no_page_panel_or_dialog_breaks_a_rule_of_accessibility(
    pantau: Running, browser: BrowserContext, language: str
) -> None:
    opened = {"title": "Accessible", "cameras": ["cam-001"], "from_us": 1_790_000_000_000_000}
    incident = pantau.api("/incidents", "POST", opened)["id"]
    address = f"{pantau.url}/#grid=4&tiles=cam-001,cam-002"
    page = (await AppPage.open(browser, address, language=language, pictures=False)).page
    page.set_default_timeout(90_000)
    await expect(page.locator("pantau-camera-list")).to_contain_text("cam-001")
    await page.evaluate(AXE.read_text())
    masked = {"privacy_masks": [{"x": 0.1, "y": 0.1, "width": 0.2, "height": 0.2}]}
    every = views(incident=incident, camera=pantau.api("/cameras/cam-001") | masked)
    broken = [("wall", *each) for each in await violations(page)]
    for name, view in every.items():
        await show(page, view)
        broken += [(name, *each) for each in await violations(page)]
    await close(page)
    await page.evaluate("document.querySelector('pantau-app').app.idle.lock('')")
    await page.locator("pantau-lock-screen").wait_for(state="attached")
    broken += [("locked", *each) for each in await violations(page)]
    await page.goto(f"{pantau.url}/screen/axe-{language}")
    await page.locator("pantau-screen").wait_for(state="attached")
    await page.evaluate(AXE.read_text())
    broken += [("screen", *each) for each in await violations(page)]
    async with asyncio.timeout(REST_SECONDS):  # it says that it is there, and is known then
        while f"axe-{language}" not in {screen["id"] for screen in pantau.api("/screens")["screens"]}:
            await asyncio.sleep(0.1)
    pantau.api(f"/screens/axe-{language}", "DELETE")
    pantau.api(f"/incidents/{incident}/close", "POST")
    assert broken == []
