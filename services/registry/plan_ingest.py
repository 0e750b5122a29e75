"""Which worker ingests which camera. Pure.

A camera stays where it is while its worker lives. Moves happen, in this order of urgency:

1. a camera whose worker is gone, or is draining, goes to the least full live worker; when there is none, it stays and
   waits for its worker's return;
2. a camera that is new goes to the least full worker;
3. when the same workers have been there for a while and one has more than `TOLERANCE` above its fair share, some of its
   cameras move, `MOVES_AT_ONCE` a round, because each move costs the camera a reconnect.
"""

from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

from services.contracts.models import Id

TOLERANCE: Final = 1.25
"""A worker may carry a quarter more than its share before balance is worth a reconnect."""
MOVES_AT_ONCE: Final = 4
BUSY: Final = 0.95
"""From this load on (of one core) a worker takes new cameras only when all are as busy."""
DEFAULT_CAPACITY: Final = 200
"""Taken for a worker that does not say how many cameras it takes."""


class WorkerCandidate(NamedTuple):
    """A live worker."""

    name: Id
    capacity: int = 0
    load: float = 0.0
    draining: bool = False

    @property
    def room(self) -> int:
        """How many cameras it takes."""
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

    ``current`` is who has them now, dead workers included. ``expected``: workers that are not there but may be about to
    come (after the bus was away, or when all starts at once): what they have stays theirs. ``settled``: cameras may
    move for balance alone.
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
        # Draining workers are still better than none; a dead one's cameras wait for its return.
        draining = sorted(alive)
        for camera in homeless:
            worker = current.get(camera)
            if worker is not None:
                planned[camera] = worker
            elif draining:
                planned[camera] = draining[0]
        return planned
    # Those whose worker lives but drains can wait a moment; those that nobody does cannot.
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
