"""The operators' app on a whole Pantau with simulated cameras, in Chromium."""

import asyncio
import os
import re
import signal
import time

import pytest
from playwright.async_api import BrowserContext, expect

from services.wall.front.api.static import FOLDER
from tests.browser.app_page import AppPage
from tests.browser.conftest import CAMERAS
from tests.browser.running_up import Running

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not (FOLDER / "index.html").is_file(), reason="the app is not built: make web"),
]

PATIENCE_SECONDS = 60.0
"""For what has no promise of its own: the machine may be busy with other tests."""
_NAMED_AND_SEEN = "((tile) => [tile.dataset.camera, probe.read(tile)?.camera ?? null])(probe.tile(0))"


async def test_a_first_visit_shows_every_camera_moving_and_under_its_own_name(
    pantau: Running, browser: BrowserContext
) -> None:
    names = {camera["id"]: camera["name"] for camera in pantau.api("/cameras")["cameras"]}
    app = await AppPage.open(browser, pantau.url)
    tiles = await app.wait_for_pictures(CAMERAS, 2 * PATIENCE_SECONDS)
    assert {tile.camera for tile in tiles} == set(names)
    frames: dict[int, set[int]] = {tile.slot: set() for tile in tiles}
    deadline = time.monotonic() + PATIENCE_SECONDS
    while standing := [slot for slot, numbers in frames.items() if len(numbers) < 2]:
        assert time.monotonic() < deadline, f"standing pictures in {standing}: {frames}"
        for tile in tiles:
            assert tile.camera is not None
            assert tile.name == names[tile.camera]
            seen = await app.read(tile.slot)
            assert seen.camera == int(tile.camera.rsplit("-", 1)[1])
            frames[tile.slot].add(seen.frame)
        await asyncio.sleep(0.3)
    assert app.errors == []


async def test_a_camera_from_the_list_replaces_the_picture_and_is_the_right_one(
    pantau: Running, browser: BrowserContext
) -> None:
    app = await AppPage.open(browser, f"{pantau.url}/#grid=4&tiles=cam-001,cam-002")
    await app.wait_for_pictures(2, PATIENCE_SECONDS)
    for camera in ("cam-005", "cam-006", "cam-007"):
        await app.page.locator("pantau-wall-tile[data-slot='0']").click()
        await app.page.locator(f"#camera-{camera} .camera").click()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            named, seen = await app.page.evaluate(_NAMED_AND_SEEN)
            if seen == int(camera[-3:]):
                break
            assert seen is None or named == f"cam-{seen:03}", "the camera before is revealed under the new name"
            assert time.monotonic() < deadline, await app.tiles()
    await expect(app.page).to_have_url(re.compile("tiles=cam-007,cam-002"))


async def test_an_enlarged_tile_gets_the_main_picture_and_the_grid_comes_back(
    pantau: Running, browser: BrowserContext
) -> None:
    app = await AppPage.open(browser, f"{pantau.url}/#grid=9&tiles=cam-001,cam-002,cam-003,cam-004,cam-005")
    await app.wait_for_pictures(5, PATIENCE_SECONDS)
    await app.page.keyboard.press("ArrowRight")
    await app.page.keyboard.press("Enter")
    await app.page.wait_for_function("() => probe.described().map((tile) => tile.camera).join() === 'cam-002'")
    await app.page.wait_for_function(
        """() => { const grid = document.querySelector('pantau-app').shadowRoot.querySelector('pantau-wall-grid');
            const video = grid.shadowRoot.querySelector("[data-slot='1']").shadowRoot.querySelector('video');
            return video.videoWidth === 1280 && video.style.opacity === '1'; }""",
        timeout=PATIENCE_SECONDS * 1000,
    )
    await expect(app.page).to_have_url(re.compile("&big=1$"))
    await app.page.keyboard.press("Escape")
    assert len(await app.wait_for_pictures(5, PATIENCE_SECONDS)) == 9


async def test_the_layout_survives_a_reload_and_tiles_are_swapped_by_dragging(
    pantau: Running, browser: BrowserContext
) -> None:
    app = await AppPage.open(browser, f"{pantau.url}/#grid=1%2B5&tiles=cam-001,,cam-003")
    await app.page.locator("pantau-wall-tile[data-slot='0']").drag_to(
        app.page.locator("pantau-wall-tile[data-slot='1']")
    )
    await app.page.keyboard.press("2")
    await expect(app.page).to_have_url(re.compile("grid=4&tiles=,cam-001,cam-003"))
    await app.page.reload()
    tiles = await app.wait_for_pictures(2, PATIENCE_SECONDS)
    assert [tile.camera for tile in tiles] == [None, "cam-001", "cam-003", None]


async def test_tiles_recover_from_a_killed_relay_without_a_reload(pantau: Running, browser: BrowserContext) -> None:
    app = await AppPage.open(browser, f"{pantau.url}/#grid=4&tiles=cam-001,cam-002,cam-003,cam-004")
    await app.wait_for_pictures(4, PATIENCE_SECONDS)
    await app.page.evaluate("window.notReloaded = true")
    await app.page.evaluate("probe.watch('lost', () => probe.pictures() < 4)")
    for pid in pantau.relays():
        os.kill(pid, signal.SIGKILL)
    await app.page.wait_for_function("() => probe.once.lost", timeout=PATIENCE_SECONDS * 1000)
    tiles = await app.wait_for_pictures(4, 2 * PATIENCE_SECONDS)
    for tile in tiles:
        seen = await app.read(tile.slot)
        assert tile.camera == f"cam-{seen.camera:03}"
    assert await app.page.evaluate("window.notReloaded") is True


