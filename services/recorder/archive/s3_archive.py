"""The archive in an S3-compatible bucket: looks up copies, and supervises the uploader and the audit.

Nothing here stops recording (I8): while the archive fails, segments wait on their disks and the work is retried with
growing pauses.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from services.media.mp4.reader import ReadAt
from services.mesh.clock import Clock
from services.mesh.log import get_logger
from services.recorder.archive.archive import ArchiveError, ArchiveTrouble
from services.recorder.archive.audit import ArchiveAudit
from services.recorder.archive.catalogue import CATALOGUE, ArchiveCatalogue, ArchivedCopy
from services.recorder.archive.health import LONGEST_SECONDS, ArchiveHealth
from services.recorder.archive.reader import ArchiveReader
from services.recorder.archive.settings import ArchiveSettings
from services.recorder.archive.store import ObjectStore
from services.recorder.archive.uploader import Uploader
from services.recorder.events import RecorderEvents
from services.recorder.retention.holds import Holds
from services.recorder.storage.disk import Disk
from services.recorder.storage.gops import Gop
from services.recorder.storage.paths import RecordedStream
from services.recorder.storage.rows import FootageRun, Segment, Signing, Tier

log = get_logger()
T = TypeVar("T")
OPEN_AGAIN_SECONDS: Final = 10.0


class ArchivePauses(NamedTuple):
    """Pauses of the archive's work, in seconds."""

    copies: float = 10.0
    """Between two searches for segments to copy, when none waits."""
    audits: float = 600.0
    longest_retry: float = LONGEST_SECONDS
    """The longest pause while the archive does not work."""


DEFAULT_PAUSES: Final = ArchivePauses()


