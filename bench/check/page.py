"""How soon the operators' page greys an old picture, answers a key, has its first pictures, and fills a screen."""

import asyncio
import tempfile
import time
from pathlib import Path

from playwright.async_api import Browser, BrowserContext, Page

from bench.check.promise import Promise
from tests.browser.chromium import shared_chromium, visitor
from tests.browser.probe import Probe
from tests.browser.running_up import Running, running_up, starting_up

PATIENCE_SECONDS = 120.0
MANY = 5000
SEARCHES = ("kayutnagan", "uji 41", "mati", "tidak ada ini")
"""A typing error, two words, a state, and nothing that there is."""

# From the last frame that a tile presented to the first painted look below 40 % of the picture's brightness.
_GREYED = """([slot, patience]) => new Promise((resolve, reject) => {
  const tile = probe.tile(slot), screen = tile.shadowRoot.querySelector('.screen');
  const video = tile.shadowRoot.querySelector('video');
  const began = performance.now();
  let last = null;
  const frame = (now) => { last = now; video.requestVideoFrameCallback(frame); };
  video.requestVideoFrameCallback(frame);
  const look = () => {
    const now = performance.now();
    const brightness = Number(/brightness\\(([\\d.]+)\\)/.exec(getComputedStyle(screen).filter)?.[1] ?? 1);
    if (last !== null && brightness < 0.4) return resolve(now - last);
    if (now - began > patience) return reject(new Error(`brightness ${brightness}, last frame ${last}`));
    requestAnimationFrame(look);
  };
  look();
})"""
# Of both pages' clock: Unix milliseconds.
_SENT = """() => {
  const app = document.querySelector('pantau-app').shadowRoot;
  app.querySelector('pantau-screens-panel').shadowRoot.querySelector('article[data-screen=layar-1] .send').click();
  return performance.timeOrigin + performance.now();
}"""
_SHOWN = """(camera) => new Promise((resolve) => {
  const look = () => {
    const grid = document.querySelector('pantau-screen').shadowRoot.querySelector('pantau-wall-grid');
    const tile = grid?.shadowRoot.querySelector(`pantau-wall-tile[data-camera=${camera}]`);
    const seen = tile?.shadowRoot.querySelector('video').style.opacity === '1';
    if (seen && !tile.shadowRoot.querySelector('.message')) return resolve(performance.timeOrigin + performance.now());
    requestAnimationFrame(look);
  };
  look();
})"""
_LIT = "(slot) => !probe.tile(slot).shadowRoot.querySelector('.screen').classList.contains('dim')"

WATCH_PAINTS = """
window.paints = [];
new PerformanceObserver((list) => {
  for (const { name, duration } of list.getEntries()) if (name === 'keydown') paints.push(duration);
}).observe({ type: 'event', durationThreshold: 16 });
"""
"""The browser's own measure from a key to the next paint, in steps of 8 ms; those below 16 ms are not told."""
SHORTEST_TOLD_MS = 16.0


async def measure(*, quick: bool) -> list[Promise]:
    """All of them."""
    with tempfile.TemporaryDirectory(prefix="pantau-bench-") as folder, running_up(Path(folder), 4) as pantau:
        async with shared_chromium() as browser:
            found = [
                await greyed(pantau, browser, 3 if quick else 20),
                await sent_to_a_screen(pantau, browser, 3 if quick else 20),
                await keys_among_many(pantau, browser, 1 if quick else 3),
            ]
    return [*found, await first_pictures(2 if quick else 20)]


async def greyed(pantau: Running, browser: Browser, count: int) -> Promise:
    """The camera stalls; neither registry nor relay have to tell the page."""
    took_seconds: list[float] = []
    async with visitor(browser) as context:
        page = await context.new_page()
        probe = await Probe.install(page, first_pictures=True)
        await page.goto(f"{pantau.url}/#grid=4&tiles=cam-001,cam-002")
        await probe.moving(2, PATIENCE_SECONDS)
        for _ in range(count):
            await page.wait_for_function(_LIT, arg=1)
            await asyncio.sleep(2)
            waiting = asyncio.create_task(page.evaluate(_GREYED, [1, PATIENCE_SECONDS * 1000]))
            await asyncio.sleep(0.5)
            with pantau.fault("cam-002", "stall"):
                took_seconds.append(await waiting / 1000)
    return Promise("from a stalled camera's last frame to a tile below 40 % brightness", "s", took_seconds, 2.0)


