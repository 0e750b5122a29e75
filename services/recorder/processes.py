"""``pantau recorder --processes N``: starts N processes over the same disks and watches them.

To the registry they are one recorder, whose lease the first one holds. They end with this process; what was not safe
then is fetched from ingest by their successors.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Final

from services.contracts.models import Id
from services.mesh.child import Child, ChildRefusedError
from services.mesh.lifecycle import Service, default_worker
from services.mesh.log import get_logger
from services.mesh.notify import NotifySocket, Readiness
from services.mesh.troubles import crash_loops, tell_troubles
from services.recorder.settings import RecorderSettings
from services.recorder.storage.identity import load_name, lock
from services.recorder.storage.index import Index
from services.recorder.storage.key import load_key
from services.recorder.storage.paths import INDEX, RECORDINGS

log = get_logger()

STOP_SECONDS: Final = 3.5
"""What a process has to close its files."""


def process_environment(
    environ: dict[str, str], name: Id, admin_port: int | None, number: int, notify: str
) -> dict[str, str]:
    """A process's environment: the recorder's name, and an admin port of its own."""
    own = {key: value for key, value in environ.items() if key != "PANTAU_WORKER_FILE"}
    own |= {"PANTAU_WORKER": name, "NOTIFY_SOCKET": notify}
    if admin_port is not None:
        own["PANTAU_ADMIN_PORT"] = str(admin_port + number if admin_port else 0)
    return own


async def run(service: Service, settings: RecorderSettings, processes: int, config: Path | None) -> None:
    """The parent; see `services.mesh.lifecycle`. ``config`` is the settings file, handed on."""
    ready: dict[str, asyncio.Event] = {}

    def missing() -> str | None:
        waiting = [child for child, event in ready.items() if not event.is_set()]
        return ", ".join(waiting) or (None if ready else "its processes are not started yet")

    service.health.add("processes", missing)
    directories = settings.directories or (service.settings.data,)
    name, locks = await asyncio.to_thread(_prepare, directories, service.settings.worker)
    readiness = Readiness()
    notify = NotifySocket(readiness.take_assignment)
    children: list[Child] = []
    try:
        for number in range(1, processes + 1):
            arguments = [sys.executable, "-m", "services.cli", "recorder", "--process", f"{number}/{processes}"]
            arguments += ["--config", str(config)] if config else []
            environ = process_environment(dict(os.environ), name, service.settings.admin_port, number, notify.address)
            child = Child(
                f"{name} {number}", arguments, environ,
                grace_seconds=STOP_SECONDS, keep_open=tuple(locks), own_group=True,
            )  # fmt: skip
            children.append(child)
            ready[child.name] = readiness.expect(child)
        async with asyncio.TaskGroup() as tasks:
            for child in children:
                tasks.create_task(child.keep(), name=child.name)
            told = tell_troubles(
                service.bus, service.home, f"recorder {name}", lambda: crash_loops(children, service.settings.machine)
            )
            telling = tasks.create_task(told, name="troubles")
            await service.stopping.wait()
            telling.cancel()
            for child in children:
                child.stop()
    except BaseExceptionGroup as group:
        refused, others = group.split(ChildRefusedError)
        if refused is None or others is not None:
            raise
        raise refused.exceptions[0] from None
    finally:
        notify.close()
        for descriptor in locks:
            os.close(descriptor)


def _prepare(directories: tuple[Path, ...], given: Id | None) -> tuple[Id, list[int]]:
    """The recorder's name, and the locks of its directories; makes what the processes would make at the same time."""
    name = load_name(directories[0], given, default_worker("recorder", os.uname().nodename))
    locks = []
    for directory in directories:
        try:
            locks.append(lock(directory))
            (directory / RECORDINGS).mkdir(parents=True, exist_ok=True)
            Index.open(directory / RECORDINGS / INDEX, durable=True).close()
        except OSError as error:
            log.warning("disk.no_lock", directory=str(directory), error=error)
    load_key(directories[0])
    return name, locks
