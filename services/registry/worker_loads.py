"""Tells of workers that have more to do than they can, and when they keep up again, while this registry leads.

Workers say so in their leases. What was told of a worker last is in the event stream, so another leader goes on from
there, and an overload is told once.
"""

from collections.abc import Callable

from services.contracts.errors import UnavailableError
from services.contracts.events import WorkerOverloaded, WorkerRecovered
from services.contracts.models import Id, WorkerLease
from services.contracts.workers import OVERLOADED
from services.mesh.bus import Bus
from services.mesh.clock import Clock, sleep
from services.mesh.event_stream import EventOutbox, last_event
from services.mesh.leases import RENEW_SECONDS, Workers
from services.mesh.log import get_logger

log = get_logger()


class WorkerLoads:
    """`run` it; it tells while ``telling`` says so."""

    def __init__(
        self,
        *,
        bus: Bus,
        home: Id,
        workers: Workers,
        outbox: EventOutbox,
        telling: Callable[[], bool],
        clock: Clock,
    ) -> None:
        self._bus = bus
        self._home = home
        self._workers = workers
        self._outbox = outbox
        self._telling = telling
        self._clock = clock
        self._overloaded_us: dict[Id, int] = {}
        """Worker → since when it is overloaded, as told; 0: it is not."""

    async def run(self) -> None:
        """Looks at the leases until it is cancelled."""
        while True:
            if not self._telling():
                self._overloaded_us.clear()  # another one tells meanwhile
            else:
                alive = self._workers.alive("ingest")
                there = {lease.worker for lease in alive}
                self._overloaded_us = {name: us for name, us in self._overloaded_us.items() if name in there}
                try:
                    for lease in alive:
                        await self._look(lease)
                except UnavailableError as error:
                    log.debug("worker_loads.waiting", error=error)
            await sleep(self._clock, RENEW_SECONDS)

    async def _look(self, lease: WorkerLease) -> None:
        name, reason, now_us = lease.worker, lease.detail.get(OVERLOADED, ""), self._clock.now_us()
        since_us = self._overloaded_us.get(name)
        if since_us is None:
            since_us = await self._told_us(name)
            if not self._telling():
                return  # another one tells by now
        if reason and not since_us:
            self._outbox.post(
                WorkerOverloaded(
                    site=self._home, at_us=now_us, worker=name, role=lease.role, machine=lease.machine, detail=reason
                )
            )
            since_us = now_us
        elif since_us and not reason:
            after_seconds = round(max(0, now_us - since_us) / 1e6, 3)
            self._outbox.post(
                WorkerRecovered(
                    site=self._home, at_us=now_us, worker=name, role=lease.role, machine=lease.machine,
                    after_seconds=after_seconds,
                )
            )  # fmt: skip
            since_us = 0
        self._overloaded_us[name] = since_us

    async def _told_us(self, worker: Id) -> int:
        overloaded = await last_event(self._bus, WorkerOverloaded, self._home, worker)
        recovered = await last_event(self._bus, WorkerRecovered, self._home, worker)
        if overloaded is None or (recovered is not None and recovered.at_us >= overloaded.at_us):
            return 0
        return overloaded.at_us
