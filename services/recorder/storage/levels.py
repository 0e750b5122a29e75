"""Stored activity: an hour's levels in a row of bytes, one for each 4 s, and what is read from such rows. Pure.

A byte is 0 where nothing is known, else 1 (as still as it gets in front of this camera) to 255 (as busy as it gets).
Rows do not depend on segments, so that thinned footage is found as well as full.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

SLOT_US: Final = 4_000_000
HOUR_US: Final = 3_600_000_000
SLOTS: Final = HOUR_US // SLOT_US
"""Of an hour."""
MINUTE_US: Final = 60_000_000
_MINUTE_SLOTS: Final = MINUTE_US // SLOT_US
_MOST: Final = 254
_JOIN_SLOTS: Final = 1
"""A pause of one slot does not divide a stretch: somebody who passes behind a tree is one event."""
_STRETCH: Final = re.compile(rb"[\x80-\xff](?:[\x00-\x7f]{0,%d}[\x80-\xff])*" % _JOIN_SLOTS)
"""Levels from the middle of the scale on are activity."""


class ActivityLevel(NamedTuple):
    """How busy one GOP was."""

    from_us: int
    to_us: int
    level: float
    """0 to 1."""


class ActivityStretch(NamedTuple):
    """A time of activity."""

    from_us: int
    to_us: int
    level: float
    """The highest level in it."""


ActivityHour = tuple[int, bytes]
"""Which one since 1970, and its `SLOTS` levels."""


def to_byte(level: float) -> int:
    """As it is kept."""
    return 1 + round(level * _MOST)


def to_level(byte: int) -> float:
    """0 to 1; what is not known counts as still."""
    return max(byte - 1, 0) / _MOST


def paint(levels: Iterable[ActivityLevel]) -> dict[int, dict[int, int]]:
    """Hour → slot → byte of a segment's GOPs; of several in a slot the highest counts."""
    painted: dict[int, dict[int, int]] = {}
    for from_us, to_us, level in levels:
        byte = to_byte(level)
        for slot in range(from_us // SLOT_US, max(-(-to_us // SLOT_US), from_us // SLOT_US + 1)):
            row = painted.setdefault(slot // SLOTS, {})
            row[slot % SLOTS] = max(byte, row.get(slot % SLOTS, 0))
    return painted


def merge_slots(row: bytes | None, slots: dict[int, int], shared: int | None) -> bytes:
    """The hour's row with ``slots`` merged in. In slot ``shared``, which earlier footage reaches into, the higher
    counts."""
    changed = bytearray(row or bytes(SLOTS))
    for slot, byte in slots.items():
        changed[slot] = max(byte, changed[slot]) if slot == shared else byte
    return bytes(changed)


def blank(row: bytes, hour: int, from_us: int, to_us: int) -> bytes:
    """The hour's row without the slots that the range touches."""
    first, end = (min(max(at - hour * SLOTS, 0), SLOTS) for at in (from_us // SLOT_US, -(-to_us // SLOT_US)))
    return row[:first] + bytes(max(end - first, 0)) + row[max(end, first) :]


def resample(hours: Iterable[ActivityHour], from_us: int, to_us: int, step_us: int) -> list[int]:
    """The highest byte in each ``step_us``, a whole number of slots, from ``from_us``, a whole number of steps."""
    steps, per_step = -(-(to_us - from_us) // step_us), step_us // SLOT_US
    found = [0] * steps
    for hour, row in hours:
        first = hour * SLOTS - from_us // SLOT_US
        """Where the row begins, in slots from ``from_us``."""
        for step in range(max(first // per_step, 0), min(-(-(first + SLOTS) // per_step), steps)):
            begin, end = step * per_step - first, (step + 1) * per_step - first
            found[step] = max(found[step], max(row[max(begin, 0) : end], default=0))
    return found


def stretches(hours: Iterable[ActivityHour], *, backwards: bool = False) -> Iterator[ActivityStretch]:
    """The times of activity, in the order of ``hours``: oldest first, or with ``backwards`` newest first."""
    pending: ActivityStretch | None = None
    for hour, row in hours:
        runs = _STRETCH.finditer(row)
        for run in reversed(list(runs)) if backwards else runs:
            first = hour * SLOTS
            found = ActivityStretch(
                (first + run.start()) * SLOT_US, (first + run.end()) * SLOT_US, to_level(max(run.group()))
            )
            if pending is None:
                pending = found
                continue
            pause_us = pending.from_us - found.to_us if backwards else found.from_us - pending.to_us
            if pause_us <= _JOIN_SLOTS * SLOT_US:
                pending = ActivityStretch(
                    min(pending.from_us, found.from_us),
                    max(pending.to_us, found.to_us),
                    max(pending.level, found.level),
                )
            else:
                yield pending
                pending = found
    if pending is not None:
        yield pending


def next_stretch(hours: Iterable[ActivityHour], at_us: int, *, backwards: bool = False) -> ActivityStretch | None:
    """The first stretch that begins after ``at_us``, or with ``backwards`` the last that began before it."""
    for found in stretches(hours, backwards=backwards):
        if found.from_us < at_us if backwards else found.from_us > at_us:
            return found
    return None


def minutes(hours: Iterable[ActivityHour], from_us: int, to_us: int) -> Iterator[tuple[float, int]]:
    """Mean level and beginning of each minute that begins in the range, still ones left out."""
    for hour, row in hours:
        slots = iter(row.replace(b"\0", b"\1"))
        for minute, total in enumerate(map(sum, zip(*[slots] * _MINUTE_SLOTS, strict=True))):
            at_us = hour * HOUR_US + minute * MINUTE_US
            if total > _MINUTE_SLOTS and from_us <= at_us < to_us:
                yield (total - _MINUTE_SLOTS) / _MINUTE_SLOTS / _MOST, at_us


def hours_between(from_us: int, to_us: int) -> tuple[int, int]:
    """The first hour that touches the range, and the one after the last."""
    return from_us // HOUR_US, -(-to_us // HOUR_US)


def step_for(from_us: int, to_us: int, most: int) -> tuple[int, int]:
    """Step and beginning, in µs, so that the range takes about ``most`` steps. All recorders get the same."""
    step_us = SLOT_US
    for factor in _FACTORS:
        step_us = SLOT_US * factor
        if to_us - from_us <= most * step_us:
            break
    return step_us, from_us // step_us * step_us


_FACTORS: Final[Sequence[int]] = (1, 2, 5, 15, 30, 75, 150, 225, 450, 900, 1800, 3600, 5400, 10800, 21600)
"""4 s to a day."""
