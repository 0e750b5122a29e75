"""The live source: the camera's main or sub profile, by the size of the tile. A change of profile leaves no black
moment."""

from typing import Final, Literal

from services.contracts.frames import Codec
from services.contracts.models import Camera, CameraState, ProfileName, Reason, Status
from services.contracts.sessions import Aim, Size, SlotNotice
from services.media.output_order import Placement
from services.mesh.clock import Clock
from services.wall.relay.sending.frame import Frame
from services.wall.relay.sending.quality import QualityLevel
from services.wall.relay.sending.slot import Slot, waiting
from services.wall.relay.sources.conversion import CameraFeeds
from services.wall.relay.sources.feed import FeedName, ProfileFeed

SUB_HEIGHT_PX: Final = 360
"""Taken for a sub's height until its first keyframe tells."""
ENLARGE: Final = 1.25
"""A sub is shown in tiles up to this many times its own height."""
KEEP: Final = 0.9
"""A main is kept until the tile is below this part of that limit, so that nothing flaps while a window is dragged."""
FIRST_PICTURE_SECONDS: Final = 0.008
"""What a browser on two cores takes to show the first picture of a tile that begins alone."""


_LIMITS: Final[dict[QualityLevel, Literal["none", "sub", "keyframes"]]] = {
    QualityLevel.FULL: "none",
    QualityLevel.SUB: "sub",
    QualityLevel.KEYFRAMES: "keyframes",
}


def choose_profile(
    aim: Aim,
    available: set[ProfileName],
    size: Size | None,
    sub_height_px: int,
    current: str,
    sizeless: ProfileName = "sub",
) -> str:
    """The profile for a tile of ``size``; ``current`` is the one shown so far, or empty.

    ``sizeless``: the one for a viewer that does not say how large its picture is.
    """
    if aim.profile in available:
        return aim.profile
    if len(available) == 1:
        return next(iter(available))
    if size is None:
        return sizeless
    limit = ENLARGE * (sub_height_px or SUB_HEIGHT_PX)
    if current == "main":
        limit *= KEEP
    return "main" if size.height_px > limit else "sub"


def _codecs(state: CameraState | None) -> dict[str, str]:
    """Of the profiles whose codec is known."""
    return {name: report.codec for name, report in state.profiles.items() if report.codec} if state is not None else {}


def _opened(state: CameraState | None) -> dict[str, int]:
    """Since when each profile is online, of those that are."""
    reports = state.profiles if state is not None else {}
    return {name: report.since_us for name, report in reports.items() if report.status == "online"}


