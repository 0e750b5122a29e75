"""The page's frame in Chromium: landmarks, the focus in dialogs, a phone, and times in the site's zone."""

import asyncio
import time

import pytest
from playwright.async_api import Browser, BrowserContext, Page, Route, expect

from services.wall.front.api.static import FOLDER
from tests.browser.app_page import AppPage
from tests.browser.running_up import Running
from tests.browser.views import show, views

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not (FOLDER / "index.html").is_file(), reason="the app is not built: make web"),
]

PATIENCE_MS = 60_000
FINGER_PX = 44
TOO_SMALL = """(bar, least) => [...bar.shadowRoot.querySelectorAll("button")].filter((button) => {
  const { width, height } = button.getBoundingClientRect();
  return width > 0 && Math.min(width, height) < least;
}).map((button) => button.title)"""
CONNECTIONS = """const Connection = window.RTCPeerConnection;
window.connections = [];
window.RTCPeerConnection = class extends Connection {
  constructor(...of) { super(...of); connections.push(this); }
};"""
TALL = """(height) => {
  const bar = document.querySelector("pantau-app").shadowRoot.querySelector("pantau-top-bar");
  return Math.abs(bar.getBoundingClientRect().height - height) <= 2;
}"""
MOMENT = "/#grid=1&tiles=cam-001&at=2025-11-01T12:55:00.000Z"


async def opened(browser: BrowserContext, url: str, language: str = "id") -> AppPage:
    app = await AppPage.open(browser, url, language=language)
    await app.page.locator("pantau-camera-list li[data-status]").first.wait_for(timeout=PATIENCE_MS)
    return app


async def test_every_region_of_the_page_is_a_landmark_and_there_is_one_banner(
    pantau: Running, browser: BrowserContext
) -> None:
    app = await opened(browser, pantau.url + "/#grid=4")
    await app.page.keyboard.press("t")
    for role in ("main", "banner"):
        await expect(app.page.get_by_role(role)).to_have_count(1)
    for name in ("Kamera", "Rekaman"):
        await expect(app.page.locator(f"aside[aria-label={name}], section[aria-label={name}]")).to_have_count(1)
    await app.page.evaluate("new Promise((done) => setTimeout(done, 500))")
    assert app.errors == []  # an observer of sizes that causes changes of size reports an error here


async def test_a_page_whose_tile_is_empty_ends_to_load(pantau: Running, browser: BrowserContext) -> None:
    connected = asyncio.Event()

    async def late(route: Route) -> None:
        await connected.wait()
        await route.continue_()

    await browser.route("**/icon.svg", late)
    page = await browser.new_page()
    await page.add_init_script(CONNECTIONS)
    await page.goto(pantau.url + "/#grid=1&tiles=", wait_until="domcontentloaded")
    await page.wait_for_function("() => connections.some((each) => each.connectionState === 'connected')")
    connected.set()
    await page.wait_for_load_state("load")


@pytest.mark.parametrize(("button", "field"), [("Tambah kamera", "name"), ("Impor", "")])
async def test_a_dialog_begins_in_its_first_field_and_not_on_the_button_that_closes_it(
    pantau: Running, browser: BrowserContext, button: str, field: str
) -> None:
    app = await opened(browser, pantau.url + "/#grid=1")
    await app.page.get_by_role("button", name=button, exact=True).click()
    await app.page.locator("dialog[open]").wait_for(timeout=PATIENCE_MS)
    focused = """(field) => {
      let at = document.activeElement;
      while (at.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
      return at.localName === "input" && (at.getAttribute("name") ?? "") === field;
    }"""
    await app.page.wait_for_function(focused, arg=field)


# A box to tick is hit by its label; what stands in a list's row of text may be as high as the row (WCAG 2.5.8, inline).
SMALL_TARGETS = """(least) => {
  const found = [];
  const walk = (root) => {
    for (const element of root.querySelectorAll("*")) {
      if (element.shadowRoot) walk(element.shadowRoot);
      if (!element.matches("a, button, input, select, textarea, summary") || element.disabled) continue;
      const tick = element.matches("[type=checkbox], [type=radio]");
      const { width, height } = (tick ? element.closest("label") ?? element : element).getBoundingClientRect();
      const seen = element.checkVisibility({ visibilityProperty: true, opacityProperty: true });
      if (seen && width > 1 && Math.min(width, height) < least - 0.5)
        found.push(`${element.outerHTML.slice(0, 120)} ${Math.round(width)}×${Math.round(height)}`);
    }
  };
  walk(document);
  return found;
}"""


