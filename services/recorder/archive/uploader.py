"""The archivist: copies segments, looks after the copies, and tells how it goes.

Nothing here stops recording (I8): while the archive does not work, segments wait on their disks, and it is tried again
with growing pauses.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

from services.contracts.events import ArchiveDamaged, ArchiveFailed, ArchiveRecovered, Event
from services.contracts.models import Id
from services.mesh.clock import Clock
from services.mesh.log import get_logger
from services.mesh.metrics import counter, gauge
from services.recorder.archive.audit import ArchiveAudit
from services.recorder.archive.catalogue import ArchiveCatalogue, ArchivedCopy
from services.recorder.archive.condition import LONGEST_SECONDS, ArchiveCondition
from services.recorder.archive.copying import ChangedError, TransferLimits, copy
from services.recorder.archive.errors import ArchiveError, ArchiveTrouble
from services.recorder.archive.pending import CopyBacklog, PendingCopies, SegmentToCopy
from services.recorder.archive.settings import ArchiveSettings, keep_seconds
from services.recorder.archive.store import ObjectStore
from services.recorder.retention.holds import Holds
from services.recorder.storage.disk import Disk
from services.recorder.storage.paths import segment_path

log = get_logger()

PASS_SECONDS: Final = 10.0
ROUND_SECONDS: Final = 600.0
BATCH: Final = 64
"""Segments of a pass; the next one sees what is held meanwhile."""
_MAX_ASIDE: Final = 1000

_copied = counter("archive_copied_segments", "Segments copied to the archive and verified there")
_copied_bytes = counter("archive_copied_bytes", "Their bytes")
_failures = counter("archive_failures", "Times that the archive did not do what it was asked", "because")
_working = gauge("archive_working", "1 while the archive works")
_waiting = gauge("archive_waiting_segments", "Segments that wait to be copied")
_waiting_bytes = gauge("archive_waiting_bytes", "Their bytes")
_lag = gauge("archive_lag_seconds", "How long ago the oldest segment that waits was taken")
_held = gauge("archive_copies", "Copies in the archive")
_held_bytes = gauge("archive_copies_bytes", "Their bytes")


class Uploader:
    """`run` it beside the recordings."""

    def __init__(
        self,
        recorder: Id,
        site: Id,
        settings: ArchiveSettings,
        store: ObjectStore,
        catalogue: ArchiveCatalogue,
        disks: Sequence[Disk],
        *,
        clock: Clock,
        holds: Callable[[], Holds],
        post: Callable[[Event], None],
        pass_seconds: float = PASS_SECONDS,
        longest_pause_seconds: float = LONGEST_SECONDS,
    ) -> None:
        self._recorder = recorder
        self._site = site
        self._settings = settings
        self._store = store
        self._catalogue = catalogue
        self._clock = clock
        self._holds = holds
        self._post = post
        self._pass_seconds = pass_seconds
        self._keep_us = min(keep_seconds(settings.keep) * 1e6, float(1 << 62))
        self._line = TransferLimits(settings.megabits_per_second, clock.monotonic)
        self._pending = {disk: PendingCopies(disk, catalogue.path, held_only=settings.what == "held") for disk in disks}
        self._rounds = ArchiveAudit(
            recorder, settings, store, catalogue, self._line, clock=clock, holds=holds, post=post,
            damaged=self._damaged, on_disk=self._on_disk,
        )  # fmt: skip
        self.condition = ArchiveCondition(clock.monotonic, longest_seconds=longest_pause_seconds)
        self._aside: set[str] = set()
        """Keys of what could not be copied soundly; tried again after the next round."""
        self._segments = self._bytes = 0
        """That wait."""

    async def run(self) -> None:
        """Copies, and looks after what was copied, until it is cancelled."""
        _working.set(1)
        await asyncio.to_thread(self._look)  # so that whatever fails first tells how much waits
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._forever(self.copy_some, self._pass_seconds), name="archive copies")
            tasks.create_task(self._forever(self.go_round, ROUND_SECONDS), name="archive rounds")

    async def _forever(self, work: Callable[[], Awaitable[bool]], pause_seconds: float) -> None:
        while True:
            try:
                more = await work()
            except ArchiveError as error:
                self._failed(error)
                await asyncio.sleep(self.condition.pause_seconds())
            except (OSError, sqlite3.Error) as error:
                self._failed(ArchiveError(ArchiveTrouble.FAILED, f"the archive's catalogue: {error}"))
                await asyncio.sleep(self.condition.pause_seconds())
            except Exception as error:  # supervises: whatever it is, it must not end the recording
                log.exception("archive.broke", error=error)
                self._failed(ArchiveError(ArchiveTrouble.FAILED, f"{type(error).__name__}; see the recorder's log"))
                await asyncio.sleep(self.condition.pause_seconds())
            else:
                await asyncio.sleep(0 if more else pause_seconds)

    async def go_round(self) -> bool:
        """See `ArchiveAudit.go`; what was put aside is tried again after it."""
        await self._rounds.go()
        self._aside.clear()
        for pending in self._pending.values():
            pending.forget()
        copies, size_bytes = await asyncio.to_thread(self._catalogue.totals)
        _held.set(copies)
        _held_bytes.set(size_bytes)
        return False

    async def copy_some(self) -> bool:
        """Copies some of what waits; True where there is more. Raises `ArchiveError`."""
        items = await asyncio.to_thread(self._look)
        items = [item for item in items if _key(item) not in self._aside][:BATCH]
        if self.condition.failing_since is not None:
            await self._store.ask()  # one small question, before many large answers
        if not items:
            self._worked()
            return False
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
            for _ in range(min(self._settings.uploads, len(items))):
                tasks.create_task(work(), name="archive copy")
        if failures:
            raise failures[0]
        self._worked()
        return True

    def _look(self) -> list[SegmentToCopy]:
        """Over all disks, held footage first, then the oldest."""
        holds = self._holds()
        now_us = self._clock.now_us()
        found: list[CopyBacklog] = []
        for disk, pending in self._pending.items():
            if disk.failure is None:
                try:
                    found.append(pending.ask(holds, from_us=max(0, round(now_us - self._keep_us))))
                except sqlite3.Error as error:
                    log.warning("index.unreadable", directory=str(disk.directory), error=error)
        self._segments, self._bytes = sum(each.segments for each in found), sum(each.size_bytes for each in found)
        oldest = min((each.oldest_us for each in found if each.oldest_us is not None), default=now_us)
        _waiting.set(self._segments)
        _waiting_bytes.set(self._bytes)
        _lag.set((now_us - oldest) / 1e6)
        return sorted(
            (item for each in found for item in each.next),
            key=lambda item: (not holds.holds(item.segment), item.segment.start_us),
        )

    async def _copy(self, item: SegmentToCopy) -> None:
        segment = item.segment
        path = item.disk.recordings / segment_path(segment.stream, segment.start_us)
        try:
            sha256 = await copy(self._store, self._line, path, _key(item), segment.size_bytes)
        except (ChangedError, FileNotFoundError) as error:
            log.info("archive.changed", path=str(path), error=error)  # by retention: the next look tells
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
        await asyncio.to_thread(self._catalogue.put, made, item.gops)
        _copied.inc()
        _copied_bytes.inc(segment.size_bytes)

    def _on_disk(self, copy: ArchivedCopy) -> bool:
        """Whether what it was made of is still there."""
        return any((disk.recordings / copy.key).exists() for disk in self._pending if disk.failure is None)

    def _put_aside(self, item: SegmentToCopy) -> None:
        if len(self._aside) < _MAX_ASIDE:
            self._aside.add(_key(item))

    # How it goes

    def _failed(self, error: ArchiveError) -> None:
        _failures.labels(error.trouble).inc()
        _working.set(0)
        if self.condition.failed(error):
            log.warning("archive.failed", because=error.trouble, error=error.message)
            self._post(
                ArchiveFailed(
                    site=self._site, recorder=self._recorder, at_us=self._clock.now_us(), because=error.trouble,
                    detail=error.message, waiting_segments=self._segments, waiting_bytes=self._bytes,
                )
            )  # fmt: skip

    def _worked(self) -> None:
        after = self.condition.worked()
        _working.set(1)
        if after is not None:
            log.info("archive.back", after_seconds=round(after, 1))
            self._post(
                ArchiveRecovered(
                    site=self._site, recorder=self._recorder, at_us=self._clock.now_us(), after_seconds=round(after, 3)
                )
            )

    def _damaged(self, copies: Iterable[tuple[ArchivedCopy, str]]) -> None:
        for item, detail in copies:
            log.warning("archive.damaged", key=item.key, detail=detail)
            self._post(
                ArchiveDamaged(
                    site=item.stream.site, camera=item.stream.camera, recorder=self._recorder,
                    at_us=self._clock.now_us(), profile=item.stream.profile, path=item.key, from_us=item.start_us,
                    to_us=item.end_us, detail=detail,
                )
            )  # fmt: skip


def _key(item: SegmentToCopy) -> str:
    return str(segment_path(item.segment.stream, item.segment.start_us))
