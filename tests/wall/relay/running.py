"""A relay in the test's own loop, and what a front does to it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

import msgpack

from services.contracts import sessions, subjects
from services.contracts.models import Camera, Profile, ProfileName
from services.contracts.permissions import SYSTEM, Actor
from services.contracts.sessions import Aim, Control, Notice, SessionClose, SessionControl, SessionOpen, SessionOpened
from services.mesh import rpc
from services.mesh.buckets import Bucket
from services.mesh.bus import Bus, BusMessage
from services.mesh.clock import Clock, SystemClock, TurnedClock
from services.mesh.lifecycle import Service
from services.mesh.settings import MeshSettings
from services.wall.relay.app import Relay
from services.wall.relay.settings import RelaySettings
from tests.wall.relay.camera import SITE


class Front:
    """Speaks to one relay over the bus."""

    def __init__(self, bus: Bus, relay: Relay, worker: str) -> None:
        self.bus = bus
        self.relay = relay
        self.worker = worker
        self.notices: dict[str, list[Notice]] = {}
        self._number = 0

    async def listen(self) -> None:
        """Hears the notices of all sessions."""
        await self.bus.subscribe(sessions.notices(SITE, "*"), self._hear)

    async def _hear(self, message: BusMessage) -> None:
        notice = sessions.NOTICE.validate_python(msgpack.unpackb(message.data))
        self.notices.setdefault(message.subject.rpartition(".")[2], []).append(notice)

    def _subject(self, endpoint: str) -> str:
        return subjects.rpc(SITE, f"relay.{self.worker}", endpoint)

    async def add_camera(self, camera: str, *profiles: ProfileName, audio: bool = False) -> None:
        """Registers a camera."""
        bucket = await Bucket.open(self.bus, subjects.CAMERAS_BUCKET, Camera)
        streams = {name: Profile(url=f"rtsp://camera.test/{camera}/{name}") for name in profiles or ("main",)}
        await bucket.put(camera, Camera(id=camera, site=SITE, name=camera, profiles=streams, audio=audio))

    async def open(
        self, offer: str, *aims: Aim, kind: Literal["wall", "whep"] = "wall", actor: Actor = SYSTEM
    ) -> SessionOpened:
        """Opens a session and collects its notices."""
        self._number += 1
        name = f"session-{self._number}"
        self.notices[name] = []
        question = SessionOpen(session=name, offer=offer, aims=aims, kind=kind)
        return await rpc.call(self.bus, self._subject("session-open"), question, SessionOpened, actor=actor)

    async def control(self, session: str, control: Control, actor: Actor = SYSTEM) -> None:
        """Sends one control message."""
        question = SessionControl(session=session, control=control)
        await rpc.call(self.bus, self._subject("session-control"), question, rpc.Nothing, actor=actor)

    async def attach(self, session: str) -> None:
        """Says that a control socket of the page is open."""
        await rpc.call(
            self.bus, self._subject("session-control"), SessionControl(session=session, attached=True), rpc.Nothing
        )

    async def close(self, session: str) -> None:
        """Closes a session."""
        await rpc.call(self.bus, self._subject("session-close"), SessionClose(session=session), rpc.Nothing)


@asynccontextmanager
async def hurried(clock: TurnedClock, times: float) -> AsyncIterator[None]:
    """Lets the clock go so many times as fast."""

    async def hurry() -> None:
        began = clock.monotonic()
        real = asyncio.get_running_loop().time
        since = real()
        while True:
            await asyncio.sleep(0.05)
            clock.advance(max(0.0, (real() - since) * times - (clock.monotonic() - began)))

    task = asyncio.create_task(hurry())
    try:
        yield
    finally:
        task.cancel()


@asynccontextmanager
async def running_relay(
    bus: Bus, settings: MeshSettings, *, worker: str = "relay-test", clock: Clock | None = None, **options: object
) -> AsyncIterator[Front]:
    """A relay on a free port until the end of the block; ``options`` are its settings."""
    relay_settings = RelaySettings.model_validate({"udp_port": 0} | options)
    async with asyncio.TaskGroup() as tasks:
        service = Service(
            "relay", settings.model_copy(update={"worker": worker}), bus, tasks, clock=clock or SystemClock()
        )
        relay = await Relay.open(service, relay_settings)
        task = tasks.create_task(relay.serve())
        while service.health.missing() or not relay.serving.is_set():
            await asyncio.sleep(0.01)
        try:
            front = Front(bus, relay, service.worker)
            await front.listen()
            yield front
        finally:
            for session in relay.sessions.values():
                session.closed.set()
            service.stopping.set()
            await task
