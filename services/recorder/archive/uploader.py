"""Copying closed segments to the archive: which of them wait; each is sent, read back and compared."""

import asyncio
import hashlib
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from services.mesh.clock import Clock
from services.mesh.log import get_logger
from services.mesh.metrics import counter, gauge
from services.recorder.archive.archive import ArchiveError, ArchiveTrouble
from services.recorder.archive.catalogue import ArchiveCatalogue, ArchivedCopy
from services.recorder.archive.settings import ArchiveSettings, keep_seconds
from services.recorder.archive.store import ObjectStore
from services.recorder.retention.holds import Holds
from services.recorder.storage import gops
from services.recorder.storage.disk import Disk
from services.recorder.storage.index import ENDLESS_US, Index
from services.recorder.storage.paths import INDEX, RecordedStream
from services.recorder.storage.rows import Segment, Signing

log = get_logger()

BATCH: Final = 64
"""Segments of one pass. The next pass sees the holds that began meanwhile."""
CHUNK_BYTES: Final = 1024 * 1024
_PER_STREAM: Final = 4
"""So many segments of a stream at once, so that no camera waits for the whole backlog of another."""
_MAX_ASIDE: Final = 1000

_copied = counter("archive_copied_segments", "Segments copied to the archive and verified there")
_copied_bytes = counter("archive_copied_bytes", "Their bytes")
_waiting = gauge("archive_waiting_segments", "Segments that wait to be copied")
_waiting_bytes = gauge("archive_waiting_bytes", "Their bytes")
_lag = gauge("archive_lag_seconds", "How long ago the oldest segment that waits was taken")


class ChangedError(Exception):
    """The file is not what the index says, or not any more; the segment is looked at again later."""


class SegmentToCopy(NamedTuple):
    """A segment that has no sound copy."""

    disk: Disk
    segment: Segment
    gops: bytes
    """Its keyframe index, packed."""

    @property
    def key(self) -> str:
        """The object's name in the recorder's folder of the bucket."""
        return str(self.segment.path)


class CopyBacklog(NamedTuple):
    """What is still to be copied from a disk."""

    next: list[SegmentToCopy]
    """Some of it: held footage first, then the oldest."""
    segments: int
    size_bytes: int
    oldest_us: int | None


class PendingCopies:
    """The uncopied segments of one disk. Remembers up to where all is copied, so that asking again is cheap."""

    def __init__(self, disk: Disk, catalogue: Path, *, held_only: bool) -> None:
        self._disk = disk
        self._catalogue = catalogue
        self._held_only = held_only
        self._copied_to_us: dict[RecordedStream, int] = {}

    def forget_progress(self) -> None:
        """Starts the search from the beginning, because copies may have gone or older segments may have come."""
        self._copied_to_us.clear()

    def backlog(self, holds: Holds, *, from_us: int = 0) -> CopyBacklog:
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
                    self._note_progress(index, stream, rest)
                    count, count_bytes = index.uncopied_totals(stream, begin_us)
                    segments, size_bytes = segments + count, size_bytes + count_bytes
            order = sorted(found, key=lambda s: (not holds.holds(s), s.start_us))
            made = [
                SegmentToCopy(self._disk, s, index.packed_gops(s.stream, s.start_us) or gops.pack(())) for s in order
            ]
        return CopyBacklog(made, segments, size_bytes, min((s.start_us for s in order), default=None))

    def _note_progress(self, index: Index, stream: RecordedStream, waiting: Sequence[Segment]) -> None:
        newest = waiting[0] if waiting else index.last_segment(stream, closed=True)
        if newest is not None:
            self._copied_to_us[stream] = newest.start_us


