"""Converted sound, decoded again and listened to."""

from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest

from services.contracts.frames import AccessUnit, CaptureClockSource, Codec, Flags
from services.media.g711 import G711Config
from services.wall.relay.convert.sound import SoundConverter

RATE = 16_000
TONE_HZ = 440


def aac(frames: int) -> list[AccessUnit]:
    encoder = av.AudioCodecContext.create("aac", "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format, encoder.bit_rate = RATE, "mono", "fltp", 32_000
    encoder.time_base = Fraction(1, RATE)
    encoder.open()
    units: list[AccessUnit] = []
    for number in range(frames):
        wave = 0.5 * np.sin(2 * np.pi * TONE_HZ * (np.arange(1024) + 1024 * number) / RATE)
        frame = av.AudioFrame.from_ndarray(wave.astype(np.float32)[None], format="fltp", layout="mono")
        frame.sample_rate = RATE
        for packet in encoder.encode(frame):
            at = len(units) * 1024 * 90_000 // RATE
            config, capture = bytes(encoder.extradata or b""), 5_000_000 + at * 100 // 9
            times = (at, at, capture, 3, CaptureClockSource.RTCP)
            units.append(AccessUnit(Flags.KEYFRAME, Codec.AAC, 2, len(units), *times, bytes(packet), config))
    return units


def heard(units: list[AccessUnit]) -> Any:
    decoder = av.AudioCodecContext.create("opus", "r")
    assert isinstance(decoder, av.AudioCodecContext)
    decoder.sample_rate, decoder.layout = 48_000, "mono"
    return np.concatenate([f.to_ndarray().ravel() for u in units for f in decoder.decode(av.Packet(u.payload))])


def test_a_tone_comes_out_as_the_same_tone_in_frames_of_twenty_milliseconds() -> None:
    converter = SoundConverter(epoch=4)
    out = [m for one in aac(60) for m in converter.convert(one)]
    assert {m.pts_90k - n * 1800 for n, m in enumerate(out)} == {0}
    assert all(abs(m.capture_us - 5_000_000 - n * 20_000) < 10 for n, m in enumerate(out))
    assert [m.order for m in out] == [(4, n + 1) for n in range(len(out))]
    assert {m.codec for m in out} == {Codec.OPUS}
    second = heard(out)[48_000:96_000]
    assert int(np.abs(np.fft.rfft(second)).argmax()) == TONE_HZ


def test_a_hole_in_the_sound_moves_what_follows_and_breaks_nothing() -> None:
    converter = SoundConverter(epoch=4)
    units = aac(40)
    out = [m for one in units[:10] + units[25:] for m in converter.convert(one)]
    (jump,) = [n for n, m in enumerate(out) if n and m.flags & Flags.DISCONTINUITY]
    assert out[jump].pts_90k == units[25].pts_90k
    assert converter.convert(units[30]._replace(payload=b"\0\1\2")) == []


def g711(codec: Codec, rate: int, channels: int, frames: int) -> list[AccessUnit]:
    encoder = av.AudioCodecContext.create(codec.ffmpeg_name, "w")
    assert isinstance(encoder, av.AudioCodecContext)
    layout = "stereo" if channels == 2 else "mono"
    encoder.sample_rate, encoder.layout, encoder.format = rate, layout, "s16"
    encoder.time_base = Fraction(1, rate)
    units = []
    length = rate // 50
    for number in range(frames):
        wave: Any = 12_000 * np.sin(2 * np.pi * TONE_HZ * (np.arange(length) + length * number) / rate)
        frame = av.AudioFrame.from_ndarray(
            np.repeat(wave.astype(np.int16), channels)[None], format="s16", layout=layout
        )
        frame.sample_rate = rate
        (packet,) = encoder.encode(frame)
        at = number * 1800
        times = (at, at, 5_000_000 + at * 100 // 9, 3, CaptureClockSource.RTCP)
        config = G711Config(rate, channels).pack()
        units.append(AccessUnit(Flags.KEYFRAME, codec, 2, number, *times, bytes(packet), config))
    return units


@pytest.mark.parametrize("codec", [Codec.PCM_ALAW, Codec.PCM_MULAW])
@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (48_000, 1), (11_025, 1), (8_000, 2)])
def test_g711_of_any_rate_comes_out_at_its_pitch(codec: Codec, rate: int, channels: int) -> None:
    converter = SoundConverter(epoch=4)
    out = [m for one in g711(codec, rate, channels, 110) for m in converter.convert(one)]
    second = heard(out)[48_000:96_000]
    assert int(np.abs(np.fft.rfft(second)).argmax()) == TONE_HZ
    assert converter.convert(g711(codec, rate, channels, 1)[0]._replace(extradata=b"bad")) == []
