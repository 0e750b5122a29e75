"""The ingest service: holds a lease, follows its assignments, and keeps the reader processes at them.

The frames never pass through here: each reader process publishes its own. What it publishes stands and falls with this
service's lease, of which every process knows until when it is held.
"""

import asyncio
from typing import Final

import nats.errors
from prometheus_client import REGISTRY

from services.contracts import subjects
from services.contracts.models import Assignment, Camera, Credentials, Id, WorkerLease
from services.ingest.assignments import plans
from services.ingest.control import Observed
from services.ingest.machine import WorkerName
from services.ingest.reports import IngestCollector, Reports
from services.ingest.settings import IngestSettings
from services.ingest.supervisor import Supervisor
from services.mesh.buckets import Bucket, Mirror
from services.mesh.leases import Lease, new_incarnation
from services.mesh.lifecycle import Service
from services.mesh.log import get_logger

log = get_logger()

REPORT_SECONDS: Final = 2.0
TICK_SECONDS: Final = 0.1
"""How quickly a change of the catalogue, the assignments or the lease is acted on."""
DRAIN_SECONDS: Final = 1.0
"""What the leader has to give our cameras to others before they are closed."""


class Ingest:
    """One worker."""

    def __init__(self, service: Service, settings: IngestSettings, worker: Id | None = None) -> None:
        """``worker`` is its name where the settings give none."""
        self._service = service
        self._worker = worker or service.worker
        self._settings = settings
        self._incarnation = new_incarnation()
        self._draining = False
        self._assigned = 0
        self._reports = Reports(self._worker)
        self._changed = asyncio.Event()
        self._supervisor = Supervisor(
            service.settings,
            settings,
            self._worker,
            service.tasks,
            on_observed=self._observed,
            on_gone=self._reports.forget,
        )
        self.collector = IngestCollector(self._reports, self._supervisor.totals)

    async def run(self) -> None:
        """Works until the service is to stop."""
        service = self._service
        bus = service.bus
        # Before there is a lease of ours: what an earlier service left behind holds its own until we take it over.
        self._reports.keep(await self._supervisor.start())
        leases = await Bucket.open(bus, subjects.LEASES_BUCKET, WorkerLease)
        assignments = Mirror(await Bucket.open(bus, subjects.ASSIGNMENTS_BUCKET, Assignment), self._on_change)
        cameras = Mirror(await Bucket.open(bus, subjects.CAMERAS_BUCKET, Camera), self._on_change)
        credentials = Mirror(await Bucket.open(bus, subjects.SECRETS_BUCKET, Credentials), self._on_change)
        lease = Lease(leases, self._lease, clock=service.clock)
        service.health.add("lease", lambda: None if lease.held else "no lease: NATS does not take its renewal")
        service.health.add("readers", lambda: None if self._supervisor.ready else "no reader process is up yet")
        work = [
            service.tasks.create_task(coroutine, name=name)
            for name, coroutine in (
                ("assignments", assignments.run()),
                ("cameras", cameras.run()),
                ("credentials", credentials.run()),
                ("lease", lease.run()),
                ("reports", self._report(lease)),
            )
        ]
        following = service.tasks.create_task(self._follow(lease, assignments, cameras, credentials), name="follow")
        try:
            await service.stopping.wait()
            self._draining = True
            if self._assigned and await lease.renew() and await self._others(leases):
                await self._hand_over()
        finally:
            following.cancel()
            await self._supervisor.stop()
            for task in work:
                task.cancel()
            await lease.release()

    @property
    def assigned(self) -> int:
        """How many cameras this worker has."""
        return self._assigned

    @property
    def process_ids(self) -> tuple[int, ...]:
        """Of the reader processes that run now."""
        return self._supervisor.pids

    def _lease(self) -> WorkerLease:
        return WorkerLease(
            role="ingest",
            worker=self._worker,
            incarnation=self._incarnation,
            capacity=self._settings.capacity or self._supervisor.cpus * self._settings.cameras_per_process,
            load=round(self._supervisor.load, 3),
            draining=self._draining,
            detail={"cameras": str(self._assigned), "processes": str(len(self._supervisor.pids))},
        )

    def _on_change(self, _key: str, _value: object, _revision: int) -> None:
        self._changed.set()

    async def _follow(
        self,
        lease: Lease,
        assignments: Mirror[Assignment],
        cameras: Mirror[Camera],
        credentials: Mirror[Credentials],
    ) -> None:
        mirrors = (assignments, cameras, credentials)
        self._changed.set()
        until = lease.held_until
        while True:
            if lease.held_until != until:
                until = lease.held_until
                self._supervisor.permit(until, self._lease())
            if self._changed.is_set() and all(mirror.ready.is_set() for mirror in mirrors):
                self._changed.clear()
                assigned = plans(
                    self._worker,
                    self._incarnation,
                    assignments=assignments.entries,
                    cameras=cameras.entries,
                    credentials=credentials.entries,
                )
                if len(assigned) != self._assigned:
                    log.info("ingest.assigned", cameras=len(assigned))
                self._assigned = len(assigned)
                self._reports.keep(assigned)
                self._supervisor.assign(assigned)
            await asyncio.sleep(TICK_SECONDS)

    async def _others(self, leases: Bucket[WorkerLease]) -> bool:
        """Whether there is another worker who could take our cameras."""
        try:
            async with asyncio.timeout(0.2):
                names = await leases.kv.keys()
        except (nats.errors.Error, TimeoutError):
            return False
        return any(name.startswith("ingest.") and name != f"ingest.{self._worker}" for name in names)

    async def _hand_over(self) -> None:
        """Others take our cameras while we still read them, so that a planned stop is no gap."""
        deadline = self._service.clock.monotonic() + DRAIN_SECONDS
        while self._assigned and self._service.clock.monotonic() < deadline:
            await asyncio.sleep(TICK_SECONDS / 2)

    def _observed(self, observed: Observed) -> None:
        self._reports.take(observed.cameras, changed=not observed.whole)

    async def _report(self, lease: Lease) -> None:
        subject = subjects.report(self._service.home, self._worker)
        due = 0.0
        while True:
            await asyncio.sleep(TICK_SECONDS / 2)
            if not lease.held:
                continue
            now, at_us = self._service.clock.monotonic(), self._service.clock.now_us()
            if now >= due:
                due = now + REPORT_SECONDS
                await self._service.bus.publish(subject, self._reports.whole(at_us).pack())
            elif (report := self._reports.changes(at_us)) is not None:
                await self._service.bus.publish(subject, report.pack())


async def run(service: Service, settings: IngestSettings) -> None:
    """The ingest service; see `services.mesh.lifecycle`."""
    name = None if service.settings.worker else WorkerName(service.settings, service.worker)
    ingest = Ingest(service, settings, name.name if name else None)
    REGISTRY.register(ingest.collector)
    try:
        await ingest.run()
    finally:
        REGISTRY.unregister(ingest.collector)
        if name is not None:
            name.release()
