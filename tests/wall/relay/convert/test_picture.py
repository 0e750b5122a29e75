"""Converted pictures, decoded again and read."""

import io
from collections.abc import Callable
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from services.contracts.frames import AccessUnit, CaptureClockSource, Codec, Flags
from services.media.nal import length_prefixed_to_annex_b
from services.wall.relay.convert.picture import PictureConverter
from tests.recorder.units import pictures
from tests.wall.relay.camera import BITS, clip, picture

FPS = 15


def unit(number: int, codec: Codec, payload: bytes, *, keyframe: bool) -> AccessUnit:
    flags = Flags.KEYFRAME if keyframe else Flags.NONE
    at = number * 90_000 // FPS
    return AccessUnit(flags, codec, 3, number, at, at, 1_000_000 + number, 7, CaptureClockSource.RTCP, payload)


def hevc(count: int) -> list[AccessUnit]:
    frames = clip(5, encoder="libx265", size=(640, 360), fps=FPS, gop=count, gops=1).frames
    return [unit(n, Codec.HEVC, payload, keyframe=key) for n, (payload, key) in enumerate(frames)]


def mjpeg(count: int) -> list[AccessUnit]:
    units = []
    for number in range(count):
        file = io.BytesIO()
        Image.fromarray(picture(5, number, 640, 360)).save(file, "JPEG")
        units.append(unit(number, Codec.MJPEG, file.getvalue(), keyframe=True))
    return units


def numbers(units: list[AccessUnit]) -> list[tuple[int, int]]:
    """Camera and number that each picture carries."""
    decoder = av.CodecContext.create("h264", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    decoder.thread_count = 1
    read = []
    for one in units:
        for frame in decoder.decode(av.Packet(length_prefixed_to_annex_b(one.payload))):
            row = frame.to_ndarray(format="gray")[4]
            block = frame.width // BITS
            bits = "".join(str(int(np.mean(row[n * block : (n + 1) * block]) > 127)) for n in range(BITS))
            read.append((int(bits[:8], 2), int(bits[8:], 2)))
    return read


@pytest.mark.parametrize("make", [hevc, mjpeg])
def test_every_picture_comes_out_at_once_with_its_own_times(make: Callable[[int], list[AccessUnit]]) -> None:
    units = make(40)
    converter = PictureConverter(epoch=9, max_height_px=720)
    out = []
    for one in units:
        made = converter.convert(one)
        assert [(m.pts_90k, m.capture_us, m.clock) for m in made] == [
            (one.pts_90k, one.capture_us, CaptureClockSource.RTCP)
        ]
        out += made
    assert numbers(out) == [(5, n) for n in range(40)]
    assert [m.order for m in out] == [(9, n + 1) for n in range(40)]
    assert {m.codec for m in out} == {Codec.H264}
    assert [n for n, m in enumerate(out) if m.keyframe] == [0, 2 * FPS]
    assert [bool(m.flags & Flags.DISCONTINUITY) for m in out] == [True] + [False] * 39


def test_what_a_decoder_holds_back_comes_when_it_is_drained_and_then_it_begins_anew() -> None:
    units = pictures(Codec.HEVC, count=25, b_frames=2)
    converter = PictureConverter(epoch=1, max_height_px=720)
    for _ in range(2):  # the second time from the same moment on, as somebody who goes back
        out = [made for one in units for made in converter.convert(one)]
        assert 0 < len(out) < len(units)
        out += converter.flush()
        assert [m.pts_90k for m in out] == sorted(one.pts_90k for one in units)
        assert [m.keyframe for m in out] == [True] + [False] * 24
        assert converter.flush() == []


def test_large_pictures_are_scaled_down_and_keep_their_shape() -> None:
    (out,) = PictureConverter(epoch=1, max_height_px=180).convert(hevc(2)[0])
    decoder = av.CodecContext.create("h264", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    packet = av.Packet(length_prefixed_to_annex_b(out.payload))
    packet.time_base = Fraction(1, 90_000)
    (frame,) = decoder.decode(packet) + decoder.decode(None)
    assert (frame.width, frame.height) == (320, 180)


def test_pictures_that_are_not_shown_are_decoded_for_those_after_them() -> None:
    units = hevc(10)
    converter = PictureConverter(epoch=1, max_height_px=720)
    out = [m for n, one in enumerate(units) for m in converter.convert(one, show=n in (0, 9))]
    assert numbers(out) == [(5, 0), (5, 9)]


def test_broken_pictures_and_a_change_of_codec_are_survived() -> None:
    converter = PictureConverter(epoch=1, max_height_px=720)
    good, other = hevc(6), mjpeg(3)
    assert converter.convert(good[3]) == []  # nothing to begin with
    assert len(converter.convert(good[0])) == 1
    assert converter.convert(good[1]._replace(payload=good[1].payload[:20] + b"\xff" * 40)) == []
    later = [one._replace(pts_90k=one.pts_90k - 10**9, dts_90k=one.dts_90k - 10**9) for one in other]
    out = [m for one in later for m in converter.convert(one)]
    assert [n for _, n in numbers(out)] == [0, 1, 2]
    assert out[0].flags & Flags.DISCONTINUITY
    assert converter.convert(later[0]._replace(payload=b"\xff\xd8nonsense", pts_90k=later[2].pts_90k + 9)) == []
