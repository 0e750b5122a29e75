"""A fleet that can be run: the health board, the long list, adding cameras and importing many."""

import asyncio
import copy
import json
import re
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.async_api import BrowserContext, FilePayload, Locator, Route, expect

from services.wall.front.api.static import FOLDER
from tests.browser.app_page import AppPage
from tests.browser.running_up import Running

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not (FOLDER / "index.html").is_file(), reason="the app is not built: make web"),
]

PATIENCE_MS = 60_000.0
IMPORTED = 2000
REFUSED = 10
UNANSWERED = 3
MANY = 5000


async def test_the_health_board_has_a_stalled_camera_first_with_its_reason_and_its_last_picture(
    pantau: Running, browser: BrowserContext
) -> None:
    app = await AppPage.open(browser, f"{pantau.url}/#grid=4&tiles=cam-001", language="id")
    with pantau.fault("cam-012", "stall"):
        await app.page.keyboard.press("d")
        board = app.page.locator("pantau-health-dialog")
        first = board.locator("li.camera").first
        await expect(first).to_have_attribute("data-camera", "cam-012", timeout=PATIENCE_MS)
        await expect(first).to_contain_text("Mati", timeout=PATIENCE_MS)
        await expect(first.locator(".why")).not_to_be_empty()
        await expect(first.locator("img")).to_be_visible(timeout=PATIENCE_MS)
        await expect(first.locator("img")).to_have_js_property("naturalWidth", 160)
        await board.get_by_role("searchbox").fill("mtai")
        await expect(board.locator("li.camera")).to_have_count(1)
        await first.get_by_role("button", name="Tampilkan").click()
        await expect(board).to_have_count(0)
    await expect(app.page).to_have_url(re.compile("cam-012"))
    await app.wait_for_pictures(1, PATIENCE_MS / 1000)
    assert app.errors == []


async def test_a_list_of_five_thousand_cameras_keeps_few_rows_and_finds_by_state_and_with_a_typing_error(
    pantau: Running, browser: BrowserContext
) -> None:
    one = pantau.api("/cameras/cam-001")
    cameras = [_numbered(one, number) for number in range(MANY)]
    cameras[4321] |= {"name": "Simpang Kayutangan"}
    cameras[1234]["state"] |= {"status": "offline", "reason": "unauthorized"}
    body = json.dumps({"cameras": cameras})

    async def answer(route: Route) -> None:
        await route.fulfill(body=body, content_type="application/json")

    await browser.route("**/api/v1/cameras", answer)
    app = await AppPage.open(browser, f"{pantau.url}/#grid=1&tiles=", language="en")
    rows = app.page.locator("pantau-camera-list #list li[data-status]")
    await expect(rows.first).to_have_attribute("aria-setsize", str(MANY), timeout=PATIENCE_MS)
    assert await rows.count() < 100
    row = rows.first  # until the list has found, there are many
    search = app.page.locator("pantau-camera-list").get_by_role("searchbox")
    await search.fill("kayutnagan")
    await expect(row).to_have_attribute("id", "camera-c-4321")
    await expect(rows).to_have_count(1)
    await search.fill("password")
    await expect(row).to_have_attribute("id", "camera-c-1234")
    await expect(rows).to_have_count(1)
    await search.fill("")
    await search.press("ArrowDown")
    await app.page.locator("pantau-camera-list #list").evaluate("list => { list.scrollTop = list.scrollHeight; }")
    await expect(rows.last).to_have_attribute("aria-posinset", str(MANY))
    assert await rows.count() < 100
    # The row with the focus has gone out of the document; the keys go on from it.
    await app.page.keyboard.press("ArrowDown")
    await expect(app.page.locator("pantau-camera-list li:focus-within")).to_have_attribute("aria-posinset", "2")
    assert app.errors == []


def _numbered(one: dict[str, Any], number: int) -> dict[str, Any]:
    camera = copy.deepcopy(one)
    camera |= {"id": f"c-{number}", "name": f"Jl. Ijen {number}", "tags": [], "location": {**one["location"]}}
    camera["location"]["address"] = ""
    camera["state"] |= {"camera": camera["id"], "status": "online", "reason": "none"}
    return camera


