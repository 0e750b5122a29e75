"""What is recorded, at a glance, in Chromium: contact sheets, thumbnails on the timeline, and coverage."""

import time

import pytest
from playwright.async_api import BrowserContext, Locator, expect

from services.wall.front.api.static import FOLDER
from tests.browser.app_page import AppPage
from tests.browser.running_up import Running

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not (FOLDER / "index.html").is_file(), reason="the app is not built: make web"),
]

PATIENCE_MS = 60_000
RECORDED_SECONDS = 20.0
WIDTHS = "(images) => images.filter((each) => !each.matches('.missing')).map((each) => each.naturalWidth)"
ONE_TILE = "/#grid=1&tiles=cam-001"


def wait_for_footage(pantau: Running) -> None:
    """Returns when some seconds of the first camera are on disk."""
    deadline = time.monotonic() + 90
    while True:
        (camera,) = pantau.api("/coverage?camera=cam-001")["cameras"]
        if camera["recorded_seconds"] >= RECORDED_SECONDS:
            return
        assert time.monotonic() < deadline, camera
        time.sleep(1)


async def opened_sheet(pantau: Running, browser: BrowserContext) -> tuple[AppPage, Locator]:
    """The app with one tile, and its dialog that shows a contact sheet."""
    wait_for_footage(pantau)
    app = await AppPage.open(browser, pantau.url + ONE_TILE)
    await app.page.keyboard.press("t")
    await app.page.get_by_title("Contact sheet").click()
    dialog = app.page.locator("pantau-sheet-dialog")
    await expect(dialog.locator("img")).to_be_visible(timeout=PATIENCE_MS)
    return app, dialog


async def test_a_click_on_a_contact_sheet_leads_to_the_moment_of_the_picture(
    pantau: Running, browser: BrowserContext
) -> None:
    app, dialog = await opened_sheet(pantau, browser)
    sheet = dialog.locator("img")
    await expect(sheet).to_have_js_property("naturalWidth", 6 * 326 + 6)
    box = await sheet.bounding_box()
    assert box is not None
    await sheet.click(position={"x": box["width"] * 0.95, "y": box["height"] * 0.9})
    await expect(dialog).to_have_count(0)
    await app.page.wait_for_url("**/*at=*", timeout=PATIENCE_MS)
    assert app.errors == []


async def test_a_range_without_footage_says_so_and_leads_to_the_nearest(
    pantau: Running, browser: BrowserContext
) -> None:
    app, dialog = await opened_sheet(pantau, browser)
    await dialog.locator("input[name=from]").fill("01/01/2020 00:00:01")
    await dialog.locator("input[name=to]").fill("01/01/2020 01:00:01")
    await dialog.locator("input[name=to]").blur()
    await expect(dialog.get_by_role("alert")).to_have_text("Nothing is recorded in this time.", timeout=PATIENCE_MS)
    yesterday = time.strftime("%d/%m/%Y %H:%M", time.gmtime(time.time() - 86_400))
    await dialog.locator("input[name=from]").fill(f"{yesterday}:01")
    await dialog.locator("input[name=to]").fill(f"{yesterday}:59")
    await dialog.locator("input[name=to]").blur()
    await dialog.get_by_role("button", name="Go to the nearest footage").click(timeout=PATIENCE_MS)
    await expect(dialog.locator("img")).to_be_visible(timeout=PATIENCE_MS)
    assert app.errors == []


async def test_hovering_the_timeline_shows_the_picture_of_that_moment(pantau: Running, browser: BrowserContext) -> None:
    wait_for_footage(pantau)
    app = await AppPage.open(browser, pantau.url + ONE_TILE)
    await app.page.keyboard.press("t")
    view = app.page.locator("pantau-timeline-view canvas")
    await expect(view).to_be_visible(timeout=PATIENCE_MS)
    for _ in range(6):  # until the seconds that are recorded are wide enough for a pointer
        await app.page.get_by_title("Zoom in").click()
    box = await view.bounding_box()
    assert box is not None
    preview = app.page.locator("pantau-timeline-view .tip img")
    deadline = time.monotonic() + PATIENCE_MS / 1000
    shown = 0
    while shown == 0:
        assert time.monotonic() < deadline, await app.page.locator("pantau-timeline-view .tip").all_inner_texts()
        for part in (0.3, 0.4, 0.45, 0.5, 0.6):
            await app.page.mouse.move(box["x"] + box["width"] * part, box["y"] + box["height"] * 0.7)
            await app.page.wait_for_timeout(600)
            # Where there is a picture it comes while the pointer rests, be it late on a busy machine.
            while 0 in (widths := await preview.evaluate_all(WIDTHS)) and time.monotonic() < deadline:
                await app.page.wait_for_timeout(100)
            shown = max([shown, *widths])
    assert shown == 320
    assert app.errors == []


async def test_coverage_names_every_camera_in_both_languages(pantau: Running, browser: BrowserContext) -> None:
    wait_for_footage(pantau)
    names = sorted(camera["name"] for camera in pantau.api("/cameras")["cameras"])
    app = await AppPage.open(browser, pantau.url + ONE_TILE)
    dialog = app.page.locator("pantau-coverage-dialog")
    # Cameras that other tests have removed again are named as well, where they had time to record.
    rows = dialog.locator("tbody tr")
    await app.page.get_by_title("Coverage", exact=True).click()
    known = rows.filter(has_not_text="was removed")
    await expect(known).to_have_count(len(names), timeout=PATIENCE_MS)
    assert sorted(await known.locator("td:first-child").all_inner_texts()) == names
    await expect(dialog).to_contain_text("before the oldest footage that is kept")
    await expect(dialog).to_contain_text(f"of the time of {len(names)} cameras")
    await app.page.keyboard.press("Escape")
    await app.page.get_by_title("Bahasa Indonesia").click()
    await app.page.get_by_title("Cakupan", exact=True).click()
    known = rows.filter(has_not_text="sudah dihapus")
    await expect(known).to_have_count(len(names), timeout=PATIENCE_MS)
    await expect(dialog).to_contain_text("sebelum rekaman tertua yang disimpan")
    assert app.errors == []
