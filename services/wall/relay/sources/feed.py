"""One camera profile entering this relay, once, however many slots show it."""

import asyncio
from collections.abc import Callable
from typing import Final, Literal, Protocol, get_args

from services.contracts import subjects
from services.contracts.errors import UnavailableError
from services.contracts.frames import Codec, FrameError, decode
from services.contracts.models import ProfileName, Reason, WantReply
from services.media.codecs import VIDEO, VideoCodec
from services.media.nal import BitstreamError
from services.media.output_order import OutputOrder, Placement
from services.mesh.backoff import Backoff
from services.mesh.bus import Bus
from services.mesh.clock import Clock, sleep, timeout
from services.mesh.log import get_logger
from services.mesh.metrics import counter
from services.mesh.want import RENEW_SECONDS, ask_want, renew_want
from services.wall.relay.kernel.structs import TAKEN_LOOK
from services.wall.relay.sending.frame import Frame
from services.wall.relay.sending.steady import SteadyViewers
from services.wall.relay.sources.gop import FrameVerdict, GopBuffer

log = get_logger()

STALE_SECONDS: Final = 3.0
"""Without a frame for so long the feed counts as waiting, unless it is slow and ingest says that it has no other."""
SLOW_PER_SECOND: Final = 1.0
"""A feed of so few frames is slow. How long it may pause, ingest knows (`services.ingest.pace`)."""
RETRY_SECONDS: Final = 1.0
GOP_PENDING_BYTES: Final = 32 * 1024 * 1024

ConvertedName = Literal["h264", "masked", "opus"]
"""Profiles that relays make: pictures and sound where a browser cannot decode a camera, and pictures with its privacy
masks for who may not see through them."""
CONVERTED: Final = frozenset(get_args(ConvertedName))
FeedName = ProfileName | Literal["audio"] | ConvertedName

_SHOWN_AT_ONCE: Final = frozenset((Placement.IN_ORDER, Placement.DROPPABLE))

_frames_in = counter("relay_frames_received", "Frames taken from the bus; counted once a second")
_frames_bad = counter("relay_frames_bad", "Messages on media subjects that are no frames, or cannot be packetized")
_frames_lost = counter("relay_frames_lost", "Frames that never reached this relay")


WhyNobody = Callable[[], tuple[Reason, str]]
"""Called whenever nobody answers a ``want``: says why, or that it is being seen to."""


def no_ingest() -> tuple[Reason, str]:
    """Of a camera's own profiles: no ingest worker holds the camera."""
    return Reason.NO_INGEST, ""


def not_granted() -> tuple[Reason, str]:
    """Of a joined site's camera: its owner's nats-server passes nothing on. A site that is away is said to be so by
    the camera's state."""
    return Reason.NOT_GRANTED, ""


class FeedSink(Protocol):
    """Takes a feed's frames. None of these may raise."""

    def feed_ready(self, feed: "ProfileFeed") -> None:
        """``feed.gop.frames`` begins anew: replay it."""

    def feed_frame(self, feed: "ProfileFeed", frame: Frame) -> None:
        """The next frame."""

    def feed_status(self, feed: "ProfileFeed") -> None:
        """``feed.live``, ``feed.reason`` or ``feed.detail`` changed, or ``feed.reordered`` was found."""


