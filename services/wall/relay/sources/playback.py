"""What a session plays from the recordings: its one clock, and the slots that follow it."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from services.contracts.frames import AccessUnit
from services.contracts.models import Camera, Id, PrivacyMasks
from services.contracts.playback import PlaybackMode
from services.contracts.sessions import ClockControl, ClockNotice, ErrorNotice, Notice
from services.footage.owners import Owner
from services.footage.playback import FootagePlayer
from services.mesh.bus import Bus
from services.mesh.clock import Clock, ClockTimer
from services.mesh.log import get_logger
from services.wall.relay.convert.footage import FootageConverter, PlaybackTranscoder
from services.wall.relay.sending.frame import can_send
from services.wall.relay.sending.slot import Slot
from services.wall.relay.sources.clock import SessionClock
from services.wall.relay.sources.decode_limiter import DecodeLimiter
from services.wall.relay.sources.recorded import RecordedSource

log = get_logger()

EDGE_US: Final = 4_000_000
"""Footage this far behind the present can be read: fragments of 2 s are written by then."""


@dataclass(frozen=True)
class PlaybackContext:
    """What the playback of all sessions shares."""

    bus: Bus
    home: str
    recorders: Callable[[], int]
    """How many are alive."""
    owner: Callable[[Id], Owner | None]
    """Of a joined site's camera."""
    open_converter: Callable[[PrivacyMasks], FootageConverter]
    """See `Conversions.open_footage`."""
    clock: Clock


