"""`pantau up`: a nats-server, the services and, for a demo, simulated cameras, under one supervisor."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import click

from services.contracts.bus_rights import BusRole
from services.contracts.errors import PantauError, UnavailableError
from services.contracts.models import Camera
from services.mesh import leaf_nodes
from services.mesh.authority import CITY, Authority
from services.mesh.bus import Bus
from services.mesh.child import Child, ChildRefusedError, keep_running
from services.mesh.clock import SystemClock
from services.mesh.fork_server import ForkServer
from services.mesh.forker import Template
from services.mesh.hub import Hub
from services.mesh.lifecycle import sd_notify
from services.mesh.log import get_logger
from services.mesh.nats_server import NatsServer, NatsServerError, adopt_store, config
from services.mesh.notify import NotifySocket, Readiness
from services.mesh.settings import MeshSettings
from services.mesh.tasks import together
from services.mesh.troubles import crash_loops, tell_troubles
from services.up import demo, story
from services.up.demo_map import write_demo_map
from services.up.fetch import fetch
from services.up.folder import FolderLock
from services.up.grants import follow_grants
from services.up.nats_certificate import follow_certificate
from services.up.nats_watch import NatsWatch

log = get_logger()

SERVICES: Final = {
    "registry": ("registry",),
    "ingest": ("ingest",),
    "recorder": ("recorder",),
    "wall": ("wall", "--role", "front"),
}
"""Child → its command. Relays are not children of the front, so a killed front interrupts no picture."""
BUS_USERS: Final = {"wall": BusRole.FRONT, "wall relay": BusRole.RELAY}
"""Child → its user on the bus, where it does not go by its own name."""
STOP_ORDER: Final = (("wall", 1.0), ("ingest", 1.0), ("sim", 0.3), ("recorder", 3.0), ("registry", 1.0))
"""The order of SIGTERM, and for how many seconds the next service waits for each. The recorder ends after frames have
stopped, and nats-server ends last, so every service can still use the bus. The relays end with the wall."""
STOP_SECONDS: Final = 4.2
"""After this, children that still run are killed; nats-server has the rest of the five seconds."""
NATS_STOP_SECONDS: Final = 0.6
SITES_SECONDS: Final = 1.0
"""How often it looks whether a site was invited or a hub joined."""
CAMERAS_SECONDS: Final = 2.0
"""So long the URL waits for cameras whose pictures are made already."""


@dataclass(frozen=True)
class UpPlan:
    """The parts to run, and where they listen."""

    settings: MeshSettings
    """With ``data`` made absolute; ``nats_url`` is used where ``embedded_nats`` is False."""
    embedded_nats: bool
    nats_host: str
    nats_port: int
    nats_certificate: tuple[Path, Path] | None
    """PEM files of its certificate and key."""
    http_host: str
    http_port: int
    https: bool
    """Whether the wall speaks HTTPS there."""
    relay_ports: tuple[int, ...]
    """One relay on each of these UDP ports; 0: any free one."""
    demo_cameras: int
    """0: none."""
    demo_story: bool
    """Whether there is something to find in the demo."""
    config: Path | None
    """The settings file, handed on to the children."""
    forked_modules: tuple[str, ...]
    """What the process imports that relays and front are forked from."""

    @property
    def url(self) -> str:
        """Where the wall answers."""
        host = f"[{self.http_host}]" if ":" in self.http_host else self.http_host
        return f"{'https' if self.https else 'http'}://{host}:{self.http_port}"


def command(name: str, *arguments: str) -> list[str]:
    """How to start another ``pantau`` command: the console script beside this Python, else the package itself."""
    script = Path(sys.executable).with_name("pantau")
    return [sys.executable, *([str(script)] if script.exists() else ["-m", "services.cli"]), name, *arguments]


def child_environment(plan: UpPlan, environ: Mapping[str, str], nats: MeshSettings, notify: str) -> dict[str, str]:
    """The children's environment: this process's, with the values of ``plan`` over it. Passwords go no other way.

    `bus_environment` names each child's own creds.
    """
    result = {key: value for key, value in environ.items() if key not in _OURS}
    result |= {
        "PANTAU_NATS_URL": nats.nats_url,
        "PANTAU_NATS_USER": nats.nats_user,
        "PANTAU_NATS_PASSWORD": nats.nats_password.get_secret_value(),
        "PANTAU_NATS_CREDS": str(nats.nats_creds or ""),
        "PANTAU_DATA": str(plan.settings.data),
        "PANTAU_WALL_HTTP": plan.url.partition("://")[2],
        "NOTIFY_SOCKET": notify,
    }
    if plan.config:
        result["PANTAU_CONFIG"] = str(plan.config.absolute())
    return {key: value for key, value in result.items() if value or key not in _LOGIN}


def bus_environment(name: str, environ: Mapping[str, str], nats: MeshSettings) -> dict[str, str]:
    """A child's environment: ``environ`` with the creds of its own user, where ``nats`` has a folder of them."""
    kind = "wall relay" if name.startswith("wall relay") else name
    own = nats.as_bus_user(BUS_USERS.get(kind, kind))
    return dict(environ) | ({"PANTAU_NATS_CREDS": str(own.nats_creds)} if own.nats_creds else {})


