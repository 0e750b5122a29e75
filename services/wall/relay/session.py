"""A viewing session: one connection, its slots, and what they and the page tell each other."""

import asyncio
import random
import secrets
import time
from collections.abc import Callable
from typing import Final

from services.contracts import sessions
from services.contracts.models import Camera, CameraState, Reason
from services.contracts.sessions import (
    Aim,
    ClockControl,
    Control,
    DrainNotice,
    ErrorNotice,
    Lateness,
    LinkNotice,
    Listen,
    Notice,
    Seen,
    SessionOpen,
    Size,
    SlotNotice,
)
from services.mesh.bus import Bus
from services.mesh.log import get_logger
from services.mesh.metrics import counter
from services.wall.relay.connection import PacerWaker, ViewerConnection
from services.wall.relay.engine.dtls import Certificates, DtlsError, HandshakeLimiter
from services.wall.relay.engine.sdp import (
    HostCandidate,
    SentMedia,
    build_answer,
    choose_audio,
    choose_video,
    parse_offer,
)
from services.wall.relay.engine.udp import UdpPort
from services.wall.relay.sending.quality import QualityController
from services.wall.relay.sending.slot import Slot
from services.wall.relay.sending.track import RtpVideoTrack
from services.wall.relay.sources.feed import FeedHub
from services.wall.relay.sources.live import LiveSource
from services.wall.relay.sources.playback import SessionPlayback
from services.wall.relay.sources.sound import Listener, RtpSoundTrack

log = get_logger()

CONNECT_SECONDS: Final = 15.0
"""From the answer to the first authenticated check."""
TICK_SECONDS: Final = 1.0
REPORT_TICKS: Final = 2
LINK_TICKS: Final = 2
PACE_HEADROOM: Final = 1.5
"""Of the pacer's rate over what the slots' streams take together."""

_frames_sent = counter("relay_frames_sent", "Frames sent, summed over viewers; counted once a second")


class CameraLookup:
    """What a session asks about cameras."""

    def __init__(self, camera: Callable[[str], Camera | None], state: Callable[[str], CameraState | None]) -> None:
        self.camera = camera
        self.state = state


