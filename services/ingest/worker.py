"""A reader process: at most fifty cameras, each source read in a thread of its own, on one CPU.

Started by the ingest service (`services.ingest.supervisor`) with the number of a socket's file descriptor, over which
it is told what to read and says what it observes. It never waits for a thread: one that libav does not let go of ends
with the process.

It outlives a service that is killed: it reads and publishes on, keeps the service's lease, and waits for the next
service of that name to take it over (`services.ingest.survivors`).
"""

import asyncio
import gc
import os
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from typing import Final

from services.contracts import subjects
from services.contracts.models import CameraReport, Id, WorkerLease
from services.ingest import control
from services.ingest.camera import CameraIngest, Surroundings
from services.ingest.feed import RunInbox
from services.ingest.inbox import Inbox
from services.ingest.links import Link, Over, Successors
from services.ingest.publisher import Publisher
from services.ingest.readers.pyav import THREAD_NAME, PyavReader
from services.ingest.readers.source import Reader, Source
from services.ingest.settings import IngestSettings
from services.ingest.survivors import address
from services.mesh.buckets import Bucket
from services.mesh.bus import Bus
from services.mesh.clock import SystemClock
from services.mesh.leases import Lease
from services.mesh.log import configure, get_logger
from services.mesh.settings import MeshSettings
from services.mesh.tasks import end

log = get_logger()

TICK_SECONDS: Final = 0.25
BATCH_SECONDS: Final = 0.004
"""Packets that come within it are handled and sent together: waking the loop for each costs as much as handling it."""
REPORT_SECONDS: Final = 2.0
CHANGE_SECONDS: Final = 0.05
"""Changes within it go into one message."""
LINGER_SECONDS: Final = 5.0
"""Without a lease nothing is published; so long after it was lost the sources are closed too. In between a bus that
was only restarted finds the cameras still open."""
CLOSE_SECONDS: Final = 0.6
STUCK_THREADS: Final = 64
"""So many threads more than sources means that libav keeps them: the process ends and is replaced."""


class Worker:
    """The cameras of this process."""

    def __init__(self, setup: control.Setup, bus: Bus, tasks: asyncio.TaskGroup, writer: asyncio.StreamWriter) -> None:
        self.plan = control.Plan(cameras=())
        self._settings = IngestSettings.model_validate(setup.ingest)
        self._clock = SystemClock()
        self._bus = bus
        self._tasks = tasks
        self._writer = writer
        self._publisher = Publisher(bus, self._clock)
        self._lease: WorkerLease | None = None
        self._stood_in: Lease | None = None
        self._inbox: RunInbox = Inbox(asyncio.get_running_loop())
        self._cameras: dict[Id, CameraIngest] = {}
        self._plan_changed = asyncio.Event()
        self._running: list[asyncio.Task[None]] = []
        self._changed: set[Id] = set()
        self._cpu_seconds = time.process_time()
        self._cpu_at = self._report_due = self._clock.monotonic()

    def start(self) -> None:
        """Starts the tasks."""
        for work in (self._pump, self._follow_plan, self._tick, self._report):
            self._running.append(self._tasks.create_task(work(), name=work.__name__))

    def cancel(self) -> None:
        """Ends the tasks."""
        for task in self._running:
            task.cancel()

    def take(self, message: control.Message) -> None:
        """What the service says."""
        if isinstance(message, control.Permit):
            lapsed = not self._publisher.permitted
            self._publisher.permit(message.until)
            self._lease = message.lease
            if lapsed:
                self._plan_changed.set()
        elif isinstance(message, control.Plan):
            self.plan = message
            self._plan_changed.set()

    def follow(self, writer: asyncio.StreamWriter) -> None:
        """Reports to another service from now on."""
        self._writer = writer
        self._report_due = self._clock.monotonic()

    async def stand_in(self) -> None:
        """Keeps the lease of a service that is gone, until the lease is lost; cancel to stop."""
        if self._lease is None:
            return
        entry = self._lease
        bucket = await Bucket.open(self._bus, subjects.LEASES_BUCKET, WorkerLease)
        self._stood_in = lease = Lease(bucket, lambda: entry)
        async with asyncio.TaskGroup() as tasks:
            keeping = tasks.create_task(lease.run(), name="lease")
            while self._publisher.unpermitted_seconds < LINGER_SECONDS:
                if lease.held:
                    self._publisher.permit(lease.held_until)
                await asyncio.sleep(TICK_SECONDS)
            keeping.cancel()

    async def give_up(self) -> None:
        """Publishes no more, and lets others begin: after `stand_in`, when no service comes."""
        self._publisher.permit(float("-inf"))
        if self._stood_in is not None and self._bus.connected:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self._stood_in.release()

    async def close(self) -> None:
        """Closes all cameras; returns when their threads have ended, or after `CLOSE_SECONDS`."""
        await self._apply(control.Plan(cameras=()))
        deadline = self._clock.monotonic() + CLOSE_SECONDS
        while _reading_threads() and self._clock.monotonic() < deadline:
            await asyncio.sleep(0.01)

    async def _pump(self) -> None:
        while True:
            for run, item in await self._inbox.take():
                await run.feed.take(run, item)
            await asyncio.sleep(BATCH_SECONDS)

    async def _follow_plan(self) -> None:
        while True:
            await self._plan_changed.wait()
            self._plan_changed.clear()
            if self._publisher.unpermitted_seconds < LINGER_SECONDS:
                await self._apply(self.plan)

    async def _apply(self, plan: control.Plan) -> None:
        wanted = {camera.camera: camera for camera in plan.cameras}
        for camera in [camera for camera in self._cameras if camera not in wanted]:
            await self._cameras.pop(camera).stop()
        for camera, entry in wanted.items():
            if (known := self._cameras.get(camera)) is None:
                known = self._cameras[camera] = CameraIngest(entry, self._surroundings())
                await known.start()
            elif known.plan != entry:
                await known.update(entry)
                self._changed.add(camera)

    def _surroundings(self) -> Surroundings:
        return Surroundings(
            settings=self._settings,
            bus=self._bus,
            publisher=self._publisher,
            inbox=self._inbox,
            tasks=self._tasks,
            clock=self._clock,
            make_reader=self._make_reader,
            on_change=self._changed.add,
        )

    def _make_reader(self, source: Source) -> Reader:
        stall = self._settings.hls_stall_seconds if source.is_hls else self._settings.stall_seconds
        return PyavReader(open_seconds=self._settings.open_seconds, stall_seconds=stall)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            now = self._clock.monotonic()
            for camera in self._cameras.values():
                camera.tick(now)
            if self._cameras and self._publisher.unpermitted_seconds >= LINGER_SECONDS:
                log.warning("ingest.lease_lost", cameras=len(self._cameras))
                await self._apply(control.Plan(cameras=()))
            if _reading_threads() > 3 * len(self._cameras) + STUCK_THREADS:
                raise RuntimeError("too many threads are stuck in libav; the process must be replaced")

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(CHANGE_SECONDS)
            now = self._clock.monotonic()
            whole = now >= self._report_due
            if whole:
                self._report_due = now + REPORT_SECONDS
            elif not self._changed:
                continue
            named = list(self._cameras) if whole else [camera for camera in self._changed if camera in self._cameras]
            self._changed.clear()
            self._send(tuple(self._cameras[camera].report() for camera in named), whole=whole)

    def _send(self, cameras: tuple[CameraReport, ...], *, whole: bool) -> None:
        load = 0.0
        if whole:
            cpu, now = time.process_time(), self._clock.monotonic()
            load = (cpu - self._cpu_seconds) / max(now - self._cpu_at, 0.001)
            self._cpu_seconds, self._cpu_at = cpu, now
        if self._writer.is_closing() or self._writer.transport.get_write_buffer_size() > control.MAX_MESSAGE_BYTES:
            return  # the service is gone, or does not read just now: the next whole report says it all
        self._writer.write(
            control.encode(control.Observed(cameras=cameras, whole=whole, load=load, totals=self._publisher.totals()))
        )


