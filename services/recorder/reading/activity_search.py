"""Finds footage by how much moved in it, on all disks. Methods block; call them in a thread.

An hour is one row of 900 bytes, so a day of a camera is always 24 rows. Nothing is decoded.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TypeVar

from services.contracts.activity import (
    MAX_SEARCH_US,
    MAX_STEPS,
    ActivityAnswer,
    ActivityQuestion,
    BusiestMinutesQuestion,
    BusyAnswer,
    BusyTime,
    NextActivityQuestion,
)
from services.recorder.reading.footage import SiteOf, own_streams
from services.recorder.storage.disk import Disk
from services.recorder.storage.disks import ask_indexes
from services.recorder.storage.index import Index
from services.recorder.storage.levels import (
    MINUTE_US,
    ActivityHour,
    hours_between,
    minutes,
    next_stretch,
    resample,
    step_for,
    to_level,
)

_PERCENT: Final = 100
T = TypeVar("T")


class ActivitySearch:
    """Asks all disks."""

    def __init__(self, disks: Sequence[Disk], *, site_of: SiteOf = lambda _: None) -> None:
        self._disks = disks
        self._site_of = site_of

    def activity(self, question: ActivityQuestion) -> ActivityAnswer:
        """How busy it was, moment by moment."""
        step_us, from_us = step_for(question.from_us, question.to_us, MAX_STEPS)

        def ask(index: Index) -> Iterator[list[int]]:
            for hours in self._hours(
                index, question.camera, question.profile, from_us, question.to_us, site=question.site
            ):
                yield resample(hours, from_us, question.to_us, step_us)

        still = [0] * -(-(question.to_us - from_us) // step_us)
        levels = [round(to_level(max(column)) * _PERCENT) for column in zip(still, *self._ask(ask), strict=True)]
        return ActivityAnswer(from_us=from_us, step_us=step_us, levels=tuple(levels))

    def next_activity(self, question: NextActivityQuestion) -> BusyAnswer:
        """Each camera's next activity, of those that have one within `MAX_SEARCH_US`."""
        backwards = question.direction == "backwards"
        at_us = question.at_us
        search = (at_us - MAX_SEARCH_US, at_us + 1) if backwards else (at_us, at_us + MAX_SEARCH_US)

        def ask(index: Index) -> Iterator[BusyTime]:
            for camera in question.cameras:
                for hours in self._hours(index, camera, question.profile, *search, backwards=backwards):
                    stretch = next_stretch(hours, at_us, backwards=backwards)
                    if stretch is not None:
                        yield BusyTime(camera=camera, **stretch._asdict())

        return BusyAnswer(found=tuple(self._ask(ask)))

    def busiest_minutes(self, question: BusiestMinutesQuestion) -> BusyAnswer:
        """The busiest minutes."""

        def ask(index: Index) -> Iterator[tuple[float, int, str]]:
            for camera in question.cameras:
                for hours in self._hours(index, camera, question.profile, question.from_us, question.to_us):
                    busy = minutes(hours, question.from_us, question.to_us)
                    yield from heapq.nlargest(question.most, ((level, -at_us, camera) for level, at_us in busy))

        return BusyAnswer(
            found=tuple(
                BusyTime(camera=camera, from_us=-at_us, to_us=-at_us + MINUTE_US, level=level)
                for level, at_us, camera in heapq.nlargest(question.most, self._ask(ask))
            )
        )

    def _ask(self, ask: Callable[[Index], Iterable[T]]) -> list[T]:
        """What all disks answer."""
        return [item for found in ask_indexes(self._disks, lambda _, index: list(ask(index))) for item in found]

    def _hours(
        self,
        index: Index,
        camera: str,
        profile: str,
        from_us: int,
        to_us: int,
        *,
        backwards: bool = False,
        site: str | None = None,
    ) -> Iterator[Iterator[ActivityHour]]:
        """The hours of the range, of each stream that is the camera's; ``site``: of its camera, also a former one."""
        for stream in own_streams(index, camera, profile, site or self._site_of(camera)):
            yield index.activity.hours(index.stream_id(stream), *hours_between(from_us, to_us), backwards=backwards)
