"""One ingest worker: holds its name and its lease, follows its assignments, reads its cameras and reports on them.

A process of its own, started by the parent (`services.ingest.app`), which it outlives: a killed parent costs no frame.
Where no parent is there for `PARENTLESS_SECONDS`, it drains and ends, so that nothing outlives a stopped ``up``.

What it publishes stands and falls with its lease: a worker that cannot renew it falls silent before another may begin.
Reading and keeping (`services.ingest.keeping`) need neither lease nor bus: recorders fetch later what they missed.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Final

from prometheus_client import REGISTRY

from services.contracts import subjects
from services.contracts.models import (
    Assignment,
    Camera,
    CameraReport,
    Credentials,
    Id,
    IngestReport,
    ToldAssignment,
    WorkerLease,
)
from services.contracts.permissions import Role
from services.contracts.probe import ProbeQuestion
from services.contracts.troubles import Trouble
from services.contracts.workers import OVERLOADED
from services.ingest.assignments import PREFIX, CameraPlan, plans
from services.ingest.camera import CameraIngest, Surroundings
from services.ingest.cpu_use import CpuUse
from services.ingest.departing import Departing
from services.ingest.digest import ReportDigest
from services.ingest.fallbacks import Fallbacks
from services.ingest.feed import Readers
from services.ingest.keeping.handover import Handover
from services.ingest.keeping.keep import Keep
from services.ingest.kernel.engine import MAX_MESSAGE_BYTES, KernelEngine
from services.ingest.kernel.library import find_kernel
from services.ingest.metrics import IngestCollector
from services.ingest.names import HeldName, Name
from services.ingest.overload import Overload, WorkerLoad
from services.ingest.probe import Prober
from services.ingest.publisher import Publisher
from services.ingest.readers.direct import DirectReader
from services.ingest.readers.libav import LibavProcesses
from services.ingest.readers.source_backlog import SourceBacklog
from services.ingest.secrets import OpenedSecrets
from services.ingest.settings import KEY_FILE, IngestSettings
from services.ingest.shedding import SheddableCamera, Shedding, shed_text
from services.mesh.buckets import Bucket, Mirror
from services.mesh.bus import BusMessage
from services.mesh.cgroups import cpu_limit
from services.mesh.clock import SystemClock
from services.mesh.leases import Lease, new_incarnation, roll_call
from services.mesh.lifecycle import Service
from services.mesh.log import get_logger
from services.mesh.metrics import gauge
from services.mesh.rpc import Endpoint, RpcService, serve
from services.mesh.troubles import tell_troubles

log = get_logger()

TICK_SECONDS: Final = 0.1
"""How quickly a change of the catalogue, the assignments or the lease is acted on."""
WATCH_SECONDS: Final = 0.5
"""Between looks at the cameras: a source that stalls is noticed so late."""
LATE_SECONDS: Final = 1.0
"""A tick that comes so late finds packets waiting that nobody had time for: sources are not judged at it."""
REPORT_SECONDS: Final = 2.0
CHANGE_SECONDS: Final = 0.05
"""Changes within it go into one report."""
DRAIN_SECONDS: Final = 1.0
"""What the leader has to give our cameras to others before they are closed."""
HAND_OVER_SECONDS: Final = 3.0
"""What those others have to open them before a worker that is stopped ends."""
REST_SECONDS: Final = 0.0015
"""After frames were published the worker rests so long: those that come meanwhile are read and published together."""
BEAT_SECONDS: Final = 0.25
PARENT_SECONDS: Final = 1.0
"""Between looks at whether the parent is there."""
PARENTLESS_SECONDS: Final = 10.0
PARENTLESS_UNLEASED_SECONDS: Final = 2.0
"""The same where the lease is lost as well: the bus has ended with the parent."""

_kernel = gauge("ingest_kernel", "1 where the compiled receive kernel takes usual pictures, 0 where Python does")


class Worker:
    """The cameras of this process."""

    def __init__(self, service: Service, settings: IngestSettings, *, name: HeldName, parent: Name) -> None:
        self.cameras: dict[Id, CameraIngest] = {}
        self._service = service
        self._settings = settings
        self._name = name
        self._parent = parent
        self._incarnation = new_incarnation()
        self._draining = False
        self._load = 0.0
        self._cpu = CpuUse(service.clock, lambda: min(1.0, cpu_limit() / settings.worker_count))
        """It may use a core, or its share of what its container may."""
        self._backlog = SourceBacklog()
        self._overload = Overload()
        self._shedding = Shedding()
        self._late_seconds = 0.0
        """The longest since the last look."""
        self._beat_due = float("inf")
        self._waiting_bytes = float("inf")
        """The least since the last look that waited in the cameras' connections."""
        self._dropped = 0
        self._changed = asyncio.Event()
        self._changed_cameras: set[Id] = set()
        self._digest = ReportDigest()
        self._something_to_report = asyncio.Event()
        self._departing = Departing(service.bus, service.home, service.clock)
        self._held_until = float("-inf")
        self.publisher = Publisher(service.bus, service.clock, lambda: self._held_until)
        self._libav = LibavProcesses(self._backlog)
        self._engine: KernelEngine | None = None
        self._fallbacks: Fallbacks | None = None
        self._assignments: Mirror[Assignment] | None = None
        self._catalogue: Mirror[Camera] | None = None
        self.keep = Keep(settings.keep_limits, self._required_recorders)
        self._handover = Handover(
            service,
            self.keep,
            worker=name.name,
            folder=service.settings.data / "spool",
            floor_bytes=int(settings.spool_floor_gigabytes * 1e9),
            reachable=lambda: service.bus.connected and service.clock.monotonic() < self._held_until,
            catch_up=self._catch_up,
        )

    async def run(self) -> None:
        """Works until the service is to stop."""
        service = self._service
        bus = service.bus
        assignments = Mirror(await Bucket.open(bus, subjects.ASSIGNMENTS_BUCKET, Assignment), self._on_change)
        cameras = Mirror(await Bucket.open(bus, subjects.CAMERAS_BUCKET, Camera), self._on_change)
        key_file = self._settings.secrets_key or service.settings.data / KEY_FILE
        credentials = await OpenedSecrets.open(bus, key_file, service.settings.machine, self._on_change)
        fallbacks = self._fallbacks = await Fallbacks.open(bus, service.tasks, service.clock)
        self._assignments, self._catalogue = assignments, cameras
        self._open_kernel()
        if self._settings.keep_limits.spool_bytes:
            self._handover.open_spool()
        lease = Lease(bus, service.home, self._entry, clock=service.clock)
        service.health.note("load", lambda: self._overload.reason or None)
        service.health.add("lease", lambda: None if lease.held else "no lease: NATS does not take its renewal")
        work = [
            service.tasks.create_task(coroutine, name=name)
            for name, coroutine in (
                ("assignments", assignments.run()),
                ("cameras", cameras.run()),
                ("credentials", credentials.run()),
                ("fallbacks", fallbacks.run()),
                ("lease", lease.run()),
                ("reports", self._report(lease)),
                ("beat", self._beat()),
                ("parent", self._watch_parent(lease)),
                ("handover", self._handover.run()),
                ("troubles", tell_troubles(bus, service.home, f"ingest {self._name.name}", self._troubles)),
            )
        ]
        answering = await self._answer_probes(cameras, credentials)
        listening = [
            await bus.subscribe(subjects.assigned(service.home, self._name.name), self._take_told),
            await bus.subscribe(subjects.roll_call(service.home), self._take_roll_call),
        ]
        following = service.tasks.create_task(
            self._follow(lease, assignments, cameras, credentials, fallbacks), name="follow"
        )
        try:
            await service.stopping.wait()
            self._draining = True
            if self.cameras and await lease.renew() and await self._others():
                await self._hand_over()
        finally:
            following.cancel()
            await answering.stop()
            for subscription in listening:
                await subscription.unsubscribe()
            await self._apply({}, overlap=False)
            await self._departing.close()
            await self._libav.stop()
            for task in work:
                task.cancel()
            await lease.release()
            await self._handover.close()
            if self._engine is not None:
                self._engine.close()

    def _open_kernel(self) -> None:
        """Usual pictures go through C where that was built and is wanted."""
        found = find_kernel() if self._settings.kernel == "auto" else "off by the setting"
        service = self._service
        if isinstance(service.clock, SystemClock) and not isinstance(found, str):
            publisher, bus = self.publisher, service.bus
            self._engine = KernelEngine(
                found, publisher.publish_lines, self._most_bytes, bus.rest, socket=publisher, rest_seconds=REST_SECONDS
            )
        _kernel.set(self._engine is not None)
        log.info("ingest.reading", kernel=found if isinstance(found, str) else "on")

    def _catch_up(self) -> None:
        """Notes and keeps what C has taken and written meanwhile."""
        if self._engine is not None:
            self._engine.fetch()

    def _most_bytes(self) -> int:
        return min(MAX_MESSAGE_BYTES, self._service.bus.max_payload_bytes or MAX_MESSAGE_BYTES)

    def _required_recorders(self, camera: Id) -> tuple[Id, ...] | None:
        """Who must acknowledge a camera's footage; None while that is not known."""
        assignments, catalogue = self._assignments, self._catalogue
        if assignments is None or catalogue is None:
            return None
        if not (assignments.ready.is_set() and catalogue.ready.is_set()):
            return None
        assignment = assignments.get(f"recorder.{camera}")
        if assignment is not None:
            return assignment.workers or None
        known = catalogue.get(camera)
        return None if known is not None and known.enabled and known.record else ()

    def _entry(self) -> WorkerLease:
        return WorkerLease(
            role="ingest",
            worker=self._name.name,
            incarnation=self._incarnation,
            capacity=self._settings.capacity,
            load=round(self._load, 3),
            draining=self._draining,
            machine=self._service.settings.machine,
            rack=self._service.settings.rack,
            detail={"cameras": str(len(self.cameras)), OVERLOADED: self._overload.reason},
        )

    async def _take_told(self, message: BusMessage) -> None:
        """Takes a camera over before the bucket says so: its consumer may have been on a node that is lost."""
        try:
            told = ToldAssignment.unpack(message.data)
        except ValueError as error:
            log.warning("ingest.told_unreadable", error=error)
            return
        if self._assignments is not None:
            self._assignments.tell(f"ingest.{told.assignment.camera}", told.assignment, told.revision)

    async def _take_roll_call(self, _message: BusMessage) -> None:
        """Who calls knows nothing of the cameras."""
        self._digest.forget()

    def _on_change(self, _key: str, _value: object, _revision: int) -> None:
        self._changed.set()

    async def _follow(
        self,
        lease: Lease,
        assignments: Mirror[Assignment],
        cameras: Mirror[Camera],
        credentials: OpenedSecrets,
        fallbacks: Fallbacks,
    ) -> None:
        clock = self._service.clock
        mirrors = (assignments, cameras, credentials, fallbacks)
        self._changed.set()
        last = watch_due = clock.monotonic()
        while True:
            now = clock.monotonic()
            if self._changed.is_set() and all(mirror.ready.is_set() for mirror in mirrors):
                self._changed.clear()
                await self._apply(
                    plans(
                        self._name.name,
                        self._incarnation,
                        assignments=assignments.entries,
                        cameras=cameras.entries,
                        credentials=credentials.entries,
                    ),
                    overlap=now - last < LATE_SECONDS and now < self._held_until,
                )
            # Only now: who comes back publishes nothing before it follows what was assigned meanwhile.
            was_permitted, self._held_until = self.publisher.permitted, lease.held_until
            if self.publisher.permitted and not was_permitted:
                self._something_to_report.set()
            if now >= watch_due:
                watch_due = now + WATCH_SECONDS
                if now - last < LATE_SECONDS:
                    for camera in self.cameras.values():
                        camera.tick(now)
                    await self._departing.tick(now)
            last = now
            await asyncio.sleep(TICK_SECONDS)

    async def _apply(self, wanted: Mapping[Id, CameraPlan], *, overlap: bool) -> None:
        """``overlap``: cameras that others take over are read until these do."""
        if wanted.keys() != self.cameras.keys():
            log.info("ingest.assigned", cameras=len(wanted))
        for camera in [camera for camera in self.cameras if camera not in wanted]:
            leaving, successor = self.cameras.pop(camera), self._successor(camera)
            if overlap and successor:
                await self._departing.add(leaving, successor)
            else:
                await leaving.stop()
        for camera, plan in wanted.items():
            if (back := self._departing.take_back(camera)) is not None:
                self.cameras[camera] = back
            if (known := self.cameras.get(camera)) is None:
                known = self.cameras[camera] = CameraIngest(plan, self._surroundings())
                await known.start()
            elif known.plan != plan:
                await known.update(plan)
                self._note_change(camera)
        self._handover.tell_soon()

    def _successor(self, camera: Id) -> Id:
        """The other worker that is to read a camera now; empty where none is."""
        assert self._assignments is not None
        assert self._catalogue is not None
        assignment, known = self._assignments.get(f"{PREFIX}{camera}"), self._catalogue.get(camera)
        if assignment is None or known is None or not known.enabled:
            return ""
        return next((worker for worker in assignment.workers if worker != self._name.name), "")

    async def _answer_probes(self, cameras: Mirror[Camera], credentials: OpenedSecrets) -> RpcService:
        """One of all workers answers what a source offers that is no camera yet."""

        def kept(camera: Id) -> tuple[Camera, Credentials] | None:
            known, secret = cameras.get(camera), credentials.entries.get(camera)
            return (known, secret[0]) if known is not None and secret is not None else None

        service = self._service
        # Without the receive kernel: what a probe reads goes nowhere.
        readers: Readers = {"direct": DirectReader, "libav": self._libav.reader}
        prober = Prober(self._settings, readers, service.clock, kept=kept)
        endpoint = Endpoint("probe", ProbeQuestion, prober.probe, Role.ADMIN)
        return await serve(service.bus, service.tasks, home=service.home, service="ingest", endpoints=(endpoint,))

    def _surroundings(self) -> Surroundings:
        assert self._fallbacks is not None
        return Surroundings(
            fallbacks=self._fallbacks,
            settings=self._settings,
            bus=self._service.bus,
            publisher=self.publisher,
            keep=self.keep,
            tasks=self._service.tasks,
            clock=self._service.clock,
            readers={"direct": partial(DirectReader, self._engine, self._backlog), "libav": self._libav.reader},
            on_change=self._note_change,
        )

    async def _others(self) -> bool:
        """Whether there is another worker who could take our cameras."""
        return any(
            lease.role == "ingest" and lease.worker != self._name.name and not lease.draining
            for lease in await roll_call(self._service.bus, self._service.home)
        )

    async def _hand_over(self) -> None:
        """Others take our cameras while we still read them, so that a planned stop is no gap."""
        clock = self._service.clock
        begin = clock.monotonic()
        while (self.cameras and clock.monotonic() < begin + DRAIN_SECONDS) or (
            self._departing and clock.monotonic() < begin + HAND_OVER_SECONDS
        ):
            await asyncio.sleep(TICK_SECONDS / 2)

    async def _report(self, lease: Lease) -> None:
        subject = subjects.report(self._service.home, self._name.name)
        clock = self._service.clock
        due = look_due = clock.monotonic()
        while True:
            # Without a lease a report stays due, until `_follow` sees that it is held again.
            wake_at = min(due, look_due) if lease.held else look_due
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, wake_at - clock.monotonic())):
                    await self._something_to_report.wait()
            await asyncio.sleep(CHANGE_SECONDS)
            now = clock.monotonic()
            if now >= look_due:  # without a lease too: its loss may come of the load
                look_due = now + REPORT_SECONDS
                self._load = self._cpu.look()
                self._look_at_load()
            self._something_to_report.clear()
            if not lease.held:
                continue
            steady: dict[Id, int] = {}
            if now >= due:
                due = now + REPORT_SECONDS
                whole, steady = self._digest.split(self.reports())
            elif not self._changed_cameras:
                continue
            else:
                named = [camera for camera in self._changed_cameras if camera in self.cameras]
                whole = tuple(self.cameras[camera].report() for camera in named)
                for camera in named:
                    self._digest.note_change(camera)
            self._changed_cameras.clear()
            report = IngestReport(worker=self._name.name, at_us=clock.now_us(), cameras=whole, steady=steady)
            if not await self._service.bus.publish(subject, report.pack()):
                self._digest.forget()

    def _look_at_load(self) -> None:
        was, load = self._overload.reason, self.measured_load()
        self._overload.look(load)
        self._late_seconds, self._dropped = 0.0, self.publisher.dropped_no_bus
        self._waiting_bytes = float("inf")
        if was != self._overload.reason:
            log.warning("ingest.load", overloaded=self._overload.reason or "no more", cameras=len(self.cameras))
        self._shed(load)

    def measured_load(self) -> WorkerLoad:
        """Since the look before."""
        connected, now = self._service.bus.connected, self._service.clock.monotonic()
        return WorkerLoad(
            self._load,
            max(self._late_seconds, now - self._beat_due),
            (self.publisher.dropped_no_bus if connected else self._dropped) - self._dropped,
            self._behind_seconds(),
            has_lease=self.publisher.permitted or not connected,
        )

    def _behind_seconds(self) -> float:
        """Until what waits in the connections is read at the rate of the last seconds; 0 while none is known."""
        bytes_per_second = sum(camera.bitrate_bps for camera in self.cameras.values()) / 8
        waiting_bytes = min(self._waiting_bytes, self._backlog.waiting_bytes())
        return waiting_bytes / bytes_per_second if bytes_per_second else 0.0

    def _shed(self, load: WorkerLoad) -> None:
        before = dict(self._shedding.shed)
        read = {
            name: SheddableCamera(camera.plan.recorded, camera.plan.priority, camera.sub_open)
            for name, camera in self.cameras.items()
        }
        self._shedding.look(read, load, overloaded=bool(self._overload.reason))
        for name, camera in self.cameras.items():
            camera.give_up(self._shedding.shed.get(name))
        if before != self._shedding.shed:
            log.warning("ingest.shed", given_up=shed_text(self._shedding.shed) or "nothing any more")

    def _troubles(self) -> list[Trouble]:
        name, given_up = self._name.name, shed_text(self._shedding.shed)
        reason = ", ".join(filter(None, (self._overload.reason, given_up)))
        if not reason:
            return []
        detail = f"{name} has more to do than it can with {len(self.cameras)} cameras ({reason}): add an ingest worker"
        return [Trouble(kind="overloaded", subject=name, detail=detail)]

    def _note_change(self, camera: Id) -> None:
        self._changed_cameras.add(camera)
        self._something_to_report.set()

    def reports(self) -> list[CameraReport]:
        """What is observed of all cameras that are read here."""
        return [*(camera.report() for camera in self.cameras.values()), *self._departing.reports()]

    async def _beat(self) -> None:
        """Says to the parent that the event loop runs, and sees how late it is."""
        clock = self._service.clock
        while True:
            self._name.beat(ready=not self._service.health.missing())
            self._beat_due = clock.monotonic() + BEAT_SECONDS
            await asyncio.sleep(BEAT_SECONDS)
            self._late_seconds = max(self._late_seconds, clock.monotonic() - self._beat_due)
            if self._overload.is_near:
                await asyncio.sleep(0)  # what came meanwhile is read first
                self._waiting_bytes = min(self._waiting_bytes, self._backlog.waiting_bytes())

    async def _watch_parent(self, lease: Lease) -> None:
        clock = self._service.clock
        seen_at = clock.monotonic()
        while True:
            await asyncio.sleep(PARENT_SECONDS)
            now = clock.monotonic()
            if self._parent.holder() is not None:
                seen_at = now
            elif now - seen_at >= (PARENTLESS_SECONDS if lease.held else PARENTLESS_UNLEASED_SECONDS):
                log.warning("ingest.parentless", parent=self._parent.name)
                self._service.stopping.set()


async def run(service: Service, settings: IngestSettings, parent: Id) -> None:
    """One worker below ``parent``; see `services.mesh.lifecycle`."""
    held = HeldName.take(Name(service.settings, "worker", service.worker))
    if held is None:
        log.warning("ingest.name_taken", name=service.worker)
        return
    service.bus.rest_after_media(write_seconds=REST_SECONDS)
    worker = Worker(service, settings, name=held, parent=Name(service.settings, "parent", parent))
    collector = IngestCollector(worker)
    REGISTRY.register(collector)
    try:
        await worker.run()
    finally:
        REGISTRY.unregister(collector)
        held.release()
