"""Whether a worker has more to do than it can. Pure.

| from | when | to |
|---|---|---|
| well | `LOOKS` looks in a row at which one of the limits is passed | overloaded, with the first reason |
| overloaded | `LOOKS` looks in a row at which none is, by a tenth | well |
"""

from typing import Final, NamedTuple

LOOKS: Final = 3
FULL_LOAD: Final = 0.95
"""CPU, share of what the worker could have used: at most one core, as its loop has no more than that, and less where
others take it."""
LATE_SECONDS: Final = 0.5
"""The loop comes so late to what it was to do."""
VERY_LATE_SECONDS: Final = 1.0
"""So late a worker is about to lose its lease, which it keeps by answers that it has to read in time."""
BEHIND_SECONDS: Final = 1.0
"""What waits in the cameras' connections takes so long to be read."""
NOT_BEHIND_SECONDS: Final = 0.2
"""A worker of which less waits keeps up with its cameras, also where it uses all of its CPU or its loop is late."""
CALM: Final = 0.9
"""Of each limit: below it a worker that was overloaded is well again."""


class WorkerLoad(NamedTuple):
    """Since the look before."""

    cpu: float
    """Share of a core, or of the less that a container or other processes leave the worker."""
    late_seconds: float
    """The longest time that the event loop was late."""
    dropped: int
    """Frames that were not published although the lease was held: the bus did not take them."""
    behind_seconds: float = 0.0
    """How long it takes to read what waits in the cameras' connections: the least that was seen."""

    has_lease: bool = True
    """False where it lost its lease although the bus is there: it publishes nothing."""

    @property
    def loses(self) -> bool:
        """Whether pictures are lost, or come late."""
        return bool(self.dropped) or self.behind_seconds >= NOT_BEHIND_SECONDS


class Overload:
    """`look` at each report."""

    def __init__(self) -> None:
        self.reason = ""
        """Why the worker is overloaded, for people; empty while it is well."""
        self._looks = 0

    @property
    def is_near(self) -> bool:
        """Whether it is overloaded, or was at the last look."""
        return bool(self.reason or self._looks)

    def look(self, load: WorkerLoad) -> None:
        """Takes the load since the look before."""
        limit = CALM if self.reason else 1.0
        found = _reason(load, limit)
        changes = bool(found) != bool(self.reason)
        self._looks = self._looks + 1 if changes else 0
        if self._looks >= LOOKS:
            self.reason, self._looks = found, 0


def _reason(load: WorkerLoad, limit: float) -> str:
    if load.cpu >= FULL_LOAD * limit:
        return f"it uses {load.cpu:.0%} of its CPU"
    if load.late_seconds >= LATE_SECONDS * limit:
        return f"its event loop is {load.late_seconds:.1f} s late"
    if load.behind_seconds >= BEHIND_SECONDS * limit:
        return f"its cameras' pictures wait {load.behind_seconds:.1f} s until they are read"
    if load.dropped:
        return f"the bus did not take {load.dropped} frames"
    return ""