async def test_a_camera_that_cannot_be_reached_says_why_in_both_languages(
    pantau: Running, browser: BrowserContext
) -> None:
    pantau.api("/cameras", "POST", {"id": "broken", "name": "Broken", "profiles": {"main": "rtsp://127.0.0.1:9/x"}})
    try:
        app = await AppPage.open(browser, f"{pantau.url}/#grid=1&tiles=broken", language="en")
        message = app.page.locator("pantau-wall-tile .message")
        await message.get_by_text("Nothing answers at the camera's port").wait_for(timeout=60_000)
        await message.get_by_text("since").wait_for()
        await app.page.keyboard.press("l")
        await message.get_by_text("Tidak ada yang menjawab di port kamera").wait_for()
        assert await app.page.evaluate("document.documentElement.lang") == "id"
    finally:
        pantau.api("/cameras/broken", "DELETE")


async def test_an_administrator_adds_and_removes_a_camera_in_the_page(pantau: Running, browser: BrowserContext) -> None:
    source = next(camera for camera in pantau.api("/cameras")["cameras"] if camera["id"] == "cam-003")
    app = await AppPage.open(browser, f"{pantau.url}/#grid=1&tiles=cam-001", language="en")
    page = app.page
    await page.get_by_role("button", name="Add camera").click()
    form = page.locator("pantau-camera-dialog")
    await form.locator("input[name=name]").fill("Café 7")
    await expect(form.locator("input[name=id]")).to_have_value("cafe-7")
    await page.get_by_role("button", name="Save", exact=True).click()
    await form.get_by_text("Required").wait_for()
    await form.locator("input[name=mainUrl]").fill(source["profiles"]["main"]["url"])
    await page.get_by_role("button", name="Save", exact=True).click()
    try:
        await page.locator("#camera-cafe-7").wait_for()
        assert any(camera["id"] == "cafe-7" for camera in pantau.api("/cameras")["cameras"])
        await page.locator("#camera-cafe-7").hover()
        await page.locator("#camera-cafe-7 .edit").click()
        await page.get_by_role("button", name="Remove camera").click()
        await page.get_by_role("button", name="Remove", exact=True).click()
        await page.locator("#camera-cafe-7").wait_for(state="detached")
        assert app.errors == []
    finally:
        if any(camera["id"] == "cafe-7" for camera in pantau.api("/cameras")["cameras"]):
            pantau.api("/cameras/cafe-7", "DELETE")


async def test_an_administrator_masks_a_part_of_a_camera_in_the_page(pantau: Running, browser: BrowserContext) -> None:
    def masks() -> list[dict[str, float]]:
        kept: list[dict[str, float]] = pantau.api("/cameras/cam-004")["privacy_masks"]
        return kept

    async def edit(shown: int) -> None:
        kept = "document.querySelector('pantau-app').app.cameras.value?.get('cam-004')"
        await page.wait_for_function(f"(shown) => {kept}?.privacy_masks.length === shown", arg=shown)
        await page.locator("#camera-cam-004").hover()
        await page.locator("#camera-cam-004 .edit").click()

    app = await AppPage.open(browser, f"{pantau.url}/#grid=1&tiles=cam-001", language="en")
    page = app.page
    editor = page.locator("pantau-mask-editor")
    try:
        await edit(0)
        await page.get_by_text("Privacy masks (0)").click()
        picture = editor.locator(".picture")
        await page.wait_for_function(
            "(host) => host.shadowRoot.querySelector('img').naturalWidth > 0", arg=await editor.element_handle()
        )
        await picture.scroll_into_view_if_needed()
        box = await picture.bounding_box()
        assert box is not None
        await page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + box["height"] * 0.75)
        await page.mouse.down()
        await page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.5)
        await page.mouse.up()
        drawn = await editor.locator(".mask").bounding_box()
        assert drawn is not None
        assert drawn["width"] == pytest.approx(box["width"] / 2, abs=8), "it lies where it was drawn"
        await page.get_by_role("button", name="Save", exact=True).click()
        await editor.wait_for(state="detached")
        (mask,) = masks()
        assert [mask[side] for side in ("x", "y", "width", "height")] == pytest.approx([0.25, 0.5, 0.5, 0.25], abs=0.02)

        await edit(1)
        await editor.get_by_label("Width %").fill("33,3")
        await editor.get_by_role("button", name="Add a mask").press("Enter")
        await editor.get_by_role("button", name="Remove mask 2").press("Enter")
        await editor.get_by_label("operator").check()
        await page.get_by_role("button", name="Save", exact=True).press("Enter")
        await editor.wait_for(state="detached")
        assert [each["width"] for each in masks()] == [0.333]
        assert pantau.api("/cameras/cam-004")["unmasked_roles"] == ["operator"]

        await edit(1)
        await editor.get_by_role("button", name="Remove mask 1").press("Enter")
        await page.get_by_role("button", name="Save", exact=True).press("Enter")
        await editor.wait_for(state="detached")
        assert masks() == []
        assert app.errors == []
    finally:
        pantau.api("/cameras/cam-004", "PATCH", {"privacy_masks": [], "unmasked_roles": []})
