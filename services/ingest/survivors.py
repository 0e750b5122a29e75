"""Reader processes that outlive their service: where they wait, and how the next service finds them.

A service that is killed loses nothing so: its processes read and publish on, and whoever is started in its place takes
them over (`services.ingest.links.Successors` is their side). Each listens on a socket in a folder that only this user
may enter.
"""

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import Final

from services.contracts.models import Id
from services.ingest import control
from services.ingest.machine import digest, folder
from services.mesh.log import get_logger
from services.mesh.settings import MeshSettings

log = get_logger()

ANSWER_SECONDS: Final = 1.0
"""One that does not answer so soon is ended."""
_PEER: Final = Struct("3i")
"""``struct ucred`` of unix(7): pid, uid, gid."""


def address(mesh: MeshSettings, worker: Id, pid: int) -> Path:
    """Where process ``pid`` of ``worker`` waits; raises ``OSError`` where this user has no folder for it."""
    return folder() / f"{digest(mesh, worker)}.{pid}"


@dataclass
class Survivor:
    """A reader process that its service has left behind, taken over."""

    here: control.Here
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    pid: int
    pidfd: int

    async def wait(self) -> int:
        """Returns when it has ended. Its exit status is only for its parent to know: 0."""
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        loop.add_reader(self.pidfd, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(self.pidfd)
        return 0

    def kill(self) -> None:
        """kill -9."""
        # The process may have ended; the descriptor cannot mean another one.
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def close(self) -> None:
        """Forgets it."""
        self.writer.close()
        os.close(self.pidfd)


async def find(mesh: MeshSettings, worker: Id) -> list[Survivor]:
    """All that ``worker`` has left behind on this machine, each with a process number of its own."""
    if not hasattr(os, "pidfd_open") or not hasattr(socket, "SO_PEERCRED"):
        return []
    found: dict[int, Survivor] = {}
    for path in _addresses(mesh, worker):
        survivor = await _take(path)
        if survivor is None:
            continue
        if survivor.here.process in found:  # left behind by two services, one after the other
            survivor.writer.write(control.encode(control.End()))
            survivor.close()
            continue
        found[survivor.here.process] = survivor
    if found:
        log.info(
            "ingest.survivors", processes=len(found), cameras=sum(len(s.here.plan.cameras) for s in found.values())
        )
    return list(found.values())


def _addresses(mesh: MeshSettings, worker: Id) -> Iterator[Path]:
    try:
        yield from sorted(folder().glob(f"{digest(mesh, worker)}.[0-9]*"))
    except OSError as error:
        log.debug("ingest.no_survivors", error=error)


async def _take(path: Path) -> Survivor | None:
    try:
        reader, writer = await asyncio.open_unix_connection(path)
    except OSError:
        with suppress(OSError):
            await asyncio.to_thread(path.unlink)  # it has ended without putting its things away
        return None
    peer = writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    pid: int = _PEER.unpack(peer)[0]
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        writer.close()
        return None
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            here = await control.read(reader)
    except (TimeoutError, ValueError):
        here = None
    if isinstance(here, control.Here):
        return Survivor(here, reader, writer, pid, pidfd)
    log.warning("ingest.survivor_silent", pid=pid)
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    writer.close()
    os.close(pidfd)
    return None