def _reading_threads() -> int:
    return sum(thread.name.startswith(THREAD_NAME) for thread in threading.enumerate())


async def serve(socket_: socket.socket) -> None:
    """Reads what it is told to until the service ends it, or is gone without a successor."""
    link = Link(*await asyncio.open_unix_connection(sock=socket_))
    setup = await link.message()
    if not isinstance(setup, control.Setup):
        return
    configure("ingest", level=setup.log_level, format=setup.log_format)
    if setup.cpu is not None:
        os.sched_setaffinity(0, {setup.cpu})
    mesh = MeshSettings(
        nats_url=setup.nats_url,
        nats_user=setup.nats_user,
        nats_password=setup.nats_password,
        site=setup.site,
        worker=setup.worker,
    )
    successors = Successors()
    try:
        await successors.listen(address(mesh, setup.worker, os.getpid()))
    except OSError as error:
        log.warning("ingest.cannot_outlive", error=error)
    try:
        async with asyncio.TaskGroup() as tasks:
            connecting = tasks.create_task(Bus.connect(mesh, f"ingest {setup.worker} {setup.process}"))
            told = tasks.create_task(link.run(), name="link")
            await asyncio.wait((connecting, told), return_when=asyncio.FIRST_COMPLETED)
            if told.done():
                connecting.cancel()
                return
            worker = Worker(setup, connecting.result(), tasks, link.writer)
            worker.start()
            link.hand_to(worker.take)
            while await told is Over.LEFT_BEHIND:
                next_link = await _outlive(worker, setup, successors)
                if next_link is None:
                    break
                next_link.hand_to(worker.take)
                told = tasks.create_task(next_link.run(), name="link")
            await worker.close()
            await connecting.result().close()
            worker.cancel()
    finally:
        successors.close()


async def _outlive(worker: Worker, setup: control.Setup, successors: Successors) -> Link | None:
    """Works on without a service until the next one comes; None where none does, or not with the same settings."""
    log.warning("ingest.left_behind", process=setup.process, cameras=len(worker.plan.cameras))
    standing_in = asyncio.create_task(worker.stand_in(), name="stand in")
    coming = asyncio.create_task(successors.next(), name="successors")
    try:
        await asyncio.wait((standing_in, coming), return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end((standing_in, coming))
    link = None if coming.cancelled() else coming.result()
    if link is None:
        await worker.give_up()
        return None
    link.writer.write(control.encode(control.Here(process=setup.process, plan=worker.plan)))
    if await link.message() != setup:
        return None
    worker.follow(link.writer)
    return link


def main(descriptor: int) -> None:
    """The process: never returns."""
    # The service decides when this ends: it closes the socket. A terminal's Ctrl-C comes to all of its processes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    status = 1
    try:
        gc.freeze()  # what was loaded by now lives as long as the process
        import uvloop

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(socket.socket(fileno=descriptor)))
        status = 0
    except Exception as error:
        # The supervisor of last resort: what got here is a bug, and the service starts another process.
        log.exception("ingest.process_died", error=error)
    finally:
        sys.stderr.flush()
        # Not sys.exit: it would wait for threads that libav keeps, or run their destructors under them.
        os._exit(status)


if __name__ == "__main__":
    main(int(sys.argv[1]))
