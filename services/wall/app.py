"""The wall: a front, a relay, or (the default) a front with a relay per core as its children."""

import asyncio
import hashlib
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol, TypeVar

from services.mesh import lifecycle
from services.mesh.child import Child
from services.mesh.fork_server import ForkServer
from services.mesh.forker import Template, fork_template
from services.mesh.lifecycle import Service
from services.mesh.notify import NotifySocket, Readiness
from services.mesh.settings import MeshSettings, Section
from services.mesh.troubles import crash_loops, tell_troubles
from services.wall.children import END_WITH_FRONT, RELAY_MODULES, relay_processes, stop_with
from services.wall.relay.settings import RelaySettings
from services.wall.settings import WallSettings

S = TypeVar("S", bound=Section)

MAX_RELAY_NAME: Final = 45
"""A session's id is its relay's name, two dashes and 16 digits, and an id has at most 63 characters."""


class Config(Protocol):
    """The command's parsed settings."""

    @property
    def path(self) -> Path | None:
        """The settings file."""

    @property
    def mesh(self) -> MeshSettings:
        """What every service needs."""

    def section(self, cls: type[S]) -> S:
        """One section."""


def relay_name(mesh: MeshSettings, udp_port: int) -> str:
    """A relay's name: the setting's, else made of its UDP port and the host, so that no two of a machine are alike."""
    port = udp_port or os.getpid()
    name = mesh.worker or lifecycle.default_worker(f"relay-{port}", socket.gethostname())
    if len(name) <= MAX_RELAY_NAME:
        return name
    return f"{name[: MAX_RELAY_NAME - 9].rstrip('-')}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def main(role: str, config: Config) -> int:
    """Runs one role until it is told to stop; returns the process's exit status. Raises `SettingsError`."""
    mesh, relay_settings = config.mesh, config.section(RelaySettings)
    if role == "relay":
        from services.wall.relay import app as relay

        own = mesh.as_bus_user("relay").model_copy(update={"worker": relay_name(mesh, relay_settings.udp_port)})
        return lifecycle.main("wall", own, lambda service: relay.run(service, relay_settings))
    settings = config.section(WallSettings)
    mesh = mesh.as_bus_user("front")
    if role == "front":
        return lifecycle.main("wall", mesh, lambda service: run(service, settings))
    template = fork_template(RELAY_MODULES, END_WITH_FRONT)
    return lifecycle.main(
        "wall", mesh, lambda service: run_all(service, settings, relay_settings.udp_port, config.path, template)
    )


async def run_all(
    service: Service, settings: WallSettings, udp_port: int, config: Path | None, template: Template | None
) -> None:
    """The front with its relays, which it watches; they are forked from ``template`` where there is one."""
    readiness = Readiness()
    notify = NotifySocket(readiness.take_assignment)
    starter = ForkServer(RELAY_MODULES, with_parent=END_WITH_FRONT, template=template)
    try:
        relays = relay_processes(settings.relays, service.settings, udp_port, config, notify.address, starter)
        for relay in relays:
            readiness.expect(relay)
        await run(service, settings, relays)
    finally:
        starter.close()
        notify.close()


async def run(service: Service, settings: WallSettings, relays: Sequence[Child] = ()) -> None:
    """The front's coroutine; keeps ``relays`` running beside it."""
    from services.wall.exports.desk import ExportDesk
    from services.wall.front import app as front

    service.tasks.create_task(ExportDesk(service, settings).run(), name="exports")
    source = f"wall {service.worker} {os.getpid()}"
    service.tasks.create_task(
        tell_troubles(service.bus, service.home, source, lambda: crash_loops(relays, service.settings.machine)),
        name="troubles",
    )
    keepers = [service.tasks.create_task(relay.keep(), name=relay.name) for relay in relays]
    service.tasks.create_task(stop_with(service.stopping, relays), name="stop relays")
    await front.run(service, settings, needs_relay=bool(relays))
    await asyncio.gather(*keepers)
