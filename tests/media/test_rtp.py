import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.media import rtp

elements = st.dictionaries(st.integers(1, 14), st.binary(min_size=1, max_size=16), max_size=5)


@given(
    st.integers(0, 127), st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFFFFFF),
    st.binary(max_size=50), st.booleans(), elements,
)  # fmt: skip
def test_a_packet_is_read_as_it_was_written(
    payload_type: int, sequence: int, timestamp: int, ssrc: int, payload: bytes, marker: bool, given: dict[int, bytes]
) -> None:
    packet = rtp.pack_rtp(
        payload_type, sequence, timestamp, ssrc, payload, marker=marker, extension=rtp.pack_extensions(given)
    )
    header = rtp.parse_rtp(packet)
    assert header[:6] == (marker, payload_type, sequence, timestamp, ssrc, given)
    assert packet[header.payload_at : header.payload_end] == payload


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        header = rtp.parse_rtp(data)
    except rtp.RtpError:
        return
    assert 12 <= header.payload_at <= header.payload_end <= len(data)


def test_padding_is_not_payload() -> None:
    packet = bytes((0xA0, 96)) + bytes(10) + b"abc\0\0\3"
    header = rtp.parse_rtp(packet)
    assert packet[header.payload_at : header.payload_end] == b"abc"


@pytest.mark.parametrize(("newer", "older", "delta"), [(0, 0xFFFF, 1), (0xFFFF, 0, -1), (5, 3, 2)])
def test_sequence_numbers_wrap(newer: int, older: int, delta: int) -> None:
    assert rtp.sequence_delta(newer, older) == delta


def test_abs_send_time_is_six_eighteen_fixed_point_and_wraps_after_64_seconds() -> None:
    assert rtp.abs_send_time(1.5) == 0x060000
    assert rtp.abs_send_time(65.5) == rtp.abs_send_time(1.5)
