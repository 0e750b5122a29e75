"""Upkeep: retention on every disk, what it does told as events, new footage judged, the daily coverage statement."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, suppress
from typing import Final

from services.mesh.buckets import Mirror
from services.mesh.clock import Clock
from services.mesh.events import Event, RecordingCoverage, RecordingExpired, RecordingThinned
from services.mesh.log import get_logger
from services.mesh.metrics import counter
from services.mesh.models import Camera, Incident
from services.recorder.coverage import statement
from services.recorder.disk import Disk
from services.recorder.footage import Footage
from services.recorder.forecast import Days, Flow, forecast
from services.recorder.holds import CurrentHolds
from services.recorder.index import Index, Segment, Tier, Usage
from services.recorder.keeper import Done, Keeper
from services.recorder.ladder import Ladder, parse_ladder
from services.recorder.paths import INDEX, Stream
from services.recorder.scorer import judge
from services.recorder.settings import RecorderSettings

log = get_logger()

PASS_SECONDS: Final = 15.0
DAY_US: Final = 86_400 * 1_000_000
_COVERAGE_DAY: Final = "coverage_day"
_THINNED_SHARE: Final = 0.1
"""What thinning leaves, where nothing has been thinned yet."""

_removed = counter("recorder_removed_segments", "Segments removed by retention", "because")
_thinned = counter("recorder_thinned_segments", "Segments thinned by retention", "because")

_uncopied = counter("recorder_removed_uncopied", "Segments thinned or removed for room before they were archived")


class Upkeep:
    """`run` it beside the recordings; `hurry` when a disk is full."""

    def __init__(
        self,
        recorder: str,
        settings: RecorderSettings,
        disks: Sequence[Disk],
        footage: Footage,
        *,
        clock: Clock,
        cameras: Mirror[Camera],
        incidents: Mirror[Incident],
        post: Callable[[Event], None],
        storage_low: Callable[[Disk, str], None],
        awaited: Callable[[Segment], bool] = lambda _: False,
    ) -> None:
        self._recorder = recorder
        self._settings = settings
        self._footage = footage
        self._clock = clock
        self._cameras = cameras
        self._incidents = incidents
        self._post = post
        self._storage_low = storage_low
        self._default = parse_ladder(settings.retention)
        self._groups = {tag: parse_ladder(text) for tag, text in settings.retention_groups.items()}
        self._woken = asyncio.Event()
        self._stopping = False
        self._keepers = {
            disk: Keeper(
                disk,
                ladder_of=self.ladder_of,
                clock=clock,
                floor_bytes=int(settings.floor_gigabytes * 1e9),
                budget_bytes=int(settings.budget_gigabytes * 1e9),
                stopping=lambda: self._stopping,
                awaited=awaited,
            )
            for disk in disks
        }

    def ladder_of(self, camera: str) -> Ladder:
        """The camera's own, else that of its first tag that has one, else the default."""
        entry = self._cameras.get(camera)
        if entry is None:
            return self._default
        if entry.retention:
            try:
                return parse_ladder(entry.retention)
            except ValueError as error:
                log.warning("retention.bad_ladder", camera=camera, error=error)
        return next((self._groups[tag] for tag in entry.tags if tag in self._groups), self._default)

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
        for disk, keeper in self._keepers.items():
            if disk.failure is not None:
                continue
            try:
                outcome = await asyncio.to_thread(keeper.run, holds)
            except (OSError, sqlite3.Error) as error:
                log.warning("retention.failed", directory=str(disk.directory), error=error)
                continue
            self._tell(outcome.done)
            if outcome.because is not None:
                self._storage_low(disk, outcome.because)
            if outcome.uncopied:
                _uncopied.inc(outcome.uncopied)
                self._storage_low(disk, "footage went before it was archived")
            if outcome.short_bytes > 0:
                self._storage_low(disk, "nothing is left that may be removed")
            await asyncio.to_thread(self._judge, disk)
        for event in await asyncio.to_thread(self._coverage_of_yesterday):
            self._post(event)

    def _tell(self, done: Iterable[Done]) -> None:
        by_stream: dict[tuple[Stream, str, bool], list[Done]] = {}
        for item in done:
            by_stream.setdefault((item.segment.stream, item.because, item.bytes_after > 0), []).append(item)
            (_thinned if item.bytes_after else _removed).labels(item.because).inc()
        for (stream, because, was_thinned), items in by_stream.items():
            from_us = min(item.segment.start_us for item in items)
            to_us = max(item.segment.end_us for item in items)
            before = sum(item.segment.size_bytes for item in items)
            site, camera, at_us, recorder = stream.site, stream.camera, self._clock.now_us(), self._recorder
            if was_thinned:
                after = sum(item.bytes_after for item in items)
                self._post(
                    RecordingThinned(
                        site=site, camera=camera, recorder=recorder, at_us=at_us,
                        from_us=from_us, to_us=to_us, bytes_before=before, bytes_after=after,
                    )
                )  # fmt: skip
            else:
                self._post(
                    RecordingExpired(
                        site=site, camera=camera, recorder=recorder, at_us=at_us,
                        from_us=from_us, to_us=to_us, size_bytes=before, because=because,
                    )
                )  # fmt: skip

    def _judge(self, disk: Disk) -> None:
        try:
            with closing(Index.open(disk.recordings / INDEX, durable=False)) as index:
                judge(index, disk.recordings, stopping=lambda: self._stopping)
        except sqlite3.Error as error:
            log.warning("activity.failed", directory=str(disk.directory), error=error)

    # Coverage and forecast; these block

    def forecast(self) -> dict[str, Days]:
        """Camera → how long its footage will be there."""
        usage: dict[tuple[Stream, Tier], Usage] = {}
        capacity = 0
        for disk in self._keepers:
            try:
                with closing(Index.open_for_reading(disk.recordings / INDEX)) as index:
                    found = index.usage()
                free = disk.space().free_bytes
            except (OSError, sqlite3.Error) as error:
                log.warning("index.unreadable", directory=str(disk.directory), error=error)
                continue
            used = sum(item.size_bytes for item in found.values())
            room = used + max(0, free - int(self._settings.floor_gigabytes * 1e9))
            budget = int(self._settings.budget_gigabytes * 1e9)
            capacity += min(room, budget) if budget else room
            for key, item in found.items():
                before = usage.get(key, Usage(0, 0, 0))
                usage[key] = Usage(*(a + b for a, b in zip(before, item, strict=True)))
        flows: dict[str, Flow] = {}
        for (stream, tier), item in usage.items():
            if tier is Tier.FULL and item.length_us > 0:
                full = item.size_bytes / item.length_us * DAY_US
                thin = usage.get((stream, Tier.KEYFRAMES), Usage(0, 0, 0))
                thinned = thin.size_bytes / thin.length_us * DAY_US if thin.length_us else full * _THINNED_SHARE
                flows[stream.camera] = Flow(full, thinned, self.ladder_of(stream.camera))
        return forecast(flows, capacity)

    def coverage(self, from_us: int, to_us: int) -> list[RecordingCoverage]:
        """A statement for every stream that has footage in the range, or should have had."""
        days = self.forecast()
        oldest: dict[Stream, dict[Tier, int]] = {}
        rates: dict[Stream, int] = {}
        for disk in self._keepers:
            try:
                with closing(Index.open_for_reading(disk.recordings / INDEX)) as index:
                    for stream in index.streams():
                        for tier in Tier:
                            first = next(index.oldest(stream, tier, page=1), None)
                            if first:
                                known = oldest.setdefault(stream, {})
                                known[tier] = min(first.start_us, known.get(tier, first.start_us))
                    for (stream, tier), item in index.usage().items():
                        if tier is Tier.FULL and item.length_us:
                            rates[stream] = item.size_bytes * DAY_US // item.length_us
            except sqlite3.Error as error:
                log.warning("index.unreadable", directory=str(disk.directory), error=error)
        events = []
        for stream, tiers in oldest.items():
            answer = self._footage.timeline(stream.camera, stream.profile, from_us, to_us)
            if not answer.ranges and not answer.gaps:
                continue
            made = statement(
                stream.camera, stream.profile, from_us, to_us, answer,
                oldest_full_us=tiers.get(Tier.FULL), oldest_thinned_us=tiers.get(Tier.KEYFRAMES),
                bytes_per_day=rates.get(stream, 0), days=days.get(stream.camera),
            )  # fmt: skip
            percent = round(100 * made.recorded_us / (to_us - from_us), 3)
            whose = {"site": stream.site, "recorder": self._recorder, "at_us": self._clock.now_us(), "percent": percent}
            events.append(RecordingCoverage.model_validate(made.model_dump() | whose))
        return events

    def _coverage_of_yesterday(self) -> list[RecordingCoverage]:
        """Once for each day (UTC) that has ended, over restarts too: a mark in the first usable index says which."""
        today = self._clock.now_us() // DAY_US
        disk = next((disk for disk in self._keepers if disk.failure is None), None)
        if disk is None:
            return []
        try:
            with closing(Index.open(disk.recordings / INDEX, durable=False)) as index:
                last = index.get(_COVERAGE_DAY)
                if last is not None and int(last) >= today:
                    return []
                with index:
                    index.set(_COVERAGE_DAY, str(today))
        except sqlite3.Error as error:
            log.warning("index.unreadable", directory=str(disk.directory), error=error)
            return []
        if last is None:
            return []
        return self.coverage((today - 1) * DAY_US, today * DAY_US)
