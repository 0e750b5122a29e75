"""Runs a real front over a real bus, and relays that answer as a test says."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from services.contracts.errors import NotFoundError
from services.contracts.models import WorkerLease
from services.contracts.permissions import Actor, Role
from services.contracts.sessions import Notice, SessionClose, SessionControl, SessionOpen, SessionOpened, notices
from services.mesh import rpc
from services.mesh.admin import Health
from services.mesh.bus import Bus
from services.mesh.clock import Clock, SystemClock, TurnedClock
from services.mesh.leases import Lease
from services.mesh.lifecycle import Service
from services.mesh.settings import MeshSettings
from services.mesh.tasks import end
from services.wall.front import app
from services.wall.front.api.static import FOLDER
from services.wall.front.auth import accounts
from services.wall.settings import WallSettings
from tests.eventually import eventually
from tests.support.ports import free_port

OFFER = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n"
    "m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=recvonly\r\na=rtcp-mux\r\n"
    "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\na=setup:actpass\r\n"
    "a=fingerprint:sha-256 " + ":".join(["AA"] * 32) + "\r\na=rtpmap:96 H264/90000\r\n"
)


@dataclass
class RunningFront:
    """A front that listens, and a client for it."""

    url: str
    http: aiohttp.ClientSession
    bus: Bus
    service: Service
    statuses: list[tuple[str, str, int]] = field(default_factory=list)


@asynccontextmanager
async def running_front(
    mesh: MeshSettings, *, static: Path | None = None, clock: Clock | None = None, **settings: Any
) -> AsyncIterator[RunningFront]:
    """A front on a free loopback port, with its own connection; by ``clock`` where a test turns one."""
    port = free_port()
    wall = WallSettings(http=f"127.0.0.1:{port}", **settings)
    bus = await Bus.connect(mesh, "front")
    stopping = asyncio.Event()
    try:
        async with asyncio.TaskGroup() as tasks:
            service = Service("wall", mesh, bus, tasks, stopping, Health(), clock or SystemClock())
            running = tasks.create_task(app.run(service, wall, static_folder=static or FOLDER))
            url = f"http://127.0.0.1:{port}"
            async with aiohttp.ClientSession(base_url=url) as http:
                await until_listening(port, running)
                yield RunningFront(url, http, bus, service)
                stopping.set()
                await running
    finally:
        await bus.close()


def viewer_account(folder: Path) -> tuple[Path, dict[str, str]]:
    """An accounts file with nobody but a viewer in it, and the headers by which she is known."""
    token = accounts.new_token()
    path = folder / "accounts.toml"
    accounts.write_accounts(path, [accounts.Account(name="ani", role=Role.VIEWER, token=accounts.hash_token(token))])
    return path, {"Authorization": f"Bearer {token}"}


async def until_listening(port: int, running: asyncio.Task[None]) -> None:
    """Returns when somebody accepts connections on ``port``."""
    while not running.done():
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.01)
            continue
        writer.close()
        return
    await running


class StubRelay:
    """What a front sees of a relay: a lease and three endpoints. It keeps what it was asked."""

    def __init__(
        self, bus: Bus, home: str, name: str, *, load: float = 0, capacity: int = 100, draining: bool = False
    ) -> None:
        self.name = name
        self.load = load
        self.draining = draining
        self.opened: list[SessionOpen] = []
        self.controls: list[SessionControl] = []
        self.closed: list[str] = []
        self.refuse: Exception | None = None
        self.answering = asyncio.Event()
        """While it is not set, offers are taken and not answered."""
        self.answering.set()
        self.on_control: Callable[[SessionControl], Awaitable[None]] | None = None
        self.sessions: set[str] = set()
        self._bus = bus
        self._home = home
        self._capacity = capacity
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, tasks: asyncio.TaskGroup) -> None:
        """Returns when the lease is there and the endpoints answer."""
        self._micro = await rpc.serve(
            self._bus,
            tasks,
            home=self._home,
            service="relay",
            worker=self.name,
            endpoints=(
                rpc.Endpoint("session-open", SessionOpen, self._open, Role.VIEWER),
                rpc.Endpoint("session-control", SessionControl, self._control, Role.VIEWER),
                rpc.Endpoint("session-close", SessionClose, self._close, Role.VIEWER),
            ),
        )
        self._lease = Lease(self._bus, self._home, self._current)
        self._tasks.append(tasks.create_task(self._lease.run()))
        await eventually(lambda: self._lease.held)  # so others have heard it, too

    async def die(self, *, release: bool = False) -> None:
        """Stops answering and renewing, as a killed process does; with ``release`` as one that ends in order."""
        await end(self._tasks)
        await self._micro.stop()
        if release:
            await self._lease.release()

    async def say(self, session: str, notice: Notice) -> None:
        """Tells the session's page."""
        await self._bus.publish(notices(self._home, session), notice.pack())

    def _current(self) -> WorkerLease:
        return WorkerLease(
            role="relay",
            worker=self.name,
            incarnation=1,
            capacity=self._capacity,
            load=self.load,
            draining=self.draining,
        )

    async def _open(self, question: SessionOpen, _actor: Actor) -> SessionOpened:
        if self.refuse:
            raise self.refuse
        self.opened.append(question)
        await self.answering.wait()
        self.sessions.add(question.session)
        return SessionOpened(session=question.session, relay=self.name, answer="v=0\r\ns=answer\r\n", slots=1)

    async def _control(self, question: SessionControl, _actor: Actor) -> rpc.Nothing:
        self._known(question.session)
        self.controls.append(question)
        if self.on_control:
            await self.on_control(question)
        return rpc.Nothing()

    async def _close(self, question: SessionClose, _actor: Actor) -> rpc.Nothing:
        self._known(question.session)
        self.sessions.discard(question.session)
        self.closed.append(question.session)
        return rpc.Nothing()

    def _known(self, session: str) -> None:
        if session not in self.sessions:
            raise NotFoundError(f"there is no session {session}")


@asynccontextmanager
async def stub_relay(mesh: MeshSettings, name: str = "relay-1", **options: Any) -> AsyncIterator[StubRelay]:
    """A `StubRelay` with a connection of its own."""
    bus = await Bus.connect(mesh, name)
    relay = StubRelay(bus, mesh.site, name, **options)
    try:
        async with asyncio.TaskGroup() as tasks:
            await relay.start(tasks)
            yield relay
            await relay.die(release=True)
    finally:
        await bus.close()


@asynccontextmanager
async def clock_that_goes(clock: TurnedClock, seconds: float) -> AsyncIterator[None]:
    """Turns ``clock`` by ``seconds`` again and again while the block runs, at most for 30 s of the machine's time."""

    async def turn() -> None:
        while True:
            clock.advance(seconds)
            await asyncio.sleep(0.02)

    async with asyncio.timeout(90):
        turning = asyncio.create_task(turn())
        try:
            yield
        finally:
            await end([turning])
