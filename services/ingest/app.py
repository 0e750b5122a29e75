"""``pantau ingest``: keeps a fixed number of named workers running, and nothing else.

Each worker (`services.ingest.worker`) has its own lease, assignments and connection to the bus, so killing this process
costs no frame. The next one finds the workers by their names and starts only those that are missing. Workers that find
no parent for `services.ingest.worker.PARENTLESS_SECONDS` end by themselves.
"""

import asyncio
import os
import select
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from services.contracts.models import Id
from services.contracts.troubles import Trouble
from services.ingest.names import HeldName, Holder, Name, numbered
from services.ingest.settings import IngestSettings
from services.mesh.child import ChildProcess, ChildRefusedError, RestartPolicy
from services.mesh.hangs import LOOK_SECONDS, NO_TIMES, HangWatch, process_times
from services.mesh.lifecycle import EXIT_REFUSED, Service
from services.mesh.log import get_logger
from services.mesh.metrics import counter
from services.mesh.troubles import tell_troubles

log = get_logger()

STOP_SECONDS: Final = 2.5
"""What a worker has to hand its cameras over and end."""

_restarts = counter("ingest_worker_restarts", "Workers that ended, or were ended because they hung, and were replaced")


class WorkerKeeper:
    """Keeps the worker of one name: the process that an earlier parent started, or one that is started here."""

    def __init__(self, name: Name, arguments: list[str], environ: dict[str, str]) -> None:
        self.name = name
        self._arguments = arguments
        self._environ = environ
        self._process: ChildProcess | None = None
        self._ending: asyncio.Task[int] | None = None
        """Waits for the end of that process."""
        self._policy = RestartPolicy()
        self._started = False
        self._started_at = 0.0
        self._seen: Holder | None = None
        self._hangs = HangWatch()

    @property
    def is_looping(self) -> bool:
        """Whether it ends again and again."""
        return self._started and self._policy.is_looping(0.0 if self._process is None else self._lives_seconds())

    def _lives_seconds(self) -> float:
        return asyncio.get_running_loop().time() - self._started_at

    @property
    def ready(self) -> bool:
        """Whether the worker said that it is."""
        return self._seen is not None and self._seen.ready

    async def keep(self, stopping: asyncio.Event) -> None:
        """Keeps the worker until ``stopping``; then ends it. Raises `ChildRefusedError`."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        stop = loop.create_task(stopping.wait())
        try:
            while not stopping.is_set():
                self._seen = self._look(self.name.holder())
                if self._process is not None and self._ending is not None and not self._process.running:
                    status, self._process, self._ending = await self._ending, None, None
                    await _either(stopping, self._pause_seconds(status, loop.time() - started))
                    continue  # each moment until the next one reads is missing in recordings
                if self._seen is None and self._process is None:
                    started = self._started_at = loop.time()
                    self._started = True
                    self._process = await ChildProcess.start(
                        self._arguments, environ=self._environ, with_parent=None, own_group=True
                    )
                    self._ending = loop.create_task(self._process.wait())
                    log.info("ingest.worker_started", worker=self.name.name, pid=self._process.pid)
                # Until the next look, or at once where it is to stop or the process ends.
                waits = [stop] if self._ending is None else [stop, self._ending]
                await asyncio.wait(waits, timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
            if self._ending is not None:
                self._ending.cancel()
            await asyncio.shield(self._stop())

    def _pause_seconds(self, status: int, lived_seconds: float) -> float:
        if status == EXIT_REFUSED:
            raise ChildRefusedError(f"{self.name.name} refuses to start; the lines above say why")
        log.warning("ingest.worker_ended", worker=self.name.name, status=status)
        _restarts.inc()
        return self._policy.pause_seconds(lived_seconds)

    def _look(self, holder: Holder | None) -> Holder | None:
        """Ends a holder that hangs."""
        if self._hangs.look(holder, process_times(holder.pid) if holder is not None else NO_TIMES) and holder:
            log.error("ingest.worker_hangs", worker=self.name.name, pid=holder.pid)
            self._kill(holder)
        return holder

    async def _stop(self) -> None:
        """Ends the process that was started here, and the name's holder where that is another."""
        descriptors = [] if (holder := self.name.holder()) is None else self._open(holder)
        if self._process is not None and self._process.running:
            with suppress(ProcessLookupError):
                descriptors.append(os.pidfd_open(self._process.pid))
        try:
            _signal_all(descriptors, signal.SIGTERM)
            loop = asyncio.get_running_loop()
            until = loop.time() + STOP_SECONDS
            while not _ended(descriptors) and loop.time() < until:
                await asyncio.sleep(0.02)
            if not _ended(descriptors):
                log.warning("ingest.worker_killed", worker=self.name.name)
                _signal_all(descriptors, signal.SIGKILL)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        if self._process is not None:
            await self._process.wait()

    def _open(self, holder: Holder) -> list[int]:
        """A pidfd of the holder itself (pidfd_open(2)); none where it has ended, and its pid may be another's."""
        try:
            descriptor = os.pidfd_open(holder.pid)
        except OSError:
            return []
        now = self.name.holder()
        if now is not None and now.pid == holder.pid:
            return [descriptor]
        os.close(descriptor)
        return []

    def _kill(self, holder: Holder) -> None:
        descriptors = self._open(holder)
        _signal_all(descriptors, signal.SIGKILL)
        for descriptor in descriptors:
            os.close(descriptor)


