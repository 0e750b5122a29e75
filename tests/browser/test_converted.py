"""Cameras whose pictures a browser cannot decode, and sound, in Chromium: seen in pixels and heard in samples."""

import pytest
from playwright.async_api import BrowserContext

from services.mesh.bus import Bus
from services.mesh.frames import Codec
from services.mesh.sessions import Aim, Listen, SlotNotice
from tests.browser.wall_page import WallPage
from tests.wall.relay.camera import BusCamera, clip
from tests.wall.relay.conftest import front  # noqa: F401 (a fixture)
from tests.wall.relay.convert.test_conversion import mjpeg
from tests.wall.relay.microphone import TONE_HZ, Microphone
from tests.wall.relay.running import Front

pytestmark = pytest.mark.browser

_HEAR = """
() => {
  const {receiver} = wall.pc.getTransceivers().find((t) => t.receiver.track.kind === 'audio');
  const stream = new MediaStream([receiver.track]);
  const element = new Audio();
  element.srcObject = stream;
  element.play();
  const context = new AudioContext();
  const analyser = new AnalyserNode(context, {fftSize: 8192});
  context.createMediaStreamSource(stream).connect(analyser);
  const bins = new Float32Array(analyser.frequencyBinCount);
  wall.tone = () => {
    analyser.getFloatFrequencyData(bins);
    const loudest = bins.indexOf(Math.max(...bins));
    return [loudest * context.sampleRate / analyser.fftSize, bins[loudest]];
  };
}
"""
_TONE = f"() => {{ const [hz, db] = wall.tone(); return Math.abs(hz - {TONE_HZ}) < 15 && db > -50; }}"
_SILENCE = "() => wall.tone()[1] < -90"


@pytest.mark.parametrize("codec", [Codec.HEVC, Codec.MJPEG])
async def test_chromium_shows_what_it_cannot_decode(
    bus: Bus, front: Front, browser: BrowserContext, codec: Codec  # noqa: F811 (the fixture)
) -> None:  # fmt: skip
    made = mjpeg() if codec is Codec.MJPEG else clip(6, encoder="libx265", size=(320, 180), fps=10, gop=20, gops=2)
    await front.add_camera("cam-6")
    async with BusCamera(bus, "cam-6", made):
        page = await WallPage.create(browser, front)
        await page.connect(1, Aim(slot=0, camera="cam-6"))
        seen = await page.wait_for(0, 6, 20_000)
        assert seen.width == 320
        notices = front.notices[page.session.session]
        last = [notice for notice in notices if isinstance(notice, SlotNotice)][-1]
        passed_through = last.codec == "hevc"  # Chromium offers H.265 where the machine has a decoder for it
        assert last.transcoded is not passed_through


@pytest.mark.parametrize("codec", [Codec.PCM_MULAW, Codec.PCM_ALAW, Codec.AAC], ids=lambda codec: codec.name.lower())
async def test_an_unmuted_camera_is_heard_and_a_muted_one_sends_nothing(
    bus: Bus, front: Front, browser: BrowserContext, codec: Codec  # noqa: F811 (the fixture)
) -> None:  # fmt: skip
    await front.add_camera("cam-1", audio=True)
    small = clip(1, size=(320, 180), fps=10, gop=20)
    async with BusCamera(bus, "cam-1", small), Microphone(bus, "cam-1", codec) as microphone:
        page = await WallPage.create(browser, front)
        await page.connect(1, Aim(slot=0, camera="cam-1"), audio=True)
        await page.wait_for(0, 1, 20_000)
        await page.page.evaluate(_HEAR)
        await page.page.wait_for_timeout(1000)
        assert microphone.wants == 0
        session = page.session.session
        await front.control(session, Listen(slot=0))
        await page.page.wait_for_function(_TONE, timeout=20_000, polling=50)
        await front.control(session, Listen(slot=None))
        await page.page.wait_for_function(_SILENCE, timeout=10_000, polling=50)
        sound = next(s.connection.sound for s in front.relay.sessions.values())
        assert sound is not None
        packets = sound.packets
        await page.page.wait_for_timeout(500)
        assert sound.packets == packets
