"""Housekeeping: retention on every disk, its events, new footage judged, the daily coverage statement."""

import asyncio
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from typing import Final

from services.contracts.events import Remains
from services.mesh.log import get_logger
from services.mesh.metrics import counter
from services.recorder.events import ExpiredFootage, RecorderEvents, ThinnedFootage
from services.recorder.motion.scorer import judge
from services.recorder.reading.coverage import Coverage
from services.recorder.reading.footage import RecordedFootage
from services.recorder.retention.holds import CurrentHolds
from services.recorder.retention.retention_pass import CarriedOut, RetentionPass
from services.recorder.storage.disk import Disk
from services.recorder.storage.index import ENDLESS_US, Index
from services.recorder.storage.paths import INDEX

log = get_logger()

PASS_SECONDS: Final = 15.0

_removed = counter("recorder_removed_segments", "Segments removed by retention", "because")
_thinned = counter("recorder_thinned_segments", "Segments thinned by retention", "because")
_uncopied = counter("recorder_removed_uncopied", "Segments thinned or removed for room before they were archived")


class Housekeeping:
    """Start `run` once holds and ladders are known (I7)."""

    def __init__(
        self,
        passes: Sequence[RetentionPass],
        holds: CurrentHolds,
        *,
        footage: RecordedFootage,
        coverage: Coverage,
        events: RecorderEvents,
        hurry: asyncio.Event,
    ) -> None:
        """``passes``: one a disk. ``hurry`` is set where a disk found no room: the next pass begins at once."""
        self._passes = passes
        self._holds = holds
        self._footage = footage
        self._coverage = coverage
        self._events = events
        self._hurry = hurry
        self._stopping = False
        self._swept = dict.fromkeys((item.disk for item in passes), 0)

    def stop(self) -> None:
        """Lets a pass that runs end soon."""
        self._stopping = True
        for item in self._passes:
            item.stop()

    async def run(self) -> None:
        """Passes for ever."""
        while True:
            self._hurry.clear()  # who hurries during the pass wants another
            await self.run_once()
            with suppress(TimeoutError):
                async with asyncio.timeout(PASS_SECONDS):
                    await self._hurry.wait()

    async def run_once(self) -> None:
        """One pass over all disks, and the coverage statements where a day has ended."""
        for retention in self._passes:
            disk = retention.disk
            if disk.failure is not None:
                continue
            try:
                outcome = await asyncio.to_thread(retention.run, self._holds)
            except (OSError, sqlite3.Error) as error:
                log.warning("retention.failed", directory=str(disk.directory), error=error)
                continue
            self._tell(outcome.done)
            if outcome.because is not None:
                self._events.storage_low(disk, outcome.because)
            if outcome.uncopied:
                _uncopied.inc(outcome.uncopied)
                self._events.storage_low(disk, "footage went before it was archived")
            if outcome.short_bytes > 0:
                self._events.storage_low(disk, "nothing is left that may be removed")
            await asyncio.to_thread(self._judge, disk)
        for event in await asyncio.to_thread(self._coverage.of_a_day_that_ended):
            self._events.post(event)

    def _tell(self, done: Iterable[CarriedOut]) -> None:
        gone: list[ExpiredFootage] = []
        thinned: list[ThinnedFootage] = []
        for item in done:
            segment = item.segment
            if item.bytes_after:
                _thinned.labels(item.because).inc()
                thinned.append(
                    ThinnedFootage(
                        segment.stream, segment.start_us, segment.end_us, segment.size_bytes, item.bytes_after
                    )
                )
            else:
                _removed.labels(item.because).inc()
                remains: Remains = "archive" if item.archived else ""
                gone.append(
                    ExpiredFootage(
                        segment.stream, segment.start_us, segment.end_us, segment.size_bytes, item.because, remains
                    )
                )
        self._events.footage_thinned(thinned)
        self._events.footage_expired(gone)

    def _judge(self, disk: Disk) -> None:
        try:
            with closing(Index.open(disk.recordings / INDEX, durable=False)) as index:
                judge(index, disk.recordings, stopping=lambda: self._stopping)
                self._sweep(index, disk)
        except sqlite3.Error as error:
            log.warning("activity.failed", directory=str(disk.directory), error=error)

    def _sweep(self, index: Index, disk: Disk) -> None:
        """Forgets activity whose footage is gone, from the archive too. Each pass takes the next stream."""
        streams = index.streams()
        if streams:
            self._swept[disk] += 1
            stream = streams[self._swept[disk] % len(streams)]
            timeline = self._footage.timeline(stream.camera, stream.profile, 0, ENDLESS_US)
            with index:
                index.activity.keep_hours(
                    index.stream_id(stream), [(item.from_us, item.to_us) for item in timeline.ranges]
                )