async def test_a_camera_is_probed_before_it_is_saved_and_each_failure_is_told_apart(
    pantau: Running, browser: BrowserContext
) -> None:
    main = pantau.api("/cameras/cam-014")["profiles"]["main"]["url"]
    app = await AppPage.open(browser, f"{pantau.url}/#grid=1&tiles=cam-001", language="id")
    await app.page.get_by_role("button", name="Tambah kamera").click()
    form = app.page.locator("pantau-camera-dialog")
    await form.locator("input[name=name]").fill("Kamera baru")
    for url, words in (
        (main.replace("cam-014", "cam-999"), "Aliran ini tidak ada di kamera"),
        ("rtsp://127.0.0.1:1/main", "Tidak ada yang menjawab di port kamera"),
    ):
        await form.locator("input[name=mainUrl]").fill(url)
        await form.get_by_role("button", name="Periksa kamera").click()
        await expect(form.locator(".bad")).to_contain_text(words, timeout=PATIENCE_MS)
    await expect(form.get_by_role("button", name="Simpan walau begitu")).to_be_visible()
    await form.locator("input[name=mainUrl]").fill(main)
    with pantau.fault("cam-014", "unauthorized"):
        await form.get_by_role("button", name="Periksa kamera").click()
        await expect(form.locator(".bad")).to_contain_text("Nama pengguna atau kata sandi salah", timeout=PATIENCE_MS)
    await form.get_by_role("button", name="Periksa kamera").click()
    await expect(form.locator(".good").first).to_contain_text("H.264 · 1280×720", timeout=PATIENCE_MS)
    probed = form.get_by_role("img", name="Gambar dari kamera")
    await expect(probed).to_have_js_property("naturalWidth", 640)
    await expect(form.locator("input[name=subUrl]")).to_have_value(re.compile("/cam-014/sub$"))
    assert app.errors == []


async def test_the_map_draws_streets_and_puts_cameras_onto_the_wall_by_click_list_and_lasso(
    pantau: Running, browser: BrowserContext
) -> None:
    app = await AppPage.open(browser, f"{pantau.url}/#grid=4&tiles=cam-002", language="id")
    await app.wait_for_pictures(1, PATIENCE_MS / 1000)
    assert not await app.page.evaluate(_LOADED, "city-map"), "the first load brings no map"
    tile = app.page.locator("pantau-wall-tile[data-slot='0']")
    await tile.hover()
    await tile.get_by_role("button", name="Peta di sekitar kamera ini").click()
    map_panel = app.page.locator("pantau-map-panel")
    await expect(map_panel.locator(".ground[data-ready=true]")).to_be_visible(timeout=PATIENCE_MS)
    await expect(map_panel.locator("ul.list button").first).to_be_visible(timeout=PATIENCE_MS)
    await _until_streets_are_drawn(app, map_panel)
    # By the list, with the keyboard alone.
    camera = await map_panel.locator("ul.list button:not(.on-wall)").first.get_attribute("data-camera")
    assert camera is not None
    await map_panel.locator(f"ul.list button[data-camera='{camera}']").focus()
    await app.page.keyboard.press("Enter")
    await expect(tile).to_have_attribute("data-camera", camera)
    # By a click on a mark of its own, once the map stands: while it moves marks join and part.
    await app.page.wait_for_function(_MAP_STANDS)
    lone = map_panel.locator(".mark:not(.cluster):not(.on-wall)").first
    clicked = await lone.get_attribute("data-camera")
    assert clicked is not None
    await map_panel.locator(f".mark[data-camera='{clicked}']").click()
    tiles = {each.camera: each.slot for each in await app.wait_for_pictures(2, PATIENCE_MS / 1000)}
    assert (await app.read(tiles[clicked])).camera == int(clicked[-3:])
    # By a lasso around all that is in view.
    shown = int((await map_panel.locator(".under span").inner_text()).split()[0])
    await map_panel.get_by_role("button", name="Laso").click()
    box = await map_panel.locator(".view").bounding_box()
    assert box is not None
    corners = [(4, 4), (box["width"] - 4, 4), (box["width"] - 4, box["height"] - 4), (4, box["height"] - 4), (4, 4)]
    await app.page.mouse.move(box["x"] + 4, box["y"] + 4)
    await app.page.mouse.down()
    for x, y in corners:
        await app.page.mouse.move(box["x"] + x, box["y"] + y, steps=3)
    await app.page.mouse.up()
    tiles = {each.camera: each.slot for each in await app.wait_for_pictures(shown, PATIENCE_MS / 1000)}
    assert len([each for each in tiles if each]) == shown
    # By a point, to which a clerk adds a time.
    await map_panel.get_by_role("button", name="Tempat dan waktu").click()
    await expect(map_panel.get_by_text("Klik tempat kejadiannya")).to_be_visible()
    await map_panel.locator(".ground").click(position={"x": 6, "y": box["height"] / 2})
    form = app.page.locator("pantau-place-dialog")
    await expect(form.locator("input[name=time]")).to_be_focused()
    await expect(form.locator("input[name=place]")).to_have_value(re.compile(r"^-\d\.\d{5}, 11\d\.\d{5}$"))
    await app.page.keyboard.type("00.00")
    await app.page.keyboard.press("Enter")
    await expect(form.locator("article").first).to_be_visible()
    assert app.errors == []


