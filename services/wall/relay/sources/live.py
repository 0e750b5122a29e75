"""The live source: a camera's main or sub profile, whichever suits the tile, with never a black moment between them."""

import time
from typing import Final, Literal

from services.contracts.models import Camera, CameraState, ProfileName, Reason, Status
from services.contracts.sessions import Aim, Size, SlotNotice
from services.wall.relay.sending.frame import Frame
from services.wall.relay.sending.quality import QualityLevel
from services.wall.relay.sending.slot import Slot, waiting
from services.wall.relay.sources.feed import FeedHub, FeedName, ProfileFeed

SUB_HEIGHT_PX: Final = 360
"""Taken for a sub's height until its first keyframe tells."""
ENLARGE: Final = 1.25
"""A sub is good for tiles up to so much larger than its picture."""
KEEP: Final = 0.9
"""And main is kept until the tile is this part of that limit: no flapping while a window is dragged."""
STAND_IN_SECONDS: Final = 3.0
"""A main that stands in for a sub gives its keyframes alone for so long, and then flows whole. Sixteen whole mains are
more than a browser on two cores decodes: they would hold up the subs that they stand in for."""
FIRST_PICTURE_SECONDS: Final = 0.008
"""What a browser on two cores takes to show the first picture of a tile that begins alone."""


_LIMITS: Final[dict[QualityLevel, Literal["none", "sub", "keyframes"]]] = {
    QualityLevel.FULL: "none",
    QualityLevel.SUB: "sub",
    QualityLevel.KEYFRAMES: "keyframes",
}


def choose_profile(aim: Aim, available: set[ProfileName], size: Size | None, sub_height_px: int, current: str) -> str:
    """The profile for a tile of ``size``; ``current`` is the one shown so far, or empty."""
    if aim.profile in available:
        return aim.profile
    if len(available) == 1:
        return next(iter(available))
    if size is None:
        return "sub"
    limit = ENLARGE * (sub_height_px or SUB_HEIGHT_PX)
    if current == "main":
        limit *= KEEP
    return "main" if size.height_px > limit else "sub"


def _codecs(state: CameraState | None) -> dict[str, str]:
    """Of the profiles whose codec is known."""
    return {name: report.codec for name, report in state.profiles.items() if report.codec} if state is not None else {}


