"""Which recorders keep which camera. Pure.

A camera's *homes* are the recorders that record it from now on, one for each copy. They move forward: a new recorder
takes its share of cameras, and where a home never returns its stand-in becomes one. Footage stays on the disks where it
was recorded, and is found there. A *stand-in* records while a home drains or is away; the home takes the camera back
when it returns.

In a round of moves a home that was ordered to leave is replaced, and of two copies on one machine the second goes to
another machine, as far as there is room. A recorder that leaves gets no other camera.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from heapq import heapify, heappop, heappush, heapreplace
from typing import NamedTuple

from services.contracts.models import Id
from services.registry.balance import TOLERANCE, WorkerCandidate, moves_at_once, next_move


class RecorderPlacement(NamedTuple):
    """The recorders of one camera."""

    workers: tuple[Id, ...]
    """The recorder that records now in place of each home, in the order of ``homes``."""
    homes: tuple[Id, ...]


class _Recorders:
    """The live recorders, and how many cameras each has."""

    def __init__(self, workers: Collection[WorkerCandidate], current: Mapping[Id, RecorderPlacement]) -> None:
        self.there = {worker.name: worker for worker in workers}
        self.willing = {name: worker for name, worker in self.there.items() if not (worker.draining or worker.leaving)}
        self.leaving = {name for name, worker in self.there.items() if worker.leaving and not worker.draining}
        self.counts = dict.fromkeys(self.there, 0)
        for kept in current.values():
            for name in kept.workers:
                if name in self.counts:
                    self.counts[name] += 1  # they may only grow from here on
        self._smallest_room = min((worker.room for worker in self.willing.values()), default=1)
        self._heap = [(self._fullness(name), name) for name in self.willing]
        heapify(self._heap)
        self._at: defaultdict[str, set[Id]] = defaultdict(set)
        """Machine, rack or recorder → the willing recorders there."""
        for name, worker in self.willing.items():
            for place in worker.places:
                self._at[place].add(name)

    def least_full(self, but: Collection[Id], near: str = "", others: Collection[Id] | None = None) -> Id | None:
        """The recorder for another copy: not in ``but``, with room.

        Where there is one it is on another machine than ``others`` (default: ``but``), which keep the other copies. Of
        those that are about as empty one on the machine ``near``.
        """
        others = but if others is None else others
        taken: Collection[str] = {self.there[name].machine for name in others if name in self.there} - {""}
        least = self._emptiest(but, taken)
        if least is None and taken:
            taken = ()
            least = self._emptiest(but, taken)
        if least is None:
            return None
        most = self._fullness(least) * (1 + TOLERANCE) + 1 / self._smallest_room
        beside = [
            name
            for name in self._at.get(near, ())
            if name not in but
            and self.counts[name] < self.willing[name].room
            and self.willing[name].machine not in taken
            and self._fullness(name) <= most
        ]
        return min(beside, key=lambda name: (self._fullness(name), name), default=least)

    def _emptiest(self, but: Collection[Id], taken: Collection[str]) -> Id | None:
        """The least full one with room that is not in ``but`` nor on a machine in ``taken``, without a look at all."""
        heap, found, passed = self._heap, None, []
        while heap and found is None:
            fullness, name = heap[0]
            present = self._fullness(name)
            if self.counts[name] >= self.willing[name].room:
                heappop(heap)
            elif fullness != present:
                heapreplace(heap, (present, name))
            elif name in but or self.willing[name].machine in taken:
                passed.append(heappop(heap))
            else:
                found = name
        for each in passed:
            heappush(heap, each)
        return found

    def _fullness(self, name: Id) -> float:
        return self.counts[name] / self.willing[name].room


def plan(
    copies: Mapping[Id, int],
    current: Mapping[Id, RecorderPlacement],
    workers: Collection[WorkerCandidate],
    *,
    away: Collection[Id],
    lost: Collection[Id] = (),
    settled: bool,
    balancing: bool = False,
    machines: Mapping[Id, str] | None = None,
) -> dict[Id, RecorderPlacement]:
    """Camera → its recorders, for every camera in ``copies`` that can have one.

    ``away`` names the recorders that have been silent for longer than the patience, ``lost`` those that are not waited
    for any more. A recorder that is neither in ``workers`` nor in ``away`` is expected back. ``settled`` says that the
    recorders have been the same for a while: only then does a camera get its homes, or the first recorder to start
    would get them all. ``balancing`` allows a round of moves. ``machines`` says where each camera is or shall be
    ingested.
    """
    recorders = _Recorders(workers, current)
    machines = machines or {}
    planned: dict[Id, RecorderPlacement] = {}
    for camera in sorted(copies):
        kept = current.get(camera, RecorderPlacement((), ()))
        if lost:
            kept = _without_lost(kept, recorders, lost)
        near = machines.get(camera, "")
        homes = _homes(kept.homes, copies[camera], recorders, near) if settled else kept.homes[: copies[camera]]
        if not homes:
            continue
        planned[camera] = RecorderPlacement(_workers(homes, kept, recorders, away), homes)
    if balancing:
        moves = _replace(planned, recorders, machines)
        _balance(planned, recorders, moves)
    return planned


def _without_lost(kept: RecorderPlacement, recorders: _Recorders, lost: Collection[Id]) -> RecorderPlacement:
    homes = tuple(
        worker if home in lost and worker in recorders.willing and worker not in kept.homes else home
        for home, worker in zip(kept.homes, kept.workers, strict=True)
    )
    return RecorderPlacement(kept.workers, homes)


def _homes(homes: tuple[Id, ...], copies: int, recorders: _Recorders, near: str) -> tuple[Id, ...]:
    chosen = list(homes[:copies])
    while len(chosen) < copies:
        name = recorders.least_full(chosen, near)
        if name is None:
            break
        chosen.append(name)
        recorders.counts[name] += 1
    return tuple(chosen)


def _workers(
    homes: tuple[Id, ...], kept: RecorderPlacement, recorders: _Recorders, away: Collection[Id]
) -> tuple[Id, ...]:
    before = dict(zip(kept.homes, kept.workers, strict=False))
    chosen: list[Id] = []
    for home in homes:
        present = before.get(home, home)
        records_on = recorders.willing.keys() | recorders.leaving
        if home in records_on:
            name: Id | None = home
        elif present != home and present in records_on and present not in homes and present not in chosen:
            name = present  # the stand-in continues
        elif home in away or home in recorders.there or present != home:
            # The home is away for too long or drains, or its stand-in is lost: any other recorder stands in.
            name = recorders.least_full([*homes, *chosen])
            if name is not None:
                recorders.counts[name] += 1
        else:
            name = home  # expected back
        chosen.append(name if name is not None else home)
    return tuple(chosen)


def _replace(planned: dict[Id, RecorderPlacement], recorders: _Recorders, machines: Mapping[Id, str]) -> int:
    """Replaces recorders that leave or that share a machine; returns how many moves are left in this round."""
    moves = moves_at_once(len(planned))
    # Nearly all of 10,000 cameras have one copy, which shares a machine with none.
    may_move = planned if recorders.leaving else [name for name, kept in planned.items() if len(kept.homes) > 1]
    for camera in sorted(may_move):
        kept = planned[camera]
        for place in range(len(kept.homes)):
            if not moves:
                return 0
            target = _better(kept, place, recorders, machines.get(camera, ""))
            if target is None:
                continue
            homes, workers = list(kept.homes), list(kept.workers)
            stands_in = workers[place] != homes[place]
            if not stands_in or workers[place] in recorders.leaving:
                workers[place] = target
            if not stands_in or homes[place] in recorders.leaving:
                homes[place] = target
            kept = planned[camera] = RecorderPlacement(tuple(workers), tuple(homes))
            recorders.counts[target] += 1
            moves -= 1
    return moves


def _better(kept: RecorderPlacement, place: int, recorders: _Recorders, near: str) -> Id | None:
    """Who shall record in place of a home that leaves, or that shares its machine with another; None: it stays."""
    leaves = bool(recorders.leaving & {kept.homes[place], kept.workers[place]})
    machines = [recorders.there[name].machine if name in recorders.there else "" for name in kept.homes]
    shares = bool(machines[place]) and machines[place] in machines[:place] and kept.workers[place] == kept.homes[place]
    if not (leaves or shares):
        return None  # nearly always; to look for another one costs much more
    others = [name for number, name in enumerate(kept.homes) if number != place]
    target = recorders.least_full([*kept.homes, *kept.workers], near, others)
    if leaves or target is None:
        return target
    return target if recorders.there[target].machine not in machines else None


def _balance(planned: dict[Id, RecorderPlacement], recorders: _Recorders, at_most: int) -> None:
    counts = dict.fromkeys(recorders.willing, 0)
    held: dict[Id, list[Id]] = {name: [] for name in recorders.willing}
    for name, kept in planned.items():
        for home, worker in zip(kept.homes, kept.workers, strict=True):
            if home == worker and home in held:
                counts[home] += 1
                held[home].append(name)
    nothing_to_give: set[Id] = set()
    moves = 0
    while moves < at_most:
        move = next_move(recorders.willing, counts, nothing_to_give)
        if move is None:
            return
        giver, taker = move
        camera = _movable(held[giver], planned, taker, recorders)
        if camera is None:
            nothing_to_give.add(giver)
            continue
        held[giver].remove(camera)
        homes = tuple(taker if home == giver else home for home in planned[camera].homes)
        workers = tuple(taker if worker == giver else worker for worker in planned[camera].workers)
        planned[camera] = RecorderPlacement(workers, homes)
        held[taker].insert(0, camera)
        counts[giver] -= 1
        counts[taker] += 1
        moves += 1


def _movable(
    cameras: Collection[Id], planned: Mapping[Id, RecorderPlacement], taker: Id, recorders: _Recorders
) -> Id | None:
    """A camera of the giver's that may go to ``taker``: which has no copy of it, nor has its machine."""
    machine = recorders.there[taker].machine
    for camera in reversed(list(cameras)):
        kept = planned[camera]
        others = {recorders.there[name].machine for name in kept.workers if name in recorders.there}
        if taker not in (*kept.homes, *kept.workers) and (len(kept.homes) == 1 or not machine or machine not in others):
            return camera
    return None
