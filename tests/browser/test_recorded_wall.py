"""Recordings of several cameras on the wall, seen in decoded pictures."""

import asyncio
from collections.abc import Iterator

import pytest
from playwright.async_api import BrowserContext, Page

from services.sim.marker import Marker
from tests.browser import footage as small
from tests.browser.footage import CAMERAS, FRAME_SECONDS, Footage, apart, camera, moment, rfc3339
from tests.browser.probe import Probe
from tests.browser.running_up import Running

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

PATIENCE_MS = 30_000
STRETCHES = 8
"""Of playing: in one of them at least nothing else may hold up the browser."""
SAMPLES = 8

_MARKERS = "probe.tiles().map((tile) => { const seen = probe.read(tile); return seen && [seen.camera, seen.frame]; })"


@pytest.fixture(scope="module")
def recorded(pantau: Running) -> Iterator[Footage]:
    """Half a minute of nine cameras, and no camera that is on."""
    with small.footage(pantau) as found:
        yield found


def fragment(at: float, *tiles: str, grid: str = "9") -> str:
    """The address of recorded tiles at a moment."""
    return f"grid={grid}&tiles={','.join(tiles)}&at={rfc3339(at)}"


ALL = [camera(number) for number in range(1, CAMERAS + 1)]


async def opened(pantau: Running, browser: BrowserContext, address: str) -> Page:
    """A page that shows ``address``, in English."""
    page = await browser.new_page()
    await Probe.install(page)
    await page.add_init_script("localStorage.setItem('pantau.language', 'en')")
    await page.goto(f"{pantau.url}/#{address}")
    return page


async def standing(page: Page, count: int) -> list[Marker]:
    """The pictures of the first tiles, once they stand still and are of one moment; raises what is seen instead."""
    before: list[Marker] = []
    for _ in range(PATIENCE_MS // 500):
        await asyncio.sleep(0.5)
        seen = (await markers(page))[:count]
        if len(seen) == count and seen == before and apart([moment(each) for each in seen]) <= FRAME_SECONDS:
            return seen
        before = seen
    raise AssertionError(f"the first {count} tiles do not come to stand at one moment: {before}")


async def markers(page: Page) -> list[Marker]:
    """What is seen in the tiles at one moment; those without a readable picture are left out."""
    found: list[list[int] | None] = await page.evaluate(_MARKERS)
    return [Marker(*seen) for seen in found if seen]


async def test_nine_cameras_show_the_same_moment_standing_stepping_and_playing(
    pantau: Running, recorded: Footage, browser: BrowserContext
) -> None:
    page = await opened(pantau, browser, fragment(recorded.began + 2, *ALL))
    before = await standing(page, CAMERAS)
    assert [seen.camera for seen in before] == list(range(1, CAMERAS + 1))

    await page.keyboard.press(".")
    await page.wait_for_function(f"probe.read(probe.tile(0))?.frame !== {before[0].frame}", timeout=PATIENCE_MS)
    stepped = await standing(page, CAMERAS)
    assert apart([moment(before[0]), moment(stepped[0])]) == pytest.approx(FRAME_SECONDS, abs=0.001)

    await page.keyboard.press("Space")
    worst = []
    for _ in range(STRETCHES):
        await asyncio.sleep(0.3)
        samples = []
        for _ in range(SAMPLES):
            await asyncio.sleep(0.1)
            samples.append(await markers(page))
        if {len(seen) for seen in samples} != {CAMERAS} or len({seen[0].frame for seen in samples}) < SAMPLES / 2:
            continue
        # Of each camera the picture of the moment or a neighbour of it.
        worst.append(max(apart([moment(seen) for seen in seens]) / FRAME_SECONDS for seens in samples))
        if worst[-1] <= 2:
            return
    raise AssertionError(f"frames between the cameras, at worst of {SAMPLES} looks: {worst}")
