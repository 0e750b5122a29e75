"""The reader processes: started, told what to read, listened to, replaced when they die."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterable
from typing import Final

from services.contracts.models import Id, WorkerLease
from services.ingest import control
from services.ingest.control import CameraPlan, End, Observed, Permit, Plan, Setup
from services.ingest.placement import Placement
from services.ingest.settings import IngestSettings
from services.ingest.survivors import Survivor, find
from services.mesh.backoff import Backoff
from services.mesh.log import get_logger
from services.mesh.metrics import counter
from services.mesh.settings import MeshSettings

log = get_logger()

CRASHES: Final = frozenset((signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL))
"""Ends that a stream may have caused in libav. Others (the kernel short of memory, an operator) blame no camera."""
STOP_SECONDS: Final = 1.5
_STEADY_SECONDS: Final = 30.0

_restarts = counter("ingest_process_restarts", "Reader processes that died and were replaced")


class ReaderProcess:
    """One reader process and its successors. `run` keeps it alive; what it is told survives it."""

    def __init__(
        self,
        number: int,
        setup: Setup,
        *,
        on_observed: Callable[[Observed], None],
        on_died: Callable[[int, int, tuple[Id, ...]], None],
        survivor: Survivor | None = None,
    ) -> None:
        """``on_died(number, exit status, cameras)``: it ended by itself. ``survivor``: the first of them."""
        self.number = number
        self.load = 0.0
        self.totals: dict[str, int] = {}
        self.observed = False
        """Whether the process that runs now has said anything yet."""
        self._setup = setup
        self._on_observed = on_observed
        self._on_died = on_died
        self._plan = survivor.here.plan if survivor else Plan(cameras=())
        self._permit: Permit | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._survivor = survivor
        self.pid: int | None = None
        """Of the process that runs now."""

    def tell(self, message: Plan | Permit) -> None:
        """Tells it what to read, or until when it may publish."""
        if isinstance(message, Plan):
            if message == self._plan:
                return
            self._plan = message
        else:
            self._permit = message
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(control.encode(message))

    async def run(self) -> None:
        """Keeps the process alive; cancel to stop it."""
        backoff = Backoff(0.1, 10.0)
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            status = await self._live()
            _restarts.inc()
            log.warning("ingest.process_ended", process=self.number, status=status, cameras=len(self._plan.cameras))
            self._on_died(self.number, status, tuple(camera.camera for camera in self._plan.cameras))
            if loop.time() - started > _STEADY_SECONDS:
                backoff.reset()
            await asyncio.sleep(backoff.next_seconds())

    async def _live(self) -> int:
        process: Survivor | asyncio.subprocess.Process
        survivor, self._survivor = self._survivor, None
        if survivor is not None:
            process, reader, writer = survivor, survivor.reader, survivor.writer
        else:
            process, reader, writer = await self._start()
        self.pid = process.pid
        self._writer = writer
        self.observed = False
        try:
            for said in (self._setup, self._plan, self._permit):
                if said is not None:
                    writer.write(control.encode(said))
            while (message := await control.read(reader)) is not None:
                if isinstance(message, Observed):
                    if message.whole:
                        self.load = message.load
                    self.totals = message.totals
                    self.observed = True
                    self._on_observed(message)
            return await process.wait()
        finally:
            self._writer = None
            if not writer.is_closing():
                writer.write(control.encode(End()))
            if survivor is None:
                writer.close()
            await self._end(process)
            self.pid = None
            if survivor is not None:
                survivor.close()

    async def _start(self) -> tuple[asyncio.subprocess.Process, asyncio.StreamReader, asyncio.StreamWriter]:
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "services.ingest.worker",
                str(theirs.fileno()),
                pass_fds=(theirs.fileno(),),
                stdin=asyncio.subprocess.DEVNULL,
                # Dozens of threads that allocate packets would make glibc keep an arena for each of them.
                env=os.environ | {"MALLOC_ARENA_MAX": "2"},
                # A service that is killed with its process group leaves its reader processes to the next one.
                start_new_session=True,
            )
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        return process, reader, writer

    async def _end(self, process: "Survivor | asyncio.subprocess.Process") -> None:
        if not self.observed and isinstance(process, asyncio.subprocess.Process) and process.returncode is None:
            process.kill()  # still importing: it has nothing to put away, and cannot hear us
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            log.warning("ingest.process_killed", process=self.number)
            process.kill()
            await process.wait()


class Supervisor:
    """All reader processes of this worker."""

    def __init__(
        self,
        mesh: MeshSettings,
        settings: IngestSettings,
        worker: Id,
        tasks: asyncio.TaskGroup,
        *,
        on_observed: Callable[[Observed], None],
        on_gone: Callable[[Iterable[Id]], None],
    ) -> None:
        """``on_observed`` gets every report; ``on_gone`` the cameras whose process died: their reports are old."""
        self._mesh = mesh
        self._settings = settings
        self._worker = worker
        self._tasks = tasks
        self._on_observed = on_observed
        self._on_gone = on_gone
        self._placement = Placement(settings.cameras_per_process)
        self._cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        self._processes: dict[int, ReaderProcess] = {}
        self._running: dict[int, asyncio.Task[None]] = {}
        self._cameras: dict[Id, CameraPlan] = {}
        self._permit: Permit | None = None

    async def start(self) -> tuple[Id, ...]:
        """Takes over what an earlier service left behind, whose cameras it returns; else warms a process up."""
        survivors = {survivor.here.process: survivor for survivor in await find(self._mesh, self._worker)}
        plans = {number: survivor.here.plan.cameras for number, survivor in survivors.items()}
        self._cameras = {plan.camera: plan for cameras in plans.values() for plan in cameras}
        self._placement.found({number: [plan.camera for plan in cameras] for number, cameras in plans.items()})
        for number in self._placement.processes:
            self._start(number, survivors.get(number))
        return tuple(self._cameras)

    @property
    def cpus(self) -> int:
        """How many CPUs this worker may use."""
        return len(self._cpus) or os.cpu_count() or 1

    @property
    def load(self) -> float:
        """CPU seconds a second of the busiest process: each has one CPU."""
        return max((process.load for process in self._processes.values()), default=0.0)

    @property
    def ready(self) -> bool:
        """Whether a process is there to read."""
        return any(process.observed for process in self._processes.values())

    @property
    def pids(self) -> tuple[int, ...]:
        """Of the processes that run now."""
        return tuple(process.pid for process in self._processes.values() if process.pid is not None)

    def totals(self) -> dict[str, int]:
        """The processes' counters, summed. They fall when a process is replaced, as counters do at a restart."""
        sums: dict[str, int] = {}
        for process in self._processes.values():
            for name, value in process.totals.items():
                sums[name] = sums.get(name, 0) + value
        return sums

    def assign(self, cameras: dict[Id, CameraPlan]) -> None:
        """Reads these cameras from now on, and no others."""
        self._cameras = cameras
        self._placement.update(cameras)
        self._apply()

    def permit(self, until: float, lease: WorkerLease) -> None:
        """Frames may be published until then (`time.monotonic`), on ``lease``."""
        self._permit = Permit(until=until, lease=lease)
        for process in self._processes.values():
            process.tell(self._permit)

    async def stop(self) -> None:
        """Ends all processes; takes less than two seconds."""
        running = list(self._running.values())
        self._running.clear()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        self._processes.clear()

    def _apply(self) -> None:
        placed = self._placement.processes
        for number in [number for number in self._processes if number not in placed]:
            self._running.pop(number).cancel()
            del self._processes[number]
        for number, cameras in placed.items():
            process = self._processes.get(number)
            if process is None:
                process = self._start(number)
            process.tell(Plan(cameras=tuple(self._cameras[camera] for camera in cameras)))

    def _start(self, number: int, survivor: Survivor | None = None) -> ReaderProcess:
        setup = Setup(
            nats_url=self._mesh.nats_url,
            nats_user=self._mesh.nats_user,
            nats_password=self._mesh.nats_password.get_secret_value(),
            site=self._mesh.site,
            worker=self._worker,
            process=number,
            cpu=self._cpus[number % len(self._cpus)] if self._settings.pin and self._cpus else None,
            log_level=self._mesh.log_level,
            log_format=self._mesh.log_format,
            ingest=self._settings.model_dump(),
        )
        process = ReaderProcess(number, setup, on_observed=self._on_observed, on_died=self._died, survivor=survivor)
        if self._permit is not None:
            process.tell(self._permit)
        self._processes[number] = process
        self._running[number] = self._tasks.create_task(process.run(), name=f"reader process {number}")
        return process

    def _died(self, number: int, status: int, cameras: tuple[Id, ...]) -> None:
        self._on_gone(cameras)
        if -status in CRASHES:
            log.error("ingest.process_crashed", process=number, signal=signal.Signals(-status).name, cameras=cameras)
            self._placement.split(number)
            self._apply()