class ProfileFeed:
    """Subscribes while it runs, keeps the profile open by ``want``, and passes frames on to its sinks."""

    def __init__(
        self,
        bus: Bus,
        site: str,
        profile: FeedName,
        camera: str,
        clock: Clock,
        on_nobody: WhyNobody,
        *,
        hold_damaged: bool = False,
        bus_id: str = "",
    ) -> None:
        """``hold_damaged``: damaged pictures are sent to nobody; ``bus_id``: the camera's name on its subjects, where
        that is another."""
        self._bus_id = bus_id or camera
        self._hold_damaged = hold_damaged
        self.site = site
        self.profile: FeedName = profile
        self.camera = camera
        self.gop = GopBuffer()
        self.sinks: set[FeedSink] = set()
        self.steady: SteadyViewers[FeedSink] = SteadyViewers()
        """Whose frames do not go by way of their sinks."""
        self.asked = asyncio.Event()
        """Set when it is known what comes: frames, or why there are none."""
        self._slow = True
        """Whether it has `SLOW_PER_SECOND` at most, as far as frames have come."""
        self.live = False
        self.reason = Reason.STARTING
        self.detail = ""
        self.codec: Codec | None = None
        self._video: VideoCodec | None = None
        self.width_px = 0
        self.height_px = 0
        self.bitrate_bps = 0.0
        self.idle_since = clock.monotonic()
        """Since when it has had no sink."""
        self.reordered = False
        """Whether decoders for WebRTC cannot show it: pictures that others refer to are shown in another order than
        they are decoded, keyframes are not all IDR pictures, or pictures are not 4:2:0 of 8 bits. It holds until the
        parameter sets change."""
        self._order = OutputOrder()
        self._ordered_sets = b""
        """The parameter sets that ``reordered`` is said of."""
        self._clock = clock
        self._now = clock.monotonic
        self._bus = bus
        self._on_nobody = on_nobody
        self._last_frame_at = self._held_at = float("-inf")
        self._refill = asyncio.Event()
        self._sets = b""
        self._bytes = self._frames = 0
        """Since ``_measured_at``."""
        self._lost = 0
        """Of the buffer's losses, those that are counted."""
        self._measured_at = self._now()

    def attach(self, sink: FeedSink) -> None:
        """Adds a sink. It is not told of the present GOP, and reads ``gop`` itself."""
        self.sinks.add(sink)
        self.steady.sinks_changed()

    def detach(self, sink: FeedSink) -> None:
        """Takes a sink away."""
        self.sinks.discard(sink)
        self.steady.sinks_changed()
        if not self.sinks:
            self.idle_since = self._now()

    async def run(self) -> None:
        """Feeds until cancelled."""
        subject = subjects.media(self.site, self.profile, self._bus_id)
        subscription = await self._bus.subscribe_direct(subject, self._on_media)
        ask = subjects.convert if self.profile in CONVERTED else subjects.want
        want = ask(self.site, self.profile, self._bus_id)
        renewed_at = float("-inf")
        retry = Backoff(RETRY_SECONDS)
        try:
            while True:
                now = self._now()
                if now - self._last_frame_at > STALE_SECONDS or not self.gop.whole:
                    await self._ask(want)
                    renewed_at = now
                elif now - renewed_at >= RENEW_SECONDS:
                    await renew_want(self._bus, want)
                    renewed_at = now
                self._measure()
                self._refill.clear()
                try:
                    async with timeout(self._clock, retry.next_seconds()):
                        await self._refill.wait()
                except TimeoutError:
                    pass
                else:
                    await sleep(self._clock, 0.05)  # one question for a burst of holes
        finally:
            await subscription.unsubscribe()

    async def _ask(self, want: str) -> None:
        """Wants the profile, and its cached GOP; the answer is status, frames, and an empty message."""
        frames: list[Frame] = []
        status: WantReply | None = None
        try:
            async with ask_want(self._bus, want, pending_bytes=GOP_PENDING_BYTES) as answer:
                status = answer.reply
                async for message in answer:
                    if (frame := self._frame(message)) is not None:
                        frames.append(frame)
        except UnavailableError as error:
            log.debug("feed.no_answer", camera=self.camera, error=error)
            if not self._bus.connected:
                return
        mended = bool(frames) and self._on_gop(frames)
        if not mended and not self.gop.whole:  # of a GOP that is too long ingest keeps the keyframe
            self.gop.still = frames[0] if frames and frames[0].keyframe else None
        if self._now() - self._last_frame_at > STALE_SECONDS:
            if status is not None and status.status in ("failed", "unknown-profile"):
                unknown = status.status == "unknown-profile"
                self._say(False, Reason.NOT_FOUND if unknown else status.reason, status.detail)
            elif status is None:
                self._say(False, *self._on_nobody())
            elif status.status == "opening":
                self._say(False, Reason.STARTING, status.detail)
            elif self.gop.still is not None or self._now() - self._held_at < STALE_SECONDS:
                self._say(False, Reason.NO_KEYFRAME, "the pictures since the last keyframe are too many to be kept")
            elif self._slow and frames and self.gop.has(frames[-1]):
                self._say(True, Reason.NONE, "")
            else:
                self._say(False, Reason.STALLED, status.detail)
        self.asked.set()

    def _frame(self, message: bytes) -> Frame | None:
        try:
            unit = decode(message)
            if unit.codec != self.codec:
                self.codec = unit.codec
                self._video = VIDEO.get(unit.codec.ffmpeg_name)
                self._sets = b""
            frame = Frame(unit)
        except (FrameError, BitstreamError) as error:
            _frames_bad.inc()
            log.debug("feed.bad_frame", camera=self.camera, error=error)
            return None
        if frame.keyframe:
            self._look_at(unit.payload)
        return frame

    def _on_media(self, message: bytes) -> None:
        self._frames += 1
        self._bytes += len(message)
        now = self._now()
        if taken := self.steady.take(message, now):
            self._last_frame_at = now
            self.gop.add_taken(message)
            if taken == TAKEN_LOOK:
                frame = Frame(decode(message))
                for sink in self.steady.look_at_taken(frame, now):
                    sink.feed_frame(self, frame)
            return
        self.steady.end_loan()
        self._take(message)

    def _take(self, message: bytes) -> None:
        """Takes a message that C has left; lends it what may follow."""
        frame = self._frame(message)
        if frame is None:
            return
        verdict = self.gop.accept_frame(frame)
        if verdict is FrameVerdict.SHOW:
            self._place(frame)
            self._flowing()
            others = self.steady.others(self.sinks)
            for sink in (*self.steady.send_frame(frame, self._now()), *others):
                sink.feed_frame(self, frame)
            if self.live and self._may_be_taken:
                self.steady.lend(self.sinks, frame, self.gop.room_bytes)
        elif verdict is FrameVerdict.RESTART:
            if frame.unit.discontinuity and self._sets != self._ordered_sets:
                self.reordered = False
            self._place(frame)
            self._flowing()
            for sink in tuple(self.sinks):
                sink.feed_ready(self)
        elif verdict is not FrameVerdict.OLD:
            self._held_at = self._now()
            if verdict is FrameVerdict.HOLE:
                self._refill.set()

    @property
    def _may_be_taken(self) -> bool:
        """Whether C may take the next frame, if that is usual: it does not look where a picture is shown."""
        return self.profile in CONVERTED or self._video is None or self._order.is_settled

    def _on_gop(self, frames: list[Frame]) -> bool:
        """Takes ingest's copy of the GOP; whether all is whole then."""
        mended = self.gop.mend_hole(frames)
        if mended is None:
            return self.gop.whole
        missing, anew = mended
        for frame in missing:
            self._place(frame)
        self._flowing()
        for sink in tuple(self.sinks):
            if anew:
                sink.feed_ready(self)
            else:
                for frame in missing:
                    sink.feed_frame(self, frame)
        return True

    def _place(self, frame: Frame) -> None:
        """Finds out where the next frame is shown, and whether the feed is `reordered` by it."""
        if self.profile not in CONVERTED and self._video is not None:
            self._find_order(frame, self._video)
        if self._hold_damaged and frame.damaged:
            frame.placement = Placement.DROPPABLE  # all that refers to it is damaged too

    def _find_order(self, frame: Frame, video: VideoCodec) -> None:
        unit = frame.unit
        frame.placement = self._order.place(video.name, unit.payload, keyframe=frame.keyframe)
        if self.reordered or frame.placement in _SHOWN_AT_ONCE:
            return
        self.reordered, self._ordered_sets = True, self._sets
        log.info("feed.reordered", camera=self.camera, profile=self.profile, by=frame.placement.value)
        for sink in tuple(self.sinks):
            sink.feed_status(self)

    @property
    def begins_anywhere(self) -> bool:
        """Whether the newest GOP is whole and begins with a keyframe at which every decoder begins."""
        return bool(self.gop.frames) and self.gop.frames[0].placement is Placement.IN_ORDER

    @property
    def sent_gop(self) -> list[Frame]:
        """Of the newest GOP the frames that are sent; empty while there is none that is whole."""
        return [frame for frame in self.gop.frames if frame.placement is not Placement.DROPPABLE]

    def _flowing(self) -> None:
        self._last_frame_at = self._now()
        if not self.live or self.reason is not Reason.NONE:
            self._say(True, Reason.NONE, "")

    def _say(self, live: bool, reason: Reason, detail: str) -> None:
        if (live, reason, detail) == (self.live, self.reason, self.detail):
            return
        self.steady.end_loan()
        self.live, self.reason, self.detail = live, reason, detail
        for sink in tuple(self.sinks):
            sink.feed_status(self)

    def _look_at(self, payload: bytes) -> None:
        """Learns the picture's size from a keyframe's parameter sets."""
        video = self._video
        if video is None or not video.config_box:
            return
        try:
            sets = payload[: video.sets_end(payload)]
            if sets != self._sets and (found := video.read_format(sets)) is not None:
                self._sets = sets
                self.width_px, self.height_px = found.width_px, found.height_px
        except BitstreamError as error:
            log.debug("feed.bad_parameter_set", camera=self.camera, error=error)

    def _measure(self) -> None:
        now = self._now()
        elapsed = now - self._measured_at
        if elapsed >= 1.0:
            _frames_in.inc(self._frames)
            _frames_lost.inc(self.gop.lost - self._lost)
            if self._frames:
                self._slow = self._frames <= SLOW_PER_SECOND * elapsed
            self._frames, self._lost = 0, self.gop.lost
            rate = 8 * self._bytes / elapsed
            self.bitrate_bps = rate if not self.bitrate_bps else self.bitrate_bps + (rate - self.bitrate_bps) / 4
            self._bytes, self._measured_at = 0, now


