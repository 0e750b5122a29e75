"""The footage on a recorder's disks and in its archive, closed or still growing. All questions about footage go here.

Methods block; call them in a thread. A disk that cannot be read is left out and logged.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple, Protocol

from services.contracts.errors import UnavailableError
from services.contracts.recordings import (
    CameraHistory,
    FootageGap,
    FootageRange,
    HistoryAnswer,
    TierName,
    TimelineAnswer,
    joined_damage,
    merge_histories,
    merge_ranges,
)
from services.media.mp4 import reader
from services.media.mp4.reader import Fragment, ReadAt
from services.media.time import us_from_90k
from services.recorder.archive.archive import Archive
from services.recorder.storage import gops, scan
from services.recorder.storage.disk import Disk
from services.recorder.storage.disks import ask_indexes
from services.recorder.storage.gops import Gop, damaged_spans
from services.recorder.storage.index import Index
from services.recorder.storage.paths import RecordedStream, segment_path
from services.recorder.storage.rows import FootageRun, GapRow, OpenSeals, Signing, Tier, joined
from services.recorder.storage.share import WHOLE, Share
from services.recorder.storage.vouching import VOUCHED, judge_open

MAX_MESSAGE_BYTES: Final = 1024 * 1024
TIERS: Final[dict[Tier, TierName]] = {Tier.FULL: "full", Tier.KEYFRAMES: "keyframes"}


class SegmentSource(NamedTuple):
    """A segment with footage of a range."""

    path: Path
    start_us: int
    end_us: int
    sealed_bytes: int
    tier: Tier
    gops: Sequence[Gop]
    opener: "Opener | None" = None
    """How it is opened where it is not a local file."""
    link: bytes = b""
    """The last seal that the index, or the memory of a growing one, knows."""
    signed: Signing = Signing.ALTERED
    """What the index, or the archive's catalogue, knows of its signature."""
    growing: bool = False
    """It is being written; what is meant of it ends at ``sealed_bytes``."""

    def opened(self, *, verified: bool = False) -> AbstractContextManager[tuple[ReadAt, int]]:
        """A function that reads from it, and its size. An archived segment's ``path`` is no local file.

        With ``verified`` an archived one is first compared as a whole with what was sent to the archive.

        Opening and reading raise ``OSError`` (``FileNotFoundError`` where it was removed), and `PantauError` where the
        archive does not answer.
        """
        return self.opener(verified=verified) if self.opener is not None else scan.opened(self.path)

    def begin(self, at_us: int) -> Gop | None:
        """The GOP in which ``at_us`` lies; the first one where it lies before the segment, None where there is none."""
        found = None
        for gop in self.gops:
            if found is not None and self.start_us + us_from_90k(gop.time_90k) > at_us:
                break
            found = gop
        return found

    def fragments(self, read: ReadAt, at_us: int) -> Iterator[Fragment]:
        """Its fragments from the GOP on in which ``at_us`` lies."""
        gop = self.begin(at_us)
        if gop is None:
            return iter(())
        return reader.read_fragments(read, self.sealed_bytes, gop.fragment_offset)


class Opener(Protocol):
    """`services.recorder.archive.archive.Archive.opened` of one copy."""

    def __call__(self, *, verified: bool) -> AbstractContextManager[tuple[ReadAt, int]]:
        """Opens it."""


SiteOf = Callable[[str], str | None]
"""The site of a camera in the catalogue; None where it is in none. Footage of another site's camera that had the same
id is not shown as this one's."""


def own_streams(index: Index, camera: str, profile: str, site: str | None) -> list[RecordedStream]:
    """The streams of a site's camera; without a site of all cameras that had the id."""
    return [stream for stream in index.streams_of(camera, profile) if site in (None, stream.site)]


def _growing_file(path: Path, stream: RecordedStream, seals: OpenSeals, keys: frozenset[str]) -> SegmentSource | None:
    """A file that another process writes; without a link where the index does not vouch for its last seal."""
    try:
        found = scan.scan(path, stream, tail_90k=0)
    except OSError:
        return None
    if found is None:
        return None
    vouched = judge_open(found, seals, keys, power_cut=False) in VOUCHED
    segment = found.segment
    return SegmentSource(
        path, segment.start_us, segment.end_us, found.sealed_bytes, Tier.FULL, gops.unpack(found.gops),
        link=segment.link if vouched else b"", growing=True,
    )  # fmt: skip


