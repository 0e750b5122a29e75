"""A picture that is no longer fresh: tile, mark, list and counts say so at once, until a newer one is shown."""

import pytest
from playwright.async_api import BrowserContext, expect

from tests.browser.app_page import AppPage
from tests.browser.running_up import Running

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

PATIENCE_MS = 60_000
WATCH = """() => {
  const tile = probe.tile(1);
  window.truth = { dimmed: false, lit: false };
  const look = () => {
    const dim = tile.shadowRoot.querySelector('.screen').classList.contains('dim');
    if (dim) truth.dimmed = true;
    if (!dim && truth.dimmed) truth.lit = true;
    requestAnimationFrame(look);
  };
  look();
}"""


async def test_a_stalled_picture_is_greyed_everywhere_until_a_newer_one_is_shown(
    pantau: Running, browser: BrowserContext
) -> None:
    app = await AppPage.open(browser, f"{pantau.url}/#grid=4&tiles=cam-001,cam-002", language="en")
    page = app.page
    await app.wait_for_pictures(2, PATIENCE_MS / 1000)
    row = page.locator("#camera-cam-002")
    await expect(row).to_have_attribute("data-status", "online", timeout=PATIENCE_MS)
    faulty = page.locator("pantau-camera-list .filters .faulty b")
    await expect(faulty).to_have_text("0", timeout=PATIENCE_MS)
    with pantau.fault("cam-002", "stall"):
        await page.evaluate(WATCH)
        await page.wait_for_function("() => truth.dimmed", timeout=PATIENCE_MS, polling=25)
        # Neither the registry nor the relay can have told the page yet.
        assert await row.get_attribute("data-status") == "offline"
        assert await faulty.inner_text() != "0"
        message = page.locator("pantau-wall-tile[data-slot='1'] .message")
        await expect(message).to_contain_text("old")
        await expect(message).to_contain_text("The camera sends no pictures", timeout=PATIENCE_MS)
        await expect(message).to_contain_text("next try in", timeout=PATIENCE_MS)
        assert await page.evaluate("truth.lit") is False, "a picture from before was shown as fresh"
    await page.wait_for_function("() => truth.lit", timeout=PATIENCE_MS, polling=25)
    await expect(row).to_have_attribute("data-status", "online", timeout=PATIENCE_MS)
    assert app.errors == []
