"""Measures in the page itself what a person before the wall sees, and when: test processes come too late for that.

Times are the page's own ``performance.now()``, milliseconds since its load began, or Unix milliseconds where they are
compared with what happens outside (both clocks are the machine's).
"""

import asyncio
from pathlib import Path
from typing import Any, NamedTuple

from playwright.async_api import Page
from playwright.async_api import TimeoutError as PlaywrightTimeoutError

LOOKS = 300
SCRIPT = "".join((Path(__file__).parent / name).read_text() for name in ("marker.js", "probe.js"))


class Moving(NamedTuple):
    """A tile that has shown two different frames."""

    slot: int
    camera: str
    """As its picture says it."""
    name: str
    """What stood over the picture."""
    moving_ms: float
    """Since the page's load began."""


class Pause(NamedTuple):
    """A time without a new picture in a tile; Unix seconds."""

    slot: int
    began: float
    ended: float


class Probe:
    """The script in one page. Install it before the page is loaded."""

    def __init__(self, page: Page) -> None:
        self.page = page

    @classmethod
    async def install(cls, page: Page, *, first_pictures: bool = False, pauses_over_ms: int = 0) -> "Probe":
        """Also begins to watch what is asked for, from the page's first moment."""
        watch = "probe.watchFirstPictures();" if first_pictures else ""
        watch += f"probe.watchPauses({pauses_over_ms});" if pauses_over_ms else ""
        await page.add_init_script(f"{SCRIPT}{watch}")
        return cls(page)

    async def moving(self, count: int, timeout_seconds: float) -> list[Moving]:
        """The tiles when ``count`` of them have shown a moving picture."""
        enough = "(count) => Object.keys(probe.moving).length >= count"
        try:
            await self.page.wait_for_function(enough, arg=count, timeout=timeout_seconds * 1000, polling=100)
        except PlaywrightTimeoutError as error:
            raise AssertionError(f"not {count} moving pictures in {timeout_seconds} s: {await self._said()}") from error
        found: dict[str, dict[str, Any]] = await self.page.evaluate("probe.moving")
        return [Moving(**tile) for tile in found.values()]

    async def cameras(self) -> dict[int, str | None]:
        """Slot → the camera whose picture is seen in it, once all of them can be read."""
        script = "probe.tiles().map((tile) => [Number(tile.dataset.slot), probe.read(tile)?.camera ?? null])"
        for _look in range(LOOKS):
            found: list[tuple[int, int | None]] = await self.page.evaluate(script)
            if all(camera for _slot, camera in found):
                break
            await asyncio.sleep(0.1)  # one is catching up with another profile just now
        return {slot: f"cam-{camera:03}" if camera else None for slot, camera in found}

    async def click_until_seen_ms(self, selector: str, slot: int, camera: int) -> float:
        """Clicks and returns the ms until the camera is seen in the slot; raises when another is seen in its name."""
        element = self.page.locator(selector)
        script = "(element, [slot, camera]) => probe.clickUntilSeen(element, slot, camera)"
        took: float = await element.evaluate(script, [slot, camera])
        return took

    async def pauses(self) -> list[Pause]:
        """All that have ended."""
        found: dict[str, list[tuple[float, float]]] = await self.page.evaluate("probe.pauses")
        return [Pause(int(slot), a / 1000, b / 1000) for slot, times in found.items() for a, b in times]

    async def settled(self, timeout_seconds: float, *slots: int) -> None:
        """Waits until every tile, or those, have had a new picture from now on; raises what the tiles say instead."""
        now_ms = await self.page.evaluate("performance.timeOrigin + performance.now()")
        shown = "([since, slots]) => probe.shownSince(since, slots)"
        since = [now_ms, slots or None]
        try:
            await self.page.wait_for_function(shown, arg=since, timeout=timeout_seconds * 1000, polling=100)
        except PlaywrightTimeoutError:
            raise AssertionError(f"pictures stand still for {timeout_seconds} s: {await self._said()}") from None

    async def _said(self) -> list[str]:
        said: list[str] = await self.page.evaluate("probe.tiles().map((tile) => tile.ariaLabel)")
        return said
