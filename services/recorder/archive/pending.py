"""Which segments of a disk have no sound copy yet."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from services.recorder.retention.holds import Holds
from services.recorder.storage import gops
from services.recorder.storage.disk import Disk
from services.recorder.storage.index import ENDLESS_US, Index
from services.recorder.storage.paths import INDEX, RecordedStream
from services.recorder.storage.rows import Segment

_PER_STREAM: Final = 4
"""At once, so that no camera waits for all of another's."""


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
            index.attach_archive(self._catalogue)
            for stream in index.streams():
                for hold in holds.of(stream.camera):
                    to_us = ENDLESS_US if hold.to_us is None else hold.to_us
                    held = index.uncopied(stream, 0, to_us, end_after_us=hold.from_us, limit=_PER_STREAM)
                    found |= dict.fromkeys(held)
                    if self._held_only:
                        segments, size_bytes = segments + len(held), size_bytes + sum(s.size_bytes for s in held)
                if not self._held_only:
                    begin_us = max(self._copied_to_us.get(stream, 0), from_us)
                    rest = index.uncopied(stream, begin_us, limit=_PER_STREAM)
                    found |= dict.fromkeys(rest)
                    self._note(index, stream, rest)
                    count, count_bytes = index.uncopied_totals(stream, begin_us)
                    segments, size_bytes = segments + count, size_bytes + count_bytes
            order = sorted(found, key=lambda s: (not holds.holds(s), s.start_us))
            made = [
                SegmentToCopy(self._disk, s, index.packed_gops(s.stream, s.start_us) or gops.pack(())) for s in order
            ]
        return CopyBacklog(made, segments, size_bytes, min((s.start_us for s in order), default=None))

    def _note(self, index: Index, stream: RecordedStream, waiting: Sequence[Segment]) -> None:
        newest = waiting[0] if waiting else index.last_segment(stream, closed=True)
        if newest is not None:
            self._copied_to_us[stream] = newest.start_us
