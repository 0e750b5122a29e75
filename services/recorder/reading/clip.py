"""A clip's tables and bytes out of segments, as `services.contracts.clips` wants them. Blocks; run it in a thread."""

from array import array
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from services.contracts.clips import ClipChunk, ClipTable
from services.contracts.errors import UnavailableError
from services.media.mp4 import reader
from services.media.mp4.boxes import Mp4Error
from services.media.mp4.reader import Fragment
from services.media.mp4.samples import Samples
from services.media.mp4.tracks import AudioTrack, Track, VideoTrack
from services.media.time import SECOND_US, rescale, us_from_90k
from services.recorder.reading.footage import TIERS, SegmentSource, read_messages
from services.recorder.storage.scan import VIDEO_ID


class ClipStretch(NamedTuple):
    """Bytes of a segment that go into a clip."""

    source: SegmentSource
    offset: int
    size_bytes: int


def tables(sources: Sequence[SegmentSource], from_us: int, to_us: int) -> Iterator[tuple[ClipTable, list[ClipStretch]]]:
    """For each segment its table and its stretches, from the keyframe at or before ``from_us`` on.

    A segment that retention removed meanwhile is left out.
    """
    for source in sources:
        try:
            table, stretches = _table(source, from_us, to_us)
        except (FileNotFoundError, Mp4Error):
            continue
        if table.chunks:
            yield table, stretches


def _table(source: SegmentSource, from_us: int, to_us: int) -> tuple[ClipTable, list[ClipStretch]]:
    chunks: list[ClipChunk] = []
    stretches: list[ClipStretch] = []
    with source.opened() as (read, size):
        movie = reader.read_opening(read, size).movie
        tracks = movie.tracks
        video = next((t for t in tracks.values() if isinstance(t, VideoTrack)), None)
        audio_id, audio = next(((n, t) for n, t in tracks.items() if isinstance(t, AudioTrack)), (0, None))
        start = source.begin(from_us)
        for fragment in source.fragments(read, from_us):
            origin_us = fragment.capture_us - us_from_90k(fragment.media_time)
            pictures = fragment.info.runs.get(VIDEO_ID)
            if not pictures or origin_us + us_from_90k(pictures.time) >= to_us:
                break
            if start is not None:
                pictures = _from_keyframe(pictures, source.start_us + us_from_90k(start.time_90k) - origin_us)
                start = None
            sound = fragment.info.runs.get(audio_id)
            kept: list[tuple[int, Track, Samples]] = []
            if video:
                kept.append((0, video, pictures))
            if audio and sound:
                kept.append((1, audio, sound))
            for number, track, samples in kept:
                at = rescale(origin_us - from_us, SECOND_US, track.timescale) + samples.time
                chunks.append(ClipChunk(number, at, _pack(samples)))
            stretches.append(_stretch(source, fragment, [samples for _, _, samples in kept]))
    made = str(movie.info.get("made", ""))
    return ClipTable((video, audio), TIERS[source.tier], tuple(chunks), made), stretches


def _from_keyframe(pictures: Samples, at_us: int) -> Samples:
    """The pictures from the keyframe on that is shown at ``at_us`` of media time (or the last one before)."""
    begin = 0
    for index, picture in enumerate(pictures):
        if picture.keyframe and us_from_90k(picture.time + picture.composition_offset) <= at_us + 100:
            begin = index
    return pictures[begin:]


def _stretch(source: SegmentSource, fragment: Fragment, runs: Sequence[Samples]) -> ClipStretch:
    """Pictures and sound lie one behind the other, so what is kept is one piece of the file."""
    end = begin = runs[0].begin
    for run in runs:
        if run.begin != end:
            raise Mp4Error("a fragment's tracks do not lie one behind the other")
        end += run.size_bytes
    return ClipStretch(source, fragment.moof_offset + begin, end - begin)


def _pack(samples: Samples) -> "array[int]":
    packed = array("I", bytes(16 * len(samples)))
    packed[0::4] = samples.sizes_bytes
    packed[1::4] = samples.durations
    packed[2::4] = array("I", samples.composition_offsets.tobytes())
    marks = samples.keyframes
    if any(samples.damages):
        marks = array("I", (key | 2 * damaged for key, damaged in zip(marks, samples.damages, strict=True)))
    packed[3::4] = marks
    return packed


def payloads(sources: Sequence[SegmentSource], from_us: int, to_us: int) -> Iterator[bytes]:
    """All messages of the transfer. Raises `UnavailableError` where footage disappears during the transfer."""
    all_stretches: list[ClipStretch] = []
    for table, stretches in tables(sources, from_us, to_us):
        all_stretches += stretches
        yield table.pack()
    yield b"E"
    for _, some in groupby(all_stretches, key=lambda stretch: id(stretch.source)):
        first, *rest = some
        try:
            with first.source.opened() as (read, _):
                for stretch in (first, *rest):
                    yield from read_messages(read, stretch.offset, stretch.offset + stretch.size_bytes)
        except FileNotFoundError:
            raise UnavailableError("footage was removed while it was being copied; ask again") from None
