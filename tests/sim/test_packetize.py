"""RTP payload formats, held against depacketizers written here from the RFCs."""

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from services.sim.clip import ClipUnit, EncodedClip
from services.sim.packetize import (
    PAYLOAD_BYTES,
    PacketRun,
    Reel,
    h264_payloads,
    hevc_payloads,
    jpeg_payloads,
    parse_jpeg,
)
from services.sim.pictures import stamp

SIZES = st.integers(3, 6 * PAYLOAD_BYTES)


def join_h264(payloads: list[bytes]) -> bytes:
    if len(payloads) == 1:
        return payloads[0]
    assert [payload[1] >> 6 for payload in payloads] == [2, *[0] * (len(payloads) - 2), 1]
    assert {payload[0] & 31 for payload in payloads} == {28}
    return bytes((payloads[0][0] & 0xE0 | payloads[0][1] & 31,)) + b"".join(payload[2:] for payload in payloads)


def join_hevc(payloads: list[bytes]) -> bytes:
    if len(payloads) == 1:
        return payloads[0]
    assert [payload[2] >> 6 for payload in payloads] == [2, *[0] * (len(payloads) - 2), 1]
    assert {payload[0] >> 1 & 63 for payload in payloads} == {49}
    first = payloads[0]
    return bytes((first[0] & 0x81 | (first[2] & 63) << 1, first[1])) + b"".join(payload[3:] for payload in payloads)


@given(SIZES, st.integers(1, 23), st.integers(0, 3))
def test_an_h264_nal_unit_comes_out_as_it_went_in(size: int, kind: int, importance: int) -> None:
    nal = bytes((importance << 5 | kind,)) + bytes(index * 7 % 251 for index in range(size - 1))
    payloads = list(h264_payloads(nal))
    assert max(map(len, payloads)) <= PAYLOAD_BYTES
    assert join_h264(payloads) == nal


@given(SIZES, st.integers(0, 40))
def test_an_hevc_nal_unit_comes_out_as_it_went_in(size: int, kind: int) -> None:
    nal = bytes((kind << 1, 1)) + bytes(index * 7 % 251 for index in range(size - 2))
    payloads = list(hevc_payloads(nal))
    assert max(map(len, payloads)) <= PAYLOAD_BYTES
    assert join_hevc(payloads) == nal


def jpeg(width: int, height: int, subsampling: int) -> bytes:
    pixels = np.random.default_rng(1).integers(0, 255, (height, width, 3), np.uint8)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=80, subsampling=subsampling)
    return file.getvalue()


@pytest.mark.parametrize(("subsampling", "kind"), [(1, 0), (2, 1)])
def test_a_jpeg_travels_in_offsets_with_its_tables_first(subsampling: int, kind: int) -> None:
    picture = jpeg(320, 176, subsampling)
    _, _, _, tables, scan = parse_jpeg(picture)
    payloads = list(jpeg_payloads(picture))
    assert len(payloads) > 5
    joined = b""
    for index, payload in enumerate(payloads):
        assert len(payload) <= PAYLOAD_BYTES
        assert int.from_bytes(payload[1:4], "big") == len(joined)
        assert payload[4:8] == bytes((kind, 255, 320 // 8, 176 // 8))
        assert index or payload[8:12] == b"\x00\x00\x00\x80"
        assert index or payload[12:140] == tables
        joined += payload[140:] if index == 0 else payload[8:]
    assert joined == scan


@pytest.mark.parametrize("picture", [jpeg(320, 176, 0), jpeg(321, 176, 2), b"\xff\xd8\xff\xd9", b""])
def test_a_jpeg_that_rtp_cannot_carry_is_refused(picture: bytes) -> None:
    with pytest.raises(ValueError, match="JPEG"):
        parse_jpeg(picture)


def nal(kind: int, size: int) -> bytes:
    return bytes((kind,)) + bytes(size - 1)


def clip(presentations: list[int]) -> EncodedClip:
    units = []
    for index, presentation in enumerate(presentations):
        data = nal(0x65 if index == 0 else 0x41, 5000)
        units.append(ClipUnit(presentation, index == 0, len(data).to_bytes(4, "big") + data))
    return EncodedClip("h264", 640, 360, 90_000, 3600, (nal(0x67, 20), nal(0x68, 5)), tuple(units))


def headers(run: PacketRun, wire: bytearray) -> list[tuple[int, int, int, int]]:
    """Sequence number, timestamp, SSRC and marker bit of each packet."""
    return [
        (int.from_bytes(p[2:4], "big"), int.from_bytes(p[4:8], "big"), int.from_bytes(p[8:12], "big"), p[1] >> 7)
        for p in map(bytes, run.packets(wire))
    ]


def test_a_rendered_frame_is_numbered_stamped_and_framed_for_its_channel() -> None:
    run = Reel(clip([0, 1])).runs()[0]
    wire = run.render(6, 65534, 1234, 0xABCDEF01, stamp.text(9, 77, 123))
    found = headers(run, wire)
    assert [each[0] for each in found] == [(65534 + index) % 65536 for index in range(len(found))]
    assert {each[1:3] for each in found} == {(1234, 0xABCDEF01)}
    assert [each[3] for each in found] == [*[0] * (len(found) - 1), 1]
    assert stamp.parse(bytes(wire)) == (9, 77, 123)
    at = 0
    while at < len(wire):
        assert wire[at : at + 2] == b"$\x06"
        at += 4 + int.from_bytes(wire[at + 2 : at + 4], "big")
    assert at == len(wire)
    assert run.render(0, 1, 2, 3) != wire, "the template is not changed by rendering"


def test_parameter_sets_go_before_keyframes_unless_they_are_held_back() -> None:
    def kinds(run: PacketRun) -> list[int]:
        return [packet[12] & 31 for packet in run.packets(run.render(0, 0, 0, 0))]

    reel = Reel(clip([0, 1]))
    assert kinds(reel.runs()[0])[:3] == [7, 8, 6]
    assert kinds(reel.runs()[1])[0] == 6
    assert kinds(reel.runs(in_band=False)[0])[0] == 6


def test_b_frames_are_sent_late_rather_than_shown_early() -> None:
    runs = Reel(clip([0, 3, 1, 2])).runs()
    assert [run.delay_ticks for run in runs] == [-2 * 3600, 0, -3 * 3600, -3 * 3600]
