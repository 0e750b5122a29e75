"""JPEG from RTP (RFC 2435): the headers that the payload format leaves out are written anew around the scans.

Types 0 and 1 (4:2:2 and 4:2:0, without and, as 64 and 65, with restart markers) and all values of Q are taken.
"""

from typing import Final

from services.media.depacketize.unit_sink import ArrivalClock, UnitSink
from services.media.nal import BitstreamError

MAX_PICTURE_BYTES: Final = 8 * 1024 * 1024
_MAIN_HEADER_BYTES: Final = 8
_END_OF_IMAGE: Final = b"\xff\xd9"
_LUMA = (
    16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40, 26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51, 61,
    60, 57, 51, 56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87, 95, 98, 103, 104, 103, 62, 77, 113,
    121, 112, 100, 120, 92, 101, 103, 99,
)  # fmt: skip
_CHROMA = (17, 18, 18, 24, 21, 24, 47, 26, 26, 47, 99, 66, 56, 66, *(99,) * 50)
"""The quantization tables of T.81, K.1 in zigzag order (RFC 2435, appendix A)."""


def _codes(values: str, symbols: bytes) -> tuple[bytes, bytes]:
    return bytes.fromhex(values), symbols


_AC_LUMA_SYMBOLS: Final = bytes.fromhex(
    "01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a25262728292a343536373839"
    "3a434445464748494a535455565758595a636465666768696a737475767778797a838485868788898a92939495969798999aa2a3a4a5a6a7"
    "a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9fa"
)
_AC_CHROMA_SYMBOLS: Final = bytes.fromhex(
    "000102031104052131061241510761711322328108144291a1b1c109233352f0156272d10a162434e125f11718191a262728292a35363738"
    "393a434445464748494a535455565758595a636465666768696a737475767778797a82838485868788898a92939495969798999aa2a3a4a5"
    "a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae2e3e4e5e6e7e8e9eaf2f3f4f5f6f7f8f9fa"
)
_HUFFMAN: Final = (
    (0x00, *_codes("00010501010101010100000000000000", bytes(range(12)))),
    (0x10, *_codes("0002010303020403050504040000017d", _AC_LUMA_SYMBOLS)),
    (0x01, *_codes("00030101010101010101010000000000", bytes(range(12)))),
    (0x11, *_codes("00020102040403040705040400010277", _AC_CHROMA_SYMBOLS)),
)
"""Class and id, code counts and symbols of the Huffman tables of T.81, K.3."""


def quantization_tables(quality: int) -> bytes:
    """The luma and chroma tables of a Q from 1 to 99 (RFC 2435, 4.2)."""
    quality = min(max(quality, 1), 99)
    factor = 5000 // quality if quality < 50 else 200 - 2 * quality
    return bytes(min(max((value * factor + 50) // 100, 1), 255) for value in (*_LUMA, *_CHROMA))


def _segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(body) + 2).to_bytes(2, "big") + body


def picture_headers(kind: int, width_px: int, height_px: int, tables: bytes, restart_interval: int) -> bytes:
    """All that stands in front of a picture's scan data (RFC 2435, appendix B)."""
    # Tables of 64 bytes have a precision of 8 bits, those of 128 one of 16.
    size = 64 if len(tables) in (64, 128) else 128
    count = max(1, len(tables) // size)
    parts = [b"\xff\xd8"]
    for number in range(count):
        precision = 0x10 if size == 128 else 0
        parts.append(_segment(0xDB, bytes((precision | number,)) + tables[number * size : (number + 1) * size]))
    if restart_interval:
        parts.append(_segment(0xDD, restart_interval.to_bytes(2, "big")))
    sampling = 0x21 if kind & 1 == 0 else 0x22
    chroma = min(1, count - 1)
    size_px = height_px.to_bytes(2, "big") + width_px.to_bytes(2, "big")
    components = bytes((3, 1, sampling, 0, 2, 0x11, chroma, 3, 0x11, chroma))
    parts.append(_segment(0xC0, b"\x08" + size_px + components))
    parts += [_segment(0xC4, bytes((name,)) + counts + symbols) for name, counts, symbols in _HUFFMAN]
    parts.append(_segment(0xDA, bytes((3, 1, 0x00, 2, 0x11, 3, 0x11, 0, 63, 0))))
    return b"".join(parts)


class JpegDepacketizer:
    push_picture = None

    def __init__(self, sink: UnitSink, clock: ArrivalClock) -> None:
        self.malformed = 0
        self._sink = sink
        self._clock = clock
        self._parts: list[bytes] = []
        self._held = 0
        self._headers = b""
        self._time = 0
        self._broken = True
        self._hole = False
        self._tables: dict[int, bytes] = {}
        self._says_end = False
        """Whether the sender's pictures end with a marker: one without it is cut."""

    def push(self, buffer: bytearray, start: int, end: int, marker: bool, timestamp: int) -> None:
        if start == end:
            return
        if self._parts and timestamp != self._time:
            self._complete()
        try:
            self._take(bytes(buffer[start:end]), timestamp)
        except BitstreamError:
            self.malformed += 1
            self._broken = True
        if self._held > MAX_PICTURE_BYTES:
            self._drop()
        if marker:
            self._complete()

    def _take(self, payload: bytes, timestamp: int) -> None:
        if len(payload) < _MAIN_HEADER_BYTES:
            raise BitstreamError("a JPEG payload is cut off")
        offset, kind, quality = int.from_bytes(payload[1:4], "big"), payload[4], payload[5]
        width_px, height_px = 8 * payload[6], 8 * payload[7]
        at, interval = _MAIN_HEADER_BYTES, 0
        if 64 <= kind <= 127:
            interval = int.from_bytes(payload[at : at + 2], "big")
            at += 4
        if kind & 0x3F > 1 or kind > 127:
            raise BitstreamError(f"JPEG type {kind} is not known here")
        if not offset:
            tables = quantization_tables(quality)
            if quality >= 128:
                size = int.from_bytes(payload[at + 2 : at + 4], "big")
                given = payload[at + 4 : at + 4 + size]
                at += 4 + size
                # Tables of a Q below 255 are sent once and stay (3.1.8).
                tables = given or self._tables.get(quality, b"")
                self._tables[quality] = tables
            if len(tables) < 64 or not width_px or not height_px:
                raise BitstreamError("a JPEG picture without tables or size")
            self._drop()
            self._broken = False
            self._headers = picture_headers(kind, width_px, height_px, tables, interval)
            self._time = timestamp
        elif offset != self._held:
            self._broken = True
        if not self._broken:
            self._parts.append(payload[at:])
            self._held += len(payload) - at

    def _complete(self) -> None:
        ends = not self._broken and self._ends_with_marker()
        self._says_end = self._says_end or ends
        if self._broken or not self._parts or ends is not self._says_end:
            self._hole = True
        else:
            hole, self._hole = self._hole, False
            picture = b"".join((self._headers, *self._parts, b"" if ends else _END_OF_IMAGE))
            self._sink(picture, self._time, self._clock.arrival_us, False, hole)
        self._drop()

    def _ends_with_marker(self) -> bool:
        """Zeros may stand behind it."""
        return b"".join(self._parts[-2:]).rstrip(b"\0").endswith(_END_OF_IMAGE)

    def _drop(self) -> None:
        self._parts.clear()
        self._held = 0
        self._broken = True

    def lose(self) -> None:
        self._hole = True
        self._broken = True

    def flush(self, silent_seconds: float) -> None:
        """A picture without its end is of no use."""
