"""All directories of a recorder: opened, watched, opened again when they come back."""

import asyncio
import sqlite3
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from services.mesh.clock import Clock, sleep
from services.mesh.log import get_logger
from services.mesh.metrics import counter, gauge
from services.recorder.storage.disk import DEFAULT_LIMITS, Disk, DiskFailed, DiskLimits, DiskNotice, LastLink
from services.recorder.storage.files import Files, OsFiles
from services.recorder.storage.index import ENDLESS_US, Index
from services.recorder.storage.paths import INDEX, RecordedStream
from services.recorder.storage.proof import Signer
from services.recorder.storage.rows import GapRow, Segment
from services.recorder.storage.share import WHOLE, Share

log = get_logger()
T = TypeVar("T")
D = TypeVar("D", bound=Hashable)

RETRY_SECONDS: Final = 10.0
"""How often a failed directory is tried again."""
_LOOK_SECONDS: Final = 1.0

_usable = gauge("recorder_disk_usable", "1 while the directory takes recordings", "directory")
_queued = gauge("recorder_disk_queued_bytes", "Footage that waits to be written", "directory")
_failures = counter("recorder_disk_failures", "Times that a directory failed or could not be opened", "directory")


class DiskRoom(NamedTuple):
    """A usable disk as seen now."""

    free_bytes: int
    """Above the floor that is kept free; negative when below it."""
    streams: int
    """That write to it."""


class StreamPast(NamedTuple):
    """What the disks have of a stream."""

    end_us: int | None
    """Where its footage ends."""
    lasting: GapRow | None
    """Its gap that is still open."""
    positions: dict[int, int]
    """Epoch → sequence of the last picture."""


