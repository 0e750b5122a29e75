"""Which worker ingests which camera. Pure.

A camera stays with its worker while that worker lives. Cameras move in three cases, the most urgent first:

1. A camera whose worker is gone or drains goes to the least full live worker. Without one it waits for its worker.
2. A new camera goes to the least full worker.
3. When the workers have been the same for a while and one has more than `TOLERANCE` times its fair share, some of its
   cameras move. Each move costs the camera a reconnect, so at most `MOVES_AT_ONCE` move in a round.
"""

from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

from services.contracts.models import Id

TOLERANCE: Final = 1.25
"""A worker may carry a quarter more than its fair share before its cameras are moved."""
MOVES_AT_ONCE: Final = 4
BUSY: Final = 0.95
"""From this load on (share of one core) a worker gets new cameras only when all are as busy."""
DEFAULT_CAPACITY: Final = 200
"""Assumed for a worker whose lease names no capacity."""


class WorkerCandidate(NamedTuple):
    """A live worker."""

    name: Id
    capacity: int = 0
    load: float = 0.0
    draining: bool = False

    @property
    def room(self) -> int:
        """How many cameras it can take."""
        return self.capacity if self.capacity > 0 else DEFAULT_CAPACITY


def plan(
    cameras: Collection[Id],
    current: Mapping[Id, Id],
    workers: Collection[WorkerCandidate],
    *,
    expected: Collection[Id] = (),
    settled: bool,
) -> dict[Id, Id]:
    """Camera → worker for every camera that can have one.

    ``current`` names each camera's present worker, dead ones included. Workers in ``expected`` have no lease but may
    come back (the bus was away, or everything starts at once): they keep their cameras. ``settled`` allows moves that
    only balance the load.
    """
    willing = {worker.name: worker for worker in workers if not worker.draining}
    alive = {worker.name for worker in workers}
    planned: dict[Id, Id] = {}
    counts = dict.fromkeys(willing, 0)
    homeless: list[Id] = []
    for camera in sorted(cameras):
        worker = current.get(camera)
        if worker is not None and (worker in willing or worker in expected):
            planned[camera] = worker
            counts[worker] = counts.get(worker, 0) + 1
        else:
            homeless.append(camera)
    if not willing:
        # A draining worker is better than none. A dead worker's cameras wait for its return.
        draining = sorted(alive)
        for camera in homeless:
            worker = current.get(camera)
            if worker is not None:
                planned[camera] = worker
            elif draining:
                planned[camera] = draining[0]
        return planned
    # Cameras without a live worker come first; those of a draining worker still flow.
    for camera in sorted(homeless, key=lambda camera: current.get(camera) in alive):
        worker = _least_full(willing, counts)
        planned[camera] = worker
        counts[worker] += 1
    if settled and len(willing) > 1:
        _balance(planned, willing, counts)
    return planned


def _least_full(willing: Mapping[Id, WorkerCandidate], counts: Mapping[Id, int]) -> Id:
    return min(willing, key=lambda name: (willing[name].load >= BUSY, (counts[name] + 1) / willing[name].room, name))


def _balance(planned: dict[Id, Id], willing: Mapping[Id, WorkerCandidate], counts: dict[Id, int]) -> None:
    room = sum(worker.room for worker in willing.values())
    for _ in range(MOVES_AT_ONCE):
        fullest = max(willing, key=lambda name: (counts[name] / willing[name].room, name))
        fair = len(planned) * willing[fullest].room / room
        target = _least_full(willing, counts)
        after = (counts[target] + 1) / willing[target].room
        if counts[fullest] <= fair * TOLERANCE or after >= counts[fullest] / willing[fullest].room:
            return
        camera = max(camera for camera, worker in planned.items() if worker == fullest)
        planned[camera] = target
        counts[fullest] -= 1
        counts[target] += 1
