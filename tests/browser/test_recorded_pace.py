"""Sixteen large recordings at four times their pace: more than a browser on a few cores decodes."""

import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

import pytest
from playwright.async_api import BrowserContext, Page, WebSocket, expect

from services.sim.pictures.marker import Marker
from services.sim.simulator import phase_seconds
from services.sim.specs import PRESETS
from tests.browser.footage import apart, rfc3339
from tests.browser.recorded_page import PATIENCE_MS, fragment, markers, opened
from tests.browser.running_up import Running

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(480),
    pytest.mark.skipif((os.cpu_count() or 1) > 2, reason="more cores decode all of it"),
]

CAMERAS = [f"cam-{number:03}" for number in range(1, 17)]
"""Nine were too few: two cores decode them on a day on which they are fast."""
_VIDEO = PRESETS["city"](1).main.video
FRAME_SECONDS = 1 / _VIDEO.frame_rate
FOOTAGE_SECONDS = 150.0
"""A quarter of it is time enough to step down, and to be looked at from its beginning once more."""
PATIENCE_SECONDS = 60.0


def moment(seen: Marker) -> float:
    """When a picture was made, in seconds of the simulator's loop."""
    return (seen.frame * FRAME_SECONDS - phase_seconds(seen.camera, _VIDEO.loop_seconds)) % _VIDEO.loop_seconds


def recorded_since(pantau: Running) -> float:
    """From when on all of `CAMERAS` have footage without a gap, Unix seconds; waits until that is long enough."""
    deadline = time.monotonic() + FOOTAGE_SECONDS + PATIENCE_SECONDS
    while True:
        now = time.time()
        times = f"from={rfc3339(now - 2 * FOOTAGE_SECONDS)}&to={rfc3339(now)}"
        ranges = [pantau.api(f"/cameras/{camera}/timeline?{times}")["ranges"] for camera in CAMERAS]
        began = max(datetime.fromisoformat(found[-1]["from"]).timestamp() if found else now for found in ranges)
        if now - began > FOOTAGE_SECONDS:
            return began
        assert time.monotonic() < deadline, f"there is not enough footage: {ranges}"
        time.sleep(1)


@contextmanager
def off(pantau: Running, cameras: Sequence[str]) -> Iterator[None]:
    """Switches cameras off, so that the browser has the machine to itself, and on again."""
    try:
        for camera in cameras:
            pantau.api(f"/cameras/{camera}", "PATCH", {"enabled": False})
        yield
    finally:
        for camera in cameras:
            pantau.api(f"/cameras/{camera}", "PATCH", {"enabled": True})
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not set(pantau.online()) >= set(cameras):
            assert time.monotonic() < deadline, "the demo's cameras did not come back"
            time.sleep(0.5)


def talk(browser: BrowserContext) -> list[str]:
    """What pages say of their lateness, and relays of the link, from now on."""
    said: list[str] = []

    def note(text: str | bytes) -> None:
        if isinstance(text, str) and ('"lateness"' in text or '"link"' in text):
            said.append(text)

    def listen(socket: WebSocket) -> None:
        socket.on("framesent", note)
        socket.on("framereceived", note)

    browser.on("page", lambda page: page.on("websocket", listen))
    return said


async def until_in_step(page: Page, seconds: float) -> None:
    """Returns when all tiles show pictures of the same ``seconds``; an AssertionError says how far apart they were."""
    spreads: list[float] = []
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not spreads or spreads[-1] > seconds:
        assert time.monotonic() < deadline, (spreads, await page.evaluate("probe.described()"))
        await asyncio.sleep(0.3)
        seen = await markers(page)
        spreads.append(apart([moment(each) for each in seen]) if len(seen) == len(CAMERAS) else float("inf"))


async def test_tiles_that_cannot_be_decoded_at_4x_go_on_in_step_by_keyframes_and_say_so(
    pantau: Running, browser: BrowserContext
) -> None:
    began = recorded_since(pantau)
    said = talk(browser)
    with off(pantau, [each["id"] for each in pantau.api("/cameras")["cameras"]]):
        page = await opened(pantau, browser, fragment(began + 2, *CAMERAS, grid="16"))
        await until_in_step(page, FRAME_SECONDS)
        badges = page.locator("pantau-wall-tile .badge.warn[title*='cannot decode']")
        await expect(badges).to_have_count(0)
        await page.keyboard.press("]")
        await page.keyboard.press("]")
        await page.keyboard.press("Space")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while await badges.count() < len(CAMERAS):
            assert time.monotonic() < deadline, (said, await page.evaluate("probe.described()"))
            await asyncio.sleep(0.5)
        await page.evaluate("(fragment) => { location.hash = fragment; }", fragment(began + 4, *CAMERAS, grid="16"))
        await asyncio.sleep(2)  # what was on its way is through
        # The newest keyframe of each camera, and of some the one before it.
        await until_in_step(page, 2 * _VIDEO.gop_seconds - FRAME_SECONDS)

        await page.keyboard.press("Space")
        await expect(badges).to_have_count(0, timeout=PATIENCE_MS)
        # Back to where all have footage: on a busy machine the clock may have come to its end.
        await page.evaluate("(fragment) => { location.hash = fragment; }", fragment(began + 6, *CAMERAS, grid="16"))
        await until_in_step(page, FRAME_SECONDS)
