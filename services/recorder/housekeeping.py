"""Housekeeping: retention on every disk, its events, new footage judged, the daily coverage statement."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Sequence, Set
from contextlib import closing, suppress
from typing import Final

from services.contracts.events import Event, RecordingThinned, Remains
from services.contracts.ladder import Ladder
from services.contracts.models import Camera, Incident
from services.contracts.recordings import Range
from services.mesh.buckets import Mirror
from services.mesh.clock import Clock
from services.mesh.log import get_logger
from services.mesh.metrics import counter
from services.recorder.motion.scorer import judge
from services.recorder.reading.coverage import Coverage
from services.recorder.retention.expired import ExpiredFootage, expired
from services.recorder.retention.holds import CurrentHolds
from services.recorder.retention.retention_pass import CarriedOut, RetentionPass
from services.recorder.settings import RecorderSettings
from services.recorder.storage.disk import Disk
from services.recorder.storage.index import Index
from services.recorder.storage.paths import INDEX, RecordedStream
from services.recorder.storage.rows import Segment

log = get_logger()

PASS_SECONDS: Final = 15.0

_removed = counter("recorder_removed_segments", "Segments removed by retention", "because")
_thinned = counter("recorder_thinned_segments", "Segments thinned by retention", "because")

_uncopied = counter("recorder_removed_uncopied", "Segments thinned or removed for room before they were archived")


class Housekeeping:
    """`run` it beside the recordings; `hurry` when a disk is full."""

    def __init__(
        self,
        recorder: str,
        settings: RecorderSettings,
        disks: Sequence[Disk],
        coverage: Coverage,
        *,
        clock: Clock,
        ladder_of: Callable[[str], Ladder],
        cameras: Mirror[Camera],
        incidents: Mirror[Incident],
        post: Callable[[Event], None],
        storage_low: Callable[[Disk, str], None],
        awaited: Callable[[Segment], bool] = lambda _: False,
        copied: Callable[[Segment], bool] = lambda _: False,
        ranges: Callable[[RecordedStream], Sequence[Range]],
    ) -> None:
        self._recorder = recorder
        self._coverage = coverage
        self._clock = clock
        self._cameras = cameras
        self._incidents = incidents
        self._post = post
        self._storage_low = storage_low
        self._woken = asyncio.Event()
        self._stopping = False
        self._copied = copied
        self._ranges = ranges
        self._swept = dict.fromkeys(disks, 0)
        self._passes = {
            disk: RetentionPass(
                disk,
                ladder_of=ladder_of,
                clock=clock,
                floor_bytes=int(settings.floor_gigabytes * 1e9),
                budget_bytes=int(settings.budget_gigabytes * 1e9),
                stopping=lambda: self._stopping,
                awaited=awaited,
                copied=copied,
            )
            for disk in disks
        }

    def hurry(self) -> None:
        """A disk found no room: a pass at once."""
        self._woken.set()

    def stop(self) -> None:
        """Lets a pass that runs end soon."""
        self._stopping = True

    async def run(self) -> None:
        """Passes for ever; none before the holds are known (I7)."""
        await self._incidents.ready.wait()
        await self._cameras.ready.wait()
        while True:
            await self.run_once()
            self._woken.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(PASS_SECONDS):
                    await self._woken.wait()

    async def run_once(self) -> None:
        """One pass over all disks, and the coverage statements where a day has ended."""
        holds = CurrentHolds(self._incidents.values, self._clock.now_us, self._clock.monotonic)
        for disk, retention in self._passes.items():
            if disk.failure is not None:
                continue
            try:
                outcome = await asyncio.to_thread(retention.run, holds)
            except (OSError, sqlite3.Error) as error:
                log.warning("retention.failed", directory=str(disk.directory), error=error)
                continue
            self._tell(outcome.done, await asyncio.to_thread(self._copies, outcome.done))
            if outcome.because is not None:
                self._storage_low(disk, outcome.because)
            if outcome.uncopied:
                _uncopied.inc(outcome.uncopied)
                self._storage_low(disk, "footage went before it was archived")
            if outcome.short_bytes > 0:
                self._storage_low(disk, "nothing is left that may be removed")
            await asyncio.to_thread(self._judge, disk)
        for event in await asyncio.to_thread(self._coverage.of_a_day_that_ended):
            self._post(event)

    def _copies(self, done: Iterable[CarriedOut]) -> frozenset[Segment]:
        """What was removed and is still in the archive."""
        return frozenset(item.segment for item in done if not item.bytes_after and self._copied(item.segment))

    def _tell(self, done: Iterable[CarriedOut], copies: Set[Segment]) -> None:
        gone: list[ExpiredFootage] = []
        thinned: dict[RecordedStream, list[CarriedOut]] = {}
        for item in done:
            (_thinned if item.bytes_after else _removed).labels(item.because).inc()
            segment = item.segment
            if item.bytes_after:
                thinned.setdefault(segment.stream, []).append(item)
            else:
                remains: Remains = "archive" if segment in copies else ""
                gone.append(ExpiredFootage(*segment[:4], item.because, remains))
        at_us = self._clock.now_us()
        for stream, items in thinned.items():
            self._post(
                RecordingThinned(
                    site=stream.site, camera=stream.camera, recorder=self._recorder, at_us=at_us,
                    from_us=min(item.segment.start_us for item in items),
                    to_us=max(item.segment.end_us for item in items),
                    bytes_before=sum(item.segment.size_bytes for item in items),
                    bytes_after=sum(item.bytes_after for item in items),
                )
            )  # fmt: skip
        for event in expired(gone, recorder=self._recorder, at_us=at_us):
            self._post(event)

    def _judge(self, disk: Disk) -> None:
        try:
            with closing(Index.open(disk.recordings / INDEX, durable=False)) as index:
                judge(index, disk.recordings, stopping=lambda: self._stopping)
                self._sweep(index, disk)
        except sqlite3.Error as error:
            log.warning("activity.failed", directory=str(disk.directory), error=error)

    def _sweep(self, index: Index, disk: Disk) -> None:
        """Forgets the activity of one stream's footage that went, from the archive too; of another one each pass."""
        streams = index.streams()
        if streams:
            self._swept[disk] += 1
            stream = streams[self._swept[disk] % len(streams)]
            ranges = [(found.from_us, found.to_us) for found in self._ranges(stream)]
            with index:
                index.activity.keep_hours(index.stream_id(stream), ranges)