LINGER_SECONDS: Final = 10.0
"""A feed without viewers is kept for so long, since tours and operators come back."""


class FeedHub:
    """All feeds of this relay, each once (R11), made when first wanted and ended when long unused."""

    def __init__(
        self,
        bus: Bus,
        tasks: asyncio.TaskGroup,
        clock: Clock,
        *,
        hold_damaged: bool = False,
        bus_id: Callable[[str], str] = str,
    ) -> None:
        """``hold_damaged``: see `ProfileFeed`; ``bus_id(camera)``: `Camera.bus_id`."""
        self._bus_id = bus_id
        self._hold_damaged = hold_damaged
        self._bus = bus
        self._tasks = tasks
        self._clock = clock
        self._feeds: dict[tuple[str, FeedName, str], tuple[ProfileFeed, asyncio.Task[None]]] = {}

    def __len__(self) -> int:
        return len(self._feeds)

    def get(self, site: str, profile: FeedName, camera: str, on_nobody: WhyNobody = no_ingest) -> ProfileFeed:
        """The camera's feed; begins now where there is none."""
        entry = self._feeds.get((site, profile, camera))
        if entry is not None:
            return entry[0]
        there = camera if profile in CONVERTED else self._bus_id(camera)
        if there != camera:
            on_nobody = not_granted
        feed = ProfileFeed(
            self._bus,
            site,
            profile,
            camera,
            self._clock,
            on_nobody,
            hold_damaged=self._hold_damaged,
            bus_id=there,
        )
        return self._begin(feed)

    def _begin(self, feed: ProfileFeed) -> ProfileFeed:
        task = self._tasks.create_task(feed.run(), name=f"feed {feed.profile} {feed.camera}")
        self._feeds[(feed.site, feed.profile, feed.camera)] = (feed, task)
        return feed

    def carried(self) -> set[str]:
        """The cameras that somebody is shown here."""
        return {feed.camera.partition("_")[0] for feed, _ in self._feeds.values() if feed.sinks}  # `ConversionKey.name`

    def of_site(self, site: str) -> list[ProfileFeed]:
        """The feeds of a site's cameras, in the order in which they were begun."""
        return [feed for feed, _ in self._feeds.values() if feed.site == site]

    def end(self, feed: ProfileFeed) -> None:
        """Ends one at once."""
        _, task = self._feeds.pop((feed.site, feed.profile, feed.camera))
        task.cancel()

    def sweep(self) -> None:
        """Ends the feeds that nobody has shown for `LINGER_SECONDS`."""
        now = self._clock.monotonic()
        for key, (feed, task) in list(self._feeds.items()):
            if not feed.sinks and now - feed.idle_since > LINGER_SECONDS:
                del self._feeds[key]
                task.cancel()

    def close(self) -> None:
        """Ends all."""
        for _, task in self._feeds.values():
            task.cancel()
        self._feeds.clear()
