"""How soon the operators' page says that a picture is old, and how soon its list answers a key with 5,000 cameras."""

import asyncio
import tempfile
import time
from pathlib import Path

from playwright.async_api import Browser, BrowserContext, Page

from bench.check.promise import Promise
from tests.browser.chromium import shared_chromium, visitor
from tests.browser.probe import Probe
from tests.browser.running_up import Running, running_up

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
    """Both."""
    with tempfile.TemporaryDirectory(prefix="pantau-bench-") as folder, running_up(Path(folder), 4) as pantau:
        async with shared_chromium() as browser:
            return [
                await greyed(pantau, browser, 3 if quick else 20),
                await keys_among_many(pantau, browser, 1 if quick else 3),
            ]


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
