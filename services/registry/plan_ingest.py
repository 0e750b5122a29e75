"""Which worker ingests which camera. Pure.

A camera stays with its worker while that worker lives. Cameras move in three cases, the most urgent first:

1. A camera whose worker is gone or drains goes to the least full live worker. Without one it waits for its worker.
2. A new camera goes to the least full worker.
3. When the workers have been the same for a while and the fullest or the emptiest is off its fair share by more than
   `balance.TOLERANCE`, cameras move from the one to the other, a few in a round.

A worker that was ordered to leave gets no camera and gives its own away, a few in a round, as far as there is room.

A camera's pin names a worker, a machine or a rack: as long as there is one with room the camera is there, and not moved
away.
A worker's capacity is a limit: a camera for which no worker has room has none (`unassigned`).
"""

from collections.abc import Collection, Mapping
from heapq import heapify, heappop, heapreplace
from typing import Final

from services.contracts.models import Id
from services.registry.balance import WorkerCandidate, moves_at_once, next_move

BUSY: Final = 0.95
"""From this load on (share of one core) a worker gets new cameras only when all are as busy."""


def plan(
    cameras: Collection[Id],
    current: Mapping[Id, Id],
    workers: Collection[WorkerCandidate],
    *,
    expected: Collection[Id] = (),
    settled: bool,
    last: Collection[Id] = (),
    pins: Mapping[Id, str] | None = None,
) -> dict[Id, Id]:
    """Camera → worker for every camera that can have one.

    ``current`` names each camera's present worker, dead ones included. Workers in ``expected`` have no lease but may
    come back (the bus was away, or everything starts at once): they keep their cameras. ``settled`` allows moves that
    only balance the load. Cameras in ``last`` get what room the others leave. ``pins``: camera → its pin.
    """
    pins = pins or {}
    willing = {worker.name: worker for worker in workers if not (worker.draining or worker.leaving)}
    leaving = {worker.name for worker in workers if worker.leaving and not worker.draining}
    alive = {worker.name for worker in workers}
    planned: dict[Id, Id] = {}
    counts = dict.fromkeys(willing, 0)
    homeless: list[Id] = []
    for camera in sorted(cameras):
        worker = current.get(camera)
        if worker is not None and worker in willing and counts[worker] >= willing[worker].room:
            homeless.append(camera)  # its capacity was lowered
        elif worker is not None and (worker in willing or worker in leaving or worker in expected):
            planned[camera] = worker
            counts[worker] = counts.get(worker, 0) + 1
        else:
            homeless.append(camera)
    if not willing:
        # A draining worker is better than none. A dead worker's cameras wait for its return.
        draining = sorted(alive - leaving)
        for camera in homeless:
            worker = current.get(camera)
            if worker is not None:
                planned[camera] = worker
            elif draining:
                planned[camera] = draining[0]
        return planned
    # Cameras without a live worker come first; those of a draining worker still flow.
    emptiest = _Emptiest(willing, counts)
    for camera in sorted(homeless, key=lambda camera: (camera in last, current.get(camera) in alive)):
        pin = pins.get(camera, "")
        worker = _least_full(willing, counts, pin) if pin else emptiest.find()
        if worker is None and current.get(camera) in alive - willing.keys():
            worker = current[camera]  # it drains, and goes on until there is room
        if worker is not None:
            planned[camera] = worker
            counts[worker] = counts.get(worker, 0) + 1
    if settled:
        moves = _empty(planned, leaving, willing, counts, pins)
        moves = _move_to_pins(planned, willing, counts, pins, moves)
        _balance(planned, willing, counts, pins, moves)
    return planned


class _Emptiest:
    """The least full worker, of many cameras one after the other, without a look at all workers each time."""

    def __init__(self, willing: Mapping[Id, WorkerCandidate], counts: Mapping[Id, int]) -> None:
        """``counts`` may only grow meanwhile."""
        self._willing = willing
        self._counts = counts
        self._heap = [(*self._rank(name), name) for name in willing]
        heapify(self._heap)

    def find(self) -> Id | None:
        """As `_least_full` without a pin."""
        while self._heap:
            *rank, name = self._heap[0]
            present = self._rank(name)
            if self._counts[name] >= self._willing[name].room:
                heappop(self._heap)
            elif tuple(rank) == present:
                return name
            else:
                heapreplace(self._heap, (*present, name))
        return None

    def _rank(self, name: Id) -> tuple[bool, float]:
        return _fullness(self._willing[name], self._counts[name])


def _fullness(worker: WorkerCandidate, count: int) -> tuple[bool, float]:
    return worker.load >= BUSY, (count + 1) / worker.room


def _least_full(willing: Mapping[Id, WorkerCandidate], counts: Mapping[Id, int], pin: str) -> Id | None:
    free = [name for name, worker in willing.items() if counts[name] < worker.room]
    return min(
        [name for name in free if willing[name].is_at(pin)] or free,
        key=lambda name: (*_fullness(willing[name], counts[name]), name),
        default=None,
    )


def _empty(
    planned: dict[Id, Id],
    leaving: Collection[Id],
    willing: Mapping[Id, WorkerCandidate],
    counts: dict[Id, int],
    pins: Mapping[Id, str],
) -> int:
    """Moves cameras from those that leave; returns how many moves are left in this round."""
    moves = moves_at_once(len(planned))
    for camera in sorted(camera for camera, worker in planned.items() if worker in leaving):
        target = _least_full(willing, counts, pins.get(camera, "")) if moves else None
        if target is None:
            break
        planned[camera] = target
        counts[target] += 1
        moves -= 1
    return moves


def _move_to_pins(
    planned: dict[Id, Id],
    willing: Mapping[Id, WorkerCandidate],
    counts: dict[Id, int],
    pins: Mapping[Id, str],
    moves: int,
) -> int:
    """Returns how many moves are left in this round."""
    for camera in sorted(planned.keys() & pins.keys()):
        present = planned[camera]
        if not moves or present not in willing or willing[present].is_at(pins[camera]):
            continue
        target = _least_full(willing, counts, pins[camera])
        if target is not None and willing[target].is_at(pins[camera]):
            planned[camera] = target
            counts[present] -= 1
            counts[target] += 1
            moves -= 1
    return moves


def _balance(
    planned: dict[Id, Id],
    willing: Mapping[Id, WorkerCandidate],
    counts: dict[Id, int],
    pins: Mapping[Id, str],
    moves: int,
) -> None:
    own = {name: counts[name] for name in willing}
    held: dict[Id, list[Id]] = {name: [] for name in willing}
    for camera, worker in planned.items():
        if worker in held and not willing[worker].is_at(pins.get(camera, "")):
            held[worker].append(camera)
    for _ in range(moves):
        move = next_move(willing, own, [name for name in held if not held[name]])
        if move is None:
            return
        giver, taker = move
        if willing[taker].load >= BUSY:
            return
        camera = held[giver].pop()
        planned[camera] = taker
        held[taker].insert(0, camera)
        own[giver] -= 1
        own[taker] += 1
