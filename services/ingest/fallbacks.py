"""What ``auto`` has learned of sources outlives workers: a bucket says which the direct reader cannot read.

An entry belongs to one URL and transport. It is forgotten when those change, and when somebody else than ``auto``
chooses the reader. Without a bus nothing is known: such a source falls back once more.
"""

import asyncio
import hashlib

from services.contracts import subjects
from services.contracts.errors import UnavailableError
from services.contracts.models import Id, ProfileName, ReaderFallback
from services.ingest.readers.source import Source
from services.mesh.buckets import Bucket, Mirror
from services.mesh.bus import Bus
from services.mesh.clock import Clock
from services.mesh.log import get_logger

log = get_logger()


class Fallbacks:
    """Follow it by `run`. Other methods return at once."""

    def __init__(self, bucket: Bucket[ReaderFallback], tasks: asyncio.TaskGroup, clock: Clock) -> None:
        self._bucket = bucket
        self._mirror = Mirror(bucket)
        self._tasks = tasks
        self._clock = clock

    @classmethod
    async def open(cls, bus: Bus, tasks: asyncio.TaskGroup, clock: Clock) -> "Fallbacks":
        """Waits while JetStream is not there."""
        return cls(await Bucket.open(bus, subjects.READERS_BUCKET, ReaderFallback), tasks, clock)

    @property
    def ready(self) -> asyncio.Event:
        """Set when what was learned before is known."""
        return self._mirror.ready

    async def run(self) -> None:
        """Follows the bucket until it is cancelled."""
        await self._mirror.run()

    def recall(self, camera: Id, profile: ProfileName, source: Source, *, auto: bool) -> str:
        """Why the direct reader cannot read ``source``; empty where nothing is known. ``auto`` chooses the reader."""
        entry = self._mirror.get(_key(camera, profile))
        if entry is None:
            return ""
        if auto and entry.source == _print_of(source):
            return entry.detail
        self._tasks.create_task(self._forget(_key(camera, profile)), name="fallback forgotten")
        return ""

    def learn(self, camera: Id, profile: ProfileName, source: Source, detail: str) -> None:
        """``auto`` has fallen back to libav."""
        entry = ReaderFallback(source=_print_of(source), detail=detail, since_us=self._clock.now_us())
        self._tasks.create_task(self._keep(_key(camera, profile), entry), name="fallback learned")

    async def _keep(self, key: str, entry: ReaderFallback) -> None:
        try:
            await self._bucket.put(key, entry)
        except UnavailableError as error:
            log.debug("fallback.not_kept", key=key, error=error)

    async def _forget(self, key: str) -> None:
        try:
            await self._bucket.delete(key)
        except UnavailableError as error:
            log.debug("fallback.not_forgotten", key=key, error=error)


def _key(camera: Id, profile: ProfileName) -> str:
    return f"{camera}.{profile}"


def _print_of(source: Source) -> str:
    return hashlib.sha256(f"{source.transport} {source.url}".encode()).hexdigest()[:16]
