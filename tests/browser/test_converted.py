"""Cameras whose pictures a browser cannot decode, and sound, in Chromium: seen in pixels and heard in samples."""

from contextlib import AsyncExitStack

import pytest
from playwright.async_api import BrowserContext

from services.contracts.frames import Codec
from services.contracts.sessions import Aim, Listen, SlotNotice
from services.mesh.bus import Bus
from tests.browser.wall_page import WallPage
from tests.eventually import eventually
from tests.wall.relay.camera import BusCamera, clip
from tests.wall.relay.conftest import front, kernel_setting  # noqa: F401 (fixtures)
from tests.wall.relay.microphone import TONE_HZ, Microphone
from tests.wall.relay.running import Front
from tests.wall.relay.sources.test_conversion import mjpeg

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


async def told(page: WallPage, slot: int) -> SlotNotice:
    """The relay's last word of a slot that names a codec: the picture may overtake it."""
    named: list[SlotNotice] = []

    def heard() -> bool:
        notices = page.front.notices[page.session.session]
        named[:] = [n for n in notices if isinstance(n, SlotNotice) and n.slot == slot and n.codec]
        return bool(named)

    await eventually(heard)
    return named[-1]


async def test_chromium_shows_what_it_cannot_decode(
    bus: Bus, front: Front, own_browser: BrowserContext  # noqa: F811 (the fixture)
) -> None:  # fmt: skip
    await front.add_camera("cam-5")
    await front.add_camera("cam-6")
    hevc = clip(5, encoder="libx265", size=(320, 180), fps=10, gop=20, gops=2)
    async with BusCamera(bus, "cam-5", hevc), BusCamera(bus, "cam-6", mjpeg()):
        page = await WallPage.create(own_browser, front)
        await page.connect(2, Aim(slot=0, camera="cam-5"), Aim(slot=1, camera="cam-6"))
        for slot, camera in ((0, 5), (1, 6)):
            assert (await page.wait_for(slot, camera)).width == 320
            last = await told(page, slot)
            passed_through = last.codec == "hevc"  # Chromium offers H.265 where the machine has a decoder for it
            assert last.transcoded is not passed_through


async def test_an_unmuted_camera_is_heard_whatever_its_codec_and_a_muted_one_sends_nothing(
    bus: Bus, front: Front, own_browser: BrowserContext  # noqa: F811 (the fixture)
) -> None:  # fmt: skip
    codecs = (Codec.PCM_MULAW, Codec.PCM_ALAW, Codec.AAC)
    async with AsyncExitStack() as stack:
        microphones = []
        for slot, codec in enumerate(codecs):
            await front.add_camera(f"cam-{slot}", audio=True)
            small = clip(slot, size=(320, 180), fps=10, gop=20, gops=1)
            await stack.enter_async_context(BusCamera(bus, f"cam-{slot}", small))
            microphones.append(await stack.enter_async_context(Microphone(bus, f"cam-{slot}", codec)))
        page = await WallPage.create(own_browser, front)
        await page.connect(3, *[Aim(slot=n, camera=f"cam-{n}") for n in range(3)], audio=True)
        await page.wait_for(0, 0)
        await page.page.evaluate(_HEAR)
        await page.page.wait_for_timeout(1000)
        assert [microphone.wants for microphone in microphones] == [0, 0, 0]
        session = page.session.session
        (sound,) = (session.sound for session in front.relay.sessions.values())
        assert sound is not None
        for slot in range(3):
            await front.control(session, Listen(slot=slot))
            await page.page.wait_for_function(_TONE, timeout=60_000, polling=50)
            await front.control(session, Listen(slot=None))
            await page.page.wait_for_function(_SILENCE, timeout=60_000, polling=50)
            packets = sound.packets
            await page.page.wait_for_timeout(300)
            assert sound.packets == packets > 0
