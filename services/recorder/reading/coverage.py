"""One recorder's coverage: its answer to a coverage question, its forecast, and the daily statement.

Methods block; call them in a thread. A disk that cannot be read is left out and logged.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import Final, NamedTuple

from services.contracts.coverage import PROFILE, CameraCoverage, CoverageAnswer, CoverageQuestion, coverage_statements
from services.contracts.events import RecordingCoverage
from services.mesh.log import get_logger
from services.recorder.archive.archive import Archive
from services.recorder.reading.footage import RecordedFootage
from services.recorder.reading.forecast import LONG_DAYS, Days, Flow, forecast
from services.recorder.retention.rules import LadderOf
from services.recorder.storage.disk import Disk, DiskLimits
from services.recorder.storage.disks import ask_indexes
from services.recorder.storage.index import Index
from services.recorder.storage.paths import INDEX
from services.recorder.storage.rows import Tier, Usage

log = get_logger()

DAY_US: Final = 86_400 * 1_000_000
MAX_ITEMS: Final = 30_000
"""Ranges and gaps in one answer, so that it stays below the bus's largest message."""
MAX_MISSED_DAYS: Final = 31
"""Daily statements that are made up for after an absence."""
_DAY: Final = "coverage_day"
_FRESH_US: Final = 3_000_000
_THINNED_SHARE: Final = 0.1
"""What thinning leaves, where nothing has been thinned yet."""


class Holdings(NamedTuple):
    """What the disks hold of all cameras."""

    sites: dict[str, str]
    """Camera → its owner, as the footage says."""
    oldest_us: dict[tuple[str, Tier], int]
    usage: dict[tuple[str, Tier], Usage]
    capacity_bytes: int
    used_bytes: int

    def bytes_per_day(self, camera: str, tier: Tier) -> float | None:
        """Of a day's footage in a tier."""
        item = self.usage.get((camera, tier))
        return item.size_bytes / item.length_us * DAY_US if item and item.length_us > 0 else None


