"""Thinning: a segment rewritten with some of its keyframes, still a playable file, without transcoding."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from services.media.mp4 import fragment, movie, reader
from services.media.mp4.boxes import Mp4Error
from services.media.mp4.fragment import Sample, TrackRun
from services.media.mp4.reader import Fragment, ReadAt
from services.media.mp4.samples import SampleInfo
from services.media.mp4.tracks import VideoTrack
from services.media.time import us_from_90k
from services.recorder.storage.files import Files, write_all
from services.recorder.storage.gops import RAW, pack_raw
from services.recorder.storage.paths import RecordedStream
from services.recorder.storage.proof import Signer
from services.recorder.storage.rows import Segment, Signing
from services.recorder.storage.scan import VIDEO_ID, GopTally, SegmentScan, opened, scan, scan_opened, sealed_fragments
from services.recorder.storage.vouching import VOUCHED, judge

_FRAGMENT_BYTES: Final = 4 * 1024 * 1024


def keep(times_us: Sequence[int], every_us: int) -> list[int]:
    """Indexes of the keyframes that stay: the first of all, and the first in each ``every_us`` of the clock. Pure.

    The grid is absolute time, so the result does not depend on where segments were cut.
    """
    kept: list[int] = []
    cell: int | None = None
    for index, time_us in enumerate(times_us):
        if time_us // every_us != cell:
            kept.append(index)
            cell = time_us // every_us
    return kept


def thin(
    source: Path,
    target: Path,
    stream: RecordedStream,
    *,
    every_us: int,
    files: Files,
    signer: Signer | None = None,
    row: Segment | None = None,
    keys: frozenset[str] = frozenset(),
) -> SegmentScan:
    """Writes ``target``, fsynced and signed, and returns its content. ``source`` is not changed.

    What is made of a source that is not what was recorded, by its ``row`` and the recorder's ``keys``, is not signed.

    Raises `Mp4Error` where ``source`` holds nothing to keep, ``OSError``.
    """
    with opened(source) as (read, size):
        opening = reader.read_opening(read, size)
        video = opening.movie.tracks.get(VIDEO_ID)
        if not isinstance(video, VideoTrack):
            raise Mp4Error("a segment without pictures")
        tally = GopTally()
        pictures, end, link = _keyframes(sealed_fragments(read, size, opening), tally)
        if not pictures:
            raise Mp4Error("a segment without keyframes")
        whole = scan_opened(read, size, source, stream, verify=False)
        signing = Signing.ALTERED if whole is None or whole.segment.link != link else judge(whole, row, keys)
        kept = [pictures[index] for index in keep([item.capture_us for item in pictures], every_us)]
        info = opening.movie.info | {
            "tier": "keyframes", "thinned_from": link.hex(), "every_us": every_us, RAW: pack_raw(tally.gops),
        }  # fmt: skip
        fd = files.create(target)
        try:
            head = movie.FILE_TYPE + movie.movie([video], created_us=opening.movie.created_us, info=info)
            _write(files, fd, head, read, kept, end)
            found = scan(target, stream, verify=False)
            if found is None:
                raise Mp4Error("what was thinned cannot be read")  # noqa: TRY301 (the file goes with it)
            if signer is not None and signing in VOUCHED:
                write_all(files, fd, [signer.sign(found.statement().to_bytes()).to_box()])
            files.sync_data(fd)
        except BaseException:
            files.close(fd)
            files.unlink(target)
            raise
        files.close(fd)
    found = scan(target, stream, verify=False)
    if found is None:
        raise Mp4Error("what was thinned cannot be read")
    return found._replace(segment=found.segment._replace(signed=_after(signing, signed=found.proof is not None)))


def _after(signing: Signing, *, signed: bool) -> Signing:
    """What the thinned segment is, made of one that was ``signing``."""
    if signed:
        return Signing.SIGNED
    return Signing.NEVER if signing in VOUCHED else signing


class _Kept(NamedTuple):
    """A keyframe of the source."""

    offset: int
    picture: SampleInfo
    capture_us: int


def _keyframes(fragments: Iterable[Fragment], tally: GopTally) -> tuple[list[_Kept], int, bytes]:
    """The keyframes, where the footage behind the last one ends, and the last seal; ``tally`` counts all pictures."""
    found: list[_Kept] = []
    end, link = 0, b""
    for item in fragments:
        link = item.link
        if (pictures := item.info.runs.get(VIDEO_ID)) is None:
            continue
        tally.add(item.offset, pictures)
        for picture in pictures:
            if picture.keyframe:
                shown = picture.time + picture.composition_offset
                capture_us = item.capture_us + us_from_90k(shown - item.media_time)
                found.append(_Kept(item.moof_offset + picture.offset, picture, capture_us))
        end = max([end, *(picture.time + picture.duration for picture in pictures[-1:])])
    return found, end, link


def _write(files: Files, fd: int, opening: bytes, read: ReadAt, kept: Sequence[_Kept], end: int) -> None:
    write_all(files, fd, [opening])
    link = fragment.link(b"", (opening,))
    number, samples, first = 0, list[Sample](), kept[0]
    for index, item in enumerate(kept):
        last = index + 1 == len(kept)
        until = end if last else kept[index + 1].picture.time
        first = first if samples else item
        data = read(item.offset, item.picture.size_bytes)
        picture = item.picture
        samples.append(Sample(data, until - picture.time, picture.composition_offset, damaged=picture.damaged))
        if last or sum(len(sample.data) for sample in samples) >= _FRAGMENT_BYTES:
            number += 1
            parts = fragment.build(number, first.capture_us, [TrackRun(VIDEO_ID, first.picture.time, samples)])
            link = fragment.link(link, parts)
            write_all(files, fd, [*parts, fragment.seal(link)])
            samples = []
