"""How full workers are, and which of them gives a camera to which other. Pure."""

from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

from services.contracts.models import Id

TOLERANCE: Final = 0.1
"""A worker may be off its fair share by a tenth before cameras are moved."""
LEAST_MOVES: Final = 4
MOVED_SHARE: Final = 0.01
"""Each move costs a camera a reconnect: in a round at most so much of all cameras moves, or `LEAST_MOVES`."""
DEFAULT_CAPACITY: Final = 200
"""Assumed for a worker whose lease names no capacity."""


class WorkerCandidate(NamedTuple):
    """A live worker."""

    name: Id
    capacity: int = 0
    load: float = 0.0
    """Share of one core."""
    draining: bool = False
    machine: str = ""
    """Where it runs; empty: nobody knows."""
    leaving: bool = False
    """It was ordered to give its cameras away, in rounds, and gets none."""
    rack: str = ""

    @property
    def places(self) -> set[str]:
        """What a camera's pin may name to mean this worker."""
        return {self.name, self.machine, self.rack} - {""}

    def is_at(self, pin: str) -> bool:
        """Whether a camera's pin means this worker."""
        return pin in self.places

    @property
    def room(self) -> int:
        """How many cameras it can take."""
        return self.capacity if self.capacity > 0 else DEFAULT_CAPACITY


def moves_at_once(cameras: int) -> int:
    """How many cameras may move in a round."""
    return max(LEAST_MOVES, round(cameras * MOVED_SHARE))


def next_move(
    workers: Mapping[Id, WorkerCandidate], counts: Mapping[Id, int], but: Collection[Id] = ()
) -> tuple[Id, Id] | None:
    """From which worker to which a camera shall move; None: both are within the tolerance, or a move helps nothing.

    ``but`` names workers that have nothing to give.
    """
    givers = [name for name in workers if name not in but and counts[name]]
    if not givers or len(workers) < 2:
        return None

    def fullness(name: Id) -> float:
        return counts[name] / workers[name].room

    fullest = max(givers, key=lambda name: (fullness(name), name))
    emptiest = min(workers, key=lambda name: (fullness(name), name))
    fair = sum(counts[name] for name in workers) / sum(worker.room for worker in workers.values())
    if fullness(fullest) <= fair * (1 + TOLERANCE) and fullness(emptiest) >= fair * (1 - TOLERANCE):
        return None
    after = (counts[emptiest] + 1) / workers[emptiest].room
    if after > 1 or after >= fullness(fullest):
        return None
    return fullest, emptiest
