"""Runs a registry, and stands in for the workers around it, on the test's own nats-server."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import nats.errors
from nats.js.errors import NotFoundError

from services.contracts import events, subjects
from services.contracts.catalogue import CameraEntry, CameraInput
from services.contracts.errors import NobodyThereError, UnavailableError
from services.contracts.models import Assignment, CameraReport, IngestReport, Model, ProfileReport, WorkerLease
from services.contracts.permissions import SYSTEM, Actor
from services.mesh import rpc
from services.mesh.buckets import Bucket, Mirror
from services.mesh.bus import Bus, BusMessage
from services.mesh.clock import Clock, SystemClock
from services.mesh.leases import RENEW_SECONDS, Lease, new_incarnation
from services.mesh.lifecycle import Service
from services.mesh.settings import MeshSettings
from services.registry import app
from services.registry.settings import RegistrySettings
from tests.flushed import flushed

R = TypeVar("R", bound=Model)
T = TypeVar("T")


@asynccontextmanager
async def registry(
    settings: MeshSettings,
    own: RegistrySettings | None = None,
    *,
    worker: str = "registry-1",
    clock: Clock | None = None,
) -> AsyncIterator[Service]:
    """A registry until the end of the block; ready when the block begins. `crash` ends it without goodbye."""
    bus = await Bus.connect(settings, worker)
    try:
        async with asyncio.TaskGroup() as tasks:
            service = Service(
                "registry", settings.model_copy(update={"worker": worker}), bus, tasks, clock=clock or SystemClock()
            )
            running = tasks.create_task(app.run(service, own or RegistrySettings()))
            await until(lambda: not service.health.missing() and bool(service.health._checks))
            await flushed(bus.client)  # others' questions come by connections of their own
            try:
                yield service
            except BaseException:
                running.cancel()
                raise
            service.stopping.set()
            if bus.client.is_closed:  # crashed: what is left of it goes too
                running.cancel()
            await asyncio.wait((running,), timeout=5)
            raise _Over  # noqa: TRY301 (a task group is cancelled by raising in it)
    except* _Over:
        pass
    finally:
        if not bus.client.is_closed:
            await bus.close()


class _Over(Exception):  # noqa: N818 (no error: it ends the task group)
    pass


async def crash(service: Service) -> None:
    """What kill -9 looks like to the others: the connection is gone, nothing is given back.

    Returns when the server knows, too: a question that it gave to the closed connection would never be answered.
    """
    alive = f"test.alive.{service.worker}"

    async def ignore(_message: BusMessage) -> None: ...

    await service.bus.subscribe(alive, ignore)
    await service.bus.client.close()
    witness = await Bus.connect(service.settings, "witness")
    try:
        while True:
            try:
                await witness.request(alive, b"", timeout_seconds=0.1)
            except NobodyThereError:
                return
            except UnavailableError:
                pass
    finally:
        await witness.close()


async def until(condition: Callable[[], bool], *, seconds: float = 90.0) -> float:
    """Waits for a condition; returns how long it took. Fails the test when it does not come true."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    while not condition():
        assert loop.time() - started < seconds, "it did not happen in time"
        await asyncio.sleep(0.01)
    return loop.time() - started


