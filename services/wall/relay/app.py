"""The relay: one process, one UDP port, the sessions that fronts place on it."""

import asyncio
import gc
import time
from typing import Final

from services.contracts import subjects
from services.contracts.errors import ConflictError, NotFoundError, UnavailableError
from services.contracts.models import Camera, CameraState, WorkerLease
from services.contracts.permissions import Actor, Role
from services.contracts.sessions import SessionClose, SessionControl, SessionOpen, SessionOpened
from services.mesh import rpc
from services.mesh.buckets import Bucket, Mirror
from services.mesh.leases import Lease, Workers, new_incarnation
from services.mesh.lifecycle import Service
from services.mesh.log import get_logger
from services.mesh.metrics import gauge, histogram
from services.wall.relay.addresses import candidates
from services.wall.relay.engine.dtls import Certificates, HandshakeLimiter
from services.wall.relay.engine.send_batch import probe_offload
from services.wall.relay.engine.udp import UdpPort
from services.wall.relay.sending.pacer_timer import PacerTimer
from services.wall.relay.session import CameraLookup, Session, open_session
from services.wall.relay.settings import RelaySettings
from services.wall.relay.sources.conversion import ConversionKey, Conversions
from services.wall.relay.sources.feed import FeedHub

log = get_logger()

SWEEP_SECONDS: Final = 1.0
DRAIN_SECONDS: Final = 1.2
"""Pages need less than a second to connect elsewhere."""
STREAMS: Final = 1000
"""What a relay's lease gives as its capacity: main streams that a core serves, with room to spare."""
GC_THRESHOLD: Final = (50_000, 20, 50)
"""Frames are reference-counted and hold no cycles; the default would walk the heap hundreds of times a second."""

_sessions = gauge("relay_sessions", "Viewing sessions")
_streams = gauge("relay_streams", "Slots that show something")
_feeds = gauge("relay_feeds", "Camera profiles that enter this relay")
_gc_pause = histogram(
    "relay_gc_pause_seconds", "Pauses of the garbage collector", buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)
)


