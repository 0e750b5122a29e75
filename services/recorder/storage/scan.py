"""Reads a segment's file into the row that describes it; used by recovery, `fsck` and thinning."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import accumulate, pairwise
from operator import mul
from pathlib import Path, PurePath
from typing import Final, NamedTuple

from services.contracts.evidence.statement import Statement
from services.media.mp4 import reader
from services.media.mp4.boxes import Mp4Error
from services.media.mp4.reader import Fragment, Opening, ReadAt
from services.media.mp4.samples import Samples
from services.media.mp4.tracks import AudioTrack, VideoTrack
from services.media.time import us_from_90k
from services.recorder.storage import gops, proof
from services.recorder.storage.gops import Gop
from services.recorder.storage.paths import NEW_SUFFIX, RecordedStream, parse_path
from services.recorder.storage.proof import Proof
from services.recorder.storage.rows import GapRow, Segment, SegmentState, Tier

VIDEO_ID: Final = 1


class SegmentScan(NamedTuple):
    """What a segment's file holds."""

    segment: Segment
    gops: bytes
    gap: GapRow | None
    """The gap before it, as its description says."""
    sealed_bytes: int
    """Where the footage and its proof end; what follows is neither."""
    file_bytes: int
    chain: str
    """The link that it continues, hex."""
    recorder: str
    thinned_from: str
    """Of a thinned segment: the last link of what it was made from, hex."""
    made: str
    """``demo`` where no camera took these pictures."""
    opening: bytes
    """The link of what stands before the first fragment."""
    links: tuple[bytes, ...]
    """Of every fragment."""
    captured_us: tuple[int, ...]
    """When the first picture of every fragment was taken."""
    proof: Proof | None
    """Its signature, not verified; None where the file was never signed."""

    def statement(self, *, growing: bool = False) -> Statement:
        """What is, or would be, signed of it."""
        return proof.state(
            self.segment, recorder=self.recorder, opening=self.opening, links=self.links, previous=self.chain,
            thinned_from=self.thinned_from, growing=growing, made=self.made,
        )  # fmt: skip


@contextmanager
def opened(path: Path) -> Iterator[tuple[ReadAt, int]]:
    """A function that reads from the file, and the file's size. Raises ``OSError``."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield (lambda at, size: os.pread(fd, size, at)), os.fstat(fd).st_size
    finally:
        os.close(fd)


def scan(path: Path, stream: RecordedStream, *, verify: bool = True, tail_90k: int | None = None) -> SegmentScan | None:
    """Reads a segment's file; None where it holds no footage. Raises ``OSError`` where it cannot be read.

    With ``verify`` the seals are verified, with ``tail_90k`` only those of the last ``tail_90k``. Footage ends at the
    first wrong seal.
    """
    with opened(path) as (read, size):
        return scan_opened(read, size, path, stream, verify=verify, tail_90k=tail_90k)


def scan_opened(
    read: ReadAt, size: int, path: Path, stream: RecordedStream, *, verify: bool = True, tail_90k: int | None = None
) -> SegmentScan | None:
    """As `scan`, of a file that is already open; ``path`` is its name."""
    try:
        opening = reader.read_opening(read, size)
    except Mp4Error:
        return None
    if not isinstance(opening.movie.tracks.get(VIDEO_ID), VideoTrack):
        return None
    if verify:
        fragments = sealed_fragments(read, size, opening, tail_90k=tail_90k)
    else:
        fragments = reader.read_fragments(read, size, opening.end)
    found = _describe(stream, opening, fragments, read, size)
    named = parse_path(PurePath(*path.parts[-8:-1], path.name.removesuffix(NEW_SUFFIX)))
    if found and named and named[1] != found.segment.start_us // 1000 * 1000:
        # Either may be wrong; the row follows the name, by which the file is found.
        length_us = found.segment.end_us - found.segment.start_us
        found = found._replace(segment=found.segment._replace(start_us=named[1], end_us=named[1] + length_us))
    return found


def sealed_fragments(read: ReadAt, size: int, opening: Opening, *, tail_90k: int | None = None) -> Iterator[Fragment]:
    """The fragments up to the first whose seal is wrong; of the last ``tail_90k`` alone where that is given."""
    link = reader.opening_link(read, opening)
    fragments = list(reader.read_fragments(read, size, opening.end))
    from_90k = fragments[-1].media_time - tail_90k if fragments and tail_90k is not None else 0
    for fragment in fragments:
        if fragment.media_time >= from_90k and not reader.verify(read, link, fragment):
            return
        link = fragment.link
        yield fragment


class GopTally:
    """Counts pictures into GOPs, fragment by fragment; the writer counts with it as well."""

    def __init__(self) -> None:
        self.gops: list[Gop] = []
        self.frames = 0
        self._begin_90k = 0
        self._end_90k = 0
        self._first_pts: int | None = None

    @property
    def length_us(self) -> int:
        """From the first picture to the end of the last."""
        return us_from_90k(self._end_90k - self._begin_90k)

    def add(self, fragment_offset: int, samples: Samples) -> None:
        """A fragment's pictures."""
        if not samples:
            return
        if self._first_pts is None:
            self._first_pts, self._begin_90k = samples.time + samples.composition_offsets[0], samples.time
        begins_90k = list(accumulate(samples.durations, initial=samples.time))
        self.frames += len(samples)
        self._end_90k = max(self._end_90k, begins_90k[-1])
        keys = [at for at, keyframe in enumerate(samples.keyframes) if keyframe]
        if self.gops and keys[:1] != [0]:
            self._go_on(samples[: keys[0] if keys else len(samples)])
        for at, end in pairwise([*keys, len(samples)]):
            pts = begins_90k[at] + samples.composition_offsets[at]
            time = max(pts - self._first_pts, self.gops[-1].time_90k if self.gops else 0)
            damaged_90k = samples.durations[at] * samples.damages[at]
            self.gops.append(Gop(time, fragment_offset, samples.sizes_bytes[at], 0, 1, damaged_90k))
            self._go_on(samples[at + 1 : end])

    def _go_on(self, samples: Samples) -> None:
        """More pictures of the last GOP."""
        gop = self.gops[-1]
        damaged_90k = sum(map(mul, samples.durations, samples.damages)) if any(samples.damages) else 0
        self.gops[-1] = gop._replace(
            other_bytes=gop.other_bytes + samples.size_bytes,
            frames=gop.frames + len(samples),
            damaged_90k=gop.damaged_90k + damaged_90k,
        )


