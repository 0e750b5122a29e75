import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.media import rtcp

# One compound as Chromium sends it: a receiver report with two blocks, a REMB for both streams.
BLOCK = struct.pack(">IIIIII", 0x1111, 0x40000005, 0x00010020, 90, 0x12345678, 0x00010000)
REPORT = struct.pack(">BBHI", 0x82, 201, 13, 1) + BLOCK + struct.pack(">IIIIII", 0x2222, 0x00FFFFFF, 7, 0, 0, 0)
REMB = struct.pack(">BBHII", 0x8F, 206, 6, 1, 0) + b"REMB\x02" + bytes((9 << 2 | 1, 0x86, 0xA0))
COMPOUND = REPORT + REMB + struct.pack(">II", 0x1111, 0x2222)


def test_a_compound_of_a_browser_is_read() -> None:
    report, remb = rtcp.parse_rtcp(COMPOUND)
    assert isinstance(report, rtcp.ReceiverReport)
    first, second = report.blocks
    assert first == rtcp.ReportBlock(0x1111, 0.25, 5, 0x10020, 90, 0x12345678, 0x10000)
    assert second.packets_lost == -1  # duplicates make the count negative
    assert remb == rtcp.Remb(100_000 << 9, (0x1111, 0x2222))


def test_nack_names_each_packet_and_wraps() -> None:
    packet = struct.pack(">BBHIIHHHH", 0x81, 205, 4, 1, 7, 0xFFFE, 0b101, 9, 0)
    assert rtcp.parse_rtcp(packet) == [rtcp.Nack(7, (0xFFFE, 0xFFFF, 1, 9))]


def test_pli_fir_and_transport_feedback_are_told_apart() -> None:
    pli = struct.pack(">BBHII", 0x81, 206, 2, 1, 7)
    fir = struct.pack(">BBHIIII", 0x84, 206, 4, 1, 0, 8, 0)
    transport = struct.pack(">BBHIIHHI", 0x8F, 205, 4, 1, 0, 10, 3, 0)
    assert rtcp.parse_rtcp(pli + fir + transport) == [
        rtcp.KeyframeRequest(7), rtcp.KeyframeRequest(8), rtcp.TransportFeedback(10, 3)
    ]  # fmt: skip


@given(st.binary(max_size=120))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    # passes if nothing raises
    with contextlib.suppress(rtcp.RtcpError):
        rtcp.parse_rtcp(data)


@given(st.integers(0, len(COMPOUND) - 1), st.integers(0, 255))
def test_a_damaged_compound_is_read_or_refused(place: int, value: int) -> None:
    # passes if nothing raises
    damaged = bytearray(COMPOUND)
    damaged[place] = value
    for data in (bytes(damaged), COMPOUND[:place]):
        with contextlib.suppress(rtcp.RtcpError):
            rtcp.parse_rtcp(data)


def test_sender_reports_share_one_compound() -> None:
    reports = [rtcp.SenderReport(n, 1 << 40, 5, 6, 7) for n in (1, 2, 3)]
    packet = rtcp.pack_sender_reports(reports, "abc")
    assert len(packet) % 4 == 0
    assert rtcp.parse_rtcp(packet) == reports
    assert rtcp.pack_sender_reports([], "abc") == b""


@pytest.mark.parametrize("count", [36, 40])
def test_many_sender_reports_fit_into_a_datagram(count: int) -> None:
    reports = [rtcp.SenderReport(n, 0, 0, 0, 0) for n in range(count)]
    assert len(rtcp.pack_sender_reports(reports, "0123456789abcdef")) < 1200


def test_round_trips_are_what_is_left_of_the_time_that_passed() -> None:
    sent = rtcp.ntp_from_unix_us(1_700_000_000_000_000)
    back = rtcp.ntp_from_unix_us(1_700_000_000_150_000)
    block = rtcp.ReportBlock(1, 0, 0, 0, 0, sent >> 16 & 0xFFFFFFFF, 65536 // 10)
    assert rtcp.round_trip_ms(block, back) == pytest.approx(50, abs=0.1)
    assert rtcp.round_trip_ms(block._replace(last_sr=0), back) is None


@given(st.integers(-61_505_000_000_000, 3_000_000_000_000_000))
def test_ntp_times_are_read_back_over_both_eras(unix_us: int) -> None:
    assert abs(rtcp.unix_us_from_ntp(rtcp.ntp_from_unix_us(unix_us)) - unix_us) <= 1
