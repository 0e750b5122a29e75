"""Three machines as network namespaces, joined by a bridge: each a NATS node, a registry, an ingest worker, a recorder.

Each node is killed and frozen, and each machine cut off, in turn; at last all of the leader's machine dies. As root
only. Measured is how long no client got a frame of a camera, by what clients at each node hear, and which of the frames
that cameras sent are on no disk. While a node is away cameras are read on, so none may be missing. Where nobody read a
camera any more, it is missing until another worker does.
"""

import asyncio
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from bench.machine_disks import DiskHole, all_holes, recorded_since
from bench.report import table
from bench.undisturbed import undisturbed
from services.contracts import subjects
from services.contracts.catalogue import ImportReport, ImportRequest
from services.contracts.errors import PantauError
from services.contracts.models import Assignment
from services.contracts.permissions import SYSTEM
from services.mesh import rpc
from services.mesh.buckets import Bucket
from services.mesh.bus import Bus
from services.mesh.leases import Workers
from services.mesh.nats_server import binary, config, environment
from services.mesh.settings import MeshSettings
from tests.support.ports import free_port

MACHINES = 3
CAMERAS = 32
BRIDGE = f"pantau{os.getpid()}"
"""Each run has names and a network of its own: what a killed one left is in nobody's way."""
NETWORK = f"10.231.{os.getpid() % 254 + 1}"
GATEWAY = f"{NETWORK}.254"
HOME = "city"
PATIENCE_SECONDS = 120.0
PROMISED_SECONDS = 5.0
LATE_SECONDS = 3.0
"""The last frame on disk may be so much older than the failure."""
PASSWORD = secrets.token_hex(8)


class Machine:
    """A namespace with an address, and the processes in it."""

    def __init__(self, number: int, folder: Path) -> None:
        self.number = number
        self.name = f"machine-{number}"
        self.address = f"{NETWORK}.{number}"
        self.processes: dict[str, asyncio.subprocess.Process] = {}
        self.link = f"{BRIDGE}m{number}"
        self.namespace = f"{BRIDGE}-{self.name}"
        self.folder = folder / self.name

    def make(self) -> None:
        """The namespace and its link to the bridge."""
        ip("netns", "add", self.namespace)
        ip("link", "add", self.link, "type", "veth", "peer", "name", "eth0", "netns", self.namespace)
        ip("link", "set", self.link, "master", BRIDGE, "up")
        for inside in (
            ("addr", "add", f"{self.address}/24", "dev", "eth0"),
            ("link", "set", "eth0", "up"),
            ("link", "set", "lo", "up"),
        ):
            ip("-n", self.namespace, *inside)
        self.folder.mkdir()

    def cut(self, *, off: bool) -> None:
        """Takes the link away, or gives it back."""
        ip("link", "set", self.link, "down" if off else "up")

    async def start(self, role: str) -> None:
        """``nats``, ``registry``, ``ingest`` or ``recorder``."""
        command = [sys.executable, "-m", "services.cli", role]
        environ = {
            **os.environ,
            "PANTAU_NATS_URL": f"nats://{self.address}:4222",
            "PANTAU_NATS_USER": "pantau",
            "PANTAU_NATS_PASSWORD": PASSWORD,
            "PANTAU_NATS_REPLICAS": str(MACHINES),
            "PANTAU_DATA": str(self.folder),
            "PANTAU_MACHINE": self.name,
            "PANTAU_ADMIN_PORT": "0",
            "PANTAU_WORKER": f"{role}-{self.number}",
            "PANTAU_INGEST_WORKERS": "1",
            "PANTAU_INGEST_SPOOL_FLOOR_GIGABYTES": "0",
            "PANTAU_RECORDER_FLOOR_GIGABYTES": "0",
        }
        if role == "nats":
            file = self.folder / "nats.conf"
            file.write_text(self._nats_config())
            command, environ = [binary(), "--config", str(file)], environment(os.environ)
        with (self.folder / f"{role}.log").open("ab") as log:
            self.processes[role] = await asyncio.create_subprocess_exec(
                "ip", "netns", "exec", self.namespace, *command, env=environ, stdout=log, stderr=log
            )

    def _nats_config(self) -> str:
        routes = [f"nats://route:{PASSWORD}@{NETWORK}.{number}:6222" for number in range(1, MACHINES + 1)]
        return config(
            self.folder / "jetstream",
            host=self.address,
            port=4222,
            login=("pantau", PASSWORD),
            more=(
                f"server_name: {self.name}",
                "cluster {",
                f'  name: pantau, listen: "{self.address}:6222"',
                f'  authorization {{ user: "route", password: "{PASSWORD}" }}',
                f"  routes: {json.dumps(routes)}",
                "}",
            ),
        )

    async def kill(self, *roles: str) -> None:
        """kill -9, of a role's children too."""
        for role in roles:
            process = self.processes.pop(role)
            for pid in (process.pid, *_running(role, self.namespace)):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            await process.wait()

    def freeze(self, role: str) -> None:
        """It stops without ending."""
        self.processes[role].send_signal(signal.SIGSTOP)

    def thaw(self, role: str) -> None:
        """It goes on."""
        self.processes[role].send_signal(signal.SIGCONT)