class Uploader:
    """Call `copy_some` again and again."""

    def __init__(
        self,
        settings: ArchiveSettings,
        store: ObjectStore,
        catalogue: ArchiveCatalogue,
        disks: Sequence[Disk],
        *,
        clock: Clock,
        holds: Callable[[], Holds],
    ) -> None:
        self.waiting_segments = self.waiting_bytes = 0
        """As of the last look."""
        self._uploads = settings.uploads
        self._keep_us = min(keep_seconds(settings.keep) * 1e6, float(ENDLESS_US))
        self._store = store
        self._catalogue = catalogue
        self._clock = clock
        self._holds = holds
        self._pending = {disk: PendingCopies(disk, catalogue.path, held_only=settings.what == "held") for disk in disks}
        self._aside: set[str] = set()
        """Keys of segments that could not be copied; tried again after `retry_all`."""

    def retry_all(self) -> None:
        """Tries again what was put aside, and searches every disk from the beginning."""
        self._aside.clear()
        for pending in self._pending.values():
            pending.forget_progress()

    async def copy_some(self, *, probe: bool = False) -> bool:
        """Copies some of the waiting segments; True where there may be more. Raises `ArchiveError`, ``sqlite3.Error``.

        ``probe``: the archive failed lately, so one small request goes first.
        """
        items = await asyncio.to_thread(self.look)
        items = [item for item in items if item.key not in self._aside][:BATCH]
        if probe:
            await self._store.probe()
        queue, failures = iter(items), list[ArchiveError | sqlite3.Error]()

        async def work() -> None:
            for item in queue:
                try:
                    await self._copy(item)
                except (ArchiveError, sqlite3.Error) as error:
                    failures.append(error)
                if failures:
                    return

        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(self._uploads, len(items))):
                tasks.create_task(work(), name="archive copy")
        if failures:
            raise failures[0]
        return bool(items)

    def look(self) -> list[SegmentToCopy]:
        """The segments that wait on all disks, held footage first, then the oldest. Blocks."""
        holds = self._holds()
        now_us = self._clock.now_us()
        found: list[CopyBacklog] = []
        for disk, pending in self._pending.items():
            if disk.failure is None:
                try:
                    found.append(pending.backlog(holds, from_us=max(0, round(now_us - self._keep_us))))
                except sqlite3.Error as error:
                    log.warning("index.unreadable", directory=str(disk.directory), error=error)
        self.waiting_segments = sum(each.segments for each in found)
        self.waiting_bytes = sum(each.size_bytes for each in found)
        oldest = min((each.oldest_us for each in found if each.oldest_us is not None), default=now_us)
        _waiting.set(self.waiting_segments)
        _waiting_bytes.set(self.waiting_bytes)
        _lag.set((now_us - oldest) / 1e6)
        return sorted(
            (item for each in found for item in each.next),
            key=lambda item: (not holds.holds(item.segment), item.segment.start_us),
        )

    async def _copy(self, item: SegmentToCopy) -> None:
        segment = item.segment
        path = item.disk.recordings / item.key
        try:
            sha256 = await copy_file(self._store, path, item.key, segment.size_bytes)
        except (ChangedError, FileNotFoundError) as error:
            log.info("archive.changed", path=str(path), error=error)  # retention changed it: the next look finds out
            self._put_aside(item)
            return
        except OSError as error:
            log.warning("archive.unreadable", path=str(path), error=error)
            self._put_aside(item)
            return
        except ArchiveError as error:
            if error.trouble is ArchiveTrouble.DIFFERS:
                self._put_aside(item)
            raise
        made = ArchivedCopy(
            segment.stream, segment.start_us, segment.end_us, segment.size_bytes, segment.tier, sha256,
            self._clock.now_us(),
        )  # fmt: skip
        await asyncio.to_thread(self._catalogue.put_copy, made, item.gops)
        if segment.signed is Signing.NEVER:
            await asyncio.to_thread(self._catalogue.note_unsigned, made)
        _copied.inc()
        _copied_bytes.inc(segment.size_bytes)

    def _put_aside(self, item: SegmentToCopy) -> None:
        if len(self._aside) < _MAX_ASIDE:
            self._aside.add(item.key)


async def copy_file(store: ObjectStore, path: Path, key: str, size_bytes: int) -> bytes:
    """Stores a file of ``size_bytes`` as ``key``, reads it back, and returns its SHA-256.

    Raises `ArchiveError`, `ChangedError`, ``OSError`` where the file cannot be read.
    """
    fd = await asyncio.to_thread(os.open, path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if os.fstat(fd).st_size != size_bytes:
            raise ChangedError(f"{path.name} has not the size that its row says")
        sent = hashlib.sha256()
        await store.put_object(key, _chunks(fd, size_bytes, sent))
    finally:
        os.close(fd)
    try:
        await store.verify_object(key, size_bytes, sent.digest())
    except FileNotFoundError:
        raise ArchiveError(ArchiveTrouble.DIFFERS, f"{key} was stored, and is not there") from None
    return sent.digest()


async def _chunks(fd: int, size_bytes: int, sent: "hashlib._Hash") -> AsyncIterator[bytes]:
    for at in range(0, size_bytes, CHUNK_BYTES):
        wanted = min(CHUNK_BYTES, size_bytes - at)
        data = await asyncio.to_thread(os.pread, fd, wanted, at)
        if len(data) < wanted:
            raise ChangedError("the file was cut while it was being copied")
        sent.update(data)
        yield data
