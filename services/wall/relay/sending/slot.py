"""A slot: one video m-line, negotiated once and re-aimed at will. It shows what its source gives it.

A source is live or recorded (`services.wall.relay.sources`); the slot turns what it gives into packets and notices.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from services.contracts.frames import CaptureClockSource, Codec
from services.contracts.models import Reason
from services.contracts.sessions import Aim, FrameMark, Notice, Size, SlotNotice
from services.wall.relay.sending.frame import Frame
from services.wall.relay.sending.quality import QualityLevel
from services.wall.relay.sending.track import RtpVideoTrack

REPLAY_PAUSE_SECONDS: Final = 0.7
"""Between two replays on request: a browser repeats its PLI every 180 ms until a keyframe is decoded."""
STILL_SECONDS: Final = 2.0
"""A browser that was sent nothing for 3 s asks for a keyframe, although it may have all. The first such request for a
picture that stands still is answered, since its last packet may have been lost; every answer would bring the next one.
"""
REPEAT_SECONDS: Final = (0.1, 0.3)
"""After the last packet of a picture that stands: when it is sent once more, for a browser that may have lost it."""
MARK_SECONDS: Final = 1.0
FLOWING: Final = frozenset(("live", "catching-up", "playing", "paused"))
"""States in which pictures come."""


class SlotSource(Protocol):
    """What a slot shows. It calls the slot's `replay_gop`, `show_frame` and `set_notice` from `start` until `close`."""

    def start(self) -> None:
        """Begin; the viewer can be sent to from now on, or already could."""

    def resync(self) -> bool:
        """The viewer's decoder needs a keyframe: `replay_gop` what there is. False where there is nothing to play."""

    def adapt(self, size: Size | None, level: QualityLevel) -> None:
        """The tile's size or the link's level changed."""

    def notice(self) -> SlotNotice:
        """What it shows, for a slot that is live or playing."""

    @property
    def bitrate_bps(self) -> float:
        """What it gives, about; 0 when not known yet."""

    def close(self) -> None:
        """Give nothing more."""