def worker_environment(environ: dict[str, str], name: Id, admin_port: int | None, index: int) -> dict[str, str]:
    """A worker's environment: this one's with its own name and its own admin port."""
    own = {key: value for key, value in environ.items() if key not in ("NOTIFY_SOCKET", "PANTAU_WORKER_FILE")}
    own["PANTAU_WORKER"] = name
    if admin_port is not None:
        own["PANTAU_ADMIN_PORT"] = str(admin_port + 1 + index if admin_port else 0)
    return own


async def run(service: Service, settings: IngestSettings, config: Path | None = None) -> None:
    """The parent; see `services.mesh.lifecycle`. ``config`` is the settings file, handed on to the workers."""
    mesh = service.settings
    held = await _parent_name(service)
    if held is None:
        return
    keepers = []
    for index in range(settings.worker_count):
        name = numbered(held.name, index + 1)
        arguments = [sys.executable, "-m", "services.cli", "ingest", "--worker-of", held.name]
        arguments += ["--config", str(config)] if config else []
        environ = worker_environment(dict(os.environ), name, mesh.admin_port, index)
        keepers.append(WorkerKeeper(Name(mesh, "worker", name), arguments, environ))
    service.health.add(
        "workers",
        lambda: ", ".join(keeper.name.name for keeper in keepers if not keeper.ready) or None,
    )
    try:
        source = f"ingest {held.name}"
        told = tell_troubles(service.bus, service.home, source, lambda: _crash_loops(keepers, mesh.machine))
        telling = service.tasks.create_task(told, name="troubles")
        async with asyncio.TaskGroup() as tasks:
            for keeper in keepers:
                tasks.create_task(keeper.keep(service.stopping), name=keeper.name.name)
        telling.cancel()
    except BaseExceptionGroup as group:
        refused, others = group.split(ChildRefusedError)
        if refused is None or others is not None:
            raise
        raise refused.exceptions[0] from None
    finally:
        held.release()


def _crash_loops(keepers: list[WorkerKeeper], machine: str) -> list[Trouble]:
    names = [keeper.name.name for keeper in keepers if keeper.is_looping]
    return [
        Trouble(kind="crash-loop", subject=name, detail=f"{name} on {machine} ends again and again; its log says why")
        for name in names
    ]


async def _parent_name(service: Service) -> HeldName | None:
    """This parent's name: the given one as soon as it is free, else one made of the host's; None: it is to stop."""
    name = Name(service.settings, "parent", service.worker)
    if service.settings.worker is None:
        return await asyncio.to_thread(HeldName.take_next, name)
    service.health.add("name", lambda: f"another process goes by the name {name.name}")
    while (held := await asyncio.to_thread(HeldName.take, name)) is None:
        log.warning("ingest.name_taken", name=name.name)
        await _either(service.stopping, 1.0)
        if service.stopping.is_set():
            return None
    service.health.add("name", lambda: None)
    return held


async def _either(stopping: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stopping.wait()


def _signal_all(descriptors: list[int], number: signal.Signals) -> None:
    for descriptor in descriptors:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(descriptor, number)


def _ended(descriptors: list[int]) -> bool:
    """Whether all these processes have ended: their descriptors can then be read."""
    poll = select.poll()  # select(2) refuses numbers from 1024 on
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return len(poll.poll(0)) == len(set(descriptors))
