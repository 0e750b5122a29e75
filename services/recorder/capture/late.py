"""Footage that comes after later footage was recorded: what is still missing of it, GOP by GOP. Pure.

An ingest worker that was cut off reads on while another gets the camera. When it is back it has what neither the bus
nor the other had; that goes into the past, into files of its own.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from services.contracts.frames import AccessUnit

LEAST_US: Final = 100_000
"""A shorter hole is the distance of two pictures."""
OVERLAP_US: Final = 20_000
"""Capture times of one moment differ by less between two readers of a camera."""


class TimeSpan(NamedTuple):
    """A time without footage."""

    from_us: int
    to_us: int


def missing_spans(from_us: int, to_us: int, covered: Iterable[tuple[int, int]]) -> list[TimeSpan]:
    """What ``covered`` leaves out between two moments."""
    found: list[TimeSpan] = []
    at = from_us
    for begin, end in sorted(covered):
        if min(begin, to_us) - at > LEAST_US:
            found.append(TimeSpan(at, min(begin, to_us)))
        at = max(at, end)
    if to_us - at > LEAST_US:
        found.append(TimeSpan(at, to_us))
    return found


class MissingGops:
    """Give it the pictures of a run in order; `take` returns those to record, whole GOPs cut at the end of the hole."""

    def __init__(self, spans: Iterable[TimeSpan]) -> None:
        self._spans = list(spans)
        self._gop: list[AccessUnit] = []

    def take(self, unit: AccessUnit) -> Iterator[AccessUnit]:
        """The next picture; yields those of the GOP before it that are to be recorded."""
        if unit.keyframe:
            yield from self._wanted(unit.capture_us)
            self._gop = [unit]
        elif self._gop:
            self._gop.append(unit)

    def end(self) -> Iterator[AccessUnit]:
        """There are no more: yields what is to be recorded of the last GOP."""
        if self._gop:
            yield from self._wanted(self._gop[-1].capture_us + LEAST_US)
        self._gop = []

    def _wanted(self, until_us: int) -> Iterator[AccessUnit]:
        if not self._gop:
            return
        begin_us = self._gop[0].capture_us
        span = next(
            (
                each
                for each in self._spans
                if each.from_us < until_us - OVERLAP_US and each.to_us > begin_us + OVERLAP_US
            ),
            None,
        )
        if span is not None:
            yield from (unit for unit in self._gop if unit.capture_us < span.to_us - OVERLAP_US)
