"""Recordings on the wall, in decoded pictures: in step, after seeks, over gaps, and beside live ones."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, WebSocketRoute, expect
from playwright.async_api import TimeoutError as PlaywrightTimeoutError

from services.sim.pictures.marker import Marker
from tests.browser import footage as small
from tests.browser.footage import (
    CAMERAS,
    FRAME_SECONDS,
    GAP_CAMERA,
    GOP_SECONDS,
    LOOP_SECONDS,
    Footage,
    apart,
    camera,
    moment,
)
from tests.browser.recorded_page import ALL, PATIENCE_MS, Seeker, clock_stands, fragment, markers, opened, standing
from tests.browser.running_up import Running

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

SEEKS = 10

_MOVING = """
(slot) => {
  const seen = probe.read(probe.tile(slot));
  return seen && (probe.shown ??= new Set()).add(seen.frame).size > 5;
}
"""


# Looks in the page itself: a test may come late for the few seconds that the gap lasts.
_WATCH_GAP = """
([slot, others]) => {
  const frames = {};
  window.gap = { said: [], why: false, moved: false, over: false };
  setInterval(() => {
    const said = probe.tile(slot).shadowRoot.querySelector('.message')?.innerText ?? '';
    if (gap.said.at(-1) !== said) gap.said.push(said);
    if (said.includes('Nothing recorded at this time')) {
      gap.why ||= said.includes('the camera was switched off');
      for (const tile of probe.tiles()) {
        const seen = Number(tile.dataset.slot) === slot ? null : probe.read(tile);
        if (seen) (frames[seen.camera] ??= new Set()).add(seen.frame);
      }
      gap.moved ||= Object.values(frames).filter(({ size }) => size > 1).length >= others;
    } else gap.over ||= gap.why && said === '';
  }, 100);
}
"""


@pytest.fixture(scope="module")
def recorded(pantau: Running) -> Iterator[Footage]:
    """Half a minute of nine cameras, and no camera that is on."""
    with small.footage(pantau) as found:
        yield found


async def test_nine_cameras_show_the_same_moment_standing_stepping_and_playing(
    pantau: Running, recorded: Footage, browser: BrowserContext
) -> None:
    page = await opened(pantau, browser, fragment(recorded.began + 2, *ALL))
    before = await standing(page, CAMERAS)
    assert [seen.camera for seen in before] == list(range(1, CAMERAS + 1))

    await page.keyboard.press(".")
    await page.wait_for_function(f"() => probe.read(probe.tile(0))?.frame !== {before[0].frame}", timeout=PATIENCE_MS)
    stepped = await standing(page, CAMERAS)
    assert apart([moment(before[0]), moment(stepped[0])]) == pytest.approx(FRAME_SECONDS, abs=0.001)

    # How close they keep to each other all the time, and how soon a sought moment is seen, `bench check` measures.
    # On a busy machine they may have come to the gap of one of them.
    await page.keyboard.press("Space")
    async with asyncio.timeout(PATIENCE_MS / 1000):
        while len({seen.camera for seen in set(await markers(page)).difference(stepped)}) < CAMERAS - 1:
            await asyncio.sleep(0.1)
    await page.keyboard.press("Space")
    stopped = await standing(page, CAMERAS - 1, without=GAP_CAMERA)

    # The address is the moment on the screen: from where it was opened, both have gone on as far.
    named = await page.evaluate("Date.parse(new URLSearchParams(location.hash.slice(1)).get('at')) / 1000")
    passed = (moment(stopped[0]) - moment(before[0])) % LOOP_SECONDS
    away = (named - (recorded.began + 2) - passed + LOOP_SECONDS / 2) % LOOP_SECONDS - LOOP_SECONDS / 2
    assert abs(away) < FRAME_SECONDS + 0.002, "a frame, and what the address rounds"


async def test_every_sought_moment_is_seen(pantau: Running, recorded: Footage, browser: BrowserContext) -> None:
    # passes if nothing raises
    at = recorded.began + 1
    page = await opened(pantau, browser, fragment(at, camera(1), grid="1"))
    (shown,) = await standing(page, 1)
    seeker = Seeker(page, at, shown)
    for number in range(SEEKS):  # there and back, at other places of the GOP each time
        await seeker.seek_ms(at + number * 6.37 % 9)  # passes if nothing raises


async def test_a_gap_in_one_camera_says_why_and_does_not_stop_the_others(
    pantau: Running, recorded: Footage, browser: BrowserContext
) -> None:
    page = await opened(pantau, browser, fragment(recorded.gap_began - 2, *ALL))
    await standing(page, CAMERAS)
    message = page.locator(f"pantau-wall-tile[data-slot='{GAP_CAMERA - 1}'] .message")
    await expect(message).to_have_count(0)
    others = set(range(1, CAMERAS + 1)) - {GAP_CAMERA}
    await page.evaluate(_WATCH_GAP, [GAP_CAMERA - 1, len(others)])
    await page.keyboard.press("Space")
    try:
        await page.wait_for_function("() => gap.why && gap.moved && gap.over", timeout=PATIENCE_MS)
    except PlaywrightTimeoutError:
        raise AssertionError(await page.evaluate("[gap, probe.described()]")) from None
    await page.evaluate("document.querySelector('pantau-app').app.playback.pause()")  # it may have stopped at the end
    await clock_stands(page)

    # Asked for while the clock stands, a moment without footage shows no old picture.
    await page.evaluate(f"location.hash = '{fragment(recorded.gap_began + 1, *ALL)}'")
    await expect(message).to_contain_text("Nothing recorded at this time", timeout=PATIENCE_MS)
    await page.evaluate(f"location.hash = '{fragment(recorded.gap_ended + 1, *ALL)}'")
    await expect(message).to_have_count(0, timeout=PATIENCE_MS)
    await page.evaluate(f"location.hash = '{fragment(recorded.gap_ended - 0.5, *ALL)}'")
    await expect(message).to_contain_text("Nothing recorded at this time", timeout=PATIENCE_MS)
    before = await standing(page, CAMERAS - 1, without=GAP_CAMERA)
    assert {seen.camera for seen in before} == others
    await page.keyboard.press(".")
    async with asyncio.timeout(PATIENCE_MS / 1000):
        while {seen.camera for seen in set(await markers(page)).difference(before)} < others:
            await asyncio.sleep(0.1)
    await asyncio.sleep(4.0)  # a browser asks for a keyframe after three seconds without a frame
    await expect(message).to_contain_text("Nothing recorded at this time")


def tell_lateness(route: WebSocketRoute) -> None:
    """Passes on what the page says, but as one whose decoders are nearly a second behind."""
    server = route.connect_to_server()

    def pass_on(message: str | bytes) -> None:
        said = json.loads(message)
        server.send(json.dumps(said | {"late_ms": 900.0} if said["type"] == "lateness" else said))

    route.on_message(pass_on)


async def test_tiles_of_a_page_that_is_late_go_on_in_step_by_keyframes_and_say_so(
    pantau: Running, recorded: Footage, browser: BrowserContext
) -> None:
    # How late pictures of too many cameras really are depends on the machine; what is told of it does not.
    await browser.route_web_socket(re.compile("/control$"), tell_lateness)
    cameras = [name for name in ALL if name != camera(GAP_CAMERA)]
    page = await opened(pantau, browser, fragment(recorded.began + 1, *cameras))
    before = await standing(page, len(cameras))
    badges = page.locator("pantau-wall-tile .badge.warn[title*='cannot decode']")
    await expect(badges).to_have_count(0)
    await page.keyboard.press("[")  # at half the pace there is footage enough, also on a busy machine
    await page.keyboard.press("Space")
    await expect(badges).to_have_count(len(cameras), timeout=PATIENCE_MS)
    seen = set(before)
    async with asyncio.timeout(PATIENCE_MS / 1000):
        while len({each.camera for each in set(await markers(page)) - seen}) < len(cameras):
            await asyncio.sleep(0.1)
        # The newest keyframe of each camera, and of some the one before it.
        shown: list[Marker] = []
        while len(shown) < len(cameras) or apart([moment(each) for each in shown]) > 2 * GOP_SECONDS - FRAME_SECONDS:
            await asyncio.sleep(0.1)
            shown = await markers(page)

    await page.keyboard.press("Space")
    await expect(badges).to_have_count(0, timeout=PATIENCE_MS)
    await standing(page, len(cameras))


async def test_a_live_tile_moves_beside_one_that_stands_in_the_past(
    pantau: Running, recorded: Footage, browser: BrowserContext
) -> None:
    pantau.api(f"/cameras/{camera(2)}", "PATCH", {"enabled": True})
    try:
        page = await opened(pantau, browser, fragment(recorded.began + 2, camera(1), f"{camera(2)}!", grid="4"))
        await page.wait_for_function(_MOVING, arg=1, timeout=PATIENCE_MS, polling=50)
        (past,) = await standing(page, 1, without=2)
        assert past.camera == 1
        await page.evaluate("probe.shown = new Set()")
        await page.wait_for_function(_MOVING, arg=1, timeout=PATIENCE_MS, polling=50)
        live, still = await page.evaluate("[probe.read(probe.tile(1)), probe.read(probe.tile(0))]")
        assert live is None or live["camera"] == 2
        assert Marker(**still) == past
        await page.keyboard.press("b")
        await expect(page.locator("pantau-wall-tile .badge.recorded")).to_have_count(0)
    finally:
        pantau.api(f"/cameras/{camera(2)}", "PATCH", {"enabled": False})


async def test_a_marked_minute_becomes_a_bundle_that_verify_accepts_and_an_incident_that_holds_it(
    pantau: Running, recorded: Footage, browser: BrowserContext, tmp_path: Path
) -> None:
    page = await opened(pantau, browser, fragment(recorded.ended - 1, camera(1), camera(2), grid="4"))
    await standing(page, 2)
    await page.keyboard.press("e")
    dialog = page.locator("pantau-export-dialog")
    await dialog.locator("input[value=evidence]").check()
    for box in await dialog.locator("fieldset input[type=checkbox]").all():
        await box.check()
    await dialog.locator("input[name=reason]").fill("Laporan 17/XI")
    async with page.expect_download(timeout=PATIENCE_MS) as started:
        await dialog.locator("button.primary").click()
    download = await started.value
    bundle = tmp_path / download.suggested_filename
    await download.save_as(bundle)
    command = [sys.executable, "-m", "services.cli", "verify", str(bundle)]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Laporan 17/XI" in done.stdout
    assert camera(1) in done.stdout
    assert camera(2) in done.stdout
    tray = page.locator("pantau-timeline-panel pantau-exports-tray li", has_text="Kecil 1")
    async with page.expect_download(timeout=PATIENCE_MS) as again:
        await dialog.locator("pantau-exports-tray li", has_text="Kecil 1").locator("a").click()
    assert (await again.value).suggested_filename == download.suggested_filename
    await dialog.locator("button.plain", has_text="Close").click()
    await expect(tray).to_have_count(1)
    await tray.locator("button").click()
    await expect(tray).to_have_count(0, timeout=PATIENCE_MS)
    exported = {each["camera"] for job in pantau.api("/exports")["exports"] for each in job["cameras"]}
    assert camera(1) not in exported

    await page.locator("pantau-timeline-panel button[aria-label='Open incident']").click()
    dialog = page.locator("pantau-incident-dialog")
    await dialog.locator("input[name=title]").fill("Tabrakan di simpang")
    await dialog.locator("button.primary").click()
    await expect(page.locator("pantau-incidents-panel")).to_contain_text("Tabrakan di simpang", timeout=PATIENCE_MS)
    (incident,) = [each for each in pantau.api("/incidents")["incidents"] if each["title"] == "Tabrakan di simpang"]
    assert incident["from_us"] < (recorded.ended - 1) * 1e6 <= incident["to_us"] + 1e6
    pantau.api(f"/incidents/{incident['id']}/close", "POST")