def _running(role: str, namespace: str) -> list[int]:
    """A role's processes in a namespace: ingest's workers outlive their parent."""
    return [pid for pid in _processes(namespace) if f"services.cli\0{role}".encode() in _command(pid)]


def _processes(namespace: str) -> list[int]:
    found = subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True, check=False)
    return [int(pid) for pid in found.stdout.split()]


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def ip(*arguments: str) -> None:
    """ip(8)."""
    subprocess.run(["ip", *arguments], check=True)


def ip_if_there(*arguments: str) -> None:
    """ip(8), of what may be gone."""
    subprocess.run(["ip", *arguments], capture_output=True, check=False)


async def kill_all_in(namespace: str) -> None:
    """kill -9 of every process in a namespace; returns when they are gone."""
    while left := _processes(namespace):
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(0.01)


@asynccontextmanager
async def network(folder: Path) -> AsyncIterator[list[Machine]]:
    """The machines, without processes; afterwards all of it is gone."""
    machines = [Machine(number, folder) for number in range(1, MACHINES + 1)]
    try:
        ip("link", "add", BRIDGE, "type", "bridge")
        ip("addr", "add", f"{GATEWAY}/24", "dev", BRIDGE)
        ip("link", "set", BRIDGE, "up")
        for machine in machines:
            machine.make()
        yield machines
    finally:
        await _remove(machines)


async def _remove(machines: list[Machine]) -> None:
    """The bridge and all that is there of the machines. A namespace lives until the last process in it is dead."""
    for machine in machines:
        for process in machine.processes.values():
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        await kill_all_in(machine.namespace)
        ip_if_there("netns", "del", machine.namespace)
    for link in (*(machine.link for machine in machines), BRIDGE):
        ip_if_there("link", "del", link)


class Client:
    """Hears all frames, beginning at one node."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.heard_at: dict[str, list[float]] = {}

    @classmethod
    async def connect(cls, machine: Machine) -> "Client":
        """At a machine's node."""
        bus = await Bus.connect(_settings(machine), f"client-{machine.number}")
        client = cls(bus)
        for name in camera_names():
            times = client.heard_at[name] = []

            def take(_payload: bytes, times: list[float] = times) -> None:
                times.append(time.monotonic())

            await bus.subscribe_direct(subjects.media("*", "main", name), take)
        return client

    def heard(self, since: float) -> bool:
        """Whether each camera was heard after a moment."""
        return all(times and times[-1] > since for times in self.heard_at.values())

    def silent_seconds(self, since: float, until: float) -> float:
        """The longest time without a frame of some camera."""
        return max(_longest(times, since, until) for times in self.heard_at.values())


def camera_names() -> list[str]:
    """Of the simulated cameras."""
    return [f"cam-{number:03d}" for number in range(1, CAMERAS + 1)]


def _longest(times: list[float], since: float, until: float) -> float:
    after = [at for at in times if since < at < until]
    before = max((at for at in times if at <= since), default=since)
    moments = [before, *after, until]
    return max(later - earlier for earlier, later in pairwise(moments))


def _settings(machine: Machine) -> MeshSettings:
    return MeshSettings(
        nats_url=f"nats://{machine.address}:4222", nats_user="pantau", nats_password=PASSWORD, nats_replicas=MACHINES
    )


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():
            await asyncio.sleep(0.05)


async def _current(bus: Bus) -> str:
    """Waits until all copies of the assignments are; returns the machine whose node leads them."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            with suppress(Exception):  # no leader just now
                info = (await bus.js.stream_info(f"KV_{subjects.ASSIGNMENTS_BUCKET}")).cluster
                if info is not None and sum(bool(peer.current) for peer in info.replicas or ()) == MACHINES - 1:
                    return str(info.leader)
            await asyncio.sleep(0.3)


async def import_cameras(bus: Bus, content: str) -> None:
    """Imports them as soon as a registry answers."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            with suppress(PantauError):
                request = ImportRequest(format="json", content=content)
                subject = subjects.rpc(HOME, "registry", "cameras-import")
                report = await rpc.call(bus, subject, request, ImportReport, actor=SYSTEM, timeout_seconds=20)
                if report.added + report.unchanged == CAMERAS:
                    return
            await asyncio.sleep(0.5)


@asynccontextmanager
async def simulator(folder: Path, *, admin_port: int = 0) -> AsyncIterator[str]:
    """The catalogue of simulated cameras on the bridge. ``admin_port``: where they say what they have sent."""
    catalogue = folder / "cameras.json"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.cli", "sim", "--cameras", str(CAMERAS), "--scenes", "2", "--host", GATEWAY,
        "--port", "8554", "--catalogue", str(catalogue), env={**os.environ, "PANTAU_ADMIN_PORT": str(admin_port)},
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await _until(catalogue.exists)
        yield catalogue.read_text()
    finally:
        process.terminate()
        await process.wait()


ROLES = ("nats", "registry", "ingest", "recorder")


