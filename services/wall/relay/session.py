"""A viewing session: one connection, its slots, and what they and the page tell each other."""

import asyncio
import random
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from services.contracts import sessions
from services.contracts.errors import BadOfferError, PantauError, UnavailableError
from services.contracts.events import Audit
from services.contracts.models import Camera, CameraState, ProfileName, Reason
from services.contracts.permissions import Actor, Right
from services.contracts.rights import RightsBook, is_masked, masks_for
from services.contracts.sessions import (
    AIM_RIGHTS,
    MESSAGE_RIGHTS,
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
from services.mesh.clock import Clock, timeout
from services.mesh.log import get_logger
from services.mesh.metrics import counter
from services.wall.relay.connection import ViewerConnection, ViewerPort
from services.wall.relay.engine.dtls import DtlsError
from services.wall.relay.engine.negotiate import negotiate
from services.wall.relay.engine.sdp import SentMedia, build_answer, parse_offer
from services.wall.relay.sending.quality import QualityController
from services.wall.relay.sending.slot import Slot, SlotSource
from services.wall.relay.sending.sound import RtpSoundTrack
from services.wall.relay.sending.track import RtpVideoTrack
from services.wall.relay.sources.conversion import CameraFeeds
from services.wall.relay.sources.live import LiveSource
from services.wall.relay.sources.playback import PlaybackContext, SessionPlayback
from services.wall.relay.sources.sound import Listener
from services.wall.relay.viewing import SessionViews

log = get_logger()

CONNECT_SECONDS: Final = 15.0
"""From the answer to the first authenticated check."""
SETTLE_SECONDS: Final = 1.0
"""Ingest and other relays are given so long to say whether there will be a picture, before a WHEP offer is answered."""
RETRY_SECONDS: Final = 5
TICK_SECONDS: Final = 1.0
TICK_GRID_SECONDS: Final = 0.125
"""Sessions tick at multiples of it, so that several share a wake-up."""
REPORT_TICKS: Final = 2
LINK_TICKS: Final = 2
PACE_HEADROOM: Final = 1.5
"""The pacer's rate is at least this many times what the slots' streams take together."""

_frames_sent = counter("relay_frames_sent", "Frames sent, summed over viewers; counted once a second")


class CameraLookup:
    """What is known of cameras: the catalogue's entry, and what the registry observes."""

    def __init__(self, camera: Callable[[str], Camera | None], state: Callable[[str], CameraState | None]) -> None:
        self.camera = camera
        self.state = state


@dataclass(frozen=True)
class RelayContext:
    """What all sessions of this relay share."""

    bus: Bus
    home: str
    cameras: CameraLookup
    rights: RightsBook
    feeds: CameraFeeds
    playback: PlaybackContext
    port: ViewerPort
    clock: Clock
    post: Callable[[Audit], None]
    """Where audit events go."""


class PageNotices:
    """Notices on their way to a session's page. `deliver` sends them."""

    def __init__(self, bus: Bus, subject: str, *, heard: bool) -> None:
        self.heard = heard
        """Whether there is a page; else notices are dropped."""
        self._bus = bus
        self._subject = subject
        self._waiting: dict[object, Notice] = {}
        self._filled = asyncio.Event()

    def add(self, notice: Notice) -> None:
        """Puts a notice on its way. It replaces an older one on the same thing that has not left."""
        if not self.heard:
            return
        key: object = (notice.type, getattr(notice, "slot", None))
        if isinstance(notice, ErrorNotice):
            key = (notice.type, notice.message)
        self._waiting.pop(key, None)
        self._waiting[key] = notice
        self._filled.set()

    async def deliver(self) -> None:
        """Sends notices until cancelled."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            while self._waiting:
                notice = self._waiting.pop(next(iter(self._waiting)))
                await self._bus.publish(self._subject, notice.pack())


@dataclass(frozen=True)
class Negotiated:
    """What came of an offer."""

    connection: ViewerConnection
    slots: Sequence[Slot]
    sound: RtpSoundTrack | None
    answer: str


class Session:
    """Made of an offer by `open_session`; `run` keeps it until it ends."""

    def __init__(
        self, question: SessionOpen, viewer: Actor, negotiated: Negotiated, notices: PageNotices, relay: RelayContext
    ) -> None:
        self.name = question.session
        self.kind = question.kind
        self.viewer = viewer
        """Whose account alone may steer it."""
        self.answer = negotiated.answer
        self.connection = negotiated.connection
        self.slots = negotiated.slots
        self.closed = asyncio.Event()
        """Set it to end the session."""
        self._draining = False
        self._relay = relay
        self._notices = notices
        self._clock = relay.clock
        self._views = SessionViews(viewer, self.kind, relay.post, relay.clock)
        self._opened_at = self._ticked_at = relay.clock.monotonic()
        self._playback = SessionPlayback(relay.playback, self.slots, notices.add)
        self.sound = negotiated.sound
        self._listener = Listener(self.sound, relay.feeds, relay.clock) if self.sound is not None else None
        self._heard: int | None = None
        """The slot that is listened to."""
        self._quality = QualityController(self._opened_at)
        self._sent_before = 0
        self._frames_before = 0

    # What the page asks for.

    def control(self, message: Control) -> None:
        """Does what a control message says; refusals go out as notices."""
        slot = self.slots[message.slot] if isinstance(message, Aim | Size) and message.slot < len(self.slots) else None
        if isinstance(message, Aim | Size):
            if slot is None:
                self._refuse_slot(message.slot)
            elif isinstance(message, Size):
                slot.set_size(message)
            elif message != slot.aim or slot.source is None:
                self._aim(slot, message)
        elif isinstance(message, ClockControl):
            self._views.at(self._playback.at_us)
            self._playback.control(message)
            self._views.at(self._playback.at_us)
        elif isinstance(message, Seen):
            for frame in message.frames:
                if frame.slot < len(self.slots):
                    self.slots[frame.slot].catch_up.seen(frame.rtp)
        elif isinstance(message, Lateness):
            self._playback.page_is_late(message.late_ms / 1000)
        else:
            self._listen(message)

    def _refuse_slot(self, slot: int) -> None:
        text = f"there are slots 0 to {len(self.slots) - 1}, but no slot {slot}"
        self._notices.add(ErrorNotice(code="no-such-slot", message=text))

    def _listen(self, message: Listen) -> None:
        if self._listener is None:
            text = "the offer has no audio section to be sent sound in"
            self._notices.add(ErrorNotice(code="not-supported", message=text))
        elif message.slot is not None and message.slot >= len(self.slots):
            self._refuse_slot(message.slot)
        else:
            self._heard = message.slot
            self._hear()

    def _hear(self) -> None:
        """Sends the sound of the camera that the heard slot shows; recordings play without sound."""
        aim = self.slots[self._heard].aim if self._heard is not None else None
        live = aim.camera if aim is not None and aim.source == "live" else None
        if self._listener is not None:
            self._listener.listen(self._granted(MESSAGE_RIGHTS["listen"], live) if live is not None else None)

    def _aim(self, slot: Slot, aim: Aim) -> None:
        camera = self._aimed_at(aim)
        self._views.aim(slot.index, camera, aim.source)
        slot.set_source(aim, self._source(slot, aim, camera) if camera is not None else None)
        if aim.camera is not None and camera is None:
            slot.set_notice(
                SlotNotice(
                    slot=slot.index, camera=aim.camera, source=aim.source, state="waiting", reason=Reason.NOT_FOUND
                )
            )
        if slot.index == self._heard:
            self._hear()

    def _aimed_at(self, aim: Aim) -> Camera | None:
        if aim.camera is None:
            return None
        return self._granted(AIM_RIGHTS[aim.source], aim.camera)

    def _granted(self, right: Right, camera_id: str) -> Camera | None:
        """The camera; None where there is none, or the viewer has not the right to it: then it is not there either."""
        camera = self._relay.cameras.camera(camera_id)
        if camera is None or not self._relay.rights.may(self.viewer, right, camera, self._clock.now_us()):
            return None
        return camera

    def rights_changed(self) -> None:
        """Grants came or went: slots whose camera the viewer may no longer see are emptied, others are filled again. A
        player that has nothing else to show ends."""
        for slot in self.slots:
            if slot.aim.camera is None or (self._aimed_at(slot.aim) is None) is (slot.source is None):
                continue
            self._aim(slot, slot.aim)
            if self.kind == "whep" and slot.source is None:
                self.closed.set()

    def _source(self, slot: Slot, aim: Aim, camera: Camera) -> SlotSource:
        if aim.source == "recorded":
            return self._playback.make_source(slot, camera, masks_for(camera, self.viewer))
        relay = self._relay
        # A WHEP player never says how large its picture is: it is sent the best that its link bears.
        sizeless: ProfileName = "main" if self.kind == "whep" else "sub"
        state = relay.cameras.state(camera.id)
        masked = is_masked(camera, self.viewer)
        return LiveSource(slot, aim, camera, state, relay.feeds, self._clock, sizeless, masked=masked)

    async def refusal(self) -> PantauError | None:
        """Why the first slot is sent nothing, where that is known or found out soon and will not pass by itself."""
        slot = self.slots[0]
        if isinstance(slot.source, LiveSource):
            with suppress(TimeoutError):
                async with timeout(self._clock, SETTLE_SECONDS):
                    await slot.source.settled()
        notice = slot.notice
        if notice.state != "waiting":
            return None
        if notice.reason is Reason.UNSUPPORTED_CODEC:
            return BadOfferError(notice.detail)
        if notice.reason in (Reason.OVERLOADED, Reason.BAD_STREAM):
            return UnavailableError(notice.detail, retry_after_seconds=RETRY_SECONDS)
        return None

    def attached(self) -> None:
        """A page's control socket is new: tells it all that it may have missed."""
        self._notices.heard = True
        for slot in self.slots:
            slot.begin_marks()
            slot.repeat_notice()
        self._playback.repeat_clock()
        if self._draining:
            self.drain()

    def camera_changed(self, camera: str) -> None:
        """The catalogue's entry of a camera changed: its slots begin anew."""
        for slot in self.slots:
            if slot.aim.camera == camera:
                self._aim(slot, slot.aim)

    def state_changed(self, camera: str, state: CameraState | None) -> None:
        """The observed state of a camera changed."""
        for slot in self.slots:
            if slot.aim.camera == camera and isinstance(slot.source, LiveSource):
                slot.source.set_state(state)

    # Its life.

    async def run(self) -> None:
        """Until the viewer leaves, is silent for too long, or `closed` is set. Frees all that it held."""
        reason = "closed"
        deliver = asyncio.create_task(self._notices.deliver(), name=f"notices {self.name}")
        try:
            async with timeout(self._clock, CONNECT_SECONDS):
                await self._first_of(self.connection.path_found, self.closed)
            if not self.closed.is_set():
                await self.connection.connect()
                log.info(
                    "session.connected", session=self.name, kind=self.kind, slots=len(self.slots),
                    seconds=round(self._clock.monotonic() - self._opened_at, 3),
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
            self._views.at(self._playback.at_us)
            self._views.close()
            self._playback.close()
            if self._listener is not None:
                self._listener.close()
            for slot in self.slots:
                slot.close()
            await self.connection.close()
            log.info("session.ended", session=self.name, reason=reason)

    async def _watch(self) -> str:
        tick = random.randrange(REPORT_TICKS)
        connection = self.connection
        turn = asyncio.Event()
        ends = [asyncio.create_task(event.wait()) for event in (self.closed, connection.dtls.closed)]
        for end in ends:
            end.add_done_callback(lambda _: turn.set())
        try:
            while True:
                timer = self._clock.call_later(_to_next_tick(self._clock.monotonic()), turn.set)
                try:
                    await turn.wait()
                finally:
                    timer.cancel()
                turn.clear()
                if self.closed.is_set() or connection.dtls.closed.is_set():
                    return "closed" if self.closed.is_set() else "the viewer left"
                now = self._clock.monotonic()
                if connection.agent.consent_expired(now):
                    return "the viewer is silent"
                tick += 1
                if tick % REPORT_TICKS == 0:
                    connection.send_reports()
                self._adapt(now, tick)
                self._playback.tick()
                self._views.at(self._playback.at_us)
                self._views.tick()
        finally:
            for end in ends:
                end.cancel()

    async def _first_of(self, *events: asyncio.Event) -> None:
        waits = [asyncio.ensure_future(event.wait()) for event in events]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def _adapt(self, now: float, tick: int) -> None:
        """Once a second: sets the level that the link bears, and the pace."""
        connection = self.connection
        stats = connection.stats
        sent_bps = 8 * (connection.sent_bytes - self._sent_before) / (now - self._ticked_at)
        self._sent_before, self._ticked_at = connection.sent_bytes, now
        frames = sum(slot.track.frames for slot in self.slots)
        _frames_sent.inc(frames - self._frames_before)
        self._frames_before = frames
        loss = stats.take_loss()
        if self._quality.update(now, loss=loss, estimate_bps=stats.estimate_bps, sent_bps=sent_bps):
            log.info("session.level", session=self.name, level=self._quality.level.name.lower(), loss=loss)
            for slot in self.slots:
                slot.set_level(self._quality.level)
        streams_bps = sum(slot.source.bitrate_bps for slot in self.slots if slot.source is not None)
        live_bps = PACE_HEADROOM * streams_bps
        connection.set_pace(max(self._relay.port.pace_bps, live_bps), live_bps)
        if tick % LINK_TICKS == 0 and loss is not None:
            self._notices.add(LinkNotice(loss=loss, rtt_ms=stats.rtt_ms, estimate_bps=stats.estimate_bps))

    def drain(self) -> None:
        """Tells the page to connect anew, and each control socket that it opens from now on."""
        self._draining = True
        self._notices.add(DrainNotice())


def open_session(question: SessionOpen, viewer: Actor, relay: RelayContext) -> Session:
    """The session for an offer, with its answer; `Session.run` it. Raises `BadOfferError`."""
    # A WHEP player has no page, unless somebody opens a control socket for its session.
    heard = question.kind == "wall"
    notices = PageNotices(relay.bus, sessions.notices(relay.home, question.session), heard=heard)
    negotiated = _negotiate(question, relay, notices.add)
    session = Session(question, viewer, negotiated, notices, relay)
    for size in question.sizes:
        session.control(size)
    for aim in question.aims:
        session.control(aim)
    if question.kind == "whep" and negotiated.sound is not None and session.slots:
        session.control(Listen(slot=0))
    return session


def _negotiate(question: SessionOpen, relay: RelayContext, notify: Callable[[Notice], None]) -> Negotiated:
    """A connection for an offer, with a slot for each video section that can be sent in, and the answer."""
    offer, port = parse_offer(question.offer), relay.port
    # A player is sent one camera: a second video section, or a sound section in which that camera's sound cannot be
    # sent, would be answered and stay empty.
    if question.kind == "whep":
        agreed = negotiate(offer, 1, _sound_codec(question, relay.cameras))
    else:
        agreed = negotiate(offer, sessions.MAX_SLOTS)
    connection = ViewerConnection(agreed.transport, port)
    slots: list[Slot] = []
    sound: RtpSoundTrack | None = None
    # WHEP: one msid, so that the player keeps lips and sound together. Wall: separate ones; no picture waits for sound.
    together = question.kind == "whep"
    accepted: dict[int, SentMedia] = {}
    if agreed.sound is not None:
        place, formats = agreed.sound
        sound = RtpSoundTrack(connection, formats, _random_ssrc())
        connection.add_sound(sound)
        accepted[place] = SentMedia(formats, sound.ssrc, None, {}, "pantau" if together else "sound", "audio")
    for index, (place, choice) in enumerate(agreed.videos.items()):
        extensions = offer.sections[place].extensions
        ssrc, rtx_ssrc = _random_ssrc(), _random_ssrc() if choice.rtx else None
        track = RtpVideoTrack(connection, index, choice, extensions, ssrc, rtx_ssrc)
        slot = Slot(index, track, notify, port.clock, marks=question.kind == "wall")
        connection.add_slot(slot)
        slots.append(slot)
        stream = "pantau" if together else f"slot-{index}"
        accepted[place] = SentMedia(choice.formats, ssrc, rtx_ssrc, extensions, stream, f"video-{index}")
    session_id = secrets.randbelow(1 << 62)
    answer = build_answer(offer, agreed.bundle, accepted, connection.local(), session_id, connection.cname)
    return Negotiated(connection, slots, sound, answer)


def _sound_codec(question: SessionOpen, cameras: CameraLookup) -> str:
    """FFmpeg's name of the codec of a player's camera's sound; empty where that is not known."""
    camera = question.aims[0].camera if question.aims else None
    state = cameras.state(camera) if camera is not None else None
    report = state.profiles.get("audio") if state is not None else None
    return report.codec if report is not None else ""


def _to_next_tick(now: float) -> float:
    """Seconds until a session that ticks ``now`` ticks again. Timers may be early or late."""
    return TICK_SECONDS + TICK_GRID_SECONDS * round(now / TICK_GRID_SECONDS) - now


def _random_ssrc() -> int:
    return secrets.randbelow(0xFFFFFFFE) + 1
