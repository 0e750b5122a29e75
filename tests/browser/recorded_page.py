"""A page with recorded tiles: opened at a moment, its pictures read, sought in."""

import asyncio
from collections.abc import Sequence

from playwright.async_api import BrowserContext, Page

from services.sim.pictures.marker import Marker
from tests.browser.footage import CAMERAS, FRAME_SECONDS, apart, camera, frame_at, moment, rfc3339
from tests.browser.probe import Probe
from tests.browser.running_up import Running

PATIENCE_MS = 60_000
ALL = [camera(number) for number in range(1, CAMERAS + 1)]
"""The nine small cameras of `tests.browser.footage`."""

_MARKERS = "probe.tiles().map((tile) => { const seen = probe.read(tile); return seen && [seen.camera, seen.frame]; })"
# The relay has answered the last command, and by its answer the clock stands.
_CLOCK_STANDS = """() => {
  const { keeper } = document.querySelector('pantau-app').app;
  const clock = keeper.clock.value;
  return clock !== null && !clock.playing && clock.number === keeper.command;
}"""
# From the address that names another moment until its picture is on the screen.
_SEEK = """
([fragment, frames, patience]) => new Promise((resolve, reject) => {
  const began = performance.now();
  location.hash = fragment;
  const look = () => {
    const took = performance.now() - began;
    const seen = probe.read(probe.tile(0))?.frame;
    if (frames.includes(seen)) return resolve(took);
    if (took > patience) return reject(new Error(`none of the frames ${frames} is seen, but ${seen}`));
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})
"""


def fragment(at: float, *tiles: str, grid: str = "9") -> str:
    """The address of recorded tiles at a moment."""
    return f"grid={grid}&tiles={','.join(tiles)}&at={rfc3339(at)}"


async def opened(pantau: Running, browser: BrowserContext, address: str) -> Page:
    """A page that shows ``address``, in English."""
    page = await browser.new_page()
    await Probe.install(page)
    await page.add_init_script("localStorage.setItem('pantau.language', 'en')")
    await page.goto(f"{pantau.url}/#{address}")
    return page


async def clock_stands(page: Page) -> None:
    """Returns once the clock stands where it was told to; the address then names that moment."""
    await page.wait_for_function(_CLOCK_STANDS, timeout=PATIENCE_MS, polling=50)


async def standing(page: Page, count: int, *, without: int | None = None) -> list[Marker]:
    """The pictures of the first tiles, once they stand still and are of one moment; raises what is seen instead.

    ``without``: a camera that does not count; its tile may hold any picture behind its message.
    """
    await clock_stands(page)
    before: list[Marker] = []
    for _ in range(PATIENCE_MS // 500):
        await asyncio.sleep(0.5)
        seen = [one for one in await markers(page) if one.camera != without][:count]
        if len(seen) == count and seen == before and spread_frames(seen) <= 1:
            return seen
        before = seen
    said = [tile["message"] for tile in await page.evaluate("probe.described()")]
    raise AssertionError(f"the first {count} tiles do not come to stand at one moment: {before}; they say {said}")


async def markers(page: Page) -> list[Marker]:
    """The pictures in the tiles at one moment; tiles without a readable picture are left out."""
    found: list[list[int] | None] = await page.evaluate(_MARKERS)
    return [Marker(*seen) for seen in found if seen]


def spread_frames(seen: Sequence[Marker]) -> float:
    """Frames between the oldest and the newest of pictures of the small cameras."""
    return apart([moment(each) for each in seen]) / FRAME_SECONDS


class Seeker:
    """Seeks with one tile of camera 1, which stands at ``at`` and shows ``shown``."""

    def __init__(self, page: Page, at: float, shown: Marker) -> None:
        self._page = page
        self._base = moment(shown) - at

    async def seek_ms(self, at: float) -> float:
        """Milliseconds until the picture of a moment is on the screen; raises playwright's Error where it never is."""
        # How far into its time the first picture was is not known: the one of the moment is either of these.
        frames = [frame_at(1, at + self._base), frame_at(1, at + self._base + FRAME_SECONDS)]
        took: float = await self._page.evaluate(_SEEK, [fragment(at, camera(1), grid="1"), frames, PATIENCE_MS])
        return took