class S3Archive:
    """Implements `services.recorder.archive.archive.Archive`."""

    def __init__(
        self,
        settings: ArchiveSettings,
        directory: Path,
        disks: Sequence[Disk],
        *,
        clock: Clock,
        holds: Callable[[], Holds],
        events: RecorderEvents,
        pauses: ArchivePauses = DEFAULT_PAUSES,
    ) -> None:
        """``directory`` keeps the catalogue; ``holds`` is called in any thread."""
        self.keep_days = settings.days
        self.store = ObjectStore(settings, events.recorder, monotonic=clock.monotonic)
        self.health = ArchiveHealth(clock, events, longest_seconds=pauses.longest_retry)
        self.catalogue: ArchiveCatalogue | None = None
        """None until `open` succeeded."""
        self._settings = settings
        self._path = directory / CATALOGUE
        self._disks = disks
        self._clock = clock
        self._holds = holds
        self._events = events
        self._pauses = pauses
        self._waits = settings.wait and settings.what == "all"
        self._reader = ArchiveReader(self.store, monotonic=clock.monotonic)

    # What others ask

    @property
    def answers(self) -> bool:
        return self._reader.answers

    def awaits(self, segment: Segment) -> bool:
        return self._waits and not self.covers(segment)

    def covers(self, segment: Segment) -> bool:
        return self._look_up(lambda catalogue: catalogue.covers(segment), otherwise=False)

    def runs(
        self, camera: str, profile: str, from_us: int, to_us: int, *, site: str | None = None
    ) -> Sequence[FootageRun]:
        return self._look_up(lambda catalogue: catalogue.runs(camera, profile, from_us, to_us, site=site), otherwise=[])

    def damaged_spans(
        self, camera: str, profile: str, from_us: int, to_us: int, *, site: str | None
    ) -> list[tuple[int, int]]:
        def find(catalogue: ArchiveCatalogue) -> list[tuple[int, int]]:
            return catalogue.damaged_spans(camera, profile, from_us, to_us, site=site)

        return self._look_up(find, otherwise=[])

    def extents(self) -> dict[RecordedStream, tuple[int, int]]:
        return self._look_up(lambda catalogue: catalogue.extents(), otherwise={})

    def oldest_us(self, camera: str, profile: str) -> dict[Tier, int]:
        return self._look_up(lambda catalogue: catalogue.oldest_us(camera, profile), otherwise={})

    def copies(self, camera: str, profile: str, from_us: int, to_us: int) -> list[tuple[ArchivedCopy, Sequence[Gop]]]:
        def find(catalogue: ArchiveCatalogue) -> list[tuple[ArchivedCopy, Sequence[Gop]]]:
            return [(copy, catalogue.gops(copy)) for copy in catalogue.within(camera, profile, from_us, to_us)]

        return self._look_up(find, otherwise=[])

    def signing(self, copy: ArchivedCopy) -> Signing:
        return self._look_up(lambda catalogue: catalogue.signing(copy), otherwise=Signing.SIGNED)

    def opened(self, copy: ArchivedCopy, *, verified: bool = False) -> AbstractContextManager[tuple[ReadAt, int]]:
        return self._reader.opened_verified(copy) if verified else self._reader.opened(copy)

    def _look_up(self, find: Callable[[ArchiveCatalogue], T], *, otherwise: T) -> T:
        """The catalogue's answer; ``otherwise`` while it is not open or cannot be read."""
        if self.catalogue is None:
            return otherwise
        try:
            return find(self.catalogue)
        except sqlite3.Error as error:
            log.warning("archive.catalogue_unreadable", error=error)
            return otherwise

    # Its work

    def open(self) -> bool:
        """Opens the catalogue; returns False and logs the reason where that fails. Blocks."""
        try:
            self.catalogue = ArchiveCatalogue(self._path)
        except (OSError, sqlite3.Error) as error:
            log.warning("archive.no_catalogue", path=str(self._path), error=error)
            return False
        return True

    async def run(self) -> None:
        while self.catalogue is None and not await asyncio.to_thread(self.open):
            await asyncio.sleep(OPEN_AGAIN_SECONDS)
        uploader, audit = self.uploader(), self.audit()
        await asyncio.to_thread(uploader.look)  # so that the first failure tells how much waits

        async def copy() -> bool:
            more = await uploader.copy_some(probe=self.health.failing_since is not None)
            self.health.note_success()
            return more

        async def look_after() -> bool:
            await audit.run_once()
            uploader.retry_all()
            return False

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._forever(uploader, copy, self._pauses.copies), name="archive copies")
            tasks.create_task(self._forever(uploader, look_after, self._pauses.audits), name="archive audits")

    def uploader(self) -> Uploader:
        """What copies; `open` must have succeeded."""
        assert self.catalogue is not None
        return Uploader(self._settings, self.store, self.catalogue, self._disks, clock=self._clock, holds=self._holds)

    def audit(self) -> ArchiveAudit:
        """What audits the copies; `open` must have succeeded."""
        assert self.catalogue is not None
        return ArchiveAudit(
            self._settings, self.store, self.catalogue, self._disks,
            clock=self._clock, holds=self._holds, events=self._events,
        )  # fmt: skip

    async def _forever(self, uploader: Uploader, work: Callable[[], Awaitable[bool]], pause_seconds: float) -> None:
        """Calls ``work`` for ever, without a pause where it returns True. A failure is reported and followed by a
        pause."""
        while True:
            try:
                more = await work()
            except ArchiveError as error:
                failure = error
            except (OSError, sqlite3.Error) as error:
                failure = ArchiveError(ArchiveTrouble.FAILED, f"the archive's catalogue: {error}")
            except Exception as error:  # supervises: it must not end the recording
                log.exception("archive.broke", error=error)
                failure = ArchiveError(ArchiveTrouble.FAILED, f"{type(error).__name__}; see the recorder's log")
            else:
                await asyncio.sleep(0 if more else pause_seconds)
                continue
            self.health.note_failure(
                failure, waiting_segments=uploader.waiting_segments, waiting_bytes=uploader.waiting_bytes
            )
            await asyncio.sleep(self.health.pause_seconds())
