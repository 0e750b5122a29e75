"""The archive as the rest of the recorder sees it: what is there, reading it, and what may not go yet.

Methods block, and may be called in any thread.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TypeVar

from services.media.mp4.reader import ReadAt
from services.mesh.log import get_logger
from services.mesh.metrics import counter
from services.recorder.archive.catalogue import ArchiveCatalogue, ArchivedCopy
from services.recorder.archive.errors import ArchiveError, ArchiveTrouble
from services.recorder.archive.reading import RangeReader
from services.recorder.archive.store import ObjectStore
from services.recorder.storage.gops import Gop
from services.recorder.storage.rows import FootageRun, Segment, Tier

log = get_logger()
T = TypeVar("T")
READS_AT_ONCE: Final = 4
SORE_SECONDS: Final = 3.0
"""After a read that failed others are refused at once, so that a store that hangs does not hold every thread."""
_WAIT_SECONDS: Final = 4.0

_read = counter("archive_read_bytes", "Bytes read from the archive for playback, clips and evidence")
_read_failures = counter("archive_read_failures", "Reads from the archive that failed", "because")


class ArchiveReader:
    """See the module."""

    def __init__(self, store: ObjectStore, catalogue: ArchiveCatalogue, *, monotonic: Callable[[], float]) -> None:
        self.store = store
        self.catalogue = catalogue
        self._monotonic = monotonic
        self._slots = threading.BoundedSemaphore(READS_AT_ONCE)
        self._sore: tuple[float, ArchiveError] | None = None

    @property
    def answers(self) -> bool:
        """False for a moment after a read failed."""
        return self._trouble() is None

    def covers(self, segment: Segment) -> bool:
        """See `ArchiveCatalogue.covers`; False where that cannot be told."""
        return _told(lambda: self.catalogue.covers(segment), otherwise=False)

    def runs(self, camera: str, profile: str, from_us: int, to_us: int) -> list[FootageRun]:
        """What copies that touch a range join to; empty where the catalogue cannot be read."""
        return _told(lambda: self.catalogue.runs(camera, profile, from_us, to_us), otherwise=[])

    def oldest_us(self, camera: str, profile: str) -> dict[Tier, int]:
        """When the oldest copy of each tier was taken; empty where the catalogue cannot be read."""
        return _told(lambda: self.catalogue.oldest_us(camera, profile), otherwise={})

    def copies(self, camera: str, profile: str, from_us: int, to_us: int) -> list[tuple[ArchivedCopy, Sequence[Gop]]]:
        """The copies that touch a range, in order, with their keyframe indexes."""

        def found() -> list[tuple[ArchivedCopy, Sequence[Gop]]]:
            return [
                (copy, self.catalogue.gops(copy)) for copy in self.catalogue.within(camera, profile, from_us, to_us)
            ]

        return _told(found, otherwise=[])

    @contextmanager
    def opened(self, copy: ArchivedCopy) -> Iterator[tuple[ReadAt, int]]:
        """As `services.recorder.storage.scan.opened`. Reading raises `ArchiveError`, ``FileNotFoundError``."""
        yield RangeReader(lambda at, size: self._fetch(copy.key, at, size), copy.size_bytes).read, copy.size_bytes

    def _fetch(self, key: str, at: int, size: int) -> bytes:
        if trouble := self._trouble():
            raise trouble
        if not self._slots.acquire(timeout=_WAIT_SECONDS):
            raise ArchiveError(ArchiveTrouble.FAILED, "too much is being read from the archive just now; ask again")
        try:
            data = self.store.fetch(key, at, size)
        except ArchiveError as error:
            self._sore = (self._monotonic(), error)
            _read_failures.labels(error.trouble).inc()
            raise
        finally:
            self._slots.release()
        _read.inc(len(data))
        return data

    def _trouble(self) -> ArchiveError | None:
        if self._sore is None or self._monotonic() - self._sore[0] > SORE_SECONDS:
            return None
        return self._sore[1]


def _told(read: Callable[[], T], *, otherwise: T) -> T:
    """What the catalogue says, or ``otherwise`` where it cannot be read."""
    try:
        return read()
    except sqlite3.Error as error:
        log.warning("archive.catalogue_unreadable", error=error)
        return otherwise