async def outside(page: Page) -> list[str]:
    """Visible buttons and fields of the bar, the list and the timeline that no finger reaches."""
    script = """() => {
      const found = [];
      const walk = (root) => {
        for (const element of root.querySelectorAll("*")) {
          if (element.shadowRoot) walk(element.shadowRoot);
          if (!element.matches("button, input") || element.matches(".skip, .visually-hidden")) continue;
          const box = element.getBoundingClientRect();
          const reached = box.left >= 0 && box.right <= innerWidth && box.top >= 0 && box.bottom <= innerHeight;
          if (box.width > 0 && !reached && !element.closest("li")) found.push(element.title || element.outerHTML);
        }
      };
      walk(document);
      return found;
    }"""
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while True:  # panels come in
        found: list[str] = await page.evaluate(script)
        if not found or time.monotonic() > deadline:
            return found
        await page.wait_for_timeout(500)


async def test_a_phone_has_every_control_on_its_screen(pantau: Running, shared: Browser) -> None:
    context = await shared.new_context(viewport={"width": 390, "height": 844})
    try:
        app = await AppPage.open(context, pantau.url + "/#grid=1", language="id")
        await app.wait_for_pictures(1, PATIENCE_MS / 1000)
        assert await outside(app.page) == []
        bar = app.page.locator("pantau-top-bar")
        assert (await bar.bounding_box() or {"height": 0})["height"] < 3 * FINGER_PX, "two rows"
        await app.page.get_by_role("button", name="Alat lain").click()
        await bar.get_by_role("button", name="Keadaan").wait_for(timeout=PATIENCE_MS)
        assert await outside(app.page) == []
        assert await bar.evaluate(TOO_SMALL, FINGER_PX) == []
        await bar.get_by_role("button", name="Bantuan").click()
        await expect(app.page.get_by_label("Ukuran tampilan")).to_be_visible()
        await app.page.keyboard.press("Escape")
        await app.page.get_by_role("button", name="Kamera", exact=True).click()
        await app.page.locator("pantau-camera-list li[data-status]").first.wait_for(timeout=PATIENCE_MS)
        assert await outside(app.page) == []
        await app.page.get_by_role("button", name="Kamera", exact=True).click()
        await app.page.keyboard.press("t")
        await app.page.locator("pantau-timeline-panel").wait_for(timeout=PATIENCE_MS)
        assert await outside(app.page) == []
    finally:
        await context.close()


async def test_a_finger_hits_every_button_and_field_of_every_panel_and_dialog_on_a_phone(
    pantau: Running, shared: Browser
) -> None:
    opened_now = {"title": "Under a finger", "cameras": ["cam-001"], "from_us": 1_790_000_000_000_000}
    incident = pantau.api("/incidents", "POST", opened_now)["id"]
    masked = {"privacy_masks": [{"x": 0.1, "y": 0.1, "width": 0.2, "height": 0.2}]}
    context = await shared.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    try:
        app = await AppPage.open(context, pantau.url + "/#grid=1&tiles=cam-001", language="id", pictures=False)
        await app.page.evaluate("document.querySelector('pantau-app').app.show({ panel: true })")
        await app.page.locator("pantau-camera-list li[data-status]").first.wait_for(timeout=PATIENCE_MS)
        small = {"cameras": await app.page.evaluate(SMALL_TARGETS, FINGER_PX)}
        for name, view in views(incident=incident, camera=pantau.api("/cameras/cam-001") | masked).items():
            await show(app.page, view)
            small[name] = await app.page.evaluate(SMALL_TARGETS, FINGER_PX)
        assert {name: those for name, those in small.items() if those} == {}
    finally:
        await context.close()
        pantau.api(f"/incidents/{incident}/close", "POST")