class Slot:
    """One tile's stream."""

    def __init__(self, index: int, track: RtpVideoTrack, notify: Callable[[Notice], None]) -> None:
        self.index = index
        self.track = track
        self.aim = Aim(slot=index)
        self.size: Size | None = None
        self.level = QualityLevel.FULL
        self.source: SlotSource | None = None
        self.connected = False
        self._notify = notify
        self._notice = SlotNotice(slot=index, camera=None, state="empty")
        self._flowing = self._paused = False
        """Whether the notice's state is one of `FLOWING`; "paused": asked of every frame, models are slow to ask.
        """
        self._replayed_at = float("-inf")
        self._marked_at = float("-inf")
        self._sent_at = float("-inf")
        self._asked_while_still = False
        self._first_rtp: int | None = None
        """Of what the present aim, or a moment that it was moved to, showed first."""
        self._broken = False
        """Frames were left out: nothing can be shown before the next keyframe."""

    @property
    def notice(self) -> SlotNotice:
        """What was last told."""
        return self._notice

    @property
    def hidden(self) -> bool:
        """Whether the page says that nobody can see it."""
        return self.size is not None and self.size.width_px * self.size.height_px == 0

    def set_source(self, aim: Aim, source: SlotSource | None) -> None:
        """Re-aims. The last picture stays on the screen until the new source gives one."""
        if self.source is not None:
            self.source.close()
        self.aim, self.source = aim, source
        self.track.drop_waiting()
        self._broken = True
        self._first_rtp = None
        self._replayed_at = self._marked_at = float("-inf")
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

    def set_level(self, level: QualityLevel) -> None:
        """The link's level changed."""
        self.level = level
        if self.source is not None:
            self.source.adapt(self.size, level)

    def set_size(self, size: Size) -> None:
        """The tile's size changed."""
        self.size = size
        if self.source is not None:
            self.source.adapt(size, self.level)

    def on_keyframe_request(self) -> None:
        """The receiver cannot decode: replay, but not again and again."""
        now = time.monotonic()
        if self.source is None or self.track.catching_up or now - self._replayed_at < REPLAY_PAUSE_SECONDS:
            return
        still = now - self._sent_at > STILL_SECONDS
        if still and self._asked_while_still:
            return
        self.source.resync()
        self._asked_while_still = still

    # What a source calls.

    def accepts(self, codec: Codec) -> bool:
        """Whether the viewer negotiated the codec."""
        return self.track.accepts(codec)

    def replay_gop(
        self,
        frames: Sequence[Frame],
        *,
        then_live: bool = True,
        moved: bool = False,
        goes_on: bool = False,
        first_seconds: float = 0.0,
    ) -> None:
        """Replays a GOP. ``then_live``: its newest frame is the present, and `show_frame` goes on from it.

        ``moved``: it is of another moment than what was shown before. ``goes_on``, ``first_seconds``: see
        `RtpVideoTrack.send_replay`.
        """
        if not self.connected or not frames or self.source is None:
            return
        now = time.monotonic()
        self._replayed_at = self._sent_at = now
        self._asked_while_still = False
        self._broken = not then_live
        first_rtp, live_rtp = self.track.send_replay(frames, now, goes_on=goes_on, first_seconds=first_seconds)
        if moved or self._first_rtp is None:
            self._first_rtp = first_rtp
        update = {"state": "catching-up", "first_rtp": self._first_rtp, "live_rtp": live_rtp}
        self.set_notice(self.source.notice().model_copy(update=update))
        self._mark(frames[-1], live_rtp, now)

    def show_frame(self, frame: Frame, *, anew: bool = False) -> None:
        """Sends the next frame. Nothing is sent between a frame that was left out and the next keyframe."""
        if not self.connected or (self._broken and not frame.keyframe) or self.source is None:
            return
        now = time.monotonic()
        stamp = self.track.send_live(frame, now, anew=anew)
        if stamp is None:
            self.track.drop_waiting()
            self._broken = True
            return
        self._broken = False
        self._sent_at = now
        self._asked_while_still = False
        if not self._flowing:
            if self._first_rtp is None:
                self._first_rtp = stamp
            update = {"first_rtp": self._first_rtp, "live_rtp": stamp}
            self.set_notice(self.source.notice().model_copy(update=update))
        if now - self._marked_at >= MARK_SECONDS or self._paused:
            self._mark(frame, stamp, now)
            if self._paused:
                self._repeat_later()

    def skip_frame(self) -> None:
        """A frame is left out on purpose."""
        self._broken = True

    def repeat_notice(self) -> None:
        """Tells the page again: its control socket is new."""
        self._notify(self._notice)

    def refresh_notice(self, *, state: str | None = None) -> None:
        """What is said of the source changed; its state did not, unless ``state`` is given."""
        if self.source is not None:
            keep = {name: getattr(self._notice, name) for name in ("state", "first_rtp", "live_rtp")}
            if state is not None:
                keep["state"] = state
            self.set_notice(self.source.notice().model_copy(update=keep))

    def set_notice(self, notice: SlotNotice) -> None:
        """Tells the page, where that is anything new."""
        if notice != self._notice:
            self._notice = notice
            self._flowing, self._paused = notice.state in FLOWING, notice.state == "paused"
            self._notify(notice)

    def on_caught_up(self) -> None:
        """The replayed GOP is out."""
        if self._notice.state == "catching-up" and self.source is not None:
            self.set_notice(self._notice.model_copy(update={"state": self.source.notice().state}))
        if self._notice.state == "paused":
            self._repeat_later()

    def _repeat_later(self) -> None:
        """Nothing may follow: a last packet that is lost is to be missed before the browser loses patience."""
        sent = self.track.packets
        for seconds in REPEAT_SECONDS:
            asyncio.get_running_loop().call_later(seconds, self._repeat, sent)

    def _repeat(self, sent: int) -> None:
        if self.connected and self.track.packets == sent:
            self.track.repeat_last()

    def _mark(self, frame: Frame, rtp: int, now: float) -> None:
        self._marked_at = now
        unit = frame.unit
        self._notify(
            FrameMark.model_construct(  # once a second for each slot: checking what is right costs more than all else
                slot=self.index, rtp=rtp, capture_us=unit.capture_us, uncertainty_us=unit.uncertainty_us,
                clock="rtcp" if unit.clock is CaptureClockSource.RTCP else "arrival",
            )
        )  # fmt: skip


def waiting(slot: Slot, reason: Reason, detail: str) -> SlotNotice:
    """The notice for a slot whose camera gives no picture."""
    return SlotNotice(slot=slot.index, camera=slot.aim.camera, state="waiting", reason=reason, detail=detail)