class Relay:
    """The relay's parts. `serve` answers fronts until it is told to stop."""

    def __init__(self, service: Service, settings: RelaySettings) -> None:
        self.sessions: dict[str, Session] = {}
        self.settings = settings
        self.serving = asyncio.Event()
        """Set when fronts are answered."""
        gso_trouble = probe_offload() if settings.gso == "auto" else "off by the setting"
        self.udp = UdpPort(settings.udp_port, gso=not gso_trouble)
        self.candidates = candidates(settings.public_addresses, self.udp.port, self.udp.families)
        self._service = service
        self._pacer_timer = PacerTimer()
        self._certificates = Certificates()
        self._handshake_limiter = HandshakeLimiter()
        self._incarnation = new_incarnation()
        self._draining = False
        self._hub = FeedHub(service.bus, service.home, service.tasks)
        self._conversions: Conversions
        self._cameras: Mirror[Camera]
        self._states: Mirror[CameraState]
        self._workers: Workers
        log.info(
            "relay.listening", udp_port=self.udp.port, addresses=[c.host for c in self.candidates],
            gso=gso_trouble or "on",
        )  # fmt: skip

    async def serve(self) -> None:
        """Follows the catalogue, keeps the lease, answers; returns after draining."""
        service = self._service
        cameras = await Bucket.open(service.bus, subjects.CAMERAS_BUCKET, Camera)
        states = await Bucket.open(service.bus, subjects.STATE_BUCKET, CameraState)
        leases = await Bucket.open(service.bus, subjects.LEASES_BUCKET, WorkerLease)
        self._cameras = Mirror(cameras, self._on_camera)
        self._states = Mirror(states, self._on_state)
        self._workers = Workers(leases)
        lease = Lease(leases, self._lease)
        self._conversions = self._convert(leases)
        background = [
            service.tasks.create_task(self._cameras.run(), name="cameras"),
            service.tasks.create_task(self._states.run(), name="states"),
            service.tasks.create_task(self._workers.run(), name="workers"),
            service.tasks.create_task(self._sweep(), name="sweep"),
        ]
        service.health.add("relay", lambda: None if self.serving.is_set() else "the catalogue is not read yet")
        await self._cameras.ready.wait()
        micro = await rpc.serve(
            service.bus,
            service.tasks,
            home=service.home,
            service="relay",
            worker=service.worker,
            endpoints=(
                rpc.Endpoint("session-open", SessionOpen, self._open, Role.VIEWER),
                rpc.Endpoint("session-control", SessionControl, self._control, Role.VIEWER),
                rpc.Endpoint("session-close", SessionClose, self._close, Role.VIEWER),
            ),
        )
        background.append(service.tasks.create_task(lease.run(), name="lease"))
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLD)
        gc.callbacks.append(self._on_gc)
        self.serving.set()
        try:
            await service.stopping.wait()
            await self._drain(lease)
        finally:
            gc.callbacks.remove(self._on_gc)
            await micro.stop()
            for session in self.sessions.values():
                session.closed.set()
            self._conversions.close()
            self._hub.close()
            for task in background:
                task.cancel()
            while self.sessions:
                await asyncio.sleep(0.01)
            self._pacer_timer.close()
            self.udp.close()

    def _convert(self, leases: Bucket[WorkerLease]) -> Conversions:
        service, settings = self._service, self.settings
        conversions = Conversions(
            service.bus, service.home, service.worker, self._hub, service.tasks, leases,
            max_pictures=settings.conversions, max_height_px=settings.conversion_height_px,
        )  # fmt: skip
        self._hub.convert = lambda *wanted: conversions.start_conversion(ConversionKey(*wanted))
        self._hub.convert_footage = conversions.open_footage
        return conversions

    async def _drain(self, lease: Lease) -> None:
        """Hands the sessions back: pages connect elsewhere, then leave."""
        self._draining = True
        await lease.renew()
        for session in self.sessions.values():
            session.drain()
        until = time.monotonic() + DRAIN_SECONDS
        while self.sessions and time.monotonic() < until:
            await asyncio.sleep(0.05)
        await lease.release()

    def _lease(self) -> WorkerLease:
        streams = sum(slot.source is not None for session in self.sessions.values() for slot in session.slots)
        return WorkerLease(
            role="relay",
            worker=self._service.worker,
            incarnation=self._incarnation,
            capacity=STREAMS,
            load=streams,
            draining=self._draining,
            detail={"sessions": str(len(self.sessions)), "udp_port": str(self.udp.port)},
        )

    async def _open(self, question: SessionOpen, _actor: Actor) -> SessionOpened:
        if self._draining or len(self.sessions) >= self.settings.max_sessions:
            why = "is draining" if self._draining else f"has {len(self.sessions)} sessions, its most"
            raise UnavailableError(
                f"relay {self._service.worker} {why}; another one may take it", retry_after_seconds=2
            )
        if question.session in self.sessions:
            raise ConflictError(f"session {question.session} exists already")
        session = open_session(
            question,
            bus=self._service.bus,
            home=self._service.home,
            hub=self._hub,
            catalogue=CameraLookup(self._cameras.get, self._states.get),
            recorders=lambda: len(self._workers.alive("recorder")),
            udp=self.udp,
            pacer_timer=self._pacer_timer,
            certificates=self._certificates,
            handshake_limiter=self._handshake_limiter,
            candidates=self.candidates,
            pace_bps=self.settings.pace_mbps * 1e6,
        )
        self.sessions[question.session] = session
        self._service.tasks.create_task(self._run(session), name=f"session {session.name}")
        return SessionOpened(
            session=session.name, relay=self._service.worker, answer=session.answer, slots=len(session.slots)
        )

    async def _run(self, session: Session) -> None:
        try:
            await session.run()
        except Exception as error:  # a supervisor: one session's failure is not the others'
            log.exception("session.failed", session=session.name, error=error)
        finally:
            self.sessions.pop(session.name, None)

    def _session(self, name: str) -> Session:
        session = self.sessions.get(name)
        if session is None:
            raise NotFoundError(f"there is no session {name} on relay {self._service.worker}; open a new one")
        return session

    async def _control(self, question: SessionControl, _actor: Actor) -> rpc.Nothing:
        session = self._session(question.session)
        if question.attached:
            session.attached()
        if question.control is not None:
            session.control(question.control)
        return rpc.Nothing()

    async def _close(self, question: SessionClose, _actor: Actor) -> rpc.Nothing:
        self._session(question.session).closed.set()
        return rpc.Nothing()

    def _on_camera(self, key: str, _camera: Camera | None, _revision: int) -> None:
        for session in self.sessions.values():
            session.camera_changed(key)

    def _on_state(self, key: str, state: CameraState | None, _revision: int) -> None:
        for session in self.sessions.values():
            session.state_changed(key, state)

    async def _sweep(self) -> None:
        while True:
            self._hub.sweep(time.monotonic())
            _sessions.set(len(self.sessions))
            _streams.set(sum(slot.source is not None for s in self.sessions.values() for slot in s.slots))
            _feeds.set(len(self._hub))
            await asyncio.sleep(SWEEP_SECONDS)

    def _on_gc(self, phase: str, _info: dict[str, int]) -> None:
        if phase == "start":
            self._gc_started = time.perf_counter()
        else:
            _gc_pause.observe(time.perf_counter() - self._gc_started)


async def run(service: Service, settings: RelaySettings) -> None:
    """The relay's coroutine, see `services.mesh.lifecycle`; partially apply ``settings``."""
    await Relay(service, settings).serve()