def _describe(
    stream: RecordedStream, opening: Opening, fragments: Iterator[Fragment], read: ReadAt, size: int
) -> SegmentScan | None:
    info = opening.movie.info
    video = opening.movie.tracks[VIDEO_ID]
    assert isinstance(video, VideoTrack)
    audio = next((track for track in opening.movie.tracks.values() if isinstance(track, AudioTrack)), None)
    tally = GopTally()
    end, links, captured_us, start_us = opening.end, list[bytes](), list[int](), 0
    for fragment in fragments:
        if not links:
            start_us = fragment.capture_us
        if (pictures := fragment.info.runs.get(VIDEO_ID)) is not None:
            tally.add(fragment.offset, pictures)
        end = fragment.end
        links.append(fragment.link)
        captured_us.append(fragment.capture_us)
    if not links or not tally.gops:
        return None
    signed = proof.read_proof(read, end)
    end += proof.PROOF_BYTES if signed else 0
    segment = Segment(
        stream, start_us, start_us + tally.length_us, end,
        Tier.KEYFRAMES if info.get("tier") == "keyframes" else Tier.FULL, SegmentState.CLOSED,
        tally.frames, len(tally.gops), video.codec, video.width_px, video.height_px, audio.codec if audio else "",
        _int(info, "uncertainty_us"), str(info.get("clock", "")), 0, links[-1],
    )  # fmt: skip
    chain, recorder, thinned_from, made = (
        str(info.get(key, "")) for key in ("chain", "recorder", "thinned_from", "made")
    )
    return SegmentScan(
        segment, gops.pack(tally.gops), _gap(stream, info), end, size,
        chain, recorder, thinned_from, made, reader.opening_link(read, opening), tuple(links), tuple(captured_us),
        signed,
    )  # fmt: skip


def _gap(stream: RecordedStream, info: Mapping[str, object]) -> GapRow | None:
    gap = info.get("gap")
    if not isinstance(gap, dict):
        return None
    return GapRow(
        stream, _int(gap, "from_us"), _int(gap, "to_us"), str(gap.get("cause", "")), str(gap.get("detail", ""))
    )


def _int(values: Mapping[str, object], key: str) -> int:
    value = values.get(key, 0)
    return value if isinstance(value, int) else 0