def relay_environment(environ: Mapping[str, str], udp_port: int) -> dict[str, str]:
    """A relay's environment: the children's, with a UDP port of its own."""
    own = {key: value for key, value in environ.items() if key != "PANTAU_WALL_UDP_PORT_FILE"}
    return own | {"PANTAU_WALL_UDP_PORT": str(udp_port)}


_LOGIN: Final = ("PANTAU_NATS_USER", "PANTAU_NATS_PASSWORD", "PANTAU_NATS_CREDS")
_DECIDED: Final = ("PANTAU_NATS_URL", *_LOGIN, "PANTAU_DATA", "PANTAU_WALL_HTTP")
_OURS: Final = frozenset((*_DECIDED, *(f"{variable}_FILE" for variable in _DECIDED)))


class Up:
    """One run of `pantau up`. Create it inside a running loop, on the main thread."""

    def __init__(self, plan: UpPlan, template: Template | None = None) -> None:
        """``template``: the process that front and relays are forked from, where it was forked from this one."""
        self.plan = plan
        self._template = template
        self._stopping = asyncio.Event()
        self._children: dict[str, Child] = {}
        self._readiness = Readiness()
        self._nats: NatsServer | None = None
        self._leaf_lines: list[str] = []
        self._watching: asyncio.Task[None] | None = None
        self._refusal: ChildRefusedError | None = None
        self._sim_admin_port = demo.free_port() if plan.demo_cameras else 0
        self._catalogue = plan.settings.data / "demo" / "cameras.json"

    def stop(self) -> None:
        """Begins to stop; `run` returns when everything has stopped."""
        self._stopping.set()

    async def run(self) -> None:
        """Runs everything until `stop`; raises `PantauError` where a part cannot start."""
        lock = FolderLock(self.plan.settings.data)
        await asyncio.to_thread(lock.acquire)
        notify = NotifySocket(self._readiness.take_assignment)
        forks = ForkServer(self.plan.forked_modules, keep_open=(lock.descriptor,), template=self._template)
        try:
            async with asyncio.TaskGroup() as tasks:
                mesh = await self._start_nats(tasks)
                environ = child_environment(self.plan, os.environ, mesh, notify.address)
                commands = {name: (command(*words), environ) for name, words in SERVICES.items()}
                commands |= {
                    f"wall relay {index}": (command("wall", "--role", "relay"), relay_environment(environ, port))
                    for index, port in enumerate(self.plan.relay_ports)
                }
                if self.plan.demo_story:
                    own = story.recorder_environment(self.plan.demo_cameras, environ)
                    commands["recorder"] = (commands["recorder"][0], own)
                if self.plan.demo_cameras:
                    arguments = command("sim", *demo.sim_arguments(self.plan.demo_cameras, self._catalogue, os.environ))
                    own = environ | {"PANTAU_ADMIN_HOST": "127.0.0.1", "PANTAU_ADMIN_PORT": str(self._sim_admin_port)}
                    commands["sim"] = (arguments, own)
                for name, (arguments, own) in commands.items():
                    child = self._children[name] = Child(
                        name,
                        arguments,
                        bus_environment(name, own, mesh) if name != "sim" else _without_login(own),
                        grace_seconds=STOP_SECONDS,
                        keep_open=(lock.descriptor,),
                        own_group=True,  # Ctrl-C on the terminal reaches only this process
                        starter=forks if name.startswith("wall") else None,
                    )
                    self._readiness.expect(child)
                    tasks.create_task(self._keep(child), name=child.name)
                telling = tasks.create_task(self._tell_troubles(mesh), name="troubles")
                announcing = tasks.create_task(self._announce(mesh), name="announce")
                await self._stopping.wait()
                announcing.cancel()
                telling.cancel()
                sd_notify("STOPPING=1")
                await self._stop_all()
            if self._refusal:
                raise self._refusal
        finally:
            for child in self._children.values():
                child.kill()
            if self._nats:
                await self._nats.kill()
            forks.close()
            notify.close()
            lock.release()

    async def _keep(self, child: Child) -> None:
        try:
            await child.keep()
        except ChildRefusedError as refusal:
            self._refusal = refusal
            self.stop()

    async def _start_nats(self, tasks: asyncio.TaskGroup) -> MeshSettings:
        if not self.plan.embedded_nats:
            return self.plan.settings
        settings = self.plan.settings
        folder = settings.data / "nats"
        authority = await asyncio.to_thread(Authority.open, folder / "authority", settings.site)
        account = authority.account_key(CITY).public
        if await asyncio.to_thread(adopt_store, folder / "jetstream", account):
            log.info("nats.store_adopted", account=CITY)
        if (where := leaf_nodes.listening(authority)) is not None:
            await asyncio.to_thread(leaf_nodes.certify, authority, where)  # the last may end before the next start
        self._leaf_lines = leaf_nodes.server_lines(authority)
        self._nats = NatsServer(folder, port=self.plan.nats_port or -1, text=self._nats_text(authority))
        await self._nats.start()
        log.info("nats.started", url=self._nats.url, pid=self._nats.pid, settings=str(folder / "nats.conf"))
        await asyncio.to_thread(authority.note_server, self._nats.url, settings.nats_ca)
        run = partial(self._run_nats, self._nats, authority)
        tasks.create_task(keep_running("nats", run, self._stopping), name="nats")
        mesh = settings.model_copy(
            update={"nats_url": self._nats.url, "nats_user": "", "nats_creds": folder / "authority" / "creds"}
        )
        certificate, text = self.plan.nats_certificate, partial(self._nats_text, authority)
        self._watching = tasks.create_task(
            together(
                NatsWatch(self._nats).run(),
                self._follow_sites(self._nats, authority),
                follow_grants(Hub(authority, mesh), SystemClock()),
                *((follow_certificate(self._nats, certificate, text),) if certificate else ()),
            ),
            name="nats watch",
        )
        return mesh

    def _nats_text(self, authority: Authority) -> str:
        folder = self.plan.settings.data / "nats"
        return config(
            folder / "jetstream",
            host=self.plan.nats_host,
            port=self.plan.nats_port or -1,
            certificate=self.plan.nats_certificate,
            more=[*authority.server_lines(str(folder / "accounts")), *self._leaf_lines],
        )

    async def _follow_sites(self, server: NatsServer, authority: Authority) -> None:
        """Restarts nats-server where `pantau site` has changed what it shall listen on or connect to.

        nats-server takes neither while it runs. Cameras are read on meanwhile, and nothing recorded is lost.
        """
        while True:
            await asyncio.sleep(SITES_SECONDS)
            lines = await asyncio.to_thread(leaf_nodes.server_lines, authority)
            if lines != self._leaf_lines:
                log.info("nats.sites_changed")
                self._leaf_lines = lines
                server.configure(self._nats_text(authority))
                server.restart()

    async def _run_nats(self, server: NatsServer, authority: Authority) -> int:
        if not server.running:
            server.configure(self._nats_text(authority))  # an account may be over since the last start
            try:
                await server.start()
            except NatsServerError as error:
                log.warning("nats.not_started", error=error)
                return 1
            log.info("nats.started", url=server.url, pid=server.pid)
        return await server.wait()

    async def _announce(self, mesh: MeshSettings) -> None:
        """Prints the URL when every service is ready and the wall answers. The demo's cameras come in behind it."""
        for name in self._children:
            if name != "sim":  # at the first start its pictures take a minute
                await self._readiness.wait(name)
        async with asyncio.TaskGroup() as tasks:
            if self.plan.demo_cameras:
                cameras = tasks.create_task(self._bring_in_cameras(mesh), name="demo")
                # With pictures from an earlier start they are there at once.
                await asyncio.wait((cameras,), timeout=CAMERAS_SECONDS)
            await self._front_answers()
            sd_notify("READY=1")
            click.echo(self.plan.url)

    def _draw_map(self) -> None:
        cameras = [Camera.model_validate(entry) for entry in json.loads(self._catalogue.read_text())]
        write_demo_map(self.plan.settings.data / "map" / "city.pmtiles", cameras)

    async def _bring_in_cameras(self, mesh: MeshSettings) -> None:
        bus = await Bus.connect(mesh, "up")
        try:
            await self._readiness.wait("sim")
            await asyncio.to_thread(self._draw_map)
            await demo.bring_in(
                bus,
                self.plan.settings.site,
                self._catalogue,
                self._sim_admin_port,
                with_story=self.plan.demo_story,
            )
        finally:
            await bus.close()

    async def _tell_troubles(self, mesh: MeshSettings) -> None:
        bus = await Bus.connect(mesh, "up")
        try:
            children = list(self._children.values())
            await tell_troubles(bus, mesh.site, f"up {mesh.machine}", lambda: crash_loops(children, mesh.machine))
        finally:
            await bus.close()

    async def _front_answers(self) -> None:
        while True:
            with suppress(UnavailableError):
                if (await fetch(self.plan.url, timeout_seconds=2)).status < 500:
                    return
            await asyncio.sleep(0.05)

    async def _stop_all(self) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        for service, patience_seconds in STOP_ORDER:
            group = [child for name, child in self._children.items() if name.partition(" ")[0] == service]
            for child in group:
                child.stop()
            until = min(loop.time() + patience_seconds, started + STOP_SECONDS)
            for child in group:
                await _ended(child, until - loop.time())
        for child in self._children.values():
            await _ended(child, STOP_SECONDS - (loop.time() - started))
            child.kill()
        for child in self._children.values():
            await child.ended.wait()
        if self._watching:
            self._watching.cancel()
        if self._nats:
            await self._nats.stop(NATS_STOP_SECONDS)
        log.info("up.stopped", seconds=round(loop.time() - started, 2))


def _without_login(environ: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in environ.items() if key not in _LOGIN}


async def _ended(child: Child, timeout_seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(max(timeout_seconds, 0)):
            await child.ended.wait()


def serve(plan: UpPlan, template: Template | None) -> None:
    """Runs ``plan`` until SIGTERM or SIGINT; raises the `PantauError` that prevents it from running.

    ``template`` is the process that relays and front are forked from.
    """
    asyncio.run(_serve(plan, template))


async def _serve(plan: UpPlan, template: Template | None) -> None:
    up = Up(plan, template)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, up.stop)
    try:
        await up.run()
    except ExceptionGroup as group:
        expected, unexpected = group.split(PantauError)
        if expected is None or unexpected is not None:
            raise
        raise first_leaf(expected) from None


def first_leaf(group: BaseExceptionGroup[PantauError]) -> PantauError:
    """The first error of a group of groups."""
    error = group.exceptions[0]
    return first_leaf(error) if isinstance(error, BaseExceptionGroup) else error