async def sent_to_a_screen(pantau: Running, browser: Browser, count: int) -> Promise:
    """From the operator's button to the camera's picture on the screen; two cameras in turns."""
    took_seconds: list[float] = []
    async with visitor(browser) as wall, visitor(browser) as desk:
        screen, page = await wall.new_page(), await desk.new_page()
        await screen.goto(f"{pantau.url}/screen/layar-1")
        await page.goto(f"{pantau.url}/#grid=1&tiles=cam-003")
        await page.evaluate("document.querySelector('pantau-app').app.toggle('screens')")
        await page.locator("pantau-screens-panel article[data-screen=layar-1] .send").wait_for()
        for number in range(count + 1):
            camera = f"cam-{3 + number % 2:03}"
            await page.evaluate("(camera) => { location.hash = `grid=1&tiles=${camera}`; }", camera)
            await page.wait_for_selector(f"pantau-wall-tile[data-camera={camera}]")
            shown = asyncio.create_task(screen.evaluate(_SHOWN, camera))
            sent_ms = await page.evaluate(_SENT)
            took_seconds.append((await shown - sent_ms) / 1000)
            await asyncio.sleep(1)
    return Promise("from sending a wall to a screen to its picture there", "s", took_seconds[1:], 1.0)


async def first_pictures(count: int) -> Promise:
    """From the address that `pantau up --demo` prints to a picture that moves, with no clip encoded before."""
    took_seconds: list[float] = []
    for _ in range(count):
        with tempfile.TemporaryDirectory(prefix="pantau-bench-") as folder:
            settings = {"PANTAU_SIM_CACHE": f"{folder}/clips", "PANTAU_UP_DEMO_STORY": "true"}
            with starting_up(Path(folder) / "data", 16, **settings) as pantau:
                began = time.monotonic()
                async with shared_chromium() as browser, visitor(browser) as context:
                    page = await context.new_page()
                    probe = await Probe.install(page, first_pictures=True)
                    await page.goto(pantau.url)
                    await probe.moving(1, PATIENCE_SECONDS)
                    took_seconds.append(time.monotonic() - began)
    return Promise("from the demo's address to its first moving picture", "s", took_seconds, 20)


async def keys_among_many(pantau: Running, browser: Browser, rounds: int) -> Promise:
    """Each letter of searches in the camera list, and the arrow keys in it."""
    await asyncio.to_thread(_import_many, pantau)
    async with visitor(browser) as context:
        page = await _with_all(context, pantau)
        search = page.locator("pantau-camera-list").get_by_role("searchbox")
        keys = 0
        for _ in range(rounds):
            for text in SEARCHES:
                await search.fill("")
                await search.press_sequentially(text, delay=60)
                keys += len(text)
            await search.fill("")
            for key in ("ArrowDown", "ArrowDown", "ArrowUp", "ArrowUp"):
                await page.keyboard.press(key, delay=60)
                keys += 1
        await page.wait_for_timeout(500)
        told: list[float] = await page.evaluate("paints")
    untold = [SHORTEST_TOLD_MS] * (keys - len(told))
    return Promise(f"from a key to its paint, with {MANY} cameras", "ms", [*told, *untold], 100)


async def _with_all(context: BrowserContext, pantau: Running) -> Page:
    page = await context.new_page()
    await page.add_init_script(WATCH_PAINTS)
    await page.goto(f"{pantau.url}/#grid=1&tiles=")
    there = "(count) => (document.querySelector('pantau-app').app.cameras.value?.size ?? 0) >= count"
    await page.wait_for_function(there, arg=MANY, timeout=PATIENCE_SECONDS * 1000)
    return page


def _import_many(pantau: Running) -> None:
    """As a city does it: by its bulk import. They are switched off, for nobody could read so many here."""
    names = [*(f"Jl. Uji {number}" for number in range(MANY - 1)), "Simpang Kayutangan Lama"]
    rows = [{"name": name, "main_url": "rtsp://127.0.0.1/main", "enabled": "no"} for name in names]
    job = pantau.api("/imports", "POST", rows)
    while job["status"] in ("waiting", "running"):
        time.sleep(0.5)
        job = pantau.api(f"/imports/{job['id']}")
    if job["added"] != MANY:
        raise RuntimeError(f"the import has not ended well: {job}")
