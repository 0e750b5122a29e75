"""RTCP: reading receivers' feedback (RFC 3550, 4585, 5104, REMB), and writing sender reports."""

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

SR: Final = 200
RR: Final = 201
SDES: Final = 202
BYE: Final = 203
TRANSPORT_FEEDBACK: Final = 205
PAYLOAD_FEEDBACK: Final = 206

NTP_EPOCH_OFFSET_SECONDS: Final = 2_208_988_800
"""From 1900 to 1970."""


class RtcpError(ValueError):
    """The bytes are not an RTCP packet."""

    def __init__(self, message: str, before: "Sequence[Packet]" = ()) -> None:
        """``before``: what the compound packet said in front of the place that cannot be read."""
        super().__init__(message)
        self.before = before


class ReportBlock(NamedTuple):
    """A receiver's view of one stream (RFC 3550, 6.4.1)."""

    ssrc: int
    fraction_lost: float
    packets_lost: int
    highest_sequence: int
    """Extended by the number of wraps."""
    jitter: int
    """In units of the RTP clock."""
    last_sr: int
    """Middle 32 bits of the last sender report's NTP time; 0: none yet."""
    delay_since_last_sr: int
    """In 1/65536 s."""


class ReceiverReport(NamedTuple):
    """Blocks of an RR, or of an SR of a peer that sends as well."""

    ssrc: int
    blocks: tuple[ReportBlock, ...]


class Nack(NamedTuple):
    """Packets asked for again (RFC 4585, 6.2.1)."""

    ssrc: int
    sequences: tuple[int, ...]


class KeyframeRequest(NamedTuple):
    """PLI (RFC 4585, 6.3.1) or FIR (RFC 5104, 4.3.1)."""

    ssrc: int


class Remb(NamedTuple):
    """Receiver estimated maximum bitrate (draft-alvestrand-rmcat-remb-03)."""

    bitrate_bps: int
    ssrcs: tuple[int, ...]


class TransportFeedback(NamedTuple):
    """Transport-wide congestion control feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01), counted only."""

    base_sequence: int
    packets: int


class SenderReport(NamedTuple):
    """Ties a stream's RTP time to wall-clock time (RFC 3550, 6.4.1)."""

    ssrc: int
    ntp: int
    """64 bits: seconds since 1900 and their fraction."""
    rtp_timestamp: int
    packets: int
    octets: int


class Bye(NamedTuple):
    """Streams that end."""

    ssrcs: tuple[int, ...]


Packet = ReceiverReport | SenderReport | Nack | KeyframeRequest | Remb | TransportFeedback | Bye


def ntp_from_unix_us(unix_us: int) -> int:
    """NTP time, 64 bits, of a Unix time in microseconds."""
    seconds, micros = divmod(unix_us, 1_000_000)
    return (seconds + NTP_EPOCH_OFFSET_SECONDS & 0xFFFFFFFF) << 32 | (micros << 32) // 1_000_000


def unix_us_from_ntp(ntp: int) -> int:
    """Unix time in microseconds of an NTP time, 64 bits. Its era is that of 1968 to 2104 (RFC 5905, 6)."""
    seconds = ntp >> 32
    if seconds < 0x80000000:
        seconds += 1 << 32
    return (seconds - NTP_EPOCH_OFFSET_SECONDS) * 1_000_000 + ((ntp & 0xFFFFFFFF) * 1_000_000 >> 32)


def parse_rtcp(data: bytes) -> list[Packet]:
    """The content of a compound or reduced-size packet; unknown kinds are skipped.

    Raises `RtcpError` where lengths do not fit.
    """
    found: list[Packet] = []
    at, total = 0, len(data)
    while at < total:
        if total - at < 4:
            raise RtcpError("an RTCP packet is cut off", found)
        first, kind, words = struct.unpack_from(">BBH", data, at)
        end = at + 4 + 4 * words
        if first >> 6 != 2 or end > total:
            raise RtcpError("an RTCP packet is cut off or of another version", found)
        try:
            found.extend(_parse_one(first & 0x1F, kind, data[at + 4 : end]))
        except struct.error as error:
            raise RtcpError(f"an RTCP packet of type {kind} is too short", found) from error
        at = end
    return found


