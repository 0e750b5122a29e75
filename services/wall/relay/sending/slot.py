"""A slot: one video m-line, negotiated once and re-aimed at will. It shows what its source gives it.

A source is live or recorded (`services.wall.relay.sources`). The slot turns what the source gives into packets and
notices; `services.wall.relay.sending.catch_up` says what may be sent when.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Protocol

from services.contracts.frames import CaptureClockSource, Codec
from services.contracts.models import Reason
from services.contracts.sessions import Aim, FrameMark, Notice, Size, SlotNotice
from services.mesh.clock import Clock
from services.wall.relay.sending.frame import Frame
from services.wall.relay.sending.quality import QualityLevel
from services.wall.relay.sending.track import RtpVideoTrack

REPEAT_SECONDS: Final = (0.1, 0.3)
"""After a pause no packet reveals that the last one was lost. It is sent again after these times, so that the browser
does not wait 3 s before it asks for a keyframe."""
MARK_SECONDS: Final = 1.0
DAMAGED_SECONDS: Final = 5.0
"""A tile says so long after the last damaged picture that pictures are damaged: with a loss a second it says it
throughout."""
FLOWING: Final = frozenset(("live", "catching-up", "playing", "paused"))
"""States in which pictures come."""


class SlotSource(Protocol):
    """What a slot shows. It calls the slot's `replay_gop`, `show_frame` and `set_notice` from `start` until `close`."""

    def start(self) -> None:
        """Begins. The viewer may not be connected yet; then `resync` is called when it is."""

    def resync(self) -> bool:
        """Replays what there is, for a decoder that needs a keyframe. False where there is nothing."""

    def adapt(self, size: Size | None, level: QualityLevel) -> None:
        """The tile's size or the link's level changed."""

    def notice(self) -> SlotNotice:
        """The notice for a slot that shows this."""

    @property
    def bitrate_bps(self) -> float:
        """About how much it gives; 0 while that is not known."""

    def close(self) -> None:
        """Gives nothing more."""


class SteadyGroup(Protocol):
    """The viewers of a feed that C sends its frames to (`services.wall.relay.sending.steady`)."""

    def leave(self, slot: "Slot") -> None:
        """The slot is sent nothing there any more."""


