"""The relay processes beside a front: one per core, each on a UDP port of its own, started anew when one ends."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from services.contracts.errors import PantauError
from services.mesh.lifecycle import EXIT_REFUSED
from services.mesh.log import get_logger
from services.mesh.processes import end_with_parent
from services.mesh.settings import MeshSettings

log = get_logger()

STEADY_SECONDS: Final = 5.0
MAX_DELAY_SECONDS: Final = 1.0
STOP_SECONDS: Final = 1.5
"""A relay has so long to hand its sessions to relays elsewhere; pages need less than a second."""


class RelayRefusedError(PantauError):
    """A relay cannot run with these settings."""

    code = "relay-refused"


def relay_ports(count: int | None, udp_port: int) -> tuple[int, ...]:
    """The UDP ports of ``count`` relays, by default one per core that this process may use; 0: any free one."""
    return tuple(udp_port + index if udp_port else 0 for index in range(count if count is not None else _cores()))


def environment(index: int, environ: Mapping[str, str], mesh: MeshSettings, udp_port: int) -> dict[str, str]:
    """What the ``index``-th relay's environment says besides the parent's: its UDP port, its name, its admin port."""
    own = {key: value for key, value in environ.items() if key not in ("NOTIFY_SOCKET", "PANTAU_WALL_UDP_PORT_FILE")}
    own["PANTAU_WALL_UDP_PORT"] = str(udp_port)
    if mesh.worker:
        own["PANTAU_WORKER"] = f"{mesh.worker[:60]}-{index}"
    if mesh.admin_port is not None:
        own["PANTAU_ADMIN_PORT"] = str(mesh.admin_port + 1 + index if mesh.admin_port else 0)
    return own


class RelayProcess:
    """One relay, kept running."""

    def __init__(self, name: str, environ: Mapping[str, str], config: Path | None) -> None:
        self.name = name
        self._environ = dict(environ)
        self._arguments = ["-m", "services.cli", "wall", "--role", "relay"]
        if config is not None:
            self._arguments += ["--config", str(config)]
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """Of the process that runs now."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def keep(self, stopping: asyncio.Event) -> None:
        """Runs it until ``stopping``; raises `RelayRefusedError` where it refuses its settings at its first start."""
        loop = asyncio.get_running_loop()
        delay, first = 0.1, True
        while not stopping.is_set():
            started = loop.time()
            status = await self._run_once(stopping)
            if stopping.is_set():
                return
            if first and status == EXIT_REFUSED:
                raise RelayRefusedError(f"{self.name} refuses to start; the lines above say why")
            first = False
            delay = 0.1 if loop.time() - started > STEADY_SECONDS else min(delay * 2, MAX_DELAY_SECONDS)
            log.warning("wall.relay_ended", relay=self.name, status=status, again_in_seconds=delay)
            with suppress(TimeoutError):
                async with asyncio.timeout(delay * random.uniform(0.75, 1.0)):
                    await stopping.wait()

    async def _run_once(self, stopping: asyncio.Event) -> int:
        # SIGKILL with a parent that was killed: one that still drained would hold the port against the next one.
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable,
            *self._arguments,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            preexec_fn=end_with_parent(signal.SIGKILL),
        )
        ended = asyncio.ensure_future(process.wait())
        told = asyncio.ensure_future(stopping.wait())
        try:
            await asyncio.wait((ended, told), return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                process.terminate()
                await asyncio.wait((ended,), timeout=STOP_SECONDS)
        finally:
            told.cancel()
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
        return await ended


def relay_processes(count: int | None, mesh: MeshSettings, udp_port: int, config: Path | None) -> list[RelayProcess]:
    """The relays on `relay_ports`."""
    return [
        RelayProcess(f"relay {index}", environment(index, os.environ, mesh, port), config)
        for index, port in enumerate(relay_ports(count, udp_port))
    ]


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