class Disks:
    """Implements `services.recorder.capture.recording.DiskChooser`. ``notify`` is called in the event loop."""

    def __init__(
        self,
        directories: Sequence[Path],
        *,
        recorder: str,
        clock: Clock,
        notify: Callable[[Disk, DiskNotice], None],
        limits: DiskLimits = DEFAULT_LIMITS,
        signer: Signer | None = None,
        files: Files | None = None,
        share: Share = WHOLE,
    ) -> None:
        loop = asyncio.get_running_loop()

        def tell(disk: Disk, notice: DiskNotice) -> None:
            if isinstance(notice, DiskFailed):
                _failures.labels(str(disk.directory)).inc()
            if not loop.is_closed():
                loop.call_soon_threadsafe(notify, disk, notice)

        self._links: dict[RecordedStream, LastLink] = {}
        self.all = [
            Disk(
                directory,
                recorder=recorder,
                files=files or OsFiles(),
                clock=clock,
                notify=tell,
                limits=limits,
                signer=signer,
                links=self._links,
                share=share,
            )
            for directory in directories
        ]
        self._clock = clock
        self._floor_bytes = limits.floor_bytes
        self.streams: dict[RecordedStream, Disk] = {}
        """Where each stream was recorded last."""
        self._told: dict[Disk, str] = {}

    def choose(self, stream: RecordedStream, current: Disk | None) -> Disk | None:
        counts = dict.fromkeys(self.all, 0)
        for disk in self.streams.values():
            counts[disk] += 1
        rooms: dict[Disk, DiskRoom] = {}
        for disk in self.all:
            if disk.usable and (free := disk.free_bytes()) is not None:
                rooms[disk] = DiskRoom(free - self._floor_bytes, counts[disk])
        chosen = choose_disk(rooms, current or self.streams.get(stream))
        if chosen is not None:
            self.streams[stream] = chosen
        return chosen

    def keys(self) -> frozenset[str]:
        """The public keys that this recorder ever had, as its directories remember them."""
        return frozenset().union(*(disk.keys for disk in self.all))

    async def open(self) -> None:
        """Opens every directory; one that cannot be opened is tried again by `watch`."""
        await asyncio.gather(*(self._open(disk) for disk in self.all))

    async def watch(self) -> None:
        """Tries failed directories again, for ever."""
        tried_at = self._clock.monotonic()
        while True:
            await sleep(self._clock, _LOOK_SECONDS)
            now = self._clock.monotonic()
            again = now - tried_at >= RETRY_SECONDS
            tried_at = now if again else tried_at
            for disk in self.all:
                _usable.labels(str(disk.directory)).set(disk.usable)
                _queued.labels(str(disk.directory)).set(disk.queued_bytes)
                if disk.failure is not None and again:
                    await asyncio.to_thread(disk.close, 0.5)
                    await self._open(disk)

    async def _open(self, disk: Disk) -> None:
        try:
            await asyncio.to_thread(disk.open)
        except (OSError, sqlite3.Error) as error:
            disk.failure = str(error)
            _failures.labels(str(disk.directory)).inc()
            if self._told.get(disk) != str(error):
                self._told[disk] = str(error)
                log.error("disk.unusable", directory=str(disk.directory), error=error)  # noqa: TRY400 (no trace wanted)
        else:
            if self._told.pop(disk, None) is not None:
                log.info("disk.back", directory=str(disk.directory))
            _usable.labels(str(disk.directory)).set(1)

    async def close(self) -> None:
        """Writes and syncs all that waits."""
        await asyncio.gather(*(asyncio.to_thread(disk.close) for disk in self.all))

    async def past(self, stream: RecordedStream) -> "StreamPast":
        """What the disks have of a stream; remembers which of them it was on last."""
        return await asyncio.to_thread(self._past, stream)

    async def covered(self, stream: RecordedStream, from_us: int, to_us: int) -> list[tuple[int, int]]:
        """What closed segments hold of a range: beginnings and ends, in no order."""

        def ask(_disk: Disk, index: Index) -> list[tuple[int, int]]:
            return [(each.start_us, each.end_us) for each in index.segments_touching(stream, from_us, to_us)]

        found = await asyncio.to_thread(ask_indexes, self.all, ask)
        return [span for spans in found for span in spans]

    def _past(self, stream: RecordedStream) -> "StreamPast":
        end_us: int | None = None
        lasting: GapRow | None = None
        positions: dict[int, int] = {}

        def ask(disk: Disk, index: Index) -> tuple[Disk, Segment | None, list[GapRow], dict[int, int]]:
            gaps = index.gaps(stream, 0, ENDLESS_US)
            return disk, index.last_segment(stream), [gap for gap in gaps if gap.to_us is None], index.positions(stream)

        newest: tuple[Disk, Segment] | None = None
        for disk, last, gaps, known in ask_indexes(self.all, ask):
            if last and (end_us is None or last.end_us > end_us):
                end_us, newest = last.end_us, (disk, last)
            lasting = gaps[-1] if gaps else lasting
            for epoch, sequence in known.items():
                positions[epoch] = max(sequence, positions.get(epoch, -1))
        if newest is not None:
            disk, last = newest
            self.streams.setdefault(stream, disk)
            self._links.setdefault(stream, LastLink(disk.directory, last.link))
        if lasting and end_us is not None and lasting.from_us < end_us - 1_000_000:
            lasting = None
        return StreamPast(end_us, lasting, positions)


def choose_disk(rooms: Mapping[D, DiskRoom], current: D | None) -> D | None:
    """The disk for the next segment; None where there is no usable one. Pure.

    A stream stays where it is while that disk has room, so that its footage lies together. Else it goes where there is
    the most room for each stream that writes there already. A full disk is better than none.
    """
    if not rooms:
        return None
    if (
        current is not None
        and current in rooms
        and (rooms[current].free_bytes > 0 or all(room.free_bytes <= 0 for room in rooms.values()))
    ):
        return current
    return max(rooms, key=lambda disk: _share(rooms[disk]))


def _share(room: DiskRoom) -> float:
    return room.free_bytes / (room.streams + 1) if room.free_bytes > 0 else float(room.free_bytes)


def ask_indexes(disks: Iterable[Disk], ask: Callable[[Disk, Index], T]) -> list[T]:
    """What ``ask`` finds in the index of each working disk. Blocks.

    A disk that cannot be read is left out and logged.
    """
    found: list[T] = []
    for disk in disks:
        if disk.failure is not None:
            continue
        try:
            with closing(Index.open_for_reading(disk.recordings / INDEX)) as index:
                found.append(ask(disk, index))
        except (OSError, sqlite3.Error) as error:
            log.warning("index.unreadable", directory=str(disk.directory), error=error)
    return found