class Slot:
    """One tile's stream."""

    def __init__(
        self, index: int, track: RtpVideoTrack, notify: Callable[[Notice], None], clock: Clock, *, marks: bool = True
    ) -> None:
        """``marks``: see `begin_marks`."""
        self.catch_up = track.catch_up
        self.index = index
        self.track = track
        self.aim = Aim(slot=index)
        self.size: Size | None = None
        self.level = QualityLevel.FULL
        self.source: SlotSource | None = None
        self.connected = False
        self.steady: SteadyGroup | None = None
        """Who sends it a feed's frames by itself; `leave_steady` before anything is changed here."""
        self._clock = clock
        self._now = clock.monotonic
        self._notify = notify
        self._notice = SlotNotice(slot=index, camera=None, state="empty")
        # Of the notice's state. Every frame asks, and a model answers slowly.
        self._flowing = self._paused = False
        self._damaged = False
        """Whether the page is told that pictures are damaged."""
        self._damaged_at = float("-inf")
        self._marks = marks
        self._marked_at = float("-inf")
        self._first_rtp: int | None = None
        """Of the first frame that belongs to the present aim, or to the moment that a recorded slot was moved to."""

    @property
    def notice(self) -> SlotNotice:
        """The last one sent."""
        return self._notice

    @property
    def hidden(self) -> bool:
        """Whether the page says that nobody can see it."""
        return self.size is not None and self.size.width_px * self.size.height_px == 0

    def set_source(self, aim: Aim, source: SlotSource | None) -> None:
        """Re-aims. The last picture stays on the screen until the new source gives one."""
        self.leave_steady()
        if self.source is not None:
            self.source.close()
        self.aim, self.source = aim, source
        self.track.drop_waiting()
        self.catch_up.aim()
        self._first_rtp = None
        self._damaged = False
        self._marked_at = float("-inf")
        if source is None:
            self.set_notice(SlotNotice(slot=self.index, camera=None, state="empty"))
            return
        self.set_notice(SlotNotice(slot=self.index, camera=aim.camera, source=aim.source, state="opening"))
        source.start()

    def set_connected(self) -> None:
        """Packets can be sent from now on."""
        self.connected = True
        if self.source is not None:
            self.source.resync()

    def close(self) -> None:
        """Nothing more can be sent, and the source is not needed any more."""
        self.leave_steady()
        self.connected = False
        if self.source is not None:
            self.source.close()

    def set_level(self, level: QualityLevel) -> None:
        """The link's level changed."""
        self.leave_steady()
        self.level = level
        if self.source is not None:
            self.source.adapt(self.size, level)

    def set_size(self, size: Size) -> None:
        """The tile's size changed."""
        self.leave_steady()
        self.size = size
        if self.source is not None:
            self.source.adapt(size, self.level)

    def on_keyframe_request(self) -> None:
        """The receiver sent a PLI or FIR."""
        self.leave_steady()
        now = self._now()
        if self.source is None or not self.catch_up.answers_request(now):
            return
        still = self.catch_up.is_still(now)
        self.source.resync()
        if still:
            self.catch_up.answered_while_still()

    # Frames that C sends without asking.

    @property
    def is_steady(self) -> bool:
        """Whether every live frame that comes is to be sent, and nothing else is to be done with it."""
        catch_up = self.catch_up
        return (
            self.connected and self._flowing and not self._paused and not self._damaged
            and catch_up.whole and not catch_up.by_keyframes
            and self.track.steady_way() is not None
        )  # fmt: skip

    def leave_steady(self) -> None:
        """The next frame goes the ordinary way. What C has done meanwhile is known here from now on."""
        if self.steady is not None:
            self.steady.leave(self)
            self.catch_up.frame_sent(self.track.sent_at)

    def look_at_sent(self, frame: Frame, now: float) -> None:
        """C has sent ``frame``, and it is time to tell the page which one."""
        self._mark(frame, self.track.stamp_sent(frame), now)

    # What a source calls.

    def accepts(self, codec: Codec) -> bool:
        """Whether the viewer negotiated the codec."""
        return self.track.accepts(codec)

    def replay_gop(
        self, frames: Sequence[Frame], *, first_seconds: float, then_live: bool = True, moved: bool = False
    ) -> bool:
        """Replays a GOP, in place of what waits; whether the viewer is there to be sent to.

        ``first_seconds``: what a browser takes to show the first picture. ``then_live``: the newest frame is the
        present, and `show_frame` goes on from it. ``moved``: it is of another moment than what was shown before.
        """
        self.leave_steady()
        if not self.connected or not frames or self.source is None:
            return False
        now = self._now()
        first_rtp, last_rtp = self.track.send_replay(
            frames, now, self._on_caught_up, first_seconds=first_seconds, whole=then_live
        )
        if moved or self._first_rtp is None:
            self._first_rtp = first_rtp
        self._say_catching_up(frames[-1], last_rtp, now)
        return True

    def replay_more(self, frames: Sequence[Frame]) -> None:
        """Replays what leads on from a picture that `replay_gop` has just begun with."""
        self.leave_steady()
        if not self.connected or not frames or self.source is None:
            return
        now = self._now()
        _, last_rtp = self.track.send_more_of_replay(frames, now, self._on_caught_up)
        self._say_catching_up(frames[-1], last_rtp, now)

    def _say_catching_up(self, newest: Frame, rtp: int, now: float) -> None:
        assert self.source is not None
        self._damaged, self._damaged_at = newest.damaged, now
        update = {"state": "catching-up", "first_rtp": self._first_rtp, "live_rtp": rtp}
        self.set_notice(self.source.notice().model_copy(update=update))
        self._mark(newest, rtp, now)

    def show_frame(self, frame: Frame, *, anew: bool = False) -> None:
        """Sends the next frame, unless it cannot be decoded since one before it was left out (R5).

        ``anew``: its times have nothing to do with those of the frame before.
        """
        catch_up = self.catch_up
        if not self.connected or not (catch_up.whole or frame.keyframe) or self.source is None:
            return
        now = self._now()
        stamp = self.track.send_live(frame, now, anew=anew)
        if stamp is None:
            self.leave_steady()
            self.track.drop_waiting()
            catch_up.leave_out()
            return
        catch_up.frame_sent(now)
        if frame.damaged or self._damaged:
            self.note_damage(frame)
        if not self._flowing:
            if self._first_rtp is None:
                self._first_rtp = stamp
            update = {"first_rtp": self._first_rtp, "live_rtp": stamp}
            self.set_notice(self.source.notice().model_copy(update=update))
        if now - self._marked_at >= MARK_SECONDS or self._paused:
            self._mark(frame, stamp, now)
            if self._paused:
                self._repeat_later()

    def note_damage(self, frame: Frame) -> None:
        """Tells the page whether pictures are damaged. ``frame``: the newest one, shown or held back."""
        now = self._now()
        if frame.damaged:
            self.leave_steady()
            self._damaged_at = now
        damaged = now - self._damaged_at < DAMAGED_SECONDS
        if damaged is not self._damaged:
            self._damaged = damaged
            self.set_notice(self._notice)

    def skip_frame(self) -> None:
        """A frame is left out on purpose."""
        self.leave_steady()
        self.catch_up.leave_out()

    def repeat_notice(self) -> None:
        """Tells the page again: its control socket is new."""
        self._notify(self._notice)

    def refresh_notice(self, *, state: str | None = None) -> None:
        """The source's notice has changed. The slot's state has not, unless ``state`` is given."""
        if self.source is not None:
            keep = {name: getattr(self._notice, name) for name in ("state", "first_rtp", "live_rtp")}
            if state is not None:
                keep["state"] = state
            self.set_notice(self.source.notice().model_copy(update=keep))

    def set_notice(self, notice: SlotNotice) -> None:
        """Tells the page, unless it was told the same last. The slot itself knows whether pictures are damaged."""
        damaged = self._damaged and notice.state in FLOWING
        if notice.damaged is not damaged:
            notice = notice.model_copy(update={"damaged": damaged})
        if notice != self._notice:
            self.leave_steady()
            self._notice = notice
            self._flowing, self._paused = notice.state in FLOWING, notice.state == "paused"
            self._notify(notice)

    def _on_caught_up(self) -> None:
        """Nothing of the replay waits any more."""
        if self._notice.state == "catching-up" and self.source is not None:
            self.set_notice(self._notice.model_copy(update={"state": self.source.notice().state}))
        if self._notice.state == "paused":
            self._repeat_later()

    def _repeat_later(self) -> None:
        for seconds in REPEAT_SECONDS:
            self._clock.call_later(seconds, partial(self._repeat, self.track.packets))

    def _repeat(self, packets: int) -> None:
        """Sends the last packet again, where none followed the first ``packets``."""
        if self.connected and self.track.packets == packets:
            self.track.repeat_last()

    def begin_marks(self) -> None:
        """There is a page: it is told once a second which picture is shown."""
        self.leave_steady()
        self._marks = True
        self._marked_at = float("-inf")  # else C, which looks after no picture yet, may be given the next one already

    def _mark(self, frame: Frame, rtp: int, now: float) -> None:
        self._marked_at = now
        self.track.look_at(now + MARK_SECONDS if self._marks else float("inf"))
        if not self._marks:
            return
        unit = frame.unit
        self._notify(
            FrameMark.model_construct(  # once a second for each slot: checking costs more than all else here
                slot=self.index, rtp=rtp, capture_us=unit.capture_us, uncertainty_us=unit.uncertainty_us,
                clock="rtcp" if unit.clock is CaptureClockSource.RTCP else "arrival",
            )
        )  # fmt: skip


def waiting(slot: Slot, reason: Reason, detail: str) -> SlotNotice:
    """The notice for a slot whose camera gives no picture."""
    return SlotNotice(slot=slot.index, camera=slot.aim.camera, state="waiting", reason=reason, detail=detail)
