"""The one lifecycle of all services: start, readiness, SIGTERM, drain, end.

A service is a coroutine function ``run(service)``: it says by ``service.health`` what it needs to be ready (before
that it is not), starts its work as tasks of ``service.tasks``, waits for ``service.stopping`` and puts its things away
before it returns. An exception out of it, or out of a task, ends the process with exit status 1 (or `EXIT_REFUSED`); a
supervisor starts it anew.
"""

import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Final

from services.contracts.errors import PantauError, UnavailableError
from services.contracts.models import Id
from services.contracts.subjects import is_id
from services.mesh import admin
from services.mesh.bus import Bus
from services.mesh.clock import Clock, SystemClock
from services.mesh.file_limit import raise_file_limit
from services.mesh.log import configure, get_logger
from services.mesh.settings import MeshSettings
from services.mesh.tasks import KnownTasks, end

log = get_logger()
DRAIN_SECONDS: Final = 4.0
"""A service's time between SIGTERM and its end; then its tasks are cancelled."""
END_SECONDS: Final = 2.0
"""The time of cancelled tasks to end; then every task of the process is cancelled, again and again."""
WELL_SECONDS: Final = 0.5
"""How often a service says to its supervisor that its event loop runs."""
EXIT_REFUSED: Final = 78
"""``EX_CONFIG`` of sysexits.h: the exit status of a service that would refuse again (a bad setting, a taken port). A
supervisor need not restart it before somebody has changed that."""


SELDOM: Final = (50_000, 20, 50)
"""For ``gc.set_threshold``, where many objects live long and hold no cycles. What a registry knows of 10,000 cameras is
half a million; with Python's thresholds the collector takes half of the leader's CPU time. Of a recorder's own it takes
a tenth, for the pictures that wait for the end of their fragment."""


@dataclass
class Service:
    """The parts that every running service has."""

    name: str
    settings: MeshSettings
    bus: Bus
    tasks: asyncio.TaskGroup
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    health: admin.Health = field(default_factory=admin.Health)
    clock: Clock = field(default_factory=SystemClock)

    @property
    def home(self) -> Id:
        """The mesh's own site."""
        return self.settings.site

    @property
    def worker(self) -> Id:
        """This instance's name: a setting, else made of the service's name and the host's."""
        return self.settings.worker or default_worker(self.name, socket.gethostname())


def default_worker(service: str, host: str) -> str:
    """``<service>-<host>`` with what an id does not allow replaced by dashes."""
    name = "".join(c if c.isascii() and c.isalnum() else "-" for c in f"{service}-{host}".lower())[:63]
    if not is_id(name):
        raise AssertionError(f"{name!r} is made of a service's name and dashes, so it is an id")
    return name


Run = Callable[[Service], Coroutine[None, None, None]]


def main(name: str, settings: MeshSettings, run: Run) -> int:
    """Runs a service until SIGTERM or SIGINT; returns the process's exit status: 0, 1, or `EXIT_REFUSED`."""
    configure(name, level=settings.log_level, format=settings.log_format)
    raise_file_limit()
    status = 0
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        try:
            runner.run(_serve(name, settings, run))
        except* PantauError as group:
            for refusal in _leaves(group):
                log.error("service.refused", code=getattr(refusal, "code", ""), error=str(refusal))  # noqa: TRY400 (expected: no trace)
                if not isinstance(refusal, UnavailableError):
                    status = EXIT_REFUSED
            status = status or 1
        except* Exception as group:
            for failure in _leaves(group):
                log.error("service.died", error=failure, exc_info=failure)  # noqa: TRY400 (each leaf has its own trace)
            status = 1
    return status


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    leaves: list[BaseException] = []
    for error in group.exceptions:
        leaves += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return leaves


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.new_event_loop


async def _serve(name: str, settings: MeshSettings, run: Run) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    health = admin.Health()
    well = loop.create_task(say_well(), name="watchdog")
    admin_server = await admin.start(health, name, settings.admin_host, settings.admin_port)
    try:
        connecting = loop.create_task(Bus.connect(settings, name))
        waiting = loop.create_task(stopping.wait())
        health.add("bus", lambda: None if connecting.done() and connecting.result().connected else "NATS is away")
        await asyncio.wait((connecting, waiting), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not connecting.done():
            connecting.cancel()
            return
        bus = await connecting
        health.starting()
        log.info("service.started", pid=os.getpid())
        gc.freeze()  # objects loaded at start live as long as the process: the collector need not visit them
        try:
            async with KnownTasks() as tasks:
                try:
                    await _work(Service(name, settings, bus, tasks, stopping, health), run)
                finally:
                    await _end_all(tasks)
        finally:
            await bus.close()
    finally:
        well.cancel()
        await admin_server.close()
        log.info("service.stopped")


async def _work(service: Service, run: Run) -> None:
    running = service.tasks.create_task(run(service), name=service.name)
    service.tasks.create_task(_notify_when_ready(service.health), name="sd_notify")
    stop = service.tasks.create_task(service.stopping.wait(), name="stopping")
    await asyncio.wait((running, stop), return_when=asyncio.FIRST_COMPLETED)
    service.stopping.set()
    sd_notify("STOPPING=1")
    await asyncio.wait((running,), timeout=DRAIN_SECONDS)
    if not running.done():
        log.warning("service.drain_cut", seconds=DRAIN_SECONDS)


async def _end_all(tasks: KnownTasks) -> None:
    """Cancels all running tasks once, so that they can clean up, and again those that did not end."""
    for task in tuple(tasks.running):
        task.cancel()
    if tasks.running:
        await asyncio.wait(tuple(tasks.running), timeout=END_SECONDS)
    if tasks.running:
        log.error("service.tasks_stuck", tasks=sorted(task.get_name() for task in tasks.running))
        # A task in a nested group may have swallowed the cancellation; its group would not repeat it.
        await end(task for task in asyncio.all_tasks() if task is not asyncio.current_task())


async def _notify_when_ready(health: admin.Health) -> None:
    while health.missing():
        await asyncio.sleep(0.05)
    log.info("service.ready")
    sd_notify("READY=1")


async def say_well() -> None:
    """Sends ``WATCHDOG=1`` (sd_notify(3)) while the event loop runs, to ``up`` or to systemd; until it is cancelled."""
    while True:
        sd_notify("WATCHDOG=1")
        await asyncio.sleep(WELL_SECONDS)


def sd_notify(state: str) -> None:
    """Tells systemd (``sd_notify(3)``); does nothing where no supervisor listens."""
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notify:
        try:
            notify.sendto(state.encode(), address)
        except OSError as error:
            log.debug("sd_notify.failed", error=error)