class Session:
    """Made of an offer by `open_session`; `run` keeps it until it ends."""

    def __init__(
        self,
        name: str,
        kind: str,
        bus: Bus,
        home: str,
        hub: FeedHub,
        catalogue: CameraLookup,
        recorders: Callable[[], int],
    ) -> None:
        self.name = name
        self.kind = kind
        self.slots: list[Slot] = []
        self.connection: ViewerConnection
        self.answer = ""
        self.path_found = asyncio.Event()
        self.closed = asyncio.Event()
        self.connected = False
        self.opened_at = time.monotonic()
        self._bus = bus
        self._subject = sessions.notices(home, name)
        self._hub = hub
        self._catalogue = catalogue
        self._playback = SessionPlayback(bus, home, recorders, hub.convert_footage, self.slots, self.notify)
        self._listener: Listener | None = None
        self._heard: int | None = None
        """The slot that is listened to."""
        self._notices: dict[object, Notice] = {}
        self._notices_waiting = asyncio.Event()
        self._quality = QualityController(self.opened_at)
        self._pace_bps = 0.0
        self._sent_before = 0
        self._frames_before = 0

    # What the page asks for.

    def control(self, message: Control) -> None:
        """Does what a control message says; refusals go out as notices."""
        slot = self.slots[message.slot] if isinstance(message, Aim | Size) and message.slot < len(self.slots) else None
        if isinstance(message, Aim | Size):
            if slot is None:
                self._say_no_slot(message.slot)
            elif isinstance(message, Size):
                slot.set_size(message)
            elif message != slot.aim or slot.source is None:
                self._aim(slot, message)
        elif isinstance(message, ClockControl):
            self._playback.control(message)
        elif isinstance(message, Seen):
            for frame in message.frames:
                if frame.slot < len(self.slots):
                    self.slots[frame.slot].track.seen(frame.rtp)
        elif isinstance(message, Lateness):
            self._playback.page_is_late(message.late_ms / 1000)
        else:
            self._listen(message)

    def _say_no_slot(self, slot: int) -> None:
        text = f"there are slots 0 to {len(self.slots) - 1}, but no slot {slot}"
        self.notify(ErrorNotice(code="no-such-slot", message=text))

    def _listen(self, message: Listen) -> None:
        if self._listener is None:
            self.notify(ErrorNotice(code="not-supported", message="the offer has no audio section to be sent sound in"))
        elif message.slot is not None and message.slot >= len(self.slots):
            self._say_no_slot(message.slot)
        else:
            self._heard = message.slot
            self._hear()

    def _hear(self) -> None:
        """The camera that the heard slot shows; recordings play without sound."""
        aim = self.slots[self._heard].aim if self._heard is not None else None
        live = aim.camera if aim is not None and aim.source == "live" else None
        if self._listener is not None:
            self._listener.listen(self._catalogue.camera(live) if live is not None else None)

    def _aim(self, slot: Slot, aim: Aim) -> None:
        self._point(slot, aim)
        if slot.index == self._heard:
            self._hear()

    def _point(self, slot: Slot, aim: Aim) -> None:
        if aim.camera is None:
            slot.set_source(aim, None)
            return
        camera = self._catalogue.camera(aim.camera)
        if camera is None:
            slot.set_source(aim, None)
            slot.aim = aim
            notice = SlotNotice(slot=slot.index, camera=aim.camera, source=aim.source, state="waiting")
            slot.set_notice(notice.model_copy(update={"reason": Reason.NOT_FOUND}))
            return
        if aim.source == "recorded":
            slot.set_source(aim, self._playback.make_source(slot, aim, camera))
            return
        slot.set_source(aim, LiveSource(slot, aim, self._hub, camera, self._catalogue.state(aim.camera)))

    def attached(self) -> None:
        """A page's control socket is new: tell it how every slot stands."""
        for slot in self.slots:
            slot.repeat_notice()

    def camera_changed(self, camera: str) -> None:
        """The catalogue's entry of a camera changed: its slots begin anew."""
        for slot in self.slots:
            if slot.aim.camera == camera:
                self._aim(slot, slot.aim)

    def state_changed(self, camera: str, state: CameraState | None) -> None:
        """What is observed of a camera changed."""
        for slot in self.slots:
            if slot.aim.camera == camera and isinstance(slot.source, LiveSource):
                slot.source.set_state(state)

    # What the page is told.

    def notify(self, notice: Notice) -> None:
        """Puts a notice on its way; an older one on the same thing that has not left is replaced by it."""
        key: object = (notice.type, getattr(notice, "slot", None))
        if isinstance(notice, ErrorNotice):
            key = (notice.type, notice.message)
        self._notices.pop(key, None)
        self._notices[key] = notice
        self._notices_waiting.set()

    async def _deliver(self) -> None:
        while True:
            await self._notices_waiting.wait()
            self._notices_waiting.clear()
            while self._notices:
                notice = self._notices.pop(next(iter(self._notices)))
                await self._bus.publish(self._subject, notice.pack())

    # Its life.

    async def run(self) -> None:
        """Until the viewer leaves, is silent for too long, or `closed` is set. Frees all that it held."""
        reason = "closed"
        deliver = asyncio.create_task(self._deliver(), name=f"notices {self.name}")
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._first_of(self.path_found, self.closed)
            if not self.closed.is_set():
                await self.connection.connect()
                self.connected = True
                log.info(
                    "session.connected", session=self.name, kind=self.kind, slots=len(self.slots),
                    seconds=round(time.monotonic() - self.opened_at, 3),
                )  # fmt: skip
                for slot in self.slots:
                    slot.set_connected()
                reason = await self._watch()
        except TimeoutError:
            reason = "no check came"
        except DtlsError as error:
            reason = error.message
        finally:
            deliver.cancel()
            self._playback.close()
            if self._listener is not None:
                self._listener.close()
            self.connected = False
            for slot in self.slots:
                slot.connected = False
                if slot.source is not None:
                    slot.source.close()
            await self.connection.close()
            log.info("session.ended", session=self.name, reason=reason)

    async def _watch(self) -> str:
        tick = random.randrange(REPORT_TICKS)
        connection = self.connection
        while True:
            try:
                async with asyncio.timeout(TICK_SECONDS):
                    await self._first_of(self.closed, connection.dtls.closed)
                return "closed" if self.closed.is_set() else "the viewer left"
            except TimeoutError:
                pass
            now = time.monotonic()
            if connection.agent.consent_expired(now):
                return "the viewer is silent"
            tick += 1
            if tick % REPORT_TICKS == 0:
                connection.send_reports()
            self._adapt(now, tick)
            self._playback.tick()

    async def _first_of(self, *events: asyncio.Event) -> None:
        waits = [asyncio.ensure_future(event.wait()) for event in events]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def _adapt(self, now: float, tick: int) -> None:
        """Once a second: what the link bears, and the pace."""
        connection = self.connection
        stats = connection.stats
        sent_bps = 8 * (connection.sent_bytes - self._sent_before) / TICK_SECONDS
        self._sent_before = connection.sent_bytes
        frames = sum(track.frames for track in connection.tracks.values())
        _frames_sent.inc(frames - self._frames_before)
        self._frames_before = frames
        loss = stats.take_loss()
        if self._quality.update(now, loss=loss, estimate_bps=stats.estimate_bps, sent_bps=sent_bps):
            log.info("session.level", session=self.name, level=self._quality.level.name.lower(), loss=loss)
            for slot in self.slots:
                slot.set_level(self._quality.level)
        streams = sum(slot.source.bitrate_bps for slot in self.slots if slot.source is not None)
        connection.pacer.rate_bytes = max(self._pace_bps, PACE_HEADROOM * streams) / 8
        if tick % LINK_TICKS == 0 and loss is not None:
            self.notify(LinkNotice(loss=loss, rtt_ms=stats.rtt_ms, estimate_bps=stats.estimate_bps))

    def drain(self) -> None:
        """Tells the page to connect anew."""
        self.notify(DrainNotice())


