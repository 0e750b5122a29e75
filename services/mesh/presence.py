"""Asks workers whether they are still connected, so that a killed one is noticed before its lease expires."""

import asyncio
from collections.abc import Callable
from typing import Final

from services.contracts.errors import NobodyThereError, UnavailableError
from services.contracts.models import Id, WorkerLease, WorkerRole
from services.mesh.bus import Bus
from services.mesh.leases import RENEW_SECONDS, Workers, presence

ASK_SECONDS: Final = 0.2
ASKED_AT_ONCE: Final = 20
"""Of more workers those are asked whose heartbeat is late, and those of which nothing is known: a question costs as
much as ten heartbeats."""
LATE_SECONDS: Final = RENEW_SECONDS + 0.05
MISSES: Final = 3
"""A worker that reconnects misses a question or two; one that misses three in a row is gone. Should it come back all
the same, nothing is lost: an ingest worker's frames carry an epoch that nobody takes any more, and a page asks its
relay once more before it leaves it."""


class Presence:
    """Finds workers of a role that are gone although their lease has not expired."""

    def __init__(
        self,
        bus: Bus,
        workers: Workers,
        role: WorkerRole,
        *,
        asking: Callable[[], bool],
        else_every_seconds: float | None = None,
        me: Id = "",
    ) -> None:
        """``asking``: whether the answer is needed now; else it asks seldom, or nobody at all. ``me``: a worker that
        is not asked, since it is this process."""
        self._bus = bus
        self._workers = workers
        self._role = role
        self._asking = asking
        self._me = me
        self._rounds = round(else_every_seconds / ASK_SECONDS) if else_every_seconds is not None else 0
        """Rounds between two questions while the answer is not needed; 0: none."""
        self._misses: dict[tuple[Id, int], int] = {}
        """Missed questions in a row, of workers that have answered before."""

    def gone(self, lease: WorkerLease) -> bool:
        """Whether the worker's connection is gone."""
        return self._misses.get((lease.worker, lease.incarnation), 0) >= MISSES

    @property
    def in_doubt(self) -> bool:
        """Whether a worker that answered before did not answer the last question."""
        return any(self._misses.values())

    async def run(self) -> None:
        """Asks until it is cancelled."""
        rounds = 0
        anybody = True
        while True:
            await asyncio.sleep(ASK_SECONDS if anybody else RENEW_SECONDS)
            rounds += 1
            asking = self._asking()
            if not asking and anybody and self._rounds and rounds % self._rounds:
                continue
            leases = self._workers.alive(self._role) if (asking or self._rounds) and self._bus.connected else []
            anybody = any(lease.worker != self._me for lease in leases)
            known = {(lease.worker, lease.incarnation) for lease in leases}
            self._misses = {key: misses for key, misses in self._misses.items() if key in known}
            async with asyncio.TaskGroup() as tasks:
                for lease in self._to_ask(leases):
                    tasks.create_task(self._ask(lease))

    def _to_ask(self, leases: list[WorkerLease]) -> list[WorkerLease]:
        leases = [lease for lease in leases if lease.worker != self._me]
        if len(leases) <= ASKED_AT_ONCE:
            return leases
        unheard = {lease.worker: self._workers.silent_seconds(lease.role, lease.worker) for lease in leases}

        def is_in_doubt(lease: WorkerLease) -> bool:
            return unheard[lease.worker] >= LATE_SECONDS or self._misses.get((lease.worker, lease.incarnation)) != 0

        return sorted(filter(is_in_doubt, leases), key=lambda lease: -unheard[lease.worker])[:ASKED_AT_ONCE]

    async def _ask(self, lease: WorkerLease) -> None:
        key = (lease.worker, lease.incarnation)
        try:
            await self._bus.request(presence(lease), b"", timeout_seconds=ASK_SECONDS)
            self._misses[key] = 0
        except NobodyThereError:
            if key in self._misses:
                self._misses[key] += 1
                if self._misses[key] == MISSES:
                    self._workers.moved.set()
        except UnavailableError:
            pass  # the worker is busy, or this process's own connection is away
