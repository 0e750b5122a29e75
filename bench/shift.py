"""An operator's page through a shift: 36 tiles, and a person who uses it all the while.

The heap is read after a garbage collection. The page's own CPU time is its main thread's (Chrome DevTools Protocol,
`Performance.getMetrics` in `threadTicks`, so that a busy machine adds no waiting), told in three parts: script; style
and layout; the rest. The rest is paint, the hand-over to the compositor, and what Chromium does there by itself for
videos that play. Decoding, conversion of colours, raster and composition are on other threads. The commands of this
measurement (`DevToolsCommandDuration`) are not the page's.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple

from playwright.async_api import CDPSession, Page

from bench.check.page import WATCH_PAINTS
from bench.check.promise import COLUMNS, Promise
from bench.report import table
from services.mesh import log
from tests.browser.chromium import shared_chromium, visitor
from tests.browser.probe import Probe
from tests.browser.running_up import running_up

TILES: Final = 36
SCENES: Final = "4"
"""To be encoded before the cameras are there; several show the same one."""
PATIENCE_SECONDS: Final = 120.0
SETTLE_SECONDS: Final = 30.0
"""The page's code is compiled and its lists are filled in it."""
LOST_AFTER_SECONDS: Final = 10.0
MIB: Final = 1 << 20
KEYS: Final = ("ArrowRight", "ArrowDown", "Enter", "Enter", "t", "t", "d", "Escape", "u", "u", "h", "Control+z")
"""Selects, enlarges, opens and closes timeline, board and events, makes a hotspot and takes it back."""


class Busy(NamedTuple):
    """The main thread's time by what it was for: seconds, or shares of a core."""

    script: float
    layout: float
    rest: float

    @property
    def total(self) -> float:
        """All of it."""
        return sum(self)

    def since(self, before: "Busy", seconds: float) -> "Busy":
        """The shares of a core in the ``seconds`` since ``before``."""
        return Busy(*((now - then) / seconds for now, then in zip(self, before, strict=True)))

    def __str__(self) -> str:
        parts = f"script {self.script:.3f}, style and layout {self.layout:.3f}, the rest {self.rest:.3f}"
        return f"{self.total:.3f} of a core ({parts})"


async def run(*, quick: bool, minutes: float) -> bool:
    """Prints the table; false where a promise is missed. ``quick``: two minutes."""
    log.configure("bench", level="error")
    minutes = min(minutes, 2) if quick else minutes
    with (
        tempfile.TemporaryDirectory(prefix="pantau-bench-") as folder,
        running_up(Path(folder), TILES, PANTAU_SIM_SCENES=SCENES) as pantau,
    ):
        async with shared_chromium() as browser, visitor(browser) as context:
            page = await context.new_page()
            await page.add_init_script(WATCH_PAINTS)
            probe = await Probe.install(page, first_pictures=True)
            await page.goto(f"{pantau.url}/#grid={TILES}")
            await probe.moving(TILES, PATIENCE_SECONDS)
            cdp = await context.new_cdp_session(page)
            promises = await _promises(page, cdp, minutes)
    note = f"{minutes:g} minutes with {TILES} tiles. MiB, and shares of a core."
    print(table("A shift", COLUMNS, [promise.row() for promise in promises], note))
    return all(promise.kept for promise in promises)


async def _promises(page: Page, cdp: CDPSession, minutes: float) -> list[Promise]:
    await cdp.send("Performance.enable", {"timeDomain": "threadTicks"})
    for key in KEYS:  # once before the measure: what is opened for the first time stays in memory
        await page.keyboard.press(key)
        await page.wait_for_timeout(500)
    await asyncio.sleep(SETTLE_SECONDS)
    await page.evaluate("paints.length = 0")
    heap = await _heap_bytes(cdp)
    lost: list[float] = []
    shares: list[Busy] = []
    end = time.monotonic() + minutes * 60
    while time.monotonic() < end:
        began, busy = time.monotonic(), await _busy_seconds(cdp)
        for key in KEYS:
            await asyncio.sleep(max(began + 60 - time.monotonic(), 1) / (2 * len(KEYS)))
            await page.keyboard.press(key)
        await asyncio.sleep(max(began + 60 - time.monotonic(), 1))
        shares.append((await _busy_seconds(cdp)).since(busy, time.monotonic() - began))
        lost.append(await _lost(page))
        mebibytes = await _heap_bytes(cdp) / MIB
        minute = f"minute {len(shares)}: {lost[-1]:g} lost, {shares[-1]}, {mebibytes:.1f} MiB"
        print(minute, file=sys.stderr, flush=True)  # a run that is ended early has told this much
    grown = (await _heap_bytes(cdp) - heap) / MIB
    paints: list[float] = await page.evaluate("paints")
    return [
        Promise("growth of the page's heap, after a collection", "MiB", [grown], 2),
        Promise("tiles that show no moving picture, of a minute", "tiles", lost, 0),
        Promise("the page's own CPU, of a minute", "core", [share.total for share in shares], 0.05),
        Promise("from a key to the next paint", "ms", paints, 100),
    ]


async def _heap_bytes(cdp: CDPSession) -> float:
    await cdp.send("HeapProfiler.collectGarbage")
    used: float = (await cdp.send("Runtime.getHeapUsage"))["usedSize"]
    return used


async def _busy_seconds(cdp: CDPSession) -> Busy:
    metrics = (await cdp.send("Performance.getMetrics"))["metrics"]
    seconds = {each["name"]: float(each["value"]) for each in metrics}
    return Busy(
        script=seconds["ScriptDuration"] + seconds["V8CompileDuration"],
        layout=seconds["RecalcStyleDuration"] + seconds["LayoutDuration"],
        rest=seconds["TaskOtherDuration"],
    )


async def _lost(page: Page) -> float:
    """A tile that takes another profile just now has its time to come back."""
    end = time.monotonic() + LOST_AFTER_SECONDS
    while (missing := TILES - await page.evaluate("probe.pictures()")) > 0 and time.monotonic() < end:
        await asyncio.sleep(0.25)
    return float(missing)
