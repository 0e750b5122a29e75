"""One recorder's archive, put together: opened as soon as its disk can be, and worked on until the end."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from services.contracts.events import Event
from services.contracts.models import Id, Incident
from services.mesh.buckets import Mirror
from services.mesh.clock import Clock
from services.mesh.log import get_logger
from services.recorder.archive.catalogue import CATALOGUE, ArchiveCatalogue
from services.recorder.archive.reader import ArchiveReader
from services.recorder.archive.settings import ArchiveSettings
from services.recorder.archive.store import ObjectStore
from services.recorder.archive.uploader import Uploader
from services.recorder.retention.holds import Holds
from services.recorder.storage.disk import Disk
from services.recorder.storage.rows import Segment

log = get_logger()
RETRY_SECONDS: Final = 10.0


class Archive:
    """`run` it as a task; `reader` is what others ask."""

    def __init__(
        self,
        recorder: Id,
        site: Id,
        settings: ArchiveSettings,
        directory: Path,
        disks: Sequence[Disk],
        *,
        clock: Clock,
        incidents: Mirror[Incident],
        post: Callable[[Event], None],
    ) -> None:
        self.reader: ArchiveReader | None = None
        """None until the catalogue could be opened."""
        self._recorder = recorder
        self._site = site
        self._settings = settings
        self._path = directory / CATALOGUE
        self._disks = disks
        self._clock = clock
        self._incidents = incidents
        self._post = post
        self._waits = settings.wait and settings.what == "all"
        self._store = ObjectStore(settings, recorder)

    def awaited(self, segment: Segment) -> bool:
        """Whether the segment is to be copied before it is thinned or removed, and was not."""
        if not self._waits:
            return False
        return self.reader is None or not self.reader.covers(segment)

    async def run(self) -> None:
        """Until it is cancelled."""
        await self._incidents.ready.wait()
        while (catalogue := await asyncio.to_thread(self._open)) is None:
            await asyncio.sleep(RETRY_SECONDS)
        self.reader = ArchiveReader(self._store, catalogue, monotonic=self._clock.monotonic)
        uploader = Uploader(
            self._recorder,
            self._site,
            self._settings,
            self._store,
            catalogue,
            self._disks,
            clock=self._clock,
            holds=lambda: Holds(self._known(), self._clock.now_us()),
            post=self._post,
        )
        await uploader.run()

    def _known(self) -> Iterable[Incident]:
        return self._incidents.values()

    def _open(self) -> ArchiveCatalogue | None:
        try:
            return ArchiveCatalogue(self._path)
        except (OSError, sqlite3.Error) as error:
            log.warning("archive.no_catalogue", path=str(self._path), error=error)
            return None
