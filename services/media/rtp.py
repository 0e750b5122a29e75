"""RTP (RFC 3550): the header and its extensions (RFC 8285), and arithmetic on numbers that wrap."""

import struct
from typing import Final, NamedTuple

HEADER_BYTES: Final = 12
VERSION_BITS: Final = 0x80
EXTENSION_BIT: Final = 0x10
MARKER_BIT: Final = 0x80
ONE_BYTE_PROFILE: Final = 0xBEDE
_HEADER: Final = struct.Struct(">BBHII")


class RtpError(ValueError):
    """The bytes are not an RTP packet."""


class RtpHeader(NamedTuple):
    """The header of an RTP packet."""

    marker: bool
    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    extensions: dict[int, bytes]
    """One-byte header extensions by id."""
    payload_at: int
    payload_end: int
    """Behind the payload: padding is not counted in."""


def parse_rtp(packet: bytes) -> RtpHeader:
    """The header of ``packet``. Raises `RtpError` where it is cut off or of another version."""
    if len(packet) < HEADER_BYTES:
        raise RtpError(f"{len(packet)} bytes are no RTP packet")
    first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(packet)
    if first >> 6 != 2:
        raise RtpError(f"RTP version {first >> 6}")
    at = HEADER_BYTES + 4 * (first & 0x0F)
    extensions: dict[int, bytes] = {}
    if first & EXTENSION_BIT:
        if at + 4 > len(packet):
            raise RtpError("the header extension is cut off")
        profile, words = struct.unpack_from(">HH", packet, at)
        begin, at = at + 4, at + 4 + 4 * words
        if at > len(packet):
            raise RtpError("the header extension is cut off")
        if profile == ONE_BYTE_PROFILE:
            extensions = _parse_extensions(packet[begin:at])
    end = len(packet)
    if first & 0x20:
        end -= packet[-1]
    if at > end:
        raise RtpError("the header or the padding leaves no room")
    return RtpHeader(bool(second & MARKER_BIT), second & 0x7F, sequence, timestamp, ssrc, extensions, at, end)


def _parse_extensions(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at = 0
    while at < len(data):
        number, length = data[at] >> 4, (data[at] & 0x0F) + 1
        if data[at] == 0:  # padding
            at += 1
            continue
        if number == 15:  # RFC 8285, 4.2: stop here
            break
        found[number] = data[at + 1 : at + 1 + length]
        at += 1 + length
    return found


def pack_extensions(elements: dict[int, bytes]) -> bytes:
    """The header extension block, padded to whole words; empty where there is no extension."""
    if not elements:
        return b""
    body = b"".join(bytes((number << 4 | len(value) - 1,)) + value for number, value in elements.items())
    body += b"\0" * (-len(body) % 4)
    return struct.pack(">HH", ONE_BYTE_PROFILE, len(body) // 4) + body


def pack_rtp(
    payload_type: int, sequence: int, timestamp: int, ssrc: int, payload: bytes, *, marker: bool, extension: bytes = b""
) -> bytes:
    """One packet; ``extension`` as `pack_extensions` makes it."""
    first = VERSION_BITS | (EXTENSION_BIT if extension else 0)
    second = payload_type | (MARKER_BIT if marker else 0)
    return _HEADER.pack(first, second, sequence, timestamp, ssrc) + extension + payload


def sequence_delta(newer: int, older: int) -> int:
    """How far ``newer`` is behind ``older`` on the 16-bit circle, -32768 to 32767."""
    return ((newer - older + 0x8000) & 0xFFFF) - 0x8000


def abs_send_time(unix_seconds: float) -> int:
    """The 24-bit value of the abs-send-time extension: seconds modulo 64 in 6.18 fixed point."""
    return int(unix_seconds * 262144) & 0xFFFFFF
