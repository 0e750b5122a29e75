"""How many days the present disks and bitrates give. Pure."""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from services.contracts.ladder import Ladder

_STEPS: Final = 50
LONG_DAYS: Final = 3650.0
"""What for ever counts as."""


class Flow(NamedTuple):
    """What a camera writes."""

    full_bytes_per_day: float
    thinned_bytes_per_day: float
    """What is left of a day when it has been thinned."""
    ladder: Ladder


class Days(NamedTuple):
    """How long a camera's footage will be there."""

    full: float
    keyframes: float
    """Counted from when it was taken, as in the ladder; as long as ``full`` where nothing is thinned."""


def forecast(flows: Mapping[str, Flow], capacity_bytes: float) -> dict[str, Days]:
    """Days of full and of thinned footage for each camera once the disks are as full as they may be.

    Under pressure the oldest full footage of all cameras goes first, then the oldest thinned (retention/rules.py). So
    all ladders are cut at one age of full footage and, where that is not enough, at one age of thinned footage.
    """

    def days(full_limit: float, thinned_limit: float) -> dict[str, Days]:
        found = {}
        for camera, flow in flows.items():
            full = min(flow.ladder.full_seconds / 86_400, full_limit, LONG_DAYS)
            total = min(flow.ladder.total_seconds / 86_400, thinned_limit, LONG_DAYS)
            found[camera] = Days(full, max(total, full) if flow.ladder.thins else full)
        return found

    def need(limits: dict[str, Days]) -> float:
        return sum(
            flow.full_bytes_per_day * limits[camera].full
            + flow.thinned_bytes_per_day * (limits[camera].keyframes - limits[camera].full)
            for camera, flow in flows.items()
        )

    if need(days(LONG_DAYS, LONG_DAYS)) <= capacity_bytes:
        return days(LONG_DAYS, LONG_DAYS)
    if need(days(1.0, LONG_DAYS)) <= capacity_bytes:
        full_limit = _largest(lambda limit: need(days(limit, LONG_DAYS)) <= capacity_bytes, 1.0)
        return days(full_limit, LONG_DAYS)
    if need(days(1.0, 0.0)) <= capacity_bytes:
        thinned_limit = _largest(lambda limit: need(days(1.0, limit)) <= capacity_bytes, 0.0)
        return days(1.0, thinned_limit)
    full_limit = _largest(lambda limit: need(days(limit, 0.0)) <= capacity_bytes, 0.0)
    return days(full_limit, 0.0)


def _largest(fits: Callable[[float], bool], low: float) -> float:
    high = LONG_DAYS
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low
