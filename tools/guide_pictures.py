"""`make pictures`: the pictures of the operators' guide, of a demo that it starts, in every size and both languages.

Made on a machine that does nothing else: one that decodes too slowly shows smaller pictures, and says so in each tile.
"""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from PIL import Image
from playwright.async_api import Browser, Page, ViewportSize
from playwright.async_api import TimeoutError as PlaywrightTimeoutError

from tests.browser.chromium import shared_chromium
from tests.browser.running_up import Running, running_up
from tools.steps import ROOT, say

FOLDER: Final = ROOT / "docs" / "guide" / "images"
SIZES: Final = {390: (390, 844), 1366: (1366, 768), 1920: (1920, 1080), 3840: (3840, 2160)}
"""Width in the file's name → width and height."""
SIZES_BY_LANGUAGE: Final = {"en": (1366,), "id": (1366, 390, 1920, 3840)}
QUALITY: Final = {390: 70, 1366: 50, 1920: 40, 3840: 12}
"""Of WebP, by width: all together stay below 4 MiB."""
CAMERAS: Final = 16
AS_PEOPLE_START_IT: Final = {"PANTAU_SIM_MARKER": "false", "PANTAU_UP_DEMO_STORY": "true"}
CALM_MS: Final = 15_000
PATIENCE_MS: Final = 60_000
SETTLE_MS: Final = 1500

_MOVING: Final = "(count) => probe.pictures() >= count"
_CALM: Final = """() => {
  const badges = probe.tiles().flatMap((tile) => [...tile.shadowRoot.querySelectorAll('.badge')]);
  return badges.every(({ textContent }) => !/diperkecil|smaller/.test(textContent));
}"""
_APP: Final = "document.querySelector('pantau-app').app"

Scene = Callable[[Page, Running], Awaitable[None]]


async def wall(page: Page, _pantau: Running) -> None:
    """As it is when a shift begins."""
    await page.wait_for_timeout(SETTLE_MS)


async def walls(page: Page, _pantau: Running) -> None:
    """Saved walls, to be opened by name."""
    await page.keyboard.press("w")
    await page.locator("pantau-walls-dialog input[name=wall]").wait_for()


async def place(page: Page, pantau: Running) -> None:
    """What a clerk finds with a citizen beside."""
    at = datetime.now(ZoneInfo(pantau.api("/me")["time_zone"])) - timedelta(minutes=1)
    await page.keyboard.press("g")
    form = page.locator("pantau-place-dialog")
    await form.locator("input[name=place]").fill("kayutangan")
    await form.locator("input[name=time]").fill(f"{at:%H.%M.%S}")
    await page.keyboard.press("Enter")
    await form.locator("article .still.asked img").first.wait_for()
    await page.wait_for_timeout(2 * SETTLE_MS)


async def recordings(page: Page, _pantau: Running) -> None:
    """Half a minute ago, which all cameras have recorded, with the timeline."""
    await page.evaluate(f"{_APP}.show({{timeline: true}})")
    await page.locator("pantau-timeline-panel").wait_for()
    await page.evaluate(f"{_APP}.playback.seek(Date.now() - 30_000)")
    await page.wait_for_timeout(3 * SETTLE_MS)


async def health(page: Page, _pantau: Running) -> None:
    """The board, the worst first."""
    await page.keyboard.press("d")
    await page.locator("pantau-health-dialog li.camera").first.wait_for()
    await page.wait_for_timeout(2 * SETTLE_MS)


async def events(page: Page, _pantau: Running) -> None:
    """The feed beside the wall."""
    await page.keyboard.press("u")
    await page.wait_for_timeout(SETTLE_MS)


async def incident(page: Page, pantau: Running) -> None:
    """An incident's page."""
    (found, *_) = pantau.api("/incidents")["incidents"]
    await page.evaluate(f"(id) => {_APP}.show({{dialog: {{kind: 'incident-page', id}}}})", found["id"])
    await page.locator("dialog[open]").wait_for()
    await page.wait_for_timeout(2 * SETTLE_MS)


async def export(page: Page, _pantau: Running) -> None:
    """What is handed over."""
    await page.keyboard.press("e")
    await page.locator("pantau-export-dialog").get_by_role("radio").last.check()


async def camera(page: Page, pantau: Running) -> None:
    """One that was probed before it is saved."""
    main = pantau.api("/cameras/cam-014")["profiles"]["main"]["url"]
    await page.evaluate(f"{_APP}.show({{dialog: {{kind: 'camera', camera: null}}}})")
    form = page.locator("pantau-camera-dialog")
    still = form.locator(".found img")
    await form.locator("input[name=name]").fill("Simpang Kenanten")
    await form.locator("input[name=mainUrl]").fill(main)
    await form.locator(".probe button").first.click()
    await still.wait_for()
    await form.locator(".found").evaluate("(found) => found.scrollIntoView({block: 'end'})")


