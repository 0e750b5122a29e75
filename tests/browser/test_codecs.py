"""`pantau up` with cameras of every kind: in Chromium each of them is seen, and the one that has sound is heard."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, Locator, expect

from tests.browser.app_page import AppPage
from tests.browser.running_up import Running, running_up

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

CAMERAS = 6
HEVC, SOUND, MJPEG = 3, 5, 6
"""Numbers of cameras in the simulator's ``mixed`` (services/sim/specs.py)."""

# Before the page's own script: the connections that it makes.
_WATCH = """
window.connections = [];
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...options) { super(...options); window.connections.push(this); }
};
window.heard = async () => {
  let packets = 0, energy = 0;
  for (const pc of window.connections)
    for (const stats of (await pc.getStats()).values())
      if (stats.type === 'inbound-rtp' && stats.kind === 'audio') {
        packets += stats.packetsReceived; energy += stats.totalAudioEnergy;
      }
  return {packets, energy};
};
"""


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Pantau with the simulator's ``mixed`` cameras."""
    data: Path = tmp_path_factory.mktemp("mixed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PANTAU_SIM_PROFILE", "mixed")
        with running_up(data, CAMERAS) as running:
            yield running


def converted(app: AppPage, slot: int) -> Locator:
    """A tile's badge that says so. It has others where the machine is busy."""
    return app.page.locator(f"pantau-wall-tile[data-slot='{slot}'] .badge", has_text="converted")


async def falls_silent(app: AppPage) -> int:
    """Returns when no packet of sound has come for a second: how many have."""
    before, packets = -1, 0
    while before != packets:
        await app.page.wait_for_timeout(1000)
        before, packets = packets, (await app.page.evaluate("heard()"))["packets"]
    return packets


async def test_cameras_in_every_codec_are_seen_and_a_converted_one_says_so(
    mixed: Running, browser: BrowserContext
) -> None:
    ids = ",".join(f"cam-{number:03}" for number in (1, HEVC, SOUND, MJPEG))
    app = await AppPage.open(browser, f"{mixed.url}/#grid=4&tiles={ids}")
    await app.wait_for_pictures(4, 60)
    assert [(await app.read(slot)).camera for slot in range(4)] == [1, HEVC, SOUND, MJPEG]
    await expect(converted(app, 0)).to_have_count(0)
    await expect(converted(app, 3)).to_have_count(1)
    before = await app.read(3)
    moved = f"() => ![undefined, {before.frame}].includes(probe.read(probe.tile(3))?.frame)"
    await app.page.wait_for_function(moved, polling=100)
    # Large, H.265 comes as itself, or as the H.264 of its sub profile: both without a conversion.
    await app.page.locator("pantau-wall-tile[data-slot='1']").dblclick()
    await app.page.wait_for_timeout(2000)
    assert (await app.read(1)).camera == HEVC
    await expect(converted(app, 1)).to_have_count(0)
    assert app.errors == []


async def test_an_enlarged_tile_is_heard_when_it_is_unmuted_and_not_before(
    mixed: Running, browser: BrowserContext
) -> None:
    await browser.add_init_script(_WATCH)
    app = await AppPage.open(browser, f"{mixed.url}/#grid=4&tiles=cam-001,cam-{SOUND:03}")
    await app.wait_for_pictures(2, 60)
    tile = app.page.locator("pantau-wall-tile[data-slot='1']")
    button = tile.locator("button[aria-label^='Sound']")
    assert await button.count() == 0
    await tile.dblclick()
    await tile.hover()
    await app.page.wait_for_timeout(1000)
    assert (await app.page.evaluate("heard()"))["packets"] == 0
    await button.click()
    await app.page.wait_for_function("async () => (await heard()).energy > 0.001", polling=100)
    await app.page.keyboard.press("m")
    silent = await falls_silent(app)
    await app.page.keyboard.press("m")
    await app.page.wait_for_function(f"async () => (await heard()).packets > {silent}", polling=100)
    await app.page.keyboard.press("Escape")
    await falls_silent(app)
    assert app.errors == []