class LiveSource:
    """Shows a camera live in one slot. See `SlotSource`."""

    def __init__(self, slot: Slot, aim: Aim, hub: FeedHub, camera: Camera, state: CameraState | None) -> None:
        self.camera = camera
        self._slot = slot
        self._aim = aim
        self._hub = hub
        self._state = state
        self._shown: ProfileFeed | None = None
        self._next: ProfileFeed | None = None
        self._size = slot.size
        self._level = slot.level
        self._keyframes_only = self._level is QualityLevel.KEYFRAMES
        """Asked of every frame, and an enum's member takes longer to look up than all else there."""
        self._unusable: set[ProfileName] = set()
        """Profiles in a codec that this viewer cannot be sent."""
        self._codecs = _codecs(state)
        self._stand_in_until: float | None = None

    def start(self) -> None:
        """See `SlotSource.start`."""
        self.adapt(self._size, self._level)

    @property
    def bitrate_bps(self) -> float:
        """See `SlotSource.bitrate_bps`."""
        return self._shown.bitrate_bps if self._shown is not None else 0.0

    def close(self) -> None:
        """See `SlotSource.close`."""
        self._leave()

    def _leave(self) -> None:
        for feed in (self._shown, self._next):
            if feed is not None:
                feed.detach(self)
        self._shown = self._next = None

    def resync(self) -> bool:
        """See `SlotSource.resync`."""
        feed = self._shown
        # Browsers ask for a keyframe when nothing comes: what a camera sent before it went away is not shown as live.
        if feed is None or not feed.live or not feed.gop.frames:
            return False
        self._play(feed)
        return True

    def set_state(self, state: CameraState | None) -> None:
        """What is observed of the camera changed."""
        self._state = state
        codecs = _codecs(state)
        if codecs and codecs != self._codecs:
            self._codecs = codecs
            if self._unusable:  # what could not be shown before perhaps can now, without a conversion
                self._unusable.clear()
                self.adapt(self._size, self._level)
        if self._shown is None or not self._shown.live:
            self._say_waiting()

    def adapt(self, size: Size | None, level: QualityLevel) -> None:
        """See `SlotSource.adapt`."""
        lifted = self._level is QualityLevel.KEYFRAMES and level is not QualityLevel.KEYFRAMES
        relevelled = level is not self._level
        self._size, self._level = size, level
        self._keyframes_only = level is QualityLevel.KEYFRAMES
        if size is not None and size.width_px * size.height_px == 0:
            self._leave()
            self._slot.track.drop_waiting()
            self._slot.set_notice(SlotNotice(slot=self._slot.index, camera=self.camera.id, state="paused"))
            return
        wanted = self._wanted()
        shown = self._shown
        if shown is not None and shown.profile == wanted:
            self._forget_next()
            if lifted:
                self.resync()
            elif relevelled:
                self._slot.refresh_notice()
            return
        if self._next is None or self._next.profile != wanted:
            self._forget_next()
            self._next = self._feed(wanted)
            self._next.attach(self)
        if self._next.gop.frames and self._next.live:
            self._switch()
        elif shown is None and wanted == "sub" and "main" in set(self.camera.profiles) - self._unusable:
            # Until the sub is there the main stands in: it always flows.
            self._shown = self._hub.get(self.camera.site, "main", self.camera.id)
            self._shown.attach(self)
            self._stand_in_until = time.monotonic() + STAND_IN_SECONDS
            if self._shown.gop.frames and self._shown.live:
                self._play(self._shown)
        elif shown is None:
            self._say_waiting()

    def _wanted(self) -> FeedName:
        available = set(self.camera.profiles) - self._unusable
        if not available:
            return "h264"
        if self._level is not QualityLevel.FULL and "sub" in available:
            return "sub"
        sub = self._shown if self._shown is not None and self._shown.profile == "sub" else self._next
        height = sub.height_px if sub is not None and sub.profile == "sub" else 0
        current = self._shown.profile if self._shown is not None else ""
        chosen = choose_profile(self._aim, available, self._size, height, current)
        return "main" if chosen == "main" else "sub"

    def _feed(self, name: FeedName) -> ProfileFeed:
        camera = self.camera
        if name != "h264":
            return self._hub.get(camera.site, name, camera.id)
        return self._hub.get_converted(camera.site, camera.id, self._source, "h264")

    @property
    def _source(self) -> ProfileName:
        """What a conversion is made from."""
        return "main" if "main" in self.camera.profiles else "sub"

    def _forget_next(self) -> None:
        if self._next is not None and self._next is not self._shown:
            self._next.detach(self)
        self._next = None

    def _switch(self) -> None:
        """The awaited feed has a picture: show it in place of the other."""
        assert self._next is not None
        if self._shown is not None and self._shown is not self._next:
            self._shown.detach(self)
        self._shown, self._next = self._next, None
        self._stand_in_until = None
        self._play(self._shown)

    def _play(self, feed: ProfileFeed) -> None:
        if feed.codec is None or not self._slot.accepts(feed.codec):
            self._cannot_show(feed)
            return
        if self._level is QualityLevel.KEYFRAMES or self._stand_in_until is not None:
            self._slot.replay_gop(feed.gop.frames[:1], then_live=False, first_seconds=FIRST_PICTURE_SECONDS)
        else:
            self._slot.replay_gop(feed.gop.frames, first_seconds=FIRST_PICTURE_SECONDS)

    def _stand_in_is_over(self) -> bool:
        """Whether the sub does not come, or not soon."""
        until, sub = self._stand_in_until, self._next
        if until is None:
            return False
        return sub is None or sub.reason not in (Reason.STARTING, Reason.NONE) or time.monotonic() >= until

    def notice(self) -> SlotNotice:
        """See `SlotSource.notice`."""
        feed = self._shown
        return SlotNotice(
            slot=self._slot.index,
            camera=self.camera.id,
            state="live",
            profile=feed.profile if feed is not None and feed.profile in ("main", "sub") else self._source,
            transcoded=feed is not None and feed.profile == "h264",
            limited=_LIMITS[self._level],
            codec=feed.codec.ffmpeg_name if feed is not None and feed.codec is not None else "",
            width_px=feed.width_px if feed is not None else 0,
            height_px=feed.height_px if feed is not None else 0,
        )

    # What feeds call.

    def feed_ready(self, feed: ProfileFeed) -> None:
        """See `FeedSink.feed_ready`."""
        if feed is self._next:
            self._switch()
        elif feed is self._shown:
            self._play(feed)

    def feed_frame(self, feed: ProfileFeed, frame: Frame) -> None:
        """See `FeedSink.feed_frame`."""
        if feed is self._shown:
            if self._stand_in_until is not None and self._stand_in_is_over():
                self._stand_in_until = None
                self._play(feed)
            elif frame.keyframe or not (self._keyframes_only or self._stand_in_until is not None):
                self._slot.show_frame(frame)
            else:
                self._slot.skip_frame()
        elif feed is self._next and feed.gop.frames:
            self._switch()

    def feed_status(self, feed: ProfileFeed) -> None:
        """See `FeedSink.feed_status`."""
        if not feed.live and feed in (self._shown, self._next) and (self._shown is None or not self._shown.live):
            self._say_waiting()

    def _say_waiting(self) -> None:
        """Why there is no picture: what the registry observed, else what the feed was told."""
        feed = self._shown or self._next
        reason, detail = (feed.reason, feed.detail) if feed is not None else (Reason.STARTING, "")
        state = self._state
        if state is not None and state.status in (Status.OFFLINE, Status.DISABLED):
            reason = Reason.DISABLED if state.status is Status.DISABLED else state.reason
            detail = state.detail
        if reason is Reason.STARTING:
            self._slot.set_notice(
                SlotNotice(slot=self._slot.index, camera=self.camera.id, state="opening", reason=reason)
            )
        else:
            self._slot.set_notice(waiting(self._slot, reason, detail))

    def _cannot_show(self, feed: ProfileFeed) -> None:
        """The browser has no decoder for it: take the camera's other profile, else have it converted, else say so."""
        if feed.profile == "h264":
            notice = waiting(self._slot, Reason.UNSUPPORTED_CODEC, "this browser takes no H.264")
            self._slot.set_notice(notice.model_copy(update={"codec": "h264"}))
            return
        self._unusable.add("main" if feed.profile == "main" else "sub")
        self._leave()
        self.adapt(self._size, self._level)
