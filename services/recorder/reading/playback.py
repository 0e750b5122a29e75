"""Recorded frames as access units, in the form of `services.contracts.playback`. Blocks; run it in a thread."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final

from services.contracts.frames import AccessUnit, CaptureClockSource, Codec, Flags, encode
from services.contracts.playback import PlaybackMode
from services.media import nal
from services.media.codecs import VIDEO
from services.media.mp4 import reader
from services.media.mp4.boxes import Mp4Error
from services.media.mp4.reader import Fragment, ReadAt
from services.media.mp4.samples import SampleInfo
from services.media.mp4.tracks import VideoTrack
from services.media.time import us_from_90k, us_to_90k
from services.recorder.reading.footage import SegmentSource
from services.recorder.storage.scan import VIDEO_ID

_CLOCKS: Final = {"rtcp": CaptureClockSource.RTCP}


def messages(sources: Sequence[SegmentSource], from_us: int, to_us: int, mode: PlaybackMode) -> Iterator[bytes]:
    """Access-unit messages of the range, from the keyframe at or before it on.

    A segment that retention takes meanwhile is left out.
    """
    for unit in units(sources, from_us, to_us, mode):
        yield encode(unit)


def units(sources: Sequence[SegmentSource], from_us: int, to_us: int, mode: PlaybackMode) -> Iterator[AccessUnit]:
    """The same, not encoded; numbered from 1."""
    sequence = 0
    for source in reversed(sources) if mode == "backwards" else sources:
        with suppress(FileNotFoundError, Mp4Error, nal.BitstreamError):
            for unit in _segment(source, from_us, to_us, mode):
                sequence += 1
                yield unit._replace(sequence=sequence)


def _segment(source: SegmentSource, from_us: int, to_us: int, mode: PlaybackMode) -> Iterator[AccessUnit]:
    with source.opened() as (read, size):
        movie = reader.read_opening(read, size).movie
        track = movie.tracks.get(VIDEO_ID)
        if not isinstance(track, VideoTrack):
            return
        uncertainty = movie.info.get("uncertainty_us", 0)
        maker = _Maker(
            track,
            uncertainty_us=uncertainty if isinstance(uncertainty, int) else 0,
            clock=_CLOCKS.get(str(movie.info.get("clock")), CaptureClockSource.ARRIVAL),
        )
        if mode == "frames":
            yield from _frames(source, read, maker, from_us, to_us)
        else:
            yield from _keyframes(source, read, maker, from_us, to_us, backwards=mode == "backwards")


def _frames(source: SegmentSource, read: ReadAt, maker: "_Maker", from_us: int, to_us: int) -> Iterator[AccessUnit]:
    first = source.begin(from_us)
    begin_us = source.start_us + us_from_90k(first.time_90k) if first else 0
    begun = False
    for fragment in source.fragments(read, from_us):
        pictures = fragment.info.runs.get(VIDEO_ID, ())
        for picture in pictures:
            shown_us = _shown_us(fragment, picture)
            # A fragment may hold several short GOPs: begin with the one that is wanted.
            begun = begun or (picture.keyframe and shown_us >= begin_us - 100)
            if begun:
                if picture.keyframe and shown_us >= to_us:
                    return
                yield maker.unit(read, fragment, picture, shown_us)
        if pictures and _shown_us(fragment, pictures[-1]) >= to_us:
            return


def _keyframes(
    source: SegmentSource, read: ReadAt, maker: "_Maker", from_us: int, to_us: int, *, backwards: bool
) -> Iterator[AccessUnit]:
    first = source.begin(from_us)
    wanted = [
        gop
        for gop in source.gops
        if source.start_us + us_from_90k(gop.time_90k) < to_us and (first is None or gop.time_90k >= first.time_90k)
    ]
    for gop in reversed(wanted) if backwards else wanted:
        fragment = reader.read_fragment(read, source.sealed_bytes, gop.fragment_offset)
        at_us = source.start_us + us_from_90k(gop.time_90k)
        keyframes = [picture for picture in fragment.info.runs.get(VIDEO_ID, ()) if picture.keyframe]
        nearest = min(keyframes, key=lambda picture: abs(_shown_us(fragment, picture) - at_us), default=None)
        if nearest is not None:
            yield maker.unit(read, fragment, nearest, _shown_us(fragment, nearest))


def _shown_us(fragment: Fragment, picture: SampleInfo) -> int:
    return fragment.capture_us + us_from_90k(picture.time + picture.composition_offset - fragment.media_time)


class _Maker:
    """Makes access units of a segment's samples."""

    def __init__(self, track: VideoTrack, *, uncertainty_us: int, clock: CaptureClockSource) -> None:
        self._codec = Codec.of(track.codec)
        self._parameter_sets = VIDEO[track.codec].sets_of(track.config)
        self._uncertainty_us = uncertainty_us
        self._clock = clock
        self._first = True

    def unit(self, read: ReadAt, fragment: Fragment, picture: SampleInfo, shown_us: int) -> AccessUnit:
        """The access unit; the caller sets its sequence."""
        data = read(fragment.moof_offset + picture.offset, picture.size_bytes)
        if len(data) < picture.size_bytes:
            raise Mp4Error("the file is shorter than its fragments")
        flags = Flags.KEYFRAME if picture.keyframe else Flags.NONE
        if picture.damaged:
            flags |= Flags.DAMAGED
        if self._first:
            flags |= Flags.DISCONTINUITY
            self._first = False
        pts_90k = us_to_90k(shown_us)
        return AccessUnit(
            flags, self._codec, 0, 0, pts_90k, pts_90k - picture.composition_offset,
            shown_us, self._uncertainty_us, self._clock, self._parameter_sets + data if picture.keyframe else data,
        )  # fmt: skip
