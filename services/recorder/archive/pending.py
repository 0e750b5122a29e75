"""Which segments of a disk have no sound copy yet."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from services.recorder.retention.holds import Holds
from services.recorder.storage import gops
from services.recorder.storage.disk import Disk
from services.recorder.storage.index import Index, Segment
from services.recorder.storage.paths import INDEX, RecordedStream

_PER_STREAM: Final = 4
"""At once, so that no camera waits for all of another's."""
_ENDLESS_US: Final = 1 << 62
_NOT_COPIED: Final = (
    "stream_id = ? AND start_us >= ? AND start_us < ? AND end_us > ? AND state = 0 AND NOT EXISTS ("
    "SELECT 1 FROM archive.copy WHERE copy.camera = ? AND copy.profile = ? AND copy.site = ?"
    " AND copy.start_us = segment.start_us"
    # What is left of a damaged whole copy is worth more than a sound one of keyframes.
    " AND (copy.tier < segment.tier OR copy.tier = segment.tier AND copy.damage = ''))"
)
_COUNT: Final = f"SELECT count(*), coalesce(sum(size_bytes), 0) FROM segment WHERE {_NOT_COPIED}"  # noqa: S608 (ours)


class SegmentToCopy(NamedTuple):
    """A segment to be copied."""

    disk: Disk
    segment: Segment
    gops: bytes
    """Its keyframe index, packed."""


class CopyBacklog(NamedTuple):
    """What is still to be copied from a disk."""

    next: list[SegmentToCopy]
    """Some of it: held footage first, then the oldest."""
    segments: int
    size_bytes: int
    oldest_us: int | None


class PendingCopies:
    """Asks one disk; remembers up to where all is copied, so that asking again costs little."""

    def __init__(self, disk: Disk, catalogue: Path, *, held_only: bool) -> None:
        self._disk = disk
        self._catalogue = catalogue
        self._held_only = held_only
        self._copied_to_us: dict[RecordedStream, int] = {}

    def forget(self) -> None:
        """Copies may have gone, or older segments come: everything is looked at again."""
        self._copied_to_us.clear()

    def ask(self, holds: Holds, *, from_us: int = 0) -> CopyBacklog:
        """``from_us``: what is older is copied only where it is held. Blocks. Raises ``sqlite3.Error``."""
        found: dict[Segment, None] = {}
        segments = size_bytes = 0
        with closing(Index.open_for_reading(self._disk.recordings / INDEX)) as index:
            index.connection.execute("ATTACH ? AS archive", (f"{self._catalogue.absolute().as_uri()}?mode=ro",))
            for stream in index.streams():
                for hold in holds.of(stream.camera):
                    to_us = _ENDLESS_US if hold.to_us is None else hold.to_us
                    held = _not_copied(index, stream, 0, to_us, hold.from_us)
                    found |= dict.fromkeys(held)
                    if self._held_only:
                        segments, size_bytes = segments + len(held), size_bytes + sum(s.size_bytes for s in held)
                if not self._held_only:
                    begin_us = max(self._copied_to_us.get(stream, 0), from_us)
                    rest = _not_copied(index, stream, begin_us)
                    found |= dict.fromkeys(rest)
                    self._note(index, stream, rest)
                    row = index.connection.execute(_COUNT, _parameters(index, stream, begin_us)).fetchone()
                    segments, size_bytes = segments + row[0], size_bytes + row[1]
            order = sorted(found, key=lambda s: (not holds.holds(s), s.start_us))
            made = [SegmentToCopy(self._disk, s, index.gops(s.stream, s.start_us) or gops.pack(())) for s in order]
        return CopyBacklog(made, segments, size_bytes, min((s.start_us for s in order), default=None))

    def _note(self, index: Index, stream: RecordedStream, waiting: Sequence[Segment]) -> None:
        newest = waiting or index.select(
            "stream_id = ? AND state = 0", (index.find_stream(stream),), order="start_us DESC", limit=1
        )
        if newest:
            self._copied_to_us[stream] = newest[0].start_us


def _not_copied(
    index: Index, stream: RecordedStream, begin_us: int, to_us: int = _ENDLESS_US, end_after_us: int = 0
) -> list[Segment]:
    parameters = _parameters(index, stream, begin_us, to_us, end_after_us)
    return index.select(_NOT_COPIED, parameters, order="start_us", limit=_PER_STREAM)


def _parameters(
    index: Index, stream: RecordedStream, begin_us: int, to_us: int = _ENDLESS_US, end_after_us: int = 0
) -> tuple[object, ...]:
    named = (stream.camera, stream.profile, stream.site)
    return (index.find_stream(stream), begin_us, to_us, end_after_us, *named)