def open_session(
    question: SessionOpen,
    *,
    bus: Bus,
    home: str,
    hub: FeedHub,
    catalogue: CameraLookup,
    recorders: Callable[[], int],
    udp: UdpPort,
    pacer_timer: PacerWaker,
    certificates: Certificates,
    handshake_limiter: HandshakeLimiter,
    candidates: tuple[HostCandidate, ...],
    pace_bps: float,
) -> Session:
    """The session for an offer, with its answer; `Session.run` it. Raises `BadOfferError`."""
    offer = parse_offer(question.offer)
    session = Session(question.session, question.kind, bus, home, hub, catalogue, recorders)
    session._pace_bps = pace_bps
    by_track: dict[int, Slot] = {}

    def on_keyframe_request(track: RtpVideoTrack) -> None:
        by_track[track.ssrc].on_keyframe_request()

    connection = ViewerConnection(
        offer, udp, pacer_timer, certificates, handshake_limiter, pace_bps, session.path_found.set, on_keyframe_request
    )
    session.connection = connection
    accepted: dict[str, SentMedia] = {}
    for section in offer.sections:
        bundled = section.mid in offer.bundle or (not offer.bundle and not accepted)
        if not section.receives or not bundled:
            continue
        if section.kind == "audio" and connection.sound is None and (sound := choose_audio(section)):
            ssrc = secrets.randbelow(0xFFFFFFFE) + 1
            connection.sound = RtpSoundTrack(connection, sound, ssrc)
            session._listener = Listener(connection.sound, hub)
            # Together with the picture for a player that has one. A wall's pictures do not wait for the sound.
            stream = "pantau" if question.kind == "whep" else "sound"
            accepted[section.mid] = SentMedia(sound, ssrc, None, {}, stream, "audio")
        if section.kind != "video" or len(session.slots) >= sessions.MAX_SLOTS:
            continue
        choice = choose_video(section)
        if not choice.formats:
            continue
        index = len(session.slots)
        ssrc = secrets.randbelow(0xFFFFFFFE) + 1
        rtx_ssrc = secrets.randbelow(0xFFFFFFFE) + 1 if choice.rtx else None
        slot: Slot | None = None

        def caught_up(index: int = index) -> None:
            session.slots[index].on_caught_up()

        track = RtpVideoTrack(connection, index, choice, section.extensions, ssrc, rtx_ssrc, caught_up)
        connection.tracks[ssrc] = track
        slot = Slot(index, track, session.notify)
        by_track[ssrc] = slot
        session.slots.append(slot)
        stream = "pantau" if question.kind == "whep" else f"slot-{index}"
        accepted[section.mid] = SentMedia(choice.formats, ssrc, rtx_ssrc, section.extensions, stream, f"video-{index}")
    session.answer = build_answer(
        offer, accepted, connection.local(candidates), secrets.randbelow(1 << 62), connection.cname
    )
    for size in question.sizes:
        session.control(size)
    for aim in question.aims:
        session.control(aim)
    if question.kind == "whep" and session._listener is not None and session.slots:
        session.control(Listen(slot=0))
    return session
