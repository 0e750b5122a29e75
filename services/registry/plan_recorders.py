"""Which recorders keep which camera. Pure.

A camera's *homes* are the recorders whose disks have its footage, one for each copy. They are chosen once, the least
full first, and never change for balance, which would scatter the footage. A *stand-in* records while a home drains or
has been away for longer than the patience; the home takes the camera back when it returns.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from services.contracts.models import Id
from services.registry.plan_ingest import WorkerCandidate


class RecorderPlacement(NamedTuple):
    """The recorders of one camera."""

    workers: tuple[Id, ...]
    """The recorder that records now in place of each home, in the order of ``homes``."""
    homes: tuple[Id, ...]


def plan(
    copies: Mapping[Id, int],
    current: Mapping[Id, RecorderPlacement],
    workers: Collection[WorkerCandidate],
    *,
    away: Collection[Id],
    settled: bool,
) -> dict[Id, RecorderPlacement]:
    """Camera → its recorders, for every camera in ``copies`` that can have one.

    ``away`` names the recorders that have been missing for longer than the patience. A recorder that is neither in
    ``workers`` nor in ``away`` is expected back. ``settled`` says that the recorders have been the same for a while:
    only then does a camera get its homes, or the first recorder to start would get them all.
    """
    candidates = {worker.name: worker for worker in workers}
    willing = {name: worker for name, worker in candidates.items() if not worker.draining}
    counts = dict.fromkeys(candidates, 0)
    for kept in current.values():
        for name in kept.workers:
            if name in counts:
                counts[name] += 1
    planned: dict[Id, RecorderPlacement] = {}
    for camera in sorted(copies):
        kept = current.get(camera, RecorderPlacement((), ()))
        homes = _homes(kept.homes, copies[camera], willing, counts) if settled else kept.homes[: copies[camera]]
        if not homes:
            continue
        planned[camera] = RecorderPlacement(_workers(homes, kept, candidates, willing, away, counts), homes)
    return planned


def _homes(
    homes: tuple[Id, ...], copies: int, willing: Mapping[Id, WorkerCandidate], counts: dict[Id, int]
) -> tuple[Id, ...]:
    chosen = list(homes[:copies])
    while len(chosen) < copies:
        name = _least_full(willing, counts, chosen)
        if name is None:
            break
        chosen.append(name)
        counts[name] += 1
    return tuple(chosen)


def _workers(
    homes: tuple[Id, ...],
    kept: RecorderPlacement,
    candidates: Mapping[Id, WorkerCandidate],
    willing: Mapping[Id, WorkerCandidate],
    away: Collection[Id],
    counts: dict[Id, int],
) -> tuple[Id, ...]:
    before = dict(zip(kept.homes, kept.workers, strict=False))
    chosen: list[Id] = []
    for home in homes:
        present = before.get(home, home)
        if home in willing:
            name: Id | None = home
        elif present != home and present in willing and present not in homes and present not in chosen:
            name = present  # the stand-in continues
        elif home in away or home in candidates or present != home:
            # The home is away for too long or drains, or its stand-in is lost: any other recorder stands in.
            name = _least_full(willing, counts, [*homes, *chosen])
            if name is not None:
                counts[name] += 1
        else:
            name = home  # expected back
        chosen.append(name if name is not None else home)
    return tuple(chosen)


def _least_full(willing: Mapping[Id, WorkerCandidate], counts: Mapping[Id, int], but: Collection[Id]) -> Id | None:
    free = [name for name in willing if name not in but]
    return min(free, key=lambda name: (counts[name] / willing[name].room, name)) if free else None
