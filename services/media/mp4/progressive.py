"""A whole MP4 with its movie box in front. Clips have this form: every player can seek in it and follows its edits.

The samples are copied unchanged; only the tables are made. Decoding times are written as they are and composition
offsets raised until none is negative (version 0 of ``ctts``, which old players read); the edit list takes that back.
"""

from array import array
from collections.abc import Iterable, Sequence
from itertools import groupby
from struct import Struct
from typing import Final, NamedTuple

from services.media.mp4.boxes import Mp4Error, box, full_box
from services.media.mp4.fragment import DAMAGED
from services.media.mp4.movie import FILE_TYPE, MOVIE_TIMESCALE, info_box, movie_header, trak
from services.media.mp4.tracks import Track

MAX_DURATION: Final = 0xFFFFFFFF
"""Of one sample, in its track's timescale."""


class ChunkSamples(NamedTuple):
    """Samples one behind the other, by column: a day of a camera has two million of them."""

    sizes_bytes: "array[int]"
    durations: "array[int]"
    """In the track's timescale."""
    composition_offsets: "array[int]"
    keyframes: Sequence[int]
    """Which of the samples, from 0, are keyframes."""
    damaged: Sequence[int] = ()
    """Which of them are marked as damaged."""


class Chunk(NamedTuple):
    """Samples of one track that follow each other in the clip's data."""

    track: int
    """Index into the clip's tracks."""
    description: Track
    samples: ChunkSamples


class ClipTrack(NamedTuple):
    """How a track lies in the clip's presentation."""

    timescale: int
    start: int
    """Presentation time of the first sample, less the clip's start, in the track's timescale; negative for samples that
    are decoded but not shown."""


def header(
    tracks: Sequence[ClipTrack],
    chunks: Iterable[Chunk],
    *,
    created_us: int,
    duration_90k: int,
    info: dict[str, object],
) -> tuple[bytes, int]:
    """The bytes before the samples' data (``ftyp``, ``moov``, the header of ``mdat``), and that data's size.

    ``created_us`` is when the clip starts, ``duration_90k`` how long it is shown. The data are the chunks', in order.
    Raises `Mp4Error` where no sample is shown.
    """
    tables = [_Table(track) for track in tracks]
    data_bytes = 0
    for chunk in chunks:
        data_bytes += tables[chunk.track].add(chunk, data_bytes)
    used = [table for table in tables if table.samples]
    if not used:
        raise Mp4Error("a clip without samples")

    def moov(data_at: int) -> bytes:
        return box(
            b"moov",
            movie_header(created_us, duration_90k, len(used) + 1),
            *(table.trak(number, created_us, duration_90k, data_at) for number, table in enumerate(used, 1)),
            info_box(info),
        )

    # Offsets are eight bytes wide, so the movie box is as long with the right ones as with any.
    data_at = len(FILE_TYPE) + len(moov(0)) + 16
    mdat = b"\0\0\0\1mdat" + (data_bytes + 16).to_bytes(8, "big")
    return FILE_TYPE + moov(data_at) + mdat, data_bytes


