"""RTP payloads are put together again by a depacketizer written from the RFCs, and decoded."""

import struct

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.media.nal import BitstreamError, annex_b_to_length_prefixed, join_length_prefixed, split_length_prefixed
from services.media.packetize import Packetizer, packetize_h264, packetize_h265
from tests.media.encoded import video

h264_units = st.lists(
    st.tuples(st.sampled_from([1, 5, 6, 7, 8]), st.integers(0, 3), st.binary(max_size=900)), min_size=1, max_size=8
).map(lambda units: [bytes((ref << 5 | kind,)) + body for kind, ref, body in units])
h265_units = st.lists(
    st.tuples(st.sampled_from([1, 19, 32, 33, 34, 39]), st.integers(1, 7), st.binary(min_size=1, max_size=900)),
    min_size=1,
    max_size=8,
).map(lambda units: [bytes((kind << 1, tid)) + body for kind, tid, body in units])


def unpack(payloads: list[bytes], header: int, group: int, fragment: int, kind_of: int) -> list[bytes]:
    """NAL units from payloads; ``header`` is the size of a NAL unit's header, ``kind_of`` the type's place in it."""
    units: list[bytes] = []
    pending = b""
    for payload in payloads:
        kind = payload[0] & 0x1F if header == 1 else payload[0] >> 1 & 0x3F
        if kind == group:
            at = header
            while at < len(payload):
                (size,) = struct.unpack_from(">H", payload, at)
                units.append(payload[at + 2 : at + 2 + size])
                at += 2 + size
            assert at == len(payload)
        elif kind == fragment:
            bits = payload[header]
            if bits & 0x80:
                assert not pending
                pending = (
                    bytes((payload[0] & 0xE0 | bits & 0x1F,))
                    if header == 1
                    else bytes((payload[0] & 0x81 | (bits & 0x3F) << 1, payload[1]))
                )
            pending += payload[header + 1 :]
            if bits & 0x40:
                units.append(pending)
                pending = b""
        else:
            units.append(payload)
    assert not pending
    return units


def check(packetize: Packetizer, units: list[bytes], limit: int, header: int, group: int, fragment: int) -> None:
    payloads = packetize(join_length_prefixed(units), limit)
    assert all(len(p) <= limit for p in payloads)
    assert unpack(payloads, header, group, fragment, 0) == units


@given(h264_units, st.integers(64, 1200))
def test_h264_comes_out_as_it_went_in(units: list[bytes], limit: int) -> None:
    # passes if nothing raises
    check(packetize_h264, units, limit, 1, 24, 28)


@given(h265_units, st.integers(64, 1200))
def test_h265_comes_out_as_it_went_in(units: list[bytes], limit: int) -> None:
    # passes if nothing raises
    check(packetize_h265, units, limit, 2, 48, 49)


@given(st.binary(max_size=200), st.integers(64, 1200))
def test_garbage_is_packetized_or_refused(data: bytes, limit: int) -> None:
    for packetize in (packetize_h264, packetize_h265):
        try:
            payloads = packetize(data, limit)
        except BitstreamError:
            continue
        assert all(len(payload) <= limit for payload in payloads)


def test_fragments_have_one_size_but_for_the_last() -> None:
    sizes = [len(p) for p in packetize_h264(join_length_prefixed([b"\x65" + bytes(10_000)]), 1192)]
    assert set(sizes[:-1]) == {1192}
    assert 0 < sizes[-1] <= 1192


def test_an_aggregate_says_the_highest_importance_and_delimiters_are_left_out() -> None:
    units = [b"\x09\xf0", b"\x67abc", b"\x48def", b"\x0c" + b"\xff" * 20]
    (payload,) = packetize_h264(join_length_prefixed(units), 1192)
    assert payload[:1] == b"\x78"  # NRI 3, type 24
    assert unpack([payload], 1, 24, 28, 0) == units[1:3]


@pytest.mark.parametrize(
    ("encoder", "decoder", "packetize", "numbers"),
    [("libx264", "h264", packetize_h264, (1, 24, 28)), ("libx265", "hevc", packetize_h265, (2, 48, 49))],
)
def test_a_real_stream_still_decodes(
    encoder: str, decoder: str, packetize: Packetizer, numbers: tuple[int, int, int]
) -> None:
    stream = video(encoder, size=(320, 180), frames=12)
    context = av.CodecContext.create(decoder, "r")
    assert isinstance(context, av.VideoCodecContext)
    pictures = 0
    for packet in stream.packets:
        unit = annex_b_to_length_prefixed(packet.data)
        units = unpack(packetize(unit, 300), *numbers, 0)
        pictures += len(context.decode(av.Packet(b"".join(b"\0\0\0\1" + u for u in units))))
        assert all(u in split_length_prefixed(unit) for u in units)
    pictures += len(context.decode(None))
    assert pictures == 12
