"""Wall screens: one registers itself, shows what an operator sends, and comes back by itself."""

import os
import signal

import pytest
from playwright.async_api import BrowserContext, Page, expect

from tests.browser.app_page import AppPage
from tests.browser.running_up import Running

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

PATIENCE_MS = 60_000
TILES = """(ids) => {
  const grid = document.querySelector('pantau-screen')?.shadowRoot?.querySelector('pantau-wall-grid');
  const tiles = [...(grid?.shadowRoot?.querySelectorAll('pantau-wall-tile') ?? [])];
  const moving = (tile) => tile.shadowRoot.querySelector('video').style.opacity === '1'
    && !tile.shadowRoot.querySelector('.message');
  const shown = tiles.filter((tile) => tile.dataset.camera && moving(tile)).map((tile) => tile.dataset.camera);
  return JSON.stringify(shown) === JSON.stringify(ids);
}"""


WATCH_LINK = """() => {
  const { link } = document.querySelector('pantau-screen').app.keeper;
  window.lost = false;
  link.subscribe(() => { window.lost ||= link.value.phase !== 'open'; });
}"""


async def shows(page: Page, *ids: str) -> None:
    """Waits until a screen shows moving pictures of these cameras. A page that is not in front shows none."""
    await page.bring_to_front()
    await page.wait_for_function(TILES, arg=list(ids), timeout=PATIENCE_MS, polling=100)


async def test_a_screen_shows_what_is_sent_and_comes_back_with_it(pantau: Running, browser: BrowserContext) -> None:
    screen = await browser.new_page()
    await screen.goto(f"{pantau.url}/screen/layar-7")
    await screen.get_by_text("layar-7").wait_for(timeout=PATIENCE_MS)
    app = await AppPage.open(browser, f"{pantau.url}/#grid=2&tiles=cam-002,cam-003", language="en")
    try:
        await app.page.keyboard.press("s")
        card = app.page.locator("pantau-screens-panel article[data-screen=layar-7]")
        await expect(card).to_contain_text("on", timeout=PATIENCE_MS)
        await app.page.bring_to_front()
        await card.get_by_role("button", name="Send this wall").dispatch_event("click")
        await shows(screen, "cam-002", "cam-003")
        await screen.evaluate(WATCH_LINK)
        for pid in [pantau.child("wall"), *pantau.relays()]:
            os.kill(pid, signal.SIGKILL)
        await screen.wait_for_function("() => lost", timeout=PATIENCE_MS, polling=50)
        await shows(screen, "cam-002", "cam-003")
        await screen.reload()
        await shows(screen, "cam-002", "cam-003")
        await app.page.bring_to_front()
        await card.get_by_role("button", name="Clear").dispatch_event("click")
        await screen.get_by_text("layar-7").wait_for(timeout=PATIENCE_MS)
        assert app.errors == []
    finally:
        pantau.api("/screens/layar-7", "PUT", {})
