"""NAL units: both framings, emulation prevention and the bit reader that parameter sets are read with.

Annex B (ITU-T H.264 and H.265, annex B) puts start codes before NAL units; ISO/IEC 14496-15 puts big-endian lengths.
Frames in the mesh and samples in our files have 4-byte lengths.
"""

from collections.abc import Iterable, Iterator
from typing import Final

START_CODE: Final = b"\0\0\0\1"
_SHORT_START_CODE: Final = b"\0\0\1"


class BitstreamError(ValueError):
    """The bytes are not what the codec's standard allows at this place."""


def split_annex_b(data: bytes) -> list[bytes]:
    """The NAL units of a byte stream, without start codes and zero padding; bytes before the first are dropped."""
    units: list[bytes] = []
    start = data.find(_SHORT_START_CODE)
    while start >= 0:
        start += 3
        end = data.find(_SHORT_START_CODE, start)
        # A NAL unit never ends in a zero byte (7.4.1): zeros before a start code are the stream's.
        unit = (data[start:] if end < 0 else data[start:end]).rstrip(b"\0")
        if unit:
            units.append(unit)
        start = end
    return units


def join_annex_b(units: Iterable[bytes]) -> bytes:
    """The NAL units behind 4-byte start codes, as decoders fed by FFmpeg's raw formats expect them."""
    return b"".join(part for unit in units for part in (START_CODE, unit))


def length_prefixed_spans(data: bytes, length_size: int = 4) -> Iterator[tuple[int, int]]:
    """Begin and end of each NAL unit in ``data``, copying nothing.

    Raises `BitstreamError` where a length leads outside of ``data``.
    """
    at, total = 0, len(data)
    while at < total:
        start = at + length_size
        at = start + int.from_bytes(data[at:start], "big")
        if at > total or start > total:
            raise BitstreamError(f"a NAL unit's length leads {at - total} bytes behind the access unit's end")
        if at > start:
            yield start, at


def check_length_prefixed(data: bytes) -> None:
    """Raises `BitstreamError` where `length_prefixed_spans` would."""
    at, total = 0, len(data)
    while at < total:
        at += 4 + int.from_bytes(data[at : at + 4], "big")
    if at > total:
        raise BitstreamError(f"a NAL unit's length leads {at - total} bytes behind the access unit's end")


def split_length_prefixed(data: bytes, length_size: int = 4) -> list[bytes]:
    """The NAL units in ``data``; empty ones are skipped. Raises `BitstreamError` as `length_prefixed_spans` does."""
    return [data[start:end] for start, end in length_prefixed_spans(data, length_size)]


def join_length_prefixed(units: Iterable[bytes]) -> bytes:
    """The NAL units behind 4-byte big-endian lengths."""
    parts: list[bytes] = []
    for unit in units:  # for each frame that is ingested: a generator would take twice the time
        parts += (len(unit).to_bytes(4, "big"), unit)
    return b"".join(parts)


def annex_b_to_length_prefixed(data: bytes) -> bytes:
    """A byte stream's NAL units behind 4-byte lengths."""
    return join_length_prefixed(split_annex_b(data))


def length_prefixed_to_annex_b(data: bytes) -> bytes:
    """Length-prefixed NAL units as a byte stream."""
    return join_annex_b(split_length_prefixed(data))


def unescape(unit: bytes) -> bytes:
    """A NAL unit without its emulation prevention bytes (H.264 7.3.1)."""
    return unit.replace(b"\0\0\3", b"\0\0")


def escape(rbsp: bytes) -> bytes:
    """``rbsp`` with emulation prevention bytes, as a NAL unit carries it."""
    out = bytearray()
    zeros = 0
    for byte in rbsp:
        if zeros >= 2 and byte <= 3:
            out.append(3)
            zeros = 0
        out.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(out)


class BitReader:
    """Reads the fields of an RBSP, most significant bit first. Reading behind the end raises `BitstreamError`."""

    __slots__ = ("_left", "_value")

    def __init__(self, rbsp: bytes) -> None:
        self._value = int.from_bytes(rbsp, "big")
        self._left = len(rbsp) * 8

    @property
    def bits_left(self) -> int:
        """Unread bits, trailing ones included."""
        return self._left

    def u(self, bits: int) -> int:
        """An unsigned integer of ``bits`` bits."""
        self._left -= bits
        if self._left < 0:
            raise BitstreamError("a parameter set or slice header ends too early")
        return (self._value >> self._left) & ((1 << bits) - 1)

    def peek(self, bits: int) -> int:
        """The next ``bits`` bits, which stay unread; what lies behind the end is zero."""
        rest = self._value & ((1 << self._left) - 1)
        return rest >> (self._left - bits) if self._left >= bits else rest << (bits - self._left)

    def flag(self) -> bool:
        """One bit."""
        return self.u(1) == 1

    def ue(self) -> int:
        """An unsigned Exp-Golomb code (H.264 9.1), at most 32 bits long."""
        rest = self._value & ((1 << self._left) - 1)
        zeros = self._left - rest.bit_length()
        if zeros > 32:
            raise BitstreamError("an Exp-Golomb code is longer than 32 bits")
        return self.u(2 * zeros + 1) - 1

    def se(self) -> int:
        """A signed Exp-Golomb code."""
        code = self.ue()
        return (code + 1) // 2 if code & 1 else -(code // 2)