class Coverage:
    """Asks all disks."""

    def __init__(
        self,
        recorder: str,
        limits: DiskLimits,
        disks: Sequence[Disk],
        footage: RecordedFootage,
        *,
        now_us: Callable[[], int],
        ladder_of: LadderOf,
        archive: Archive,
    ) -> None:
        self._recorder = recorder
        self._limits = limits
        self._disks = disks
        self._footage = footage
        self._now_us = now_us
        self._ladder_of = ladder_of
        self._archive = archive
        self._archive_days = None if archive.keep_days is None else min(archive.keep_days, LONG_DAYS)
        self._known: tuple[int, Holdings, dict[str, Days]] | None = None

    def holdings(self) -> Holdings:
        """What there is on all disks together."""
        limits, found, capacity_bytes, used_bytes = self._limits, Holdings({}, {}, {}, 0, 0), 0, 0
        for held, free in ask_indexes(self._disks, lambda disk, index: (_add(found, index), disk.space().free_bytes)):
            room = held + max(0, free - limits.floor_bytes)
            used_bytes += held
            capacity_bytes += min(room, limits.budget_bytes) if limits.budget_bytes else room
        return found._replace(capacity_bytes=capacity_bytes, used_bytes=used_bytes)

    def forecast(self, holdings: Holdings | None = None) -> dict[str, Days]:
        """Camera → how long its footage will be there."""
        known = holdings or self.holdings()
        flows: dict[str, Flow] = {}
        for camera in known.sites:
            full = known.bytes_per_day(camera, Tier.FULL)
            if full is not None:
                thinned = known.bytes_per_day(camera, Tier.KEYFRAMES)
                flows[camera] = Flow(
                    full, full * _THINNED_SHARE if thinned is None else thinned, self._ladder_of(camera)
                )
        return forecast(flows, known.capacity_bytes)

    def answer(self, question: CoverageQuestion) -> CoverageAnswer:
        """This recorder's part."""
        known, days = self._lately()
        asked = [camera for camera in question.cameras if camera in known.sites or self._archived(camera)]
        made: list[CameraCoverage] = []
        items = 0
        for camera in asked:
            part = self._part(known, days, camera, question.from_us, question.to_us)
            items += len(part.timeline.ranges) + len(part.timeline.gaps) + len(part.timeline.damage)
            if made and items > MAX_ITEMS:
                break
            made.append(part)
        return CoverageAnswer(
            recorder=self._recorder,
            cameras=tuple(made),
            left_out=tuple(asked[len(made) :]),
            capacity_bytes=known.capacity_bytes,
            used_bytes=known.used_bytes,
        )

    def _lately(self) -> tuple[Holdings, dict[str, Days]]:
        """Holdings and forecast as of at most a few seconds ago: a question about many cameras comes in parts."""
        now_us = self._now_us()
        if self._known is None or not 0 <= now_us - self._known[0] < _FRESH_US:
            holdings = self.holdings()
            self._known = now_us, holdings, self.forecast(holdings)
        return self._known[1], self._known[2]

    def _archived(self, camera: str) -> dict[Tier, int]:
        """When the oldest copy of each tier was taken."""
        return self._archive.oldest_us(camera, PROFILE)

    def _part(self, known: Holdings, days: Mapping[str, Days], camera: str, from_us: int, to_us: int) -> CameraCoverage:
        archived = self._archived(camera)
        return CameraCoverage(
            camera=camera,
            timeline=self._footage.timeline(camera, PROFILE, from_us, to_us),
            oldest_full_us=known.oldest_us.get((camera, Tier.FULL)),
            oldest_thinned_us=known.oldest_us.get((camera, Tier.KEYFRAMES)),
            oldest_archived_full_us=archived.get(Tier.FULL),
            oldest_archived_thinned_us=archived.get(Tier.KEYFRAMES),
            bytes_per_day=round(known.bytes_per_day(camera, Tier.FULL) or 0),
            forecast_full_days=days[camera].full if camera in days else None,
            forecast_keyframe_days=days[camera].keyframes if camera in days else None,
            forecast_archive_days=self._archive_days,
        )

    def events(self, from_us: int, to_us: int) -> list[RecordingCoverage]:
        """A statement for every camera that has footage in the range, or should have had."""
        known = self.holdings()
        days = self.forecast(known)
        events = []
        for camera, site in sorted(known.sites.items()):
            part = self._part(known, days, camera, from_us, to_us)
            if not part.timeline.ranges and not part.timeline.gaps:
                continue
            answer = CoverageAnswer(recorder=self._recorder, cameras=(part,))
            (made,) = coverage_statements((camera,), from_us, to_us, [answer])
            whose = {"site": site, "recorder": self._recorder, "at_us": self._now_us(), "percent": made.percent}
            events.append(RecordingCoverage.model_validate(made.model_dump() | whose))
        return events

    def of_a_day_that_ended(self) -> list[RecordingCoverage]:
        """The statements of a day (UTC) that has ended, once for each day. A mark in the first usable index outlives
        restarts.

        After an absence each call gives one day, so that retention does not wait long.
        """
        today = self._now_us() // DAY_US
        disk = next((disk for disk in self._disks if disk.failure is None), None)
        if disk is None:
            return []
        try:
            with closing(Index.open(disk.recordings / INDEX, durable=False)) as index:
                mark = index.get_meta(_DAY)
                day = today if mark is None else max(int(mark), today - MAX_MISSED_DAYS)
                events = self.events(day * DAY_US, (day + 1) * DAY_US) if day < today else []
                if mark is None or day < today:
                    with index:
                        index.set_meta(_DAY, str(min(day + 1, today)))
        except sqlite3.Error as error:
            log.warning("index.unreadable", directory=str(disk.directory), error=error)
            return []
        return events


def _add(found: Holdings, index: Index) -> int:
    """Adds what is in an index; returns how many bytes."""
    usage = index.usage()
    for stream in index.streams():
        if stream.profile != PROFILE:
            continue
        found.sites[stream.camera] = stream.site
        for tier in Tier:
            key = stream.camera, tier
            if first := next(index.oldest_segments(stream, tier, page=1), None):
                found.oldest_us[key] = min(first.start_us, found.oldest_us.get(key, first.start_us))
            if item := usage.get((stream, tier)):
                before = found.usage.get(key, Usage(0, 0, 0))
                found.usage[key] = Usage(*(a + b for a, b in zip(before, item, strict=True)))
    return sum(item.size_bytes for item in usage.values())
