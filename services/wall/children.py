"""The relay processes beside a front: one per core, each on its own UDP port, restarted when one ends."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from services.mesh.child import Child, Starter
from services.mesh.settings import MeshSettings

RELAY_MODULES: Final = ("services.cli.wall", "services.wall.relay.app", "uvloop")
"""What a relay imports, for the process that all are forked from."""
END_WITH_FRONT: Final = signal.SIGKILL
"""A relay that still drains keeps its port from its successor."""
STOP_SECONDS: Final = 1.5
"""The time for a relay to hand its sessions to others; pages need less than a second."""


def relay_ports(count: int | None, udp_port: int) -> tuple[int, ...]:
    """The UDP ports of ``count`` relays, by default one per core that this process may use; 0: any free one."""
    return tuple(udp_port + index if udp_port else 0 for index in range(count if count is not None else _cores()))


def environment(
    index: int, environ: Mapping[str, str], mesh: MeshSettings, udp_port: int, notify: str
) -> dict[str, str]:
    """The variables of the ``index``-th relay beside the parent's: its UDP port, its name, its admin port.

    ``notify`` is where it says that it is well.
    """
    own = {key: value for key, value in environ.items() if key != "PANTAU_WALL_UDP_PORT_FILE"}
    own["NOTIFY_SOCKET"] = notify
    own["PANTAU_WALL_UDP_PORT"] = str(udp_port)
    if mesh.worker:
        own["PANTAU_WORKER"] = f"{mesh.worker[:60]}-{index}"
    if mesh.admin_port is not None:
        own["PANTAU_ADMIN_PORT"] = str(mesh.admin_port + 1 + index if mesh.admin_port else 0)
    return own


def relay_processes(
    count: int | None,
    mesh: MeshSettings,
    udp_port: int,
    config: Path | None,
    notify: str,
    starter: Starter | None = None,
) -> list[Child]:
    """The relays on `relay_ports`; ``notify`` is where they say that they are well."""
    arguments = [sys.executable, "-m", "services.cli", "wall", "--role", "relay"]
    if config is not None:
        arguments += ["--config", str(config)]
    return [
        Child(
            f"relay {index}",
            arguments,
            environment(index, os.environ, mesh, port, notify),
            grace_seconds=STOP_SECONDS,
            with_parent=END_WITH_FRONT,
            starter=starter,
        )
        for index, port in enumerate(relay_ports(count, udp_port))
    ]


async def stop_with(stopping: asyncio.Event, relays: Sequence[Child]) -> None:
    """Asks ``relays`` to end when ``stopping`` is set."""
    await stopping.wait()
    for relay in relays:
        relay.stop()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