async def eventually(ask: Callable[[], Awaitable[T]], good: Callable[[T], bool], *, seconds: float = 90.0) -> T:
    """Asks until the answer is good."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    while not good(answer := await ask()):
        assert loop.time() - started < seconds, f"it did not happen in time; last: {answer!r}"
        await asyncio.sleep(0.02)
    return answer


async def ask(
    bus: Bus, endpoint: str, question: Model, reply: type[R], *, actor: Actor = SYSTEM, home: str = "city"
) -> R:
    """A question to any registry."""
    return await rpc.call(
        bus, subjects.rpc(home, "registry", endpoint), question, reply, actor=actor, timeout_seconds=30
    )


class Worker:
    """A worker as the registry sees it: a lease, and for ingest the reports on what is assigned to it."""

    def __init__(self, bus: Bus, role: str, name: str, *, hangs: bool = False, machine: str = "") -> None:
        """``hangs``: when killed it stays connected, so that only its lease tells."""
        self.machine = machine
        self.name = name
        self.bus = bus
        self.draining = False
        self.capacity = 0
        self.detail: dict[str, str] = {}
        self.incarnation = new_incarnation()
        self._role = role
        self._hangs = hangs
        self._lease = Lease(bus, "city", self._current)
        self._task: asyncio.Task[None] | None = None

    def _current(self) -> WorkerLease:
        return WorkerLease.model_validate(
            {
                "role": self._role,
                "worker": self.name,
                "incarnation": self.incarnation,
                "draining": self.draining,
                "capacity": self.capacity,
                "machine": self.machine,
                "detail": self.detail,
            }
        )

    async def start(self) -> "Worker":
        """Takes its lease; a new start is a new incarnation."""
        self.incarnation = max(new_incarnation(), self.incarnation + 1)
        await self._lease.renew()
        self._task = asyncio.create_task(self._renew() if self._hangs else self._lease.run())
        return self

    async def _renew(self) -> None:
        while True:
            await self._lease.renew()
            await asyncio.sleep(RENEW_SECONDS)

    async def kill(self) -> None:
        """Stops without a word."""
        while self._task and not self._task.done():  # see services.registry.app
            self._task.cancel()
            await asyncio.wait((self._task,), timeout=0.2)
        self._task = None

    async def stop(self) -> None:
        """Gives the lease back."""
        await self.kill()
        await self._lease.release()

    async def drain(self) -> None:
        """Says that it is about to go."""
        self.draining = True
        await self._lease.renew()

    async def report(self, camera: str, epoch: int, main: ProfileReport, *, site: str = "city") -> None:
        """Reports on one camera."""
        report = CameraReport(camera=camera, site=site, epoch=epoch, profiles={"main": main})
        message = IngestReport(worker=self.name, at_us=0, cameras=(report,))
        await self.bus.publish(subjects.report("city", self.name), message.pack())


def holder(assignments: dict[str, tuple[Assignment, int]], key: str) -> tuple[str, ...]:
    """Who has an assignment; nobody: empty."""
    entry = assignments.get(key)
    return entry[0].workers if entry else ()


@asynccontextmanager
async def following(bus: Bus) -> AsyncIterator[dict[str, tuple[Assignment, int]]]:
    """The assignments as they are: key → value and revision."""
    mirror = Mirror(await Bucket.open(bus, subjects.ASSIGNMENTS_BUCKET, Assignment))
    task = asyncio.create_task(mirror.run())
    await mirror.ready.wait()
    yield mirror.entries
    task.cancel()


def camera(name: str, **more: object) -> CameraInput:
    return CameraInput.model_validate(
        {"name": name, "profiles": {"main": {"url": f"rtsp://10.0.0.1/{name.lower().replace(' ', '-')}"}}} | more
    )


async def add(bus: Bus, *names: str, **more: object) -> None:
    for name in names:
        await ask(bus, "cameras-add", camera(name, **more), CameraEntry)


async def collected(bus: Bus, site: str = "city") -> list[events.Event]:
    """Every event of a site that the streams have; in order within each stream. A busy nats-server is asked again."""
    while True:
        try:
            return await _collected(bus, site)
        except nats.errors.TimeoutError:
            continue


async def _collected(bus: Bus, site: str) -> list[events.Event]:
    found = []
    for stream in events.STREAMS:
        last = (await bus.js.stream_info(stream)).state.last_seq
        for sequence in range(1, last + 1):
            try:
                message = await bus.js.get_msg(stream, sequence)
            except NotFoundError:  # health: a newer one has come
                continue
            event = events.parse(message.data or b"", message.headers)
            assert event is not None
            if event.site == site:
                found.append(event)
    return found
