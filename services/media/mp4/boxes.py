"""Boxes: building them, and walking over those of a file or a buffer (ISO/IEC 14496-12, 4.2)."""

from collections.abc import Iterable, Iterator
from struct import Struct
from typing import Final, NamedTuple

MAX_HEADER_BYTES: Final = 16
"""Size, type and largesize."""
CONTAINERS: Final = frozenset(
    (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"mvex", b"moof", b"traf", b"edts", b"udta")
)
"""Boxes that hold only boxes."""


class Mp4Error(ValueError):
    """The bytes are no MP4 of ours: cut, damaged, or with boxes that we do not write."""


class Header(NamedTuple):
    """A box's header."""

    kind: bytes
    header_bytes: int
    size_bytes: int
    """Header included; 0: up to the end of the file."""


_HEADER: Final = Struct(">I4s")
_U32: Final = Struct(">I")
_U64: Final = Struct(">Q")
_TYPE_BYTES: Final = bytes((*range(0x20, 0x7F), 0xA9))
"""Every type is four printable characters (© is what QuickTime adds); anything else is no box."""


class Box(NamedTuple):
    """Where a box's content stands in a buffer."""

    kind: bytes
    start: int
    end: int


def box(kind: bytes, *parts: bytes) -> bytes:
    """A box."""
    size = 8 + sum(map(len, parts))
    return b"".join((size.to_bytes(4, "big"), kind, *parts))


def full_box(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    """A box with version and flags."""
    return box(kind, (version << 24 | flags).to_bytes(4, "big"), *parts)


def parse_header(data: bytes, at: int = 0, end: int | None = None) -> Header | None:
    """The header at ``at``; None where ``data[at:end]`` is too short to hold it.

    Raises `Mp4Error` where no box can begin so.
    """
    left = (len(data) if end is None else end) - at
    if left < 8:
        return None
    size, kind = _HEADER.unpack_from(data, at)
    header = 8
    if size == 1:
        if left < MAX_HEADER_BYTES:
            return None
        size, header = int.from_bytes(data[at + 8 : at + 16], "big"), 16
    if size and size < header:
        raise Mp4Error(f"a box of {size} bytes")
    if kind.translate(None, _TYPE_BYTES):
        raise Mp4Error(f"no box has the type {kind.hex()}")
    return Header(kind, header, size)


def children(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """The boxes within ``data[start:end]``. Raises `Mp4Error` where one leads outside."""
    end = len(data) if end is None else end
    while start < end:
        header = parse_header(data, start, end)
        if header is None:
            raise Mp4Error("a box's header is cut")
        size = header.size_bytes or end - start
        if start + size > end:
            raise Mp4Error(f"a box {header.kind!r} leads {start + size - end} bytes outside of its container")
        yield Box(header.kind, start + header.header_bytes, start + size)
        start += size


def find(data: bytes, path: str, start: int = 0, end: int | None = None) -> Box | None:
    """The first box at ``path`` (``trak/mdia/mdhd``), None where there is none."""
    first, _, rest = path.partition("/")
    for child in children(data, start, end):
        if child.kind == first.encode():
            return find(data, rest, child.start, child.end) if rest else child
    return None


def need(data: bytes, path: str, start: int = 0, end: int | None = None) -> Box:
    """As `find`; raises `Mp4Error` where there is none."""
    found = find(data, path, start, end)
    if found is None:
        raise Mp4Error(f"there is no box {path}")
    return found


def first(boxes: Iterable[Box], kind: bytes) -> Box:
    """The first of ``boxes`` of a kind; raises `Mp4Error` where there is none."""
    for item in boxes:
        if item.kind == kind:
            return item
    raise Mp4Error(f"there is no box {kind.decode()}")


def u32(data: bytes, at: int) -> int:
    """A big-endian u32; raises `Mp4Error` behind the end."""
    return _number(_U32, data, at)


def u64(data: bytes, at: int) -> int:
    """A big-endian u64; raises `Mp4Error` behind the end."""
    return _number(_U64, data, at)


def _number(form: Struct, data: bytes, at: int) -> int:
    if at < 0 or at + form.size > len(data):
        raise Mp4Error("a box ends too early")
    value: int = form.unpack_from(data, at)[0]
    return value