def _parse_one(count: int, kind: int, body: bytes) -> Iterator[Packet]:
    if kind == RR:
        (ssrc,) = struct.unpack_from(">I", body)
        yield ReceiverReport(ssrc, _blocks(body, 4, count))
    elif kind == SR:
        ssrc, ntp, timestamp, packets, octets = struct.unpack_from(">IQIII", body)
        yield SenderReport(ssrc, ntp, timestamp, packets, octets)
        if count:
            yield ReceiverReport(ssrc, _blocks(body, 24, count))
    elif kind == BYE:
        yield Bye(struct.unpack_from(f">{count}I", body))
    elif kind == TRANSPORT_FEEDBACK:
        _, ssrc = struct.unpack_from(">II", body)
        if count == 1:
            yield Nack(ssrc, tuple(_nacked(body)))
        elif count == 15:  # same packet type as NACK, another format
            base, packets = struct.unpack_from(">HH", body, 8)
            yield TransportFeedback(base, packets)
    elif kind == PAYLOAD_FEEDBACK:
        _, ssrc = struct.unpack_from(">II", body)
        if count == 1:
            yield KeyframeRequest(ssrc)
        elif count == 4:
            for at in range(8, len(body) - 7, 8):
                yield KeyframeRequest(struct.unpack_from(">I", body, at)[0])
        elif count == 15 and body[8:12] == b"REMB":
            number, low = struct.unpack_from(">BxH", body, 12)
            mantissa = (body[13] & 3) << 16 | low
            yield Remb(mantissa << (body[13] >> 2), struct.unpack_from(f">{number}I", body, 16))


def _blocks(body: bytes, at: int, count: int) -> tuple[ReportBlock, ...]:
    blocks = []
    for begin in range(at, at + 24 * count, 24):
        ssrc, lost, highest, jitter, lsr, dlsr = struct.unpack_from(">IIIIII", body, begin)
        total = (lost & 0xFFFFFF) - ((lost & 0x800000) << 1)
        blocks.append(ReportBlock(ssrc, (lost >> 24) / 256, total, highest, jitter, lsr, dlsr))
    return tuple(blocks)


def _nacked(body: bytes) -> Iterator[int]:
    for at in range(8, len(body) - 3, 4):
        first, following = struct.unpack_from(">HH", body, at)
        yield first
        for bit in range(16):
            if following >> bit & 1:
                yield first + bit + 1 & 0xFFFF


def pack_sender_reports(reports: Iterable[SenderReport], cname: str) -> bytes:
    """One compound packet with a report for each stream, and a source description for the first.

    Several reporters in one compound are what RFC 8108, 5.3 allows; 40 of them fit into 1200 bytes.
    """
    parts: list[bytes] = []
    first_ssrc = 0
    for report in reports:
        first_ssrc = first_ssrc or report.ssrc
        parts.append(struct.pack(">BBHIQIII", 0x80, SR, 6, *report))
    if not parts:
        return b""
    item = b"\x01" + bytes((len(cname),)) + cname.encode("ascii") + b"\0"
    chunk = first_ssrc.to_bytes(4, "big") + item + b"\0" * (-len(item) % 4)
    parts.append(struct.pack(">BBH", 0x81, SDES, len(chunk) // 4) + chunk)
    return b"".join(parts)


def pack_receiver_report(
    ssrc: int, of_ssrc: int, fraction_lost: int, lost: int, highest_sequence: int, last_sr: int, delay: int
) -> bytes:
    """A receiver report with one block (RFC 3550, 6.4.2) and an empty CNAME; jitter is not measured.

    ``fraction_lost`` is in 1/256, ``delay`` since ``last_sr`` in 1/65536 s.
    """
    lost = min(lost, 0x7FFFFF)
    block = struct.pack(">IIIIII", of_ssrc, fraction_lost << 24 | lost, highest_sequence, 0, last_sr, delay)
    description = struct.pack(">BBHIBBH", 0x81, SDES, 2, ssrc, 1, 0, 0)
    return struct.pack(">BBHI", 0x81, RR, 7, ssrc) + block + description


def round_trip_ms(block: ReportBlock, now_ntp: int) -> float | None:
    """The round trip time of a report block (RFC 3550, 6.4.1, figure 2); None before its first sender report."""
    if not block.last_sr:
        return None
    elapsed = (now_ntp >> 16) - block.last_sr - block.delay_since_last_sr & 0xFFFFFFFF
    return elapsed / 65.536 if elapsed < 0x80000000 else 0.0
