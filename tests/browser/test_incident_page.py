"""An incident's page, on a whole Pantau: cameras from anywhere, remarks, what was done, its report, its end; undo."""

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, expect

from services.wall.front.api.static import FOLDER
from tests.browser.app_page import AppPage
from tests.browser.running_up import Running

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not (FOLDER / "index.html").is_file(), reason="the app is not built: make web"),
]
SHOWN = "(ids) => JSON.stringify(probe.described().map((tile) => tile.camera)) === JSON.stringify(ids)"


async def test_an_incident_is_written_down_shown_taken_back_reported_closed_and_reopened(
    pantau: Running, browser: BrowserContext
) -> None:
    app = await AppPage.open(browser, f"{pantau.url}/#grid=4&tiles=cam-001,cam-002", language="en", pictures=False)
    page = app.page
    page.set_default_timeout(120_000)  # a loaded machine paints late
    wall = ["cam-001", "cam-002", None, None]
    await page.wait_for_function(SHOWN, arg=wall, timeout=60_000)
    await page.keyboard.press("i")
    await page.locator("pantau-incidents-panel").get_by_role("button", name="New incident").click()
    dialog = page.locator("pantau-incident-dialog")
    await dialog.locator("input[name=title]").fill("Truck across two lanes")
    await dialog.locator("input[name=find]").fill("cam-016")
    await dialog.locator("input[value=cam-016]").check()
    await dialog.locator("input[name=hold]").fill("30")
    await dialog.get_by_role("button", name="Open incident and hold footage").click()
    card = page.locator("pantau-incidents-panel article", has_text="Truck across two lanes")
    await card.get_by_role("button", name="Open its page").click()
    incident = page.locator("pantau-incident-page")
    await incident.locator("textarea[name=remark]").fill("The tow truck came")
    await incident.get_by_role("button", name="Add in my name").click()
    await expect(incident).to_contain_text("The tow truck came")
    await expect(incident.locator(".history")).to_contain_text("wrote a remark")
    (kept,) = [each for each in pantau.api("/incidents")["incidents"] if each["title"] == "Truck across two lanes"]
    assert kept["hold_days"] == 30
    assert sorted(kept["cameras"]) == ["cam-001", "cam-016"]

    async with page.expect_download() as download:
        await incident.get_by_role("link", name="Merged report").click()
    report = await asyncio.to_thread(Path(await (await download.value).path()).read_text)
    assert "The tow truck came" in report

    await incident.get_by_role("button", name="Show on the wall").click()
    await page.wait_for_function(SHOWN, arg=kept["cameras"], timeout=60_000)
    await expect(page.locator("pantau-timeline-panel")).to_have_count(1)
    await page.keyboard.press("Control+z")
    await page.wait_for_function(SHOWN, arg=wall, timeout=60_000)
    await expect(page.locator("pantau-timeline-panel")).to_have_count(0)

    await page.goto(f"{pantau.url}/#incident={kept['id']}")
    await incident.get_by_role("button", name="Close incident").click()
    await incident.get_by_role("button", name="Close incident").click()
    await expect(incident.get_by_role("button", name="Reopen")).to_be_visible()
    await incident.get_by_role("button", name="Reopen").click()
    await expect(incident.get_by_role("button", name="Close incident")).to_be_visible()
    pantau.api(f"/incidents/{kept['id']}/close", "POST")
    assert app.errors == []