_MAP_STANDS = """() => {
  const { app, map } = document.querySelector('pantau-app').shadowRoot.querySelector('pantau-map-panel');
  return app.mapCentre.value === null && !map.map.isMoving();
}"""
_LOADED = "name => performance.getEntriesByType('resource').some(entry => entry.name.includes(name))"
_MAIN_STREET = (61, 74, 88)
"""Its colour, in `services/wall/web/src/map/style.ts`."""


async def _until_streets_are_drawn(app: AppPage, map_panel: Locator) -> None:
    deadline = asyncio.get_running_loop().time() + PATIENCE_MS / 1000
    while True:
        picture = Image.open(BytesIO(await map_panel.locator(".ground").screenshot())).convert("RGB")
        away = np.abs(np.asarray(picture, np.int16) - _MAIN_STREET).max(axis=2)
        if int((away <= 3).sum()) > 50:
            return
        assert asyncio.get_running_loop().time() < deadline, "no street was drawn"
        await app.page.wait_for_timeout(300)


async def test_an_import_of_2000_rows_whose_answers_come_late_or_not_ends_with_the_true_sum(
    pantau: Running, browser: BrowserContext
) -> None:
    lines = [f"Jl. Uji {number},rtsp://127.0.0.1/uji-{number}" for number in range(IMPORTED - REFUSED)]
    lines += [f"Jl. Salah {number},gopher://127.0.0.1/{number}" for number in range(REFUSED)]
    unanswered = iter(range(UNANSWERED))
    began = asyncio.Event()

    async def late(route: Route) -> None:
        if route.request.method == "POST":
            await began.wait()
        elif next(unanswered, None) is not None:
            await route.abort("timedout")  # as the page sees an answer that is a minute late
            return
        await route.continue_()

    await browser.route("**/api/v1/imports**", late)
    app = await AppPage.open(browser, f"{pantau.url}/#grid=1&tiles=", language="en", pictures=False)
    page = app.page
    await page.locator("pantau-camera-list").get_by_role("button", name="Import").click()
    content = "\n".join(["name,main_url", *lines]).encode()
    file = FilePayload(name="kamera.csv", mimeType="text/csv", buffer=content)
    dialog = page.locator("pantau-import-dialog")
    # Choosing a file checks it: nothing is added.
    await dialog.locator("input[type=file]").set_input_files(file)
    await expect(dialog).to_contain_text("Sending")
    began.set()
    sum_ = dialog.locator(".sum")
    await expect(sum_).to_contain_text(f"{IMPORTED - REFUSED} ", timeout=PATIENCE_MS)
    await expect(sum_).to_contain_text(f"{REFUSED} ")
    await expect(dialog.locator("tr.refused")).to_have_count(REFUSED)
    await expect(dialog.locator("[role=alert]")).to_have_count(0)
    assert next(unanswered, None) is None
    assert app.errors == []
