"""Reads the fragmented files that we write, also torn ones, through a function, so from any store."""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from services.media.mp4.boxes import MAX_HEADER_BYTES, Header, Mp4Error, parse_header
from services.media.mp4.fragment import (
    LINK_BYTES,
    SEAL_HEAD,
    FragmentInfo,
    link,
    parse_moof,
    parse_producer_reference,
)
from services.media.mp4.movie import MovieInfo, parse_movie
from services.media.time import us_from_90k

ReadAt = Callable[[int, int], bytes]
"""``read(offset, size)``: fewer bytes only at the end of the file."""

_VERIFY_BYTES: Final = 1024 * 1024
_WINDOW_BYTES: Final = 4096
_HEAD_BYTES: Final = 2048
"""Usually more than the bytes before a fragment's data."""
_MAX_METADATA_BYTES: Final = 16 * 1024 * 1024


class Fragment(NamedTuple):
    """One complete fragment of a file."""

    offset: int
    """Where it begins: its ``prft`` box."""
    moof_offset: int
    data_offset: int
    """Where the content of its ``mdat`` begins."""
    data_end: int
    end: int
    """Where its seal ends."""
    capture_us: int
    """Capture time of the sample presented at ``media_time``."""
    media_time: int
    info: FragmentInfo
    link: bytes
    """The hash in its seal; `verify` checks it."""

    def end_us(self, track_id: int) -> int:
        """Where a track's samples in it end: its capture time and the samples' durations, in 90 kHz."""
        run = self.info.runs.get(track_id)
        return self.capture_us + us_from_90k(sum(run.durations) if run is not None else 0)


class Opening(NamedTuple):
    """The bytes before the first fragment."""

    movie: MovieInfo
    end: int
    """Where the fragments begin."""


def read_opening(read: ReadAt, size: int) -> Opening:
    """The file's movie box. Raises `Mp4Error` where it is not complete; such a file cannot be played."""
    at = 0
    while True:
        header = _header(read, at, size)
        if header is None:
            raise Mp4Error("the file ends before its movie box does")
        if header.kind == b"moov":
            body = _body(read, at, header)
            return Opening(parse_movie(body), at + header.size_bytes)
        at += header.size_bytes


def opening_link(read: ReadAt, opening: Opening) -> bytes:
    """The link that the first fragment's seal begins from."""
    return link(b"", (read(0, opening.end),))


def verify(read: ReadAt, previous: bytes, fragment: Fragment) -> bool:
    """Whether the fragment's bytes are those that were sealed after ``previous``."""
    steps = range(fragment.offset, fragment.data_end, _VERIFY_BYTES)
    data = (read(at, min(_VERIFY_BYTES, fragment.data_end - at)) for at in steps)
    return link(previous, data) == fragment.link


def read_fragments(read: ReadAt, size: int, at: int) -> Iterator[Fragment]:
    """The sealed fragments from offset ``at`` on; ends silently at the first box that is cut, damaged or unknown.

    The end of the last fragment is where the file's footage ends. Their content is not verified.
    """
    read = _in_windows(read)
    while True:
        try:
            found = _read_fragment(read, size, at)
        except Mp4Error:
            return
        if found is None:
            return
        yield found
        at = found.end


def read_fragment(read: ReadAt, size: int, at: int) -> Fragment:
    """The fragment that begins at ``at``. Raises `Mp4Error` where there is none."""
    found = _read_fragment(read, size, at)
    if found is None:
        raise Mp4Error(f"no fragment begins at byte {at}")
    return found


def _in_windows(read: ReadAt) -> ReadAt:
    """Reads ahead: a fragment's seal and the bytes before the next one's data are one read."""
    start, window = 0, b""

    def read_at(offset: int, size: int) -> bytes:
        nonlocal start, window
        if size > _WINDOW_BYTES:
            return read(offset, size)
        if not start <= offset <= offset + size <= start + len(window):
            start, window = offset, read(offset, _WINDOW_BYTES)
        return window[offset - start : offset - start + size]

    return read_at


def _read_fragment(read: ReadAt, size: int, start: int) -> Fragment | None:
    """Two reads: the bytes before the data, and the seal behind it."""
    head = read(start, max(0, min(_HEAD_BYTES, size - start)))
    prft = parse_header(head)
    if prft is None or prft.kind != b"prft":
        return None
    moof_at = prft.size_bytes
    moof = parse_header(head, moof_at)
    if moof is None or moof.kind != b"moof":
        return None
    mdat_at = moof_at + moof.size_bytes
    if mdat_at > _MAX_METADATA_BYTES:
        raise Mp4Error(f"{mdat_at} bytes before a fragment's data")
    if mdat_at + MAX_HEADER_BYTES > len(head):
        head = read(start, min(mdat_at + MAX_HEADER_BYTES, size - start))
    mdat = parse_header(head, mdat_at)
    if mdat is None or mdat.kind != b"mdat":
        return None
    data_at, seal_at = start + mdat_at + mdat.header_bytes, start + mdat_at + mdat.size_bytes
    end = seal_at + len(SEAL_HEAD) + LINK_BYTES
    seal = read(seal_at, end - seal_at) if end <= size else b""
    if not seal.startswith(SEAL_HEAD) or len(seal) != end - seal_at:
        return None
    info = parse_moof(head[moof_at + moof.header_bytes : mdat_at])
    for run in info.runs.values():
        at = start + moof_at + run.begin
        if at < data_at or at + run.size_bytes > seal_at:
            return None
    reference = parse_producer_reference(head[prft.header_bytes : moof_at])
    return Fragment(start, start + moof_at, data_at, seal_at, end, *reference, info, seal[len(SEAL_HEAD) :])


def _header(read: ReadAt, at: int, size: int) -> Header | None:
    """The header of the box at ``at`` where the whole box lies within the file."""
    header = parse_header(read(at, MAX_HEADER_BYTES))
    if header is None or not header.size_bytes or at + header.size_bytes > size:
        return None
    return header


def _body(read: ReadAt, at: int, header: Header) -> bytes:
    if header.size_bytes > _MAX_METADATA_BYTES:
        raise Mp4Error(f"a {header.kind!r} box of {header.size_bytes} bytes")
    body = read(at + header.header_bytes, header.size_bytes - header.header_bytes)
    if len(body) != header.size_bytes - header.header_bytes:
        raise Mp4Error("the file is shorter than it was")
    return body
