"""The relay: one process, one UDP port, the sessions that fronts place on it."""

import asyncio
import gc
import time
from contextlib import suppress
from typing import Final, NamedTuple

from services.contracts import sessions, subjects
from services.contracts.accounts import SignIn
from services.contracts.errors import ConflictError, NotFoundError, TooManyRequestsError, UnavailableError
from services.contracts.models import Camera, CameraState, WorkerLease
from services.contracts.permissions import ANYBODY, Actor, Right, Role
from services.contracts.rights import Grant, RightsBook
from services.contracts.sessions import ConversionOpen, SessionClose, SessionControl, SessionOpen, SessionOpened
from services.footage.owners import Owner
from services.mesh import rpc
from services.mesh.buckets import Bucket, Mirror
from services.mesh.bus import Bus
from services.mesh.clock import sleep, timeout
from services.mesh.event_stream import EventOutbox
from services.mesh.leases import Lease, Workers, new_incarnation
from services.mesh.lifecycle import Service
from services.mesh.log import get_logger
from services.mesh.metrics import gauge, histogram
from services.mesh.states import StateMirror
from services.mesh.tasks import end
from services.wall.relay.addresses import addresses_to_bind, candidates
from services.wall.relay.connection import ViewerPort
from services.wall.relay.engine.dtls import Certificates, HandshakeLimiter
from services.wall.relay.engine.kernel_batch import usable_kernel
from services.wall.relay.engine.send_batch import probe_offload
from services.wall.relay.engine.udp import UdpPort
from services.wall.relay.sending.frame import lay_out_by_kernel, lay_out_by_python
from services.wall.relay.sending.history import SentLayouts
from services.wall.relay.sending.pacer_timer import PacerTimer
from services.wall.relay.session import CameraLookup, RelayContext, Session, open_session
from services.wall.relay.settings import RelaySettings
from services.wall.relay.sign_ins import SignInCheck
from services.wall.relay.sources.conversion import TAKE_OVER, CameraFeeds, ConversionLimits, Conversions
from services.wall.relay.sources.feed import FeedHub
from services.wall.relay.sources.playback import PlaybackContext
from services.wall.relay.sources.site_limits import SiteLimits

log = get_logger()

SWEEP_SECONDS: Final = 1.0
SIGN_IN_SECONDS: Final = 1.5
"""How often the sign-ins of viewers are read anew."""
DRAIN_SECONDS: Final = 1.2
"""Pages need less than a second to connect elsewhere."""
FLUSH_SECONDS: Final = 0.5
"""For the last audit events."""
STREAMS: Final = 1000
"""The capacity in a relay's lease: main streams that one core serves with room to spare."""
GC_THRESHOLD: Final = (50_000, 20, 50)
"""Frames are reference-counted and hold no cycles; the default would walk the heap hundreds of times a second."""

_sessions = gauge("relay_sessions", "Viewing sessions")
_streams = gauge("relay_streams", "Slots that show something")
_feeds = gauge("relay_feeds", "Camera profiles that enter this relay")
_kernel = gauge("relay_kernel", "1 where the compiled send kernel sends, 0 where Python does")
_gc_pause = histogram(
    "relay_gc_pause_seconds", "Pauses of the garbage collector", buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)
)


class RelayBuckets(NamedTuple):
    """What the relay reads of the mesh."""

    cameras: Bucket[Camera]
    states: Bucket[CameraState]
    sign_ins: Bucket[SignIn]
    grants: Bucket[Grant]

    @classmethod
    async def open(cls, bus: Bus) -> "RelayBuckets":
        """Opens them."""
        return cls(
            await Bucket.open(bus, subjects.CAMERAS_BUCKET, Camera),
            await Bucket.open(bus, subjects.STATE_BUCKET, CameraState),
            await Bucket.open(bus, subjects.SIGN_INS_BUCKET, SignIn),
            await Bucket.open(bus, subjects.GRANTS_BUCKET, Grant),
        )