async def test_everything_grows_with_a_large_display_and_by_choice_and_the_timeline_is_hit_where_it_is_clicked(
    pantau: Running, shared: Browser
) -> None:
    context = await shared.new_context(viewport={"width": 2560, "height": 1440})
    try:
        app = await AppPage.open(context, pantau.url + MOMENT, language="id", pictures=False)
        page = app.page
        bar, timeline = page.locator("pantau-top-bar"), page.locator("pantau-timeline-view canvas")
        await page.locator("pantau-camera-list li[data-status]").first.wait_for(timeout=PATIENCE_MS)
        await timeline.wait_for(timeout=PATIENCE_MS)
        by_itself = await bar.bounding_box()
        assert by_itself
        await page.keyboard.press("?")
        await page.get_by_label("Ukuran tampilan").select_option("2")
        await page.keyboard.press("Escape")
        await page.wait_for_function(TALL, arg=by_itself["height"] * 2 / 1.25)
        assert (await bar.bounding_box() or {"width": 0})["width"] == 2560
        assert await outside(page) == []
        box = await timeline.bounding_box()
        assert box
        x = box["width"] * 0.75
        await timeline.click(position={"x": x, "y": box["height"] - 8})
        found = await page.evaluate("""() => {
          const view = document.querySelector("pantau-app").app.playback;
          return [view.nowMs(), view.shown.fromMs, view.shown.toMs];
        }""")
        now_ms, from_ms, to_ms = found
        assert (now_ms - from_ms) / (to_ms - from_ms) == pytest.approx(0.75, abs=0.02)
    finally:
        await context.close()


async def test_the_camera_list_is_made_wider_by_dragging_or_keys_and_stays_so(
    pantau: Running, browser: BrowserContext
) -> None:
    app = await AppPage.open(browser, pantau.url + "/#grid=1&tiles=", language="id", pictures=False)
    page = app.page
    edge, rows = page.get_by_role("separator", name="Lebar daftar"), page.locator("pantau-camera-list")
    box = await edge.bounding_box()
    assert box
    await page.mouse.move(box["x"] + 4, 300)
    await page.mouse.down()
    await page.mouse.move(400, 300, steps=4)
    await page.mouse.up()
    await expect(edge).to_have_attribute("aria-valuenow", "400")
    await edge.press("ArrowRight")
    await expect(edge).to_have_attribute("aria-valuenow", "416")
    await page.reload()
    await expect(edge).to_have_attribute("aria-valuenow", "416")
    await expect(rows).to_have_js_property("offsetWidth", 416)
    assert app.errors == []


@pytest.mark.parametrize(("locale", "zone"), [("en-US", "America/New_York"), ("id-ID", "Asia/Jayapura")])
async def test_times_are_the_sites_whatever_the_browsers_locale_and_zone(
    pantau: Running, shared: Browser, locale: str, zone: str
) -> None:
    context = await shared.new_context(locale=locale, timezone_id=zone, viewport={"width": 1280, "height": 720})
    try:
        app = await opened(context, pantau.url + MOMENT)
        goal = app.page.locator("pantau-timeline-panel input")
        await expect(goal).to_have_value("01/11/2025 19:55:00", timeout=PATIENCE_MS)
        await expect(app.page.locator("pantau-timeline-panel .moment b")).to_have_text("19:55:00")
        await goal.fill("1/11/2025 19.50")
        await goal.press("Enter")
        await app.page.wait_for_url("**/*at=2025-11-01T12:50:00.000Z", timeout=PATIENCE_MS)
    finally:
        await context.close()


async def test_a_browser_without_webrtc_says_so_in_the_bar_the_tile_and_a_banner(
    pantau: Running, browser: BrowserContext
) -> None:
    await browser.add_init_script("delete window.RTCPeerConnection")
    app = await opened(browser, pantau.url + "/#grid=1&tiles=cam-001")
    said = "Peramban ini tidak dapat menampilkan video"
    await expect(app.page.locator("pantau-wall-tile .message")).to_contain_text(said)
    await expect(app.page.locator("pantau-top-bar .link")).to_have_accessible_name(said)
    await expect(app.page.locator(".banner")).to_contain_text("WebRTC tidak ada")
    assert app.errors == []


async def test_h264_that_the_browser_fetches_late_is_noticed_without_a_reload(
    pantau: Running, browser: BrowserContext
) -> None:
    await browser.add_init_script("""
        const all = RTCRtpReceiver.getCapabilities.bind(RTCRtpReceiver);
        RTCRtpReceiver.getCapabilities = (kind) => {
          const { codecs, ...rest } = all(kind);
          return { ...rest, codecs: codecs.filter(({ mimeType }) => window.fetched || mimeType !== "video/H264") };
        };
    """)
    app = await opened(browser, pantau.url + "/#grid=1&tiles=cam-001")
    await expect(app.page.locator("pantau-wall-tile .message")).to_contain_text("H.264 belum ada")
    await app.page.evaluate("window.fetched = true")
    await app.wait_for_pictures(1, PATIENCE_MS / 1000)
    await expect(app.page.locator(".banner")).to_have_count(0)