@dataclass(frozen=True)
class _Case:
    """A failure, and what was measured of it."""

    how: str
    machine: str
    leads: bool
    """Whether the machine's registry leads."""
    leads_store: bool
    """Whether its node leads the assignments."""
    silent_seconds: float
    began: float
    """Unix seconds."""

    def row(self, holes: list[DiskHole], until: float) -> list[object]:
        """``until``: when the next one began."""
        mine = [hole for hole in holes if self.began - LATE_SECONDS <= hole.at < until - LATE_SECONDS]
        return [
            self.how, self.machine, "yes" if self.leads else "no", "yes" if self.leads_store else "no",
            self.silent_seconds, sum(hole.missing for hole in mine), len({hole.camera for hole in mine}),
            max((hole.seconds for hole in mine), default=0.0),
        ]  # fmt: skip

    def is_kept(self, row: list[object]) -> bool:
        """Whether a row of it is as promised."""
        *_, silent, missing, _, hole = row
        lost = float(str(missing)) if self.how.startswith("node") else 0.0
        return not lost and max(float(str(silent)), float(str(hole))) <= PROMISED_SECONDS


async def _case(how: str, machine: Machine, clients: list[Client], workers: Workers) -> _Case:
    """Lets a machine fail, waits until all goes on, and mends it."""
    leads_store = await _current(clients[0].bus) == machine.name
    first = min(workers.alive("registry"), key=lambda lease: lease.incarnation, default=None)
    leads = first is not None and first.worker == f"registry-{machine.number}"
    began, began_at = time.monotonic(), time.time()
    match how:
        case "node killed":
            await machine.kill("nats")
        case "node frozen":
            machine.freeze("nats")
        case "cut off":
            machine.cut(off=True)
        case _:
            await machine.kill(*ROLES)
    await asyncio.sleep(6.0)  # what takes longer than promised shall be seen
    await _until(lambda: all(client.heard(time.monotonic() - 0.5) for client in clients))
    until = time.monotonic()
    silent = max(client.silent_seconds(began, until) for client in clients)
    match how:
        case "node killed":
            await machine.start("nats")
        case "node frozen":
            machine.thaw("nats")
        case "cut off":
            machine.cut(off=False)
        case _:
            for role in ROLES:
                await machine.start(role)
    await _current(clients[0].bus)
    await asyncio.sleep(5.0)
    print(how, machine.name, silent, flush=True)
    return _Case(how, machine.name, leads, leads_store, silent, began_at)


async def run(*, quick: bool) -> bool:
    """Prints the table; whether the promise was kept. ``quick``: the first machine alone."""
    if os.geteuid():
        print("network namespaces need root: not run")
        return True
    with undisturbed():
        return await _run(quick=quick)


async def _run(*, quick: bool) -> bool:
    cases: list[_Case] = []
    admin_port = free_port()
    with tempfile.TemporaryDirectory(prefix="pantau-machines-") as name:
        folder = Path(name)
        async with AsyncExitStack() as stack:
            machines = await stack.enter_async_context(network(folder))
            content = await stack.enter_async_context(simulator(folder, admin_port=admin_port))
            for role in ROLES:
                for machine in machines:
                    await machine.start(role)
                await asyncio.sleep(2.0)
            clients = [await Client.connect(machine) for machine in machines]
            await _current_buckets(clients[0].bus)
            await import_cameras(clients[0].bus, content)
            workers = Workers(clients[0].bus, HOME)
            following = asyncio.create_task(workers.run())
            await _until(lambda: all(client.heard(0) for client in clients))
            disks = [machine.folder for machine in machines]
            await recorded_since(disks, camera_names(), time.time())
            for how in ("node killed", "node frozen", "cut off"):
                for machine in machines[:1] if quick else machines:
                    cases.append(await _case(how, machine, clients, workers))
            first = min(workers.alive("registry"), key=lambda lease: lease.incarnation)
            leader = machines[int(first.worker.rpartition("-")[2]) - 1]
            cases.append(await _case("all of it killed", leader, clients, workers))
            following.cancel()
            holes = await all_holes(disks, camera_names(), admin_port)
            for client in clients:
                await client.bus.close()
    ends = [*(case.began for case in cases[1:]), float("inf")]
    rows = [case.row(holes, end) for case, end in zip(cases, ends, strict=True)]
    columns = (
        "what fails", "where", "leads registries", "leads assignments", "longest silence, s", "frames on no disk",
        "of cameras", "longest hole, s",
    )  # fmt: skip
    note = (
        f"Three nodes, {CAMERAS} cameras, a client at each node. Promised: no camera silent over {PROMISED_SECONDS} s, "
        "and while a node is away every frame on disk."
    )
    print(table("Machines that fail", columns, rows, note))
    return all(case.is_kept(row) for case, row in zip(cases, rows, strict=True))


async def _current_buckets(bus: Bus) -> None:
    """Waits until the buckets are there."""
    await Bucket.open(bus, subjects.ASSIGNMENTS_BUCKET, Assignment)
    await _current(bus)
