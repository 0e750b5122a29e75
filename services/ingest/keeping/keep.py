"""A worker's keep: all cameras' unacknowledged footage, within its bounds. It says what goes to disk and when.

No bus and no tasks: `Keeper` (`services.ingest.keeping.keeper`) turns it.
"""

from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter
from typing import Final, NamedTuple

from services.contracts.keeping import KeptRun, SafeReport
from services.contracts.models import Id
from services.ingest.keeping.chunks import FootageChunk, KeptCamera, SpoolPlace
from services.ingest.keeping.spool import Spool, SpooledChunk

SPOOL_AFTER_SECONDS: Final = 10.0
"""Footage that nobody acknowledged for so long goes to disk. A recorder that is well needs 6 s at most: up to 2 s for
a fragment, 2.5 s until it is due for fdatasync, 1 s each for its pass and for the message."""
BATCH_BYTES: Final = 16 * 1024 * 1024
"""What is written to the spool at once."""


class KeepLimits(NamedTuple):
    """What a worker keeps at most. Where the spool is off, memory alone bounds it."""

    seconds: float = 600.0
    spool_bytes: int = 4_000_000_000
    """0: no spool."""
    memory_bytes: int = 256_000_000
    writing_bytes: int = 4 * BATCH_BYTES
    """So much more may wait to be written to the spool; past it a disk that does not follow loses the oldest."""


DEFAULT_LIMITS: Final = KeepLimits()


class SpoolJob(NamedTuple):
    """What `Spool.write` shall write."""

    cameras: tuple[KeptCamera, ...]
    chunks: tuple[FootageChunk, ...]

    @property
    def is_full(self) -> bool:
        """Whether more may be due than it holds."""
        return sum(chunk.size_bytes for chunk in self.chunks) >= BATCH_BYTES

    def rows(self) -> Iterator[tuple[Id, Id, FootageChunk]]:
        """As `Spool.write` takes them."""
        for kept, chunk in zip(self.cameras, self.chunks, strict=True):
            yield kept.site, kept.camera, chunk