class RecordedFootage:
    """Asks all disks, and the archive for footage that the disks lack or have thinned."""

    def __init__(
        self,
        recorder: str,
        disks: Sequence[Disk],
        archive: Archive,
        *,
        site_of: SiteOf = lambda _: None,
        share: Share = WHOLE,
    ) -> None:
        """``share``: what this process records, of several over the same disks."""
        self._recorder = recorder
        self._disks = disks
        self._archive = archive
        self._site_of = site_of
        self._share = share

    def timeline(
        self, camera: str, profile: str, from_us: int, to_us: int, *, site: str | None = None
    ) -> TimelineAnswer:
        """Ranges and gaps that touch ``from_us`` to ``to_us``; ``site``: of its camera, also a former one."""
        site = site or self._site_of(camera)
        growing = list(self._growing(camera, profile, site))
        runs = [FootageRun(Tier.FULL, file.start_us, file.end_us) for file in growing if file.end_us > file.start_us]
        damaged = [span for file in growing for span in damaged_spans(file.gops, file.start_us, file.end_us)]
        gaps: list[FootageGap] = []

        def ask(_disk: Disk, index: Index) -> tuple[list[FootageRun], list[GapRow], list[tuple[int, int]]]:
            streams = own_streams(index, camera, profile, site)
            return (
                [run for stream in streams for run in index.runs_touching(stream, from_us, to_us)],
                [gap for stream in streams for gap in index.gaps(stream, from_us, to_us)],
                [span for stream in streams for span in index.damaged_spans(stream, from_us, to_us)],
            )

        for found, missing, marked in ask_indexes(self._disks, ask):
            runs += found
            damaged += marked
            gaps += [
                FootageGap(from_us=gap.from_us, to_us=gap.to_us, cause=gap.cause, detail=gap.detail) for gap in missing
            ]
        ranges = [self._range(run) for run in joined(sorted(runs, key=lambda run: run.from_us))]
        clipped = [
            item.model_copy(update={"from_us": max(item.from_us, from_us), "to_us": min(item.to_us, to_us)})
            for item in self._with_archived(ranges, camera, profile, from_us, to_us, site)
            if item.from_us < to_us and item.to_us > from_us
        ]
        gaps.sort(key=lambda gap: gap.from_us)
        archived = [item for item in clipped if item.archived]
        if archived:  # of footage that the disks have, they have told already
            copied = self._archive.damaged_spans(camera, profile, archived[0].from_us, archived[-1].to_us, site=site)
            damaged += [
                (max(span[0], item.from_us), min(span[1], item.to_us))
                for span in copied
                for item in archived
                if span[0] < item.to_us and span[1] > item.from_us
            ]
        inside = [(max(span[0], from_us), min(span[1], to_us)) for span in damaged]
        damage = joined_damage((span for span in inside if span[0] < span[1]), asked_us=to_us - from_us)
        return TimelineAnswer(recorder=self._recorder, ranges=tuple(clipped), gaps=tuple(gaps), damage=tuple(damage))

    def _range(self, run: FootageRun, *, archived: bool = False) -> FootageRange:
        tier = TIERS[Tier(run.tier)]
        return FootageRange(from_us=run.from_us, to_us=run.to_us, tier=tier, recorder=self._recorder, archived=archived)

    def _growing(self, camera: str, profile: str, site: str | None) -> Iterator[SegmentSource]:
        """The segments that are being written just now."""

        def is_meant(stream: RecordedStream) -> bool:
            return (stream.camera, stream.profile) == (camera, profile) and site in (None, stream.site)

        if not self._share.has(camera):
            yield from self._growing_elsewhere(is_meant)
            return
        for disk in self._disks:
            for file in disk.open_files() if disk.failure is None else ():
                if is_meant(file.stream):
                    end_us = file.end_us
                    sealed_bytes, link = file.sealed
                    yield SegmentSource(
                        file.path or Path(), file.start_us, end_us, sealed_bytes, Tier.FULL,
                        tuple(file.tally.gops), link=link, growing=True,
                    )  # fmt: skip

    def _growing_elsewhere(self, is_meant: Callable[[RecordedStream], bool]) -> Iterator[SegmentSource]:
        """Those of the recorder's other processes: what is sealed in their files, vouched for by the index."""

        def ask(disk: Disk, index: Index) -> list[SegmentSource]:
            found = []
            for stream, start_us in index.open_segments():
                if is_meant(stream):
                    path = disk.recordings / segment_path(stream, start_us)
                    made = _growing_file(path, stream, index.open_seals(stream, start_us), disk.keys)
                    found += [made] if made is not None else []
            return found

        for sources in ask_indexes(self._disks, ask):
            yield from sources

    def _with_archived(
        self, ranges: list[FootageRange], camera: str, profile: str, from_us: int, to_us: int, site: str | None
    ) -> Sequence[FootageRange]:
        runs = self._archive.runs(camera, profile, from_us, to_us, site=site)
        if not runs:
            return ranges
        archived = [self._range(run, archived=True) for run in runs]
        return merge_ranges([*ranges, *archived], from_us, to_us)

    def sources(
        self, camera: str, profile: str, from_us: int, to_us: int, *, site: str | None = None
    ) -> list[SegmentSource]:
        """The segments with footage of the range, in order of time; ``site`` as in `timeline`."""
        site = site or self._site_of(camera)
        found: dict[Path, SegmentSource] = {}
        # Growing ones first: one that is closed between the two look-ups is then found by its row.
        for file in self._growing(camera, profile, site):
            if file.start_us < to_us and file.end_us > from_us:
                found[file.path] = file

        def ask(disk: Disk, index: Index) -> list[SegmentSource]:
            streams = own_streams(index, camera, profile, site)
            return [made for stream in streams for made in _closed(disk, index, stream, from_us, to_us)]

        for sources in ask_indexes(self._disks, ask):
            found |= {source.path: source for source in sources}
        both = self._with_copies(found.values(), camera, profile, from_us, to_us, site)
        return sorted(both, key=lambda source: source.start_us)

    def histories(self, camera: str | None = None) -> list[CameraHistory]:
        """Of which cameras there is footage, site by site, in the catalogue or not; of one with ``camera``."""

        def ask(_disk: Disk, index: Index) -> list[CameraHistory]:
            sizes = Counter[RecordedStream]()
            for (stream, _tier), usage in index.usage().items():
                sizes[stream] += usage.size_bytes
            return [
                _history(stream, from_us, to_us, sizes[stream]) for stream, (from_us, to_us) in index.extents().items()
            ]

        found = [item for answer in ask_indexes(self._disks, ask) for item in answer]
        found += [_history(stream, *extent, 0) for stream, extent in self._archive.extents().items()]
        wanted = [item for item in found if camera in (None, item.camera)]
        return merge_histories([HistoryAnswer(recorder=self._recorder, histories=tuple(wanted))])

    def _with_copies(
        self, local: Iterable[SegmentSource], camera: str, profile: str, from_us: int, to_us: int, site: str | None
    ) -> Iterable[SegmentSource]:
        """Adds segments that only the archive has, or that only the archive has whole."""
        found = {str(PurePosixPath(*source.path.parts[-8:])): source for source in local}
        for copy, entries in self._archive.copies(camera, profile, from_us, to_us):
            if site not in (None, copy.stream.site):
                continue
            mine = found.get(copy.key)
            if mine is None or (copy.tier < mine.tier and not copy.damage and self._archive.answers):
                found[copy.key] = SegmentSource(
                    Path(copy.key), copy.start_us, copy.end_us, copy.size_bytes, copy.tier, entries,
                    partial(self._archive.opened, copy), signed=self._archive.signing(copy),
                )  # fmt: skip
        return found.values()


