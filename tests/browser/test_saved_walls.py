"""Saved walls and undo, on a whole Pantau: save, open by name, key and link, begin with it, and take changes back."""

import pytest
from playwright.async_api import BrowserContext, Page, expect

from services.wall.front.api.static import FOLDER
from tests.browser.app_page import AppPage
from tests.browser.running_up import Running

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not (FOLDER / "index.html").is_file(), reason="the app is not built: make web"),
]


# The word of a change stays for some seconds: shorter than a busy machine may keep a test waiting.
UNDO_BY_TOAST = """() => {
  const root = document.querySelector('pantau-app').shadowRoot;
  const cameras = () => JSON.stringify(probe.described().map((tile) => tile.camera));
  const before = cameras();
  window.changed = window.undone = false;
  const timer = setInterval(() => {
    window.changed ||= cameras() !== before;
    const buttons = [...root.querySelector('pantau-toast').shadowRoot.querySelectorAll('button')];
    const button = buttons.find((each) => each.textContent.includes('Undo'));
    if (!changed || !button) return;
    clearInterval(timer);
    window.undone = true;
    button.click();
  }, 25);
}"""


async def cameras(app: AppPage) -> list[str | None]:
    return [tile.camera for tile in await app.tiles()]


async def shows(page: Page, *ids: str | None) -> None:
    """Waits until the visible tiles are those."""
    script = "(ids) => JSON.stringify(probe.described().map((tile) => tile.camera)) === JSON.stringify(ids)"
    await page.wait_for_function(script, arg=list(ids), timeout=60_000)


async def test_a_saved_wall_opens_by_name_key_link_and_at_the_next_visit(
    pantau: Running, browser: BrowserContext
) -> None:
    app = await AppPage.open(browser, f"{pantau.url}/#grid=4&tiles=cam-003,cam-001", language="en")
    page = app.page
    await shows(page, "cam-003", "cam-001", None, None)
    await page.keyboard.press("w")
    await page.locator("pantau-walls-dialog input[name=name]").fill("Dieng junction")
    await page.locator("pantau-walls-dialog select[name=key]").select_option("⇧ 7")
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.locator("pantau-walls-dialog")).to_have_count(0)
    (saved,) = [wall for wall in pantau.api("/layouts")["layouts"] if wall["name"] == "Dieng junction"]
    try:
        await page.keyboard.press("1")
        await shows(page, "cam-003")
        await page.keyboard.press("Shift+Digit7")
        await shows(page, "cam-003", "cam-001", None, None)
        await page.keyboard.press("Delete")
        await page.keyboard.press("w")
        await page.locator("pantau-walls-dialog input[name=wall]").fill("junc")
        await page.keyboard.press("Enter")
        await shows(page, "cam-003", "cam-001", None, None)
        again = await AppPage.open(browser, pantau.url)
        await shows(again.page, "cam-003", "cam-001", None, None)
        linked = await AppPage.open(browser, f"{pantau.url}/#wall={saved['id']}")
        await shows(linked.page, "cam-003", "cam-001", None, None)
        assert app.errors == again.errors == linked.errors == []
    finally:
        pantau.api(f"/layouts/{saved['id']}", "DELETE")


async def test_changes_of_the_wall_are_taken_back_by_key_toast_and_the_browsers_back(
    pantau: Running, browser: BrowserContext
) -> None:
    app = await AppPage.open(browser, f"{pantau.url}/#grid=4&tiles=cam-001,cam-002,cam-003,cam-004", language="en")
    page = app.page
    first = ["cam-001", "cam-002", "cam-003", "cam-004"]
    await shows(page, *first)
    for key in ("Delete", "2", "+", "ArrowDown", "Delete", "h", "3"):
        await page.keyboard.press(key)
    assert await cameras(app) != first
    for _change in range(8):
        await page.keyboard.press("Control+z")
    await shows(page, *first)
    await page.evaluate(UNDO_BY_TOAST)
    await page.keyboard.press("Control+y")
    await page.wait_for_function("() => changed && undone")
    await shows(page, *first)
    tile = page.locator("pantau-wall-tile[data-slot='0']")
    box = await tile.bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + box["width"], box["y"] + box["height"] / 2)
    await page.mouse.down()
    await page.mouse.move(box["x"] + 2 * box["width"], box["y"] + box["height"] / 2, steps=4)
    await page.mouse.up()
    await shows(page, "cam-001", "cam-003", "cam-004")
    await page.keyboard.press("Control+z")
    await page.keyboard.press("4")
    await shows(page, *first, *[None] * 12)
    await page.go_back()
    await shows(page, *first)
    assert app.errors == []