class Keep:
    """`required` says which recorders must acknowledge a camera; None: not known yet, so nothing is released."""

    def __init__(self, limits: KeepLimits, required: Callable[[Id], tuple[Id, ...] | None]) -> None:
        self.cameras: dict[tuple[Id, Id], KeptCamera] = {}
        """By site and camera."""
        self.spool: Spool | None = None
        self.dropped_bytes = 0
        """What went without an acknowledgement because a bound was reached."""
        self.spooled_bytes = 0
        """What was written to the spool."""
        self._limits = limits
        self._required = required

    def camera(self, site: Id, camera: Id) -> KeptCamera:
        """A camera's part; made where there is none."""
        kept = self.cameras.get((site, camera))
        if kept is None:
            kept = self.cameras[site, camera] = KeptCamera(site, camera)
        return kept

    @property
    def memory_bytes(self) -> int:
        """What is kept in memory."""
        return sum(kept.memory_bytes for kept in self.cameras.values())

    def runs(self) -> list[KeptRun]:
        """All that is kept."""
        return [run for kept in self.cameras.values() for run in kept.runs()]

    def find(self, camera: Id, epoch: int) -> KeptCamera | None:
        """The part that keeps footage of a camera under an epoch."""
        for kept in self.cameras.values():
            if kept.camera == camera and any(chunk.epoch == epoch for chunk in kept.chunks):
                return kept
        return None

    def adopt(self, found: Iterable[SpooledChunk]) -> None:
        """Takes what `Spool.load` found."""
        assert self.spool is not None
        taken = [
            chunk.place
            for site, camera, chunk in found
            if self.camera(site, camera).adopt_chunk(chunk) and chunk.place is not None
        ]
        self.spool.hold(taken)

    def acknowledge(self, report: SafeReport) -> None:
        """A recorder says what it has."""
        by_camera: dict[Id, list[KeptCamera]] = {}
        for kept in self.cameras.values():
            by_camera.setdefault(kept.camera, []).append(kept)
        for camera, epoch, sequence in report.rows:
            for kept in by_camera.get(camera, ()):
                kept.acknowledge(report.recorder, epoch, sequence)

    def release(self) -> None:
        """Lets go what every recorder has that must have it."""
        for key, kept in list(self.cameras.items()):
            required = self._required(kept.camera)
            if required is not None:
                self._free(kept.release(required))
            if not kept.chunks and kept.live_epoch is None:
                del self.cameras[key]

    def enforce(self, now: float) -> None:
        """Drops the oldest where a bound is reached."""
        limits = self._limits
        for kept in self.cameras.values():
            old = 0
            for chunk in kept.chunks:
                if now - chunk.kept_at <= limits.seconds or chunk is kept.growing:
                    break
                old += 1
            if old:
                self._drop(kept, old)
        while self.spool is not None and self.spool.size_bytes > limits.spool_bytes:
            if not self._drop_oldest_file(self.spool):
                break
        excess = self.memory_bytes - limits.memory_bytes - (limits.writing_bytes if self.spool is not None else 0)
        while excess > 0:
            candidates = [(chunk.kept_at, kept) for kept in self.cameras.values() for chunk in kept.oldest_in_memory]
            if not candidates:
                break
            _, oldest = min(candidates, key=itemgetter(0))
            gone = oldest.drop_from_memory()
            self.dropped_bytes += gone
            excess -= gone

    def _drop_oldest_file(self, spool: Spool) -> bool:
        number = spool.oldest_file
        if number is None:
            return False
        dropped = False
        for kept in self.cameras.values():
            count = max(
                (at + 1 for at, chunk in enumerate(kept.chunks) if chunk.place and chunk.place.file == number),
                default=0,
            )
            if count:
                self._drop(kept, count)
                dropped = True
        spool.end_file()
        return dropped

    def _drop(self, kept: KeptCamera, count: int) -> None:
        gone = kept.drop_oldest(count)
        self.dropped_bytes += sum(chunk.size_bytes for chunk in gone)
        self._free(gone)

    def _free(self, gone: Iterable[FootageChunk]) -> None:
        for chunk in gone:
            if chunk.place is not None and self.spool is not None:
                self.spool.release(chunk.place)

    def to_spool(self, now: float, *, urgent: bool) -> SpoolJob | None:
        """What is to be written to disk now; None: nothing.

        ``urgent``: nobody can acknowledge just now, so all goes to disk at once, the growing chunks too.
        """
        if self.spool is None or not self._limits.spool_bytes:
            return None
        full = self.memory_bytes > self._limits.memory_bytes
        found: list[tuple[KeptCamera, FootageChunk]] = []
        size_bytes = 0
        for kept in self.cameras.values():
            if self._required(kept.camera) == ():
                continue
            if urgent:
                kept.end_chunk()
            for chunk in kept.unspooled:
                if not (urgent or full or now - chunk.kept_at >= SPOOL_AFTER_SECONDS):
                    break
                found.append((kept, chunk))
        found.sort(key=lambda item: item[1].kept_at)
        for count, (_, chunk) in enumerate(found, start=1):
            size_bytes += chunk.size_bytes
            if size_bytes >= BATCH_BYTES:
                found = found[:count]
                break
        if not found:
            return None
        cameras, chunks = zip(*found, strict=True)
        return SpoolJob(cameras, chunks)

    def spooled(self, job: SpoolJob, places: list[SpoolPlace]) -> None:
        """What of ``job`` was written."""
        assert self.spool is not None
        self.spool.hold(places)
        for kept, chunk, place in zip(job.cameras, job.chunks, places, strict=False):
            self.spooled_bytes += place.size_bytes
            if chunk in kept.chunks:
                kept.moved_to_disk(chunk, place)
            else:
                self.spool.release(place)  # it went while it was written