class SessionPlayback:
    """The recorded side of a session."""

    def __init__(self, context: PlaybackContext, slots: Sequence[Slot], notify: Callable[[Notice], None]) -> None:
        self._context = context
        self._slots = slots
        self._notify = notify
        self._now = context.clock.monotonic
        self._clock = SessionClock(context.clock.now_us(), since=self._now())
        self._number = 0
        """Of the last numbered command."""
        self._stepping: asyncio.Task[None] | None = None
        self._meeting: ClockTimer | None = None
        """When a clock that goes faster than time will have come to the newest footage."""
        self._limiter = DecodeLimiter(self._now())

    @property
    def at_us(self) -> int:
        """Where the clock stands."""
        return self._clock.at(self._now())

    def make_source(self, slot: Slot, camera: Camera, masks: PrivacyMasks) -> RecordedSource:
        """What a slot shows that is aimed at a camera's recordings, with ``masks`` drawn in them."""
        self.notify_clock()
        transcoder = PlaybackTranscoder(
            lambda codec: can_send(codec) and slot.accepts(codec),
            lambda: self._context.open_converter(masks),
            masked=bool(masks),
        )
        return RecordedSource(slot, camera, self._player(camera.id), transcoder, self._clock, self._context.clock)

    def _player(self, camera: str) -> FootagePlayer:
        context = self._context
        return FootagePlayer(
            context.bus,
            context.home,
            camera,
            recorders=context.recorders,
            clock=context.clock,
            owner=lambda: context.owner(camera),
        )

    def _sources(self) -> list[RecordedSource]:
        return [slot.source for slot in self._slots if isinstance(slot.source, RecordedSource)]

    def control(self, message: ClockControl) -> None:
        """Steers the clock; refusals go out as notices."""
        if message.number:
            if message.number <= self._number:
                self.notify_clock()  # the page may have missed the answer, and says it again
                return
            self._number = message.number
        now = self._now()
        clock = self._clock
        mode = clock.mode
        self._stop_stepping()
        if message.action == "seek" and message.at_us is None:
            self._notify(ErrorNotice(code="invalid-input", message="a seek says where to: give at_us, Unix µs"))
            return
        if message.at_us is not None and message.action in ("seek", "play"):
            clock.seek(now, min(message.at_us, self._edge_us()))
        clock.thinned = self._limiter.steer(now, message.rate if message.action == "play" else None)
        if message.action == "play" and message.rate:
            clock.play(now, message.rate)
        elif message.action != "seek":
            clock.pause(now)
        if message.action == "step":
            clock.rate = 1.0
            self._stepping = asyncio.create_task(self._step(message.step), name="step")
        elif message.at_us is not None or clock.mode != mode:
            self._jump(nearest_first=message.at_us is not None)
        else:
            self._turn()
        self._await_the_present()
        self.notify_clock()

    def page_is_late(self, seconds: float) -> None:
        """The page says once a second how late its pictures are."""
        self._limiter.note_lateness(self._now(), seconds)

    def notify_clock(self) -> None:
        """Tells the page how the clock stands."""
        clock = self._clock
        at_us = clock.at(self._now())
        self._notify(ClockNotice(at_us=at_us, rate=clock.rate, playing=clock.playing, number=self._number))

    def repeat_clock(self) -> None:
        """The page's control socket is new: tells it how the clock stands, where a slot follows that."""
        if self._sources():
            self.notify_clock()

    def tick(self) -> None:
        """Call it once a second: keeps the pace, and tells the page the time."""
        sources = self._sources()
        if self._clock.playing and sources:
            self._await_the_present()
            self._keep_pace(
                max(source.late_seconds for source in sources), min(source.keyframe_seconds for source in sources)
            )
            self.notify_clock()

    def _keep_pace(self, sent_late_seconds: float, keyframe_seconds: float) -> None:
        """Steps down to keyframes, and back, by how late pictures are sent and shown."""
        clock = self._clock
        if clock.rate < 0 or not self._limiter.update(self._now(), sent_late_seconds, keyframe_seconds):
            return
        mode = clock.mode
        clock.thinned = self._limiter.keyframes_only
        log.info("playback.pace", rate=clock.rate, keyframes_only=clock.thinned)
        if clock.mode != mode:
            self._jump(nearest_first=False)

    def _edge_us(self) -> int:
        """About the time of the newest footage, Unix µs."""
        return self._context.clock.now_us() - EDGE_US

    def _await_the_present(self) -> None:
        """A clock that catches up with the recorders goes on at the cameras' pace, a little behind them."""
        if self._meeting is not None:
            self._meeting.cancel()
            self._meeting = None
        clock = self._clock
        if clock.playing and clock.rate > 1:
            ahead_us = self._edge_us() - clock.at(self._now())
            delay = max(0.0, ahead_us / 1e6 / (clock.rate - 1))
            self._meeting = self._context.clock.call_later(delay, self._meet_the_present)

    def _meet_the_present(self) -> None:
        now, clock = self._now(), self._clock
        mode = clock.mode
        clock.seek(now, self._edge_us())
        clock.play(now, 1.0)
        if clock.mode != mode:
            self._jump(nearest_first=False)
        else:
            self._turn()
        self.notify_clock()

    def close(self) -> None:
        """Stops stepping, and the wait for the present."""
        self._stop_stepping()
        if self._meeting is not None:
            self._meeting.cancel()

    def _stop_stepping(self) -> None:
        if self._stepping is not None:
            self._stepping.cancel()
            self._stepping = None

    def _turn(self) -> None:
        for source in self._sources():
            source.clock_turned()

    def _jump(self, *, nearest_first: bool) -> None:
        for source in self._sources():
            source.restart_reading(nearest_first=nearest_first)

    async def _step(self, step: str) -> None:
        """The first recorded slot that shows something says how far a step goes; all others go with it.

        Where all stand in gaps, the clock's own moment is where the step begins.
        """
        sources = self._sources()
        if not sources:
            return
        reference = next((source for source in sources if source.shown_us is not None), sources[0])
        now = self._now()
        if step == "frame" and (next_us := reference.next_us) is not None:
            self._clock.seek(now, next_us)
            for source in sources:
                source.read_on()
            self.notify_clock()
            return
        shown_us = reference.shown_us if reference.shown_us is not None else self._clock.at(now)
        target = await self._target(reference, shown_us, step)
        if target is not None:
            self._clock.seek(self._now(), target)
            self._jump(nearest_first=False)
            self.notify_clock()

    async def _target(self, reference: RecordedSource, shown_us: int, step: str) -> int | None:
        player = self._player(reference.camera)
        if step == "frame":
            return await _first(player, shown_us, "frames", lambda unit: unit.capture_us > shown_us)
        if step == "-frame":
            return shown_us - 1
        if step == "keyframe":
            return await _first(player, shown_us, "keyframes", lambda unit: unit.capture_us > shown_us)
        return await _first(player, shown_us, "backwards", lambda unit: unit.capture_us < shown_us)


async def _first(
    player: FootagePlayer, at_us: int, mode: PlaybackMode, wanted: Callable[[AccessUnit], bool]
) -> int | None:
    """Capture time of the first frame that is ``wanted``."""
    async with aclosing(player.read(at_us, mode)) as items:
        async for item in items:
            if isinstance(item, AccessUnit):
                if wanted(item):
                    return item.capture_us
            elif item.to_us is None:
                return None
    return None
