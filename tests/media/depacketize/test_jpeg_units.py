"""JPEG from RTP: the pictures that come out are those that went in, pixel by pixel."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from services.media.depacketize.jpeg_units import MAX_PICTURE_BYTES, JpegDepacketizer, quantization_tables
from services.sim.packetize import jpeg_payloads, parse_jpeg
from tests.media.depacketize.collected import Payload, Units, marked_last


def picture(quality: int = 70, subsampling: int = 2) -> bytes:
    x, y = np.meshgrid(np.arange(160), np.arange(96))
    image = Image.fromarray(np.stack([x, y, (x * y) % 256], axis=-1).astype(np.uint8))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality, subsampling=subsampling, optimize=False)
    return out.getvalue()


def pixels(jpeg: bytes) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    return np.array(Image.open(io.BytesIO(jpeg)))


@pytest.mark.parametrize("subsampling", [1, 2])
def test_pictures_come_through(subsampling: int) -> None:
    jpeg = picture(subsampling=subsampling)
    units = Units()
    found = units.push(JpegDepacketizer(units, units.clock), marked_last(list(jpeg_payloads(jpeg)), 5))
    assert len(found) == 1
    data = found[0].data
    assert isinstance(data, bytes)
    assert np.array_equal(pixels(data), pixels(jpeg))


@pytest.mark.parametrize("quality", [10, 50, 75, 99])
def test_tables_that_q_stands_for(quality: int) -> None:
    # Independent JPEG Group's formula, which RFC 2435, 4.2 takes over, is Pillow's too.
    made = Image.open(io.BytesIO(picture(quality)))
    tables = [bytes(made.quantization[number]) for number in (0, 1)]  # type: ignore[attr-defined]  # of JPEG alone
    natural = quantization_tables(quality)
    assert sorted(tables[0]) == sorted(natural[:64])
    kind, width, height, given_tables, scan = parse_jpeg(picture(quality))
    assert given_tables == natural
    payload = bytes((0, 0, 0, 0, kind, quality, width // 8, height // 8)) + scan
    units = Units()
    found = units.push(JpegDepacketizer(units, units.clock), [Payload(payload, 0, True)])
    data = found[0].data
    assert isinstance(data, bytes)
    assert np.array_equal(pixels(data), pixels(picture(quality)))


def test_a_picture_with_a_hole_is_left_out() -> None:
    payloads = marked_last(list(jpeg_payloads(picture(95))), 5)
    assert len(payloads) > 3
    for missing in range(len(payloads)):
        units = Units()
        one = JpegDepacketizer(units, units.clock)
        units.push(one, [*payloads[:missing], Payload(None, 0, False), *payloads[missing + 1 :]])
        assert not units.units
        found = units.push(one, [payload._replace(timestamp=9) for payload in payloads])
        assert [(unit.timestamp, unit.after_hole) for unit in found] == [(9, True)]


def test_a_picture_that_lacks_the_end_which_those_before_it_had_is_left_out() -> None:
    *payloads, last = marked_last(list(jpeg_payloads(picture(95))), 5)
    assert last.data is not None
    scan = last.data.removesuffix(b"\xff\xd9")
    for end in (b"\xff\xd9", b"\xff\xd9\0\0"):
        units = Units()
        one = JpegDepacketizer(units, units.clock)
        pictures = [scan + end, scan[:-7], scan + end]
        for number, data in enumerate(pictures):
            sent = [*payloads, last._replace(data=data)]
            units.push(one, [payload._replace(timestamp=number) for payload in sent])
        assert [(unit.timestamp, unit.after_hole) for unit in units.units] == [(0, False), (2, True)]


def test_tables_that_came_before_are_remembered() -> None:
    kind, width, height, tables, scan = parse_jpeg(picture())
    head = bytes((0, 0, 0, 0, kind, 200, width // 8, height // 8))
    given = head + b"\0\0" + len(tables).to_bytes(2, "big") + tables + scan
    remembered = head + b"\0\0\0\0" + scan
    units = Units()
    found = units.push(JpegDepacketizer(units, units.clock), [Payload(given, 0, True), Payload(remembered, 1, True)])
    assert found[0].data == found[1].data


@given(st.lists(st.tuples(st.binary(max_size=60), st.booleans()), max_size=20))
def test_any_payloads_are_taken_or_dropped(payloads: list[tuple[bytes, bool]]) -> None:
    units = Units()
    one = JpegDepacketizer(units, units.clock)
    for number, (data, marker) in enumerate(payloads):
        for head in (b"", b"\0\0\0\0\1\x32\x08\x08"):
            units.push(one, [Payload(head + data, number // 2, marker)])


def test_a_picture_that_never_ends_is_dropped() -> None:
    units = Units()
    one = JpegDepacketizer(units, units.clock)
    head = bytes((0, 0, 0, 0, 1, 50, 8, 8))
    units.push(one, [Payload(head + b"x" * 60_000, 0, False)])
    for number in range(1, 400):
        units.push(
            one, [Payload(b"\0" + (60_000 * number & 0xFFFFFF).to_bytes(3, "big") + head[4:] + b"x" * 60_000, 0, False)]
        )
    assert one._held <= MAX_PICTURE_BYTES + 60_000