def _history(stream: RecordedStream, from_us: int, to_us: int, size_bytes: int) -> CameraHistory:
    return CameraHistory(camera=stream.camera, site=stream.site, from_us=from_us, to_us=to_us, size_bytes=size_bytes)


def _closed(disk: Disk, index: Index, stream: RecordedStream, from_us: int, to_us: int) -> Iterator[SegmentSource]:
    for segment in index.segments_touching(stream, from_us, to_us):
        yield SegmentSource(
            disk.recordings / segment.path,
            segment.start_us,
            segment.end_us,
            segment.size_bytes,
            segment.tier,
            index.gops_of(segment),
            link=segment.link,
            signed=segment.signed,
        )


def read_messages(read: ReadAt, begin: int, end: int) -> Iterator[bytes]:
    """The bytes from ``begin`` to ``end`` in messages of up to `MAX_MESSAGE_BYTES`.

    Raises `UnavailableError` where they cannot be read any more, after retention or on a failing disk.
    """
    for at in range(begin, end, MAX_MESSAGE_BYTES):
        wanted = min(MAX_MESSAGE_BYTES, end - at)
        try:
            data = read(at, wanted)
        except FileNotFoundError:
            raise UnavailableError("footage was removed while it was being copied; ask again") from None
        except OSError as error:
            raise UnavailableError(f"footage cannot be read any more ({error.strerror}); ask again") from error
        if len(data) < wanted:
            raise UnavailableError("footage was thinned while it was being copied; ask again")
        yield data