class LiveSource:
    """Shows a camera live in one slot: a `SlotSource`, and a sink of feeds."""

    def __init__(
        self,
        slot: Slot,
        aim: Aim,
        camera: Camera,
        state: CameraState | None,
        feeds: CameraFeeds,
        clock: Clock,
        sizeless: ProfileName = "sub",
        *,
        masked: bool = False,
    ) -> None:
        """``sizeless``: the profile while the tile's size is not known. A wall's page is about to tell it. ``masked``:
        with the camera's privacy masks alone, which a conversion draws."""
        self._converted: Literal["h264", "masked"] = "masked" if masked else "h264"
        self.camera = camera
        self._slot = slot
        self._catch_up = slot.catch_up
        self._aim = aim
        self._sizeless: ProfileName = sizeless
        self._feeds = feeds
        self._now = clock.monotonic
        self._state = state
        self._shown: ProfileFeed | None = None
        self._next: ProfileFeed | None = None
        self._size = slot.size
        self._level = slot.level
        self._keyframes_only = self._level is QualityLevel.KEYFRAMES
        """Because of the link. Every frame asks, and a look-up of an enum's member takes longer than all else there."""
        self._still: Frame | None = None
        """The last one shown by `_show_still`."""
        self._held_to_sub = False
        """For want of room on the line to the camera's site."""
        self._unusable: set[ProfileName] = set()
        """Profiles that this viewer cannot be sent."""
        self._reordered: set[ProfileName] = set()
        """Those of them that are so for their pictures (`ProfileFeed.reordered`), which may be others when the source
        has been opened anew: nobody here reads it meanwhile."""
        self._codecs = _codecs(state)
        self._opened = _opened(state)

    def start(self) -> None:
        """Chooses a profile and waits for its first picture."""
        self.adapt(self._size, self._level)

    @property
    def bitrate_bps(self) -> float:
        """The bit rate of the profile that is shown; 0 before it is known."""
        return self._shown.bitrate_bps if self._shown is not None else 0.0

    def close(self) -> None:
        """Leaves the feeds."""
        self._leave()

    def _leave(self) -> None:
        self._slot.leave_steady()
        if self.camera.owner_id is not None:
            self._feeds.limits.forget(self)
        for feed in (self._shown, self._next):
            if feed is not None:
                feed.detach(self)
        self._shown = self._next = None

    def resync(self) -> bool:
        """Replays the cached GOP; False where there is none, or the camera is away."""
        feed = self._shown
        if feed is None and self._next is not None and self._next.gop.still is not None:
            shown = self._show_still(self._next.gop.still)
            self._say_waiting()
            return shown
        if feed is None and self._next is not None and self._next.profile == "h264":
            return self._show_original()
        # Browsers ask for a keyframe when nothing comes. What a camera sent before it went away is not live (R8).
        if feed is None or not feed.live or not feed.gop.frames:
            return False
        self._play(feed)
        return True

    def set_state(self, state: CameraState | None) -> None:
        """What is observed of the camera changed."""
        self._state = state
        codecs, opened, before = _codecs(state), _opened(state), self._opened
        again = {name for name in self._reordered if opened.get(name, 0) > before.get(name, 0) > 0}
        self._opened = before | opened
        if codecs and codecs != self._codecs:
            self._codecs = codecs
            again = self._unusable
        if again:  # what is sent now may need no conversion
            self._unusable, self._reordered = self._unusable - again, self._reordered - again
            self.adapt(self._size, self._level)
        if self._shown is None or not self._shown.live:
            self._say_waiting()

    def limit_changed(self) -> None:
        """There is no room for the main on the line to the camera's site any more, or there is again."""
        self.adapt(self._size, self._level)
        self._slot.refresh_notice()

    def adapt(self, size: Size | None, level: QualityLevel) -> None:
        """Chooses the profile for the tile's size and the link's level. The old one is shown until the new one has a
        picture."""
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
        elif shown is None and wanted == "sub" and self._has_stand_in:
            # Until the sub is there the main stands in: it always flows.
            self._shown = self._feeds.original(self.camera, "main")
            self._shown.attach(self)
            self._catch_up.stand_in(self._now())
            if self._shown.gop.frames and self._shown.live:
                self._play(self._shown)
        elif shown is None:
            self._say_waiting()

    @property
    def _has_stand_in(self) -> bool:
        """Not of a joined site's camera: its main does not flow here, and fills the line between the sites."""
        return self.camera.owner_id is None and "main" in set(self.camera.profiles) - self._unusable

    def _wanted(self) -> FeedName:
        self._held_to_sub = False
        available = set(self.camera.profiles) - self._unusable
        if not available or self._converted == "masked":
            return self._converted
        if self._level is not QualityLevel.FULL and "sub" in available:
            return "sub"
        sub = self._shown if self._shown is not None and self._shown.profile == "sub" else self._next
        height = sub.height_px if sub is not None and sub.profile == "sub" else 0
        current = self._shown.profile if self._shown is not None else ""
        chosen = choose_profile(self._aim, available, self._size, height, current, self._sizeless)
        is_theirs = chosen == "main" and "sub" in available and self.camera.owner_id is not None
        self._held_to_sub = is_theirs and not self._feeds.limits.may_show_main(self)
        return "main" if chosen == "main" and not self._held_to_sub else "sub"

    def _feed(self, name: FeedName) -> ProfileFeed:
        if name != self._converted:
            return self._feeds.original(self.camera, name)
        return self._feeds.converted(self.camera, self._source, self._converted)

    @property
    def _source(self) -> ProfileName:
        """What a conversion is made from."""
        return "main" if "main" in self.camera.profiles else "sub"

    def _forget_next(self) -> None:
        if self._next is not None and self._next is not self._shown:
            self._next.detach(self)
        self._next = None

    def _switch(self) -> None:
        """Shows the awaited feed in place of the other: it has a picture."""
        assert self._next is not None
        self._slot.leave_steady()
        if self._shown is not None and self._shown is not self._next:
            self._shown.detach(self)
        self._shown, self._next = self._next, None
        self._catch_up.end_stand_in()
        self._play(self._shown)

    def _play(self, feed: ProfileFeed) -> None:
        if feed.codec is None or feed.reordered or not self._slot.accepts(feed.codec):
            self._cannot_show(feed)
        elif self._keyframes_only or self._catch_up.by_keyframes:
            self._show_keyframe(feed)
        else:
            self._slot.replay_gop(feed.sent_gop, first_seconds=FIRST_PICTURE_SECONDS)

    def _show_still(self, still: Frame) -> bool:
        """Shows a picture of some time ago, where the viewer can decode it. Its mark says when it was taken."""
        self._still = still
        return self._slot.accepts(still.unit.codec) and self._slot.replay_gop(
            [still], then_live=False, first_seconds=FIRST_PICTURE_SECONDS
        )

    def _show_original(self) -> bool:
        """Shows a keyframe of what is being converted, where the viewer can decode that."""
        original = self._feeds.original(self.camera, self._source)
        if original.codec is None or not (original.live and original.begins_anywhere):
            return False
        shown = self._slot.accepts(original.codec) and self._show_keyframe(original)
        self._say_waiting()
        return shown

    def _show_keyframe(self, feed: ProfileFeed) -> bool:
        return self._slot.replay_gop(feed.gop.frames[:1], then_live=False, first_seconds=FIRST_PICTURE_SECONDS)

    def _stand_in_is_over(self) -> bool:
        """Whether the sub cannot come, or has been awaited for long enough."""
        sub = self._next
        never = sub is None or sub.reason not in (Reason.STARTING, Reason.NONE)
        return never or self._catch_up.stand_in_is_over(self._now())

    def notice(self) -> SlotNotice:
        """The notice for a slot that shows this camera live."""
        feed = self._shown
        return SlotNotice(
            slot=self._slot.index,
            camera=self.camera.id,
            state="live",
            profile=feed.profile if feed is not None and feed.profile in ("main", "sub") else self._source,
            transcoded=feed is not None and feed.profile == self._converted,
            limited="sub" if self._held_to_sub else _LIMITS[self._level],
            limited_by="site" if self._held_to_sub else "link",
            codec=feed.codec.ffmpeg_name if feed is not None and feed.codec is not None else "",
            width_px=feed.width_px if feed is not None else 0,
            height_px=feed.height_px if feed is not None else 0,
        )

    # What feeds call.

    def feed_ready(self, feed: ProfileFeed) -> None:
        """Shows the feed's GOP from its beginning, where it is the shown or the awaited one."""
        if feed is self._next:
            self._switch()
        elif feed is self._shown:
            self._play(feed)

    def feed_frame(self, feed: ProfileFeed, frame: Frame) -> None:
        """Sends the shown feed's frame. The awaited feed takes its place with its first picture."""
        if frame.placement is Placement.DROPPABLE:
            if frame.damaged and feed is self._shown:
                self._slot.note_damage(frame)
            return
        if feed is self._shown:
            by_keyframes = self._catch_up.by_keyframes
            if by_keyframes and self._stand_in_is_over():
                self._catch_up.end_stand_in()
                self._play(feed)
            elif frame.keyframe or not (by_keyframes or self._keyframes_only):
                self._slot.show_frame(frame)
                if not self._keyframes_only and self._slot.is_steady:
                    feed.steady.join(self._slot, self, frame)
            else:
                self._slot.skip_frame()
        elif feed is self._next and feed.gop.frames:
            self._switch()

    def feed_status(self, feed: ProfileFeed) -> None:
        """Takes something else where the feed was found to be reordered; tells the page why there is no picture."""
        if feed.reordered and feed is self._shown and feed.live:
            self._play(feed)
            return
        if not feed.live and feed in (self._shown, self._next) and (self._shown is None or not self._shown.live):
            self._say_waiting()

    def _say_waiting(self) -> None:
        """Why there is no picture: what the registry observed, else what the feed was told."""
        feed = self._shown or self._next
        reason, detail = (feed.reason, feed.detail) if feed is not None else (Reason.STARTING, "")
        if self._shown is None and feed is not None and (still := feed.gop.still) is not None:
            reason, detail = Reason.NO_KEYFRAME, "the pictures since the last keyframe are too many to be kept"
            if still is not self._still:
                self._show_still(still)
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

    async def settled(self) -> None:
        """Returns when it is known whether this viewer is sent pictures; the slot's notice says why it is not."""
        while (feed := self._next or self._shown) is not None and not feed.asked.is_set() and not self.bitrate_bps:
            await feed.asked.wait()

    def _why_unusable(self, feed: ProfileFeed, codec: str) -> str:
        if feed.codec is Codec.H264:
            return "the camera sends h264, which the viewer does not take"
        if feed.codec is not None and self._slot.accepts(feed.codec):
            what = "pictures in another order than they are shown, open GOPs, or other than 8 bits and 4:2:0"
            return f"the camera sends {codec} with {what}; the viewer does not take h264, which is made of those"
        return f"the camera sends {codec}, and the viewer takes neither that nor h264, which is made of others"

    def _cannot_show(self, feed: ProfileFeed) -> None:
        """The browser has no decoder for it, or one that shows nothing of its pictures' order: take the camera's other
        profile, else have it converted, else say so."""
        nothing_else = feed.profile == self._converted or set(self.camera.profiles) <= {*self._unusable, feed.profile}
        if nothing_else and not self._slot.accepts(Codec.H264):
            codec = feed.codec.ffmpeg_name if feed.codec is not None else ""
            notice = waiting(self._slot, Reason.UNSUPPORTED_CODEC, self._why_unusable(feed, codec))
            self._slot.set_notice(notice.model_copy(update={"codec": codec}))
            return
        name: ProfileName = "main" if feed.profile == "main" else "sub"
        self._unusable.add(name)
        if feed.reordered:
            self._reordered.add(name)
        self._leave()
        self.adapt(self._size, self._level)
        if self._shown is None and self._next is not None and self._next.profile == "h264":
            self._show_original()
