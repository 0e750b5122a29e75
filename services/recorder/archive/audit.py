"""Audits the copies in the archive: expires old ones, reads each again now and then, adopts unknown objects."""

import asyncio
import hashlib
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from services.mesh.clock import Clock
from services.mesh.log import get_logger
from services.mesh.metrics import counter, gauge
from services.recorder.archive.archive import ArchiveError, ArchiveTrouble
from services.recorder.archive.catalogue import ArchiveCatalogue, ArchivedCopy
from services.recorder.archive.settings import ArchiveSettings, keep_seconds
from services.recorder.archive.store import ObjectStore, StoredObject
from services.recorder.events import ExpiredFootage, RecorderEvents
from services.recorder.retention.holds import Holds
from services.recorder.storage.disk import Disk
from services.recorder.storage.paths import RecordedStream, parse_path
from services.recorder.storage.scan import SegmentScan, scan_opened

log = get_logger()

ADOPT_SECONDS: Final = 86_400.0
"""The bucket is listed this often, and at the start where the catalogue is empty."""
BECAUSE: Final = "archive"
"""Of `RecordingExpired`."""

_expired = counter("archive_expired_segments", "Copies removed from the archive because of their age")
_rechecked = counter("archive_rechecked_segments", "Copies that were read again", "outcome")
_adopted = counter("archive_adopted_segments", "Copies found in the bucket that the catalogue did not know")
_held = gauge("archive_copies", "Copies in the archive")
_held_bytes = gauge("archive_copies_bytes", "Their bytes")


class ArchiveAudit:
    """Call `run_once` now and then. Raises `ArchiveError`, ``sqlite3.Error``."""

    def __init__(
        self,
        settings: ArchiveSettings,
        store: ObjectStore,
        catalogue: ArchiveCatalogue,
        disks: Sequence[Disk],
        *,
        clock: Clock,
        holds: Callable[[], Holds],
        events: RecorderEvents,
    ) -> None:
        self._keep_seconds = keep_seconds(settings.keep)
        self._recheck_seconds = settings.recheck_days * 86_400
        self._store = store
        self._catalogue = catalogue
        self._disks = disks
        self._clock = clock
        self._holds = holds
        self._events = events
        self._adopted_at: float | None = None

    async def run_once(self) -> None:
        """One audit of all copies that are due."""
        await self._store.probe()
        now = self._clock.monotonic()
        if self._adopted_at is None:
            copies, _ = await asyncio.to_thread(self._catalogue.totals)
            due = copies == 0
            self._adopted_at = now
        else:
            due = now - self._adopted_at >= ADOPT_SECONDS
        if due:
            await self._adopt()
            self._adopted_at = now
        await self._expire()
        await self._recheck()
        copies, size_bytes = await asyncio.to_thread(self._catalogue.totals)
        _held.set(copies)
        _held_bytes.set(size_bytes)

    async def _expire(self) -> None:
        """Removes expired copies, each object before its row. The recheck finds a row that a death in between left."""
        if self._keep_seconds == float("inf"):
            return
        before_us, last = self._clock.now_us() - int(self._keep_seconds * 1e6), None
        while found := await asyncio.to_thread(self._catalogue.older, before_us, last):
            holds = self._holds()
            gone = [item for item in found if not holds.holds(item)]
            if gone:
                await self._store.delete_objects([item.key for item in gone])
                await asyncio.to_thread(self._catalogue.forget_copies, gone)
                _expired.inc(len(gone))
                await self._tell(gone)
            last = found[-1]

    async def _tell(self, gone: list[ArchivedCopy]) -> None:
        there = await asyncio.to_thread(lambda: [self._on_disk(item) for item in gone])
        self._events.footage_expired(
            ExpiredFootage(item.stream, item.start_us, item.end_us, item.size_bytes, BECAUSE, "disk" if kept else "")
            for item, kept in zip(gone, there, strict=True)
        )

    def _on_disk(self, copy: ArchivedCopy) -> bool:
        """Whether what the copy was made of is still there."""
        return any((disk.recordings / copy.key).exists() for disk in self._disks if disk.failure is None)

    async def _recheck(self) -> None:
        if not self._recheck_seconds:
            return
        begun_us = self._clock.now_us()
        before_us = begun_us - int(self._recheck_seconds * 1e6)
        while found := await asyncio.to_thread(self._catalogue.unchecked, before_us):
            for item in found:
                await self.recheck_copy(item)

    async def recheck_copy(self, item: ArchivedCopy) -> bool:
        """Reads a copy again and returns whether it is sound. A missing one is forgotten, to be copied again."""
        try:
            await self._store.verify_object(item.key, item.size_bytes, item.sha256)
        except FileNotFoundError:
            _rechecked.labels("missing").inc()
            await asyncio.to_thread(self._catalogue.forget_copies, [item])
            self._tell_damage(item, "the object is gone")
            return False
        except ArchiveError as error:
            if error.trouble is not ArchiveTrouble.DIFFERS:
                raise
            _rechecked.labels("damaged").inc()
            await asyncio.to_thread(self._catalogue.mark_checked, item, self._clock.now_us(), error.message)
            self._tell_damage(item, error.message)
            return False
        _rechecked.labels("sound").inc()
        await asyncio.to_thread(self._catalogue.mark_checked, item, self._clock.now_us())
        return True

    def _tell_damage(self, copy: ArchivedCopy, detail: str) -> None:
        log.warning("archive.damaged", key=copy.key, detail=detail)
        self._events.archive_damaged(copy.stream, copy.key, copy.start_us, copy.end_us, detail)

    async def _adopt(self) -> None:
        """Adopts objects that the catalogue does not know, as after the loss of its disk. Their seals are verified."""
        pages = self._store.list_pages()
        while (page := await asyncio.to_thread(next, pages, None)) is not None:
            for item in page:
                named = parse_path(PurePosixPath(item.key))
                if named and not await asyncio.to_thread(self._catalogue.knows, *named):
                    await self._take_in(item, named[0])

    async def _take_in(self, item: StoredObject, stream: RecordedStream) -> None:
        try:
            sha256, found = await self._scan(item, stream)
        except FileNotFoundError:
            return
        if found is None or found.sealed_bytes != item.size_bytes:
            log.warning("archive.not_ours", key=item.key, size_bytes=item.size_bytes)
            return
        segment = found.segment
        copy = ArchivedCopy(
            stream, segment.start_us, segment.end_us, item.size_bytes, segment.tier, sha256, self._clock.now_us()
        )
        await asyncio.to_thread(self._catalogue.put_copy, copy, found.gops)
        _adopted.inc()

    async def _scan(self, item: StoredObject, stream: RecordedStream) -> tuple[bytes, SegmentScan | None]:
        sha256 = hashlib.sha256()
        with tempfile.TemporaryFile() as file:
            async for data in self._store.read_object(item.key, item.size_bytes):
                sha256.update(data)
                await asyncio.to_thread(file.write, data)
            file.flush()
            fd = file.fileno()
            found = await asyncio.to_thread(
                scan_opened, lambda at, size: os.pread(fd, size, at), item.size_bytes, Path(item.key), stream
            )
        return sha256.digest(), found