async def screens(page: Page, _pantau: Running) -> None:
    """Screens, each with what it shows."""
    await page.keyboard.press("s")
    await page.locator("pantau-screens-panel article").first.wait_for()
    await page.wait_for_timeout(SETTLE_MS)


async def city(page: Page, _pantau: Running) -> None:
    """The map beside the wall, around a camera."""
    await page.evaluate(f"{_APP}.showAround('cam-001')")
    await page.locator("pantau-map-panel .ground[data-ready=true]").wait_for()
    await page.wait_for_timeout(2 * SETTLE_MS)


SCENES: Final[dict[str, Scene]] = {
    "wall": wall,
    "walls": walls,
    "place": place,
    "health": health,
    "events": events,
    "incident": incident,
    "export": export,
    "camera": camera,
    "screens": screens,
    "map": city,
    "recordings": recordings,
}
"""In this order, on one page: the last leaves the present."""


async def main() -> None:
    """Makes all anew; what is no scene any more is removed."""
    began = time.time()
    with tempfile.TemporaryDirectory(prefix="pantau-guide-") as folder:
        say("starting a demo")
        with running_up(Path(folder), CAMERAS, **AS_PEOPLE_START_IT) as pantau:
            while not pantau.api("/incidents")["incidents"]:  # it comes after the first minute
                await asyncio.sleep(1)
            _furnish(pantau)
            async with shared_chromium() as browser:
                await _screen(browser, pantau)
                for language, widths in SIZES_BY_LANGUAGE.items():
                    for width in widths:
                        say(f"{language}, {width} pixels wide")
                        await _shoot(browser, pantau, language, width)
    for old in FOLDER.iterdir():
        if old.stat().st_mtime < began:
            old.unlink()


def _furnish(pantau: Running) -> None:
    """What a control room would have: saved walls, and remarks of an incident."""
    for key, name, first in ((1, "Pagi", 1), (2, "Malam: alun-alun dan pasar", 9)):
        tiles = [{"camera": f"cam-{number:03}"} for number in range(first, first + 4)]
        pantau.api("/layouts", "POST", {"name": name, "audience": "shared", "key": key, "grid": "4", "tiles": tiles})
    (found, *_) = pantau.api("/incidents")["incidents"]
    for text in ("Bus berhenti di jalur kanan, dua mobil mengerem.", "Dinas Perhubungan sudah diberi tahu."):
        pantau.api(f"/incidents/{found['id']}/remarks", "POST", {"text": text})


async def _screen(browser: Browser, pantau: Running) -> None:
    """A wall screen, which stays in the list when it is closed."""
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(f"{pantau.url}/screen/layar-1")
    await page.get_by_text("layar-1").wait_for()
    tiles = [{"camera": f"cam-{number:03}"} for number in range(1, 5)]
    pantau.api("/screens/layar-1", "PUT", {"wall": {"grid": "4", "tiles": tiles}})
    await page.wait_for_timeout(SETTLE_MS)


async def _shoot(browser: Browser, pantau: Running, language: str, width: int) -> None:
    context = await browser.new_context(viewport=ViewportSize(width=SIZES[width][0], height=SIZES[width][1]))
    page = await context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    await page.add_init_script(f"localStorage['pantau.language'] = '{language}'")
    await page.add_init_script(path=ROOT / "tests" / "browser" / "probe.js")
    grid = 4 if width == min(SIZES) else 16
    await page.goto(f"{pantau.url}/#grid={grid}")
    await page.wait_for_function(_MOVING, arg=grid // 2, polling=100)
    try:
        await page.wait_for_function(_CALM, timeout=CALM_MS, polling=500)
    except PlaywrightTimeoutError:
        say("this machine is too slow for whole pictures")
    begun = await page.evaluate(f"{_APP}.view.value")
    for name, scene in SCENES.items():
        await scene(page, pantau)
        await page.mouse.move(0, 0)  # what it was over shows its tools
        await page.wait_for_timeout(SETTLE_MS)
        shot = Image.open(BytesIO(await page.screenshot()))
        part = "" if language == "id" else f"{language}-"
        shot.save(FOLDER / f"{name}-{part}{width}.webp", quality=QUALITY[width], method=6)
        await page.evaluate(f"(view) => {_APP}.show(view)", begun)
        await page.wait_for_timeout(SETTLE_MS)
    await context.close()


if __name__ == "__main__":
    asyncio.run(main())