class _Table:
    """A track's sample tables as they grow."""

    def __init__(self, track: ClipTrack) -> None:
        self._track = track
        self._descriptions: dict[Track, int] = {}
        self._sizes = array("I")
        self._durations: list[list[int]] = []
        self._compositions: list[list[int]] = []
        self._keyframes = array("I")
        self._damaged: list[int] = []
        """Numbers of the samples that are marked as damaged, from 0."""
        self._chunk_offsets = array("Q")
        self._chunk_shapes: list[tuple[int, int, int]] = []

    @property
    def samples(self) -> int:
        return len(self._sizes)

    def add(self, chunk: Chunk, offset: int) -> int:
        """Appends a chunk that stands at ``offset`` of the data; returns its size."""
        sizes, durations, compositions, keyframes, damaged = chunk.samples
        if not sizes:
            return 0
        description = self._descriptions.setdefault(chunk.description, len(self._descriptions) + 1)
        first = len(self._sizes) + 1
        self._damaged += (first - 1 + index for index in damaged)
        self._sizes.extend(sizes)
        self._keyframes.extend(first + index for index in keyframes)
        _count(self._durations, durations)
        _count(self._compositions, compositions)
        self._chunk_offsets.append(offset)
        shape = (len(sizes), description)
        if not self._chunk_shapes or self._chunk_shapes[-1][1:] != shape:
            self._chunk_shapes.append((len(self._chunk_offsets), *shape))
        return sum(sizes)

    def trak(self, number: int, created_us: int, duration_90k: int, data_at: int) -> bytes:
        raise_by = max(0, -min(offset for _, offset in self._compositions))
        tables = [_pairs(b"stts", self._durations)]
        if raise_by or any(offset for _, offset in self._compositions):
            tables.append(_pairs(b"ctts", [[count, offset + raise_by] for count, offset in self._compositions]))
        if len(self._keyframes) != len(self._sizes):
            tables.append(
                full_box(b"stss", 0, 0, len(self._keyframes).to_bytes(4, "big"), _big_endian(self._keyframes))
            )
        if self._damaged:  # degradation priorities, 8.5.3: what fragments say in their samples' flags
            priorities = array("H", bytes(2 * len(self._sizes)))
            for number in self._damaged:
                priorities[number] = DAMAGED
            tables.append(full_box(b"stdp", 0, 0, _big_endian(priorities)))
        shapes = [number for shape in self._chunk_shapes for number in shape]
        offsets = array("Q", (offset + data_at for offset in self._chunk_offsets))
        tables += [
            full_box(
                b"stsc", 0, 0, len(self._chunk_shapes).to_bytes(4, "big"), Struct(f">{len(shapes)}I").pack(*shapes)
            ),
            full_box(b"stsz", 0, 0, bytes(4), len(self._sizes).to_bytes(4, "big"), _big_endian(self._sizes)),
            full_box(b"co64", 0, 0, len(offsets).to_bytes(4, "big"), _big_endian(offsets)),
        ]  # fmt: skip
        return trak(
            number,
            list(self._descriptions),
            created_us=created_us,
            duration_90k=duration_90k,
            media_duration=sum(count * duration for count, duration in self._durations),
            tables=b"".join(tables),
            edits=self._edits(duration_90k, raise_by),
        )

    def _edits(self, duration_90k: int, raise_by: int) -> bytes:
        start, timescale = self._track.start, self._track.timescale
        first = self._compositions[0][1]
        edits = []
        if start > 0:  # shown later than the clip's start: an empty edit (8.6.6)
            empty_90k = min(start * MOVIE_TIMESCALE // timescale, duration_90k)
            edits.append((empty_90k, -1))
            duration_90k, start = duration_90k - empty_90k, 0
        edits.append((duration_90k, first + raise_by - start))
        body = b"".join(
            duration.to_bytes(8, "big") + at.to_bytes(8, "big", signed=True) + b"\0\1\0\0" for duration, at in edits
        )
        return box(b"edts", full_box(b"elst", 1, 0, len(edits).to_bytes(4, "big"), body))


def _count(runs: list[list[int]], values: "array[int]") -> None:
    """Appends ``values`` to a run-length table. Usually all but the last are equal, which is checked first."""
    same = values.count(values[0])
    if same == len(values):
        counted = [(values[0], same)]
    elif same == len(values) - 1 and values[-1] != values[0]:
        counted = [(values[0], same), (values[-1], 1)]
    else:
        counted = [(value, sum(1 for _ in run)) for value, run in groupby(values)]
    for value, count in counted:
        if runs and runs[-1][1] == value:
            runs[-1][0] += count
        else:
            runs.append([count, value])


def _pairs(kind: bytes, runs: Sequence[Sequence[int]]) -> bytes:
    flat = [number for run in runs for number in run]
    return full_box(kind, 0, 0, len(runs).to_bytes(4, "big"), Struct(f">{len(flat)}I").pack(*flat))


def _big_endian(values: "array[int]") -> bytes:
    swapped = array(values.typecode, values)
    swapped.byteswap()
    return swapped.tobytes()