class Relay:
    """The relay's parts, made by `open`. `serve` answers fronts until it is told to stop."""

    def __init__(self, service: Service, settings: RelaySettings, buckets: RelayBuckets) -> None:
        self.sessions: dict[str, Session] = {}
        self.settings = settings
        self.serving = asyncio.Event()
        """Set when fronts are answered."""
        gso_trouble = probe_offload() if settings.gso == "auto" else "off by the setting"
        self._clock = service.clock
        found = usable_kernel() if settings.kernel == "auto" else "off by the setting"
        kernel, kernel_trouble = (None, found) if isinstance(found, str) else (found, "")
        _kernel.set(kernel is not None)
        self.udp = UdpPort(
            settings.udp_port, self._clock, gso=not gso_trouble, kernel=kernel, own_addresses=addresses_to_bind()
        )
        self._sent_layouts = SentLayouts()
        self._service = service
        self._outbox = EventOutbox(service.bus, source=f"/relay/{service.worker}")
        self._pacer_timer = PacerTimer(self._clock)
        self._incarnation = new_incarnation()
        self._draining = False
        self._session_ended = asyncio.Event()
        self._gc_started = 0.0
        self._hub = FeedHub(
            service.bus,
            service.tasks,
            self._clock,
            hold_damaged=settings.damaged == "hold",
            bus_id=self._bus_id,
        )
        limits = ConversionLimits(settings.conversions, settings.conversion_height_px)
        self._conversions = Conversions(service, self._hub, limits, self.other_relays)
        self._site_limits = SiteLimits(
            settings.site_limits_mbps, self._hub, lambda: len(self._workers.alive("relay")), self._clock
        )
        self._cameras = Mirror(buckets.cameras, self._on_camera)
        self._states = StateMirror(buckets.states, service.home, self._on_state)
        self._rights = RightsBook()
        self._rights_seen = 0
        self._rights_change_us: int | None = None
        self._grants = Mirror(buckets.grants, lambda key, grant, _revision: self._rights.set_grant(key, grant))
        self._sign_ins = SignInCheck(buckets.sign_ins, self._clock)
        self._workers = Workers(service.bus, service.home)
        self._own_lease = Lease(service.bus, service.home, self._lease)
        port = ViewerPort(
            udp=self.udp,
            candidates=candidates(settings.public_addresses, self.udp.port, self.udp.families),
            certificates=Certificates(),
            handshake_limiter=HandshakeLimiter(),
            pacer_timer=self._pacer_timer,
            pace_bps=settings.pace_mbps * 1e6,
            lay_out=lay_out_by_kernel(kernel) if kernel is not None else lay_out_by_python,
            sent_layouts=self._sent_layouts,
            clock=self._clock,
        )
        playback = PlaybackContext(
            bus=service.bus,
            home=service.home,
            recorders=lambda: len(self._workers.alive("recorder")),
            owner=lambda camera: Owner.of(self._cameras.get(camera), self._states.get(camera), Right.PLAYBACK),
            open_converter=self._conversions.open_footage,
            clock=self._clock,
        )
        self._context = RelayContext(
            bus=service.bus,
            home=service.home,
            cameras=CameraLookup(self._cameras.get, self._states.get),
            rights=self._rights,
            feeds=CameraFeeds(self._hub, self._conversions, self._site_limits),
            playback=playback,
            port=port,
            clock=self._clock,
            post=self._outbox.post,
        )
        log.info(
            "relay.listening", udp_port=self.udp.port, addresses=[c.host for c in port.candidates],
            gso=gso_trouble or "on", kernel=kernel_trouble or "on",
        )  # fmt: skip

    @classmethod
    async def open(cls, service: Service, settings: RelaySettings) -> "Relay":
        """A relay that listens on its UDP port, but answers nobody before `serve`."""
        return cls(service, settings, await RelayBuckets.open(service.bus))

    async def serve(self) -> None:
        """Follows the catalogue, keeps the lease, answers; returns after draining."""
        service = self._service
        background = [
            service.tasks.create_task(self._cameras.run(), name="cameras"),
            service.tasks.create_task(self._states.run(), name="states"),
            service.tasks.create_task(self._workers.run(), name="workers"),
            service.tasks.create_task(self._sweep(), name="sweep"),
            service.tasks.create_task(self._outbox.run(), name="outbox"),
            service.tasks.create_task(self._conversions.keep_one_ahead(), name="converter ahead"),
            service.tasks.create_task(self._check_sign_ins(), name="sign-ins"),
            service.tasks.create_task(self._grants.run(), name="grants"),
        ]
        service.health.add("relay", lambda: None if self.serving.is_set() else "the catalogue is not read yet")
        await self._cameras.ready.wait()
        await self._grants.ready.wait()
        micro = await rpc.serve(
            service.bus,
            service.tasks,
            home=service.home,
            service="relay",
            worker=service.worker,
            endpoints=(
                rpc.Endpoint("session-open", SessionOpen, self._open, (Right.LIVE, Right.PLAYBACK)),
                rpc.Endpoint("session-control", SessionControl, self._control, (Right.LIVE, Right.PLAYBACK)),
                rpc.Endpoint(TAKE_OVER, ConversionOpen, self._conversions.take_over, Role.VIEWER),
                rpc.Endpoint("session-close", SessionClose, self._close, ANYBODY),
            ),
        )
        background.append(service.tasks.create_task(self._own_lease.run(), name="lease"))
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLD)
        gc.callbacks.append(self._on_gc)
        self.serving.set()
        try:
            await service.stopping.wait()
            await self._drain()
        finally:
            gc.callbacks.remove(self._on_gc)
            await micro.stop()
            for session in self.sessions.values():
                session.closed.set()
            self._conversions.close()
            self._hub.close()
            while self.sessions:
                await asyncio.sleep(0.01)
            await self._outbox.flush(FLUSH_SECONDS)
            await end(background)
            self._pacer_timer.close()
            self.udp.close()

    async def _drain(self) -> None:
        """Tells the pages to connect elsewhere; returns when they have left, or after `DRAIN_SECONDS`."""
        self._draining = True
        await self._own_lease.renew()
        for session in self.sessions.values():
            session.drain()
        with suppress(TimeoutError):
            async with timeout(self._clock, DRAIN_SECONDS):
                while self.sessions:
                    self._session_ended.clear()
                    await self._session_ended.wait()
        await self._own_lease.release()

    def _lease(self) -> WorkerLease:
        streams = sum(slot.source is not None for session in self.sessions.values() for slot in session.slots)
        return WorkerLease(
            role="relay",
            worker=self._service.worker,
            incarnation=self._incarnation,
            capacity=STREAMS,
            load=streams,
            draining=self._draining,
            detail={
                "sessions": str(len(self.sessions)),
                "udp_port": str(self.udp.port),
                "cameras": sessions.carried(self._hub.carried()),
            },
        )

    async def _open(self, question: SessionOpen, actor: Actor) -> SessionOpened:
        if self._draining or len(self.sessions) >= self.settings.max_sessions:
            why = "is draining" if self._draining else f"has {len(self.sessions)} sessions, its most"
            raise UnavailableError(
                f"relay {self._service.worker} {why}; another one may take it", retry_after_seconds=2
            )
        if question.session in self.sessions:
            raise ConflictError(f"session {question.session} exists already")
        self._check_share(actor)
        session = open_session(question, actor, self._context)
        self.sessions[question.session] = session
        self._service.tasks.create_task(self._run(session), name=f"session {session.name}")
        if question.kind == "whep" and (refusal := await session.refusal()) is not None:
            session.closed.set()
            raise refusal
        return SessionOpened(
            session=session.name, relay=self._service.worker, answer=session.answer, slots=len(session.slots)
        )

    def _check_share(self, actor: Actor) -> None:
        """Raises `TooManyRequestsError` where the account or the address has as many sessions as it may."""
        viewers = [session.viewer for session in self.sessions.values()]
        account = sum(viewer.name == actor.name for viewer in viewers)
        address = sum(viewer.address == actor.address for viewer in viewers) if actor.address else 0
        if account >= self.settings.max_sessions_per_account:
            who, count, setting = f"{actor.name} has", account, "MAX_SESSIONS_PER_ACCOUNT"
        elif address >= self.settings.max_sessions_per_address:
            who, count, setting = f"viewers at {actor.address} have", address, "MAX_SESSIONS_PER_ADDRESS"
        else:
            return
        raise TooManyRequestsError(
            f"{who} {count} sessions on relay {self._service.worker}, and may have no more (PANTAU_WALL_{setting})"
        )

    async def _run(self, session: Session) -> None:
        try:
            await session.run()
        except Exception as error:  # a supervisor: one session's failure must not end the others
            log.exception("session.failed", session=session.name, error=error)
        finally:
            self.sessions.pop(session.name, None)
            self._session_ended.set()

    def other_relays(self) -> list[str]:
        """The relays that could take something over, by name."""
        own = self._service.worker
        return [lease.worker for lease in self._workers.alive("relay") if lease.worker != own and not lease.draining]

    def _session(self, name: str, actor: Actor) -> Session:
        """The actor's session of that name; raises `NotFoundError` for another's as for none."""
        session = self.sessions.get(name)
        if session is None or session.viewer.name != actor.name:
            raise NotFoundError(f"there is no session {name} on relay {self._service.worker}; open a new one")
        return session

    async def _control(self, question: SessionControl, actor: Actor) -> rpc.Nothing:
        session = self._session(question.session, actor)
        if question.attached:
            session.attached()
        if question.control is not None:
            session.control(question.control)
        return rpc.Nothing()

    async def _close(self, question: SessionClose, actor: Actor) -> rpc.Nothing:
        self._session(question.session, actor).closed.set()
        return rpc.Nothing()

    def _bus_id(self, camera: str) -> str:
        known = self._cameras.get(camera)
        return known.bus_id if known is not None else camera

    def _on_camera(self, key: str, _camera: Camera | None, _revision: int) -> None:
        for session in self.sessions.values():
            session.camera_changed(key)

    def _on_state(self, key: str, state: CameraState | None, _revision: int) -> None:
        self._conversions.note_codecs(key, [p.codec for p in state.profiles.values()] if state is not None else ())
        for session in self.sessions.values():
            session.state_changed(key, state)

    async def _sweep(self) -> None:
        while True:
            self._check_rights()
            self._hub.sweep()
            self._site_limits.look()
            self._sent_layouts.forget(self._clock.monotonic())
            _sessions.set(len(self.sessions))
            _streams.set(sum(slot.source is not None for s in self.sessions.values() for slot in s.slots))
            _feeds.set(len(self._hub))
            await sleep(self._clock, SWEEP_SECONDS)

    def _check_rights(self) -> None:
        """Tells the sessions where grants were given or taken away, or one has begun or ended by its time."""
        now_us = self._clock.now_us()
        due = self._rights_change_us is not None and now_us >= self._rights_change_us
        if due or self._rights.changes != self._rights_seen:
            self._rights_seen = self._rights.changes
            for session in self.sessions.values():
                session.rights_changed()
        self._rights_change_us = self._rights.next_change_us(now_us)

    async def _check_sign_ins(self) -> None:
        """Ends the sessions of those who are signed in no more."""
        while True:
            await sleep(self._clock, SIGN_IN_SECONDS)
            over = await self._sign_ins.over({session.viewer.session for session in self.sessions.values()})
            for session in self.sessions.values():
                if session.viewer.session in over:
                    log.info("session.signed_out", session=session.name, sign_in=session.viewer.session)
                    session.closed.set()

    def _on_gc(self, phase: str, _info: dict[str, int]) -> None:
        if phase == "start":
            self._gc_started = time.perf_counter()
        else:
            _gc_pause.observe(time.perf_counter() - self._gc_started)


async def run(service: Service, settings: RelaySettings) -> None:
    """The relay's coroutine, see `services.mesh.lifecycle`."""
    relay = await Relay.open(service, settings)
    await relay.serve()
