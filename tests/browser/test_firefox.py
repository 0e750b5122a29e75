"""The page in Debian's Firefox, which has no H.264 yet: it says so, asks again, and watches pictures all the same."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.browser.firefox import Firefox, firefox
from tests.browser.running_up import Running

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]

BEFORE = """
window.faults = [];
addEventListener('error', (event) => faults.push(event.message));
addEventListener('unhandledrejection', (event) => faults.push(String(event.reason)));
window.app = () => document.querySelector('pantau-app');
window.part = (...path) => path.reduce((at, name) => at?.shadowRoot?.querySelector(name), app());
window.message = () => part('pantau-wall-grid', 'pantau-wall-tile', '.message')?.innerText ?? '';
"""

H264 = """
window.offers = [];
const asked = fetch;
window.fetch = (url, init) => {
  if (init?.method !== 'POST' || !/sessions/.test(String(url))) return asked(url, init);
  offers.push(init.body);
  return new Promise(() => undefined);
};
window.fetchH264 = () => {
  const kept = RTCRtpReceiver.getCapabilities;
  RTCRtpReceiver.getCapabilities = (kind) => {
    const found = kept.call(RTCRtpReceiver, kind);
    const codec = { mimeType: 'video/H264', clockRate: 90000, sdpFmtpLine: 'packetization-mode=1' };
    return kind === 'video' ? { ...found, codecs: [...found.codecs, codec] } : found;
  };
  window.preferred = [];
  RTCRtpTransceiver.prototype.setCodecPreferences = (codecs) => preferred.push(codecs[0].mimeType);
};
"""
"""The plugin's arrival as the page sees it. The browser itself would refuse to prefer what it cannot decode, and the
relay an offer without it: the offer is kept here."""

LOOPED_BACK = """
window.stream = async () => {
  const canvas = document.createElement('canvas');
  const paper = canvas.getContext('2d');
  [canvas.width, canvas.height] = [320, 180];
  setInterval(() => {
    paper.fillStyle = `hsl(${performance.now() / 5 % 360} 80% 50%)`;
    paper.fillRect(0, 0, 320, 180);
  }, 40);
  const [from, to] = [new RTCPeerConnection(), new RTCPeerConnection()];
  window.connections = [from, to];
  from.onicecandidate = ({ candidate }) => to.addIceCandidate(candidate);
  to.onicecandidate = ({ candidate }) => from.addIceCandidate(candidate);
  const track = new Promise((resolve) => { to.ontrack = (event) => resolve(event.track); });
  from.addTrack(canvas.captureStream(25).getVideoTracks()[0]);
  await from.setLocalDescription();
  await to.setRemoteDescription(from.localDescription);
  await to.setLocalDescription();
  await from.setRemoteDescription(to.localDescription);
  return track;
};
window.play = async () => {
  const page = app().app;
  page.keeper.session = { slots: 1, video: [await stream()], audio: null, send() {}, close() {} };
  page.keeper.link.set({ phase: 'open', sinceMs: Date.now() });
  page.tracks.update((count) => count + 1);
  page.slot(0).set({ receivedMs: Date.now(), notice: {
    type: 'slot', slot: 0, camera: 'cam-001', source: 'live', state: 'live', profile: 'main', reason: 'none',
    detail: '', first_rtp: null, live_rtp: null, limited: 'none', limited_by: 'link', transcoded: false,
    damaged: false, codec: 'vp8', width_px: 320, height_px: 180, until_us: null,
  } });
};
window.stall = () => {  // of a canvas that stands still Firefox sends its last picture once a second
  const sender = connections[0].getSenders()[0];
  const parameters = sender.getParameters();
  parameters.encodings[0].active = false;
  return sender.setParameters(parameters);
};
window.video = () => part('pantau-wall-grid', 'pantau-wall-tile', 'video');
"""
"""A stream of the page's own in its first tile, with the relay's word that the tile is live."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Firefox]:
    """One Firefox for all tests of this module."""
    async with firefox() as running:
        yield running


async def test_a_page_without_h264_says_so_everywhere_and_makes_its_offer_when_it_has_come(
    pantau: Running, browser: Firefox
) -> None:
    await browser.open(f"{pantau.url}/#grid=1&tiles=cam-001", BEFORE + H264)
    assert "OpenH264" in await browser.until("part('.banner')?.innerText")
    assert "no H.264" in await browser.until("message()")
    assert await browser.until("part('pantau-top-bar', '.link')?.ariaLabel") == "This browser cannot show video"
    await browser.evaluate("app().app.show({ timeline: true })")
    await browser.until("part('pantau-timeline-panel', 'pantau-timeline-view') != null")
    await browser.evaluate("app().app.playback.toggleTile(0)")
    await browser.until("app().app.wall.value.tiles[0].source === 'recorded'")
    assert "no H.264" in await browser.until("message()"), "a recording is no more decodable than a camera"
    assert await browser.evaluate("offers") == []
    await browser.evaluate("fetchH264()")
    assert "m=video" in await browser.until("offers[0]")
    assert await browser.evaluate("preferred[0]") == "video/H264"
    await browser.until("!part('.banner')?.innerText.includes('OpenH264')")
    assert await browser.evaluate("faults") == [], "the timeline's sizes are watched without an error"


async def test_a_moving_picture_is_fresh_and_a_standing_one_is_dimmed(pantau: Running, browser: Firefox) -> None:
    await browser.open(f"{pantau.url}/#grid=1&tiles=cam-001", BEFORE + H264 + LOOPED_BACK + "fetchH264();")
    await browser.until("offers[0]")
    await browser.evaluate("play()")
    await browser.until("video().videoWidth > 0 && message() === ''")
    frames = "new Promise((tell) => video().requestVideoFrameCallback((_, told) => tell(told.presentedFrames)))"
    first = await browser.evaluate(frames)
    # Twice as long as a picture may stand (model/freshness.ts, STALE_AFTER_MS): at 25 frames a second 75 of them.
    # A busy machine paints none for a while, and the tile says so; the next frame takes that back.
    await browser.until(f"{frames}.then((seen) => seen > {first} + 150 && message() === '')")
    await browser.evaluate("stall()")
    assert "The picture stands still" in await browser.until("message()")
    assert await browser.evaluate("faults") == []
