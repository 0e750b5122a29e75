"""The recorded source: a camera's history in a slot, shown when the session's clock says."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final, Literal

from services.contracts.frames import AccessUnit
from services.contracts.models import Camera, Reason
from services.contracts.playback import PlaybackMode
from services.contracts.recordings import FootageGap
from services.contracts.sessions import Size, SlotNotice
from services.footage.playback import FootagePlayer, PlaybackItem
from services.media.codecs import VIDEO
from services.media.nal import BitstreamError
from services.media.time import SECOND_90K
from services.mesh.backoff import Backoff
from services.mesh.clock import Clock, sleep, timeout
from services.mesh.log import get_logger
from services.wall.relay.convert.footage import ConversionRefusedError, PlaybackTranscoder
from services.wall.relay.sending.frame import Frame, can_send
from services.wall.relay.sending.quality import QualityLevel
from services.wall.relay.sending.slot import Slot
from services.wall.relay.sources.clock import SessionClock

log = get_logger()

_FAR_AHEAD_SECONDS: Final = 3600.0
"""A wait is never longer: the clock is asked again."""
FIRST_PICTURE_SECONDS: Final = 0.03
"""What a browser on two cores takes to decode and show the keyframe before a sought moment. What leads up to the
moment stands back meanwhile (`CatchUp`)."""
_EVERY_KEYFRAME_RATE: Final = 16
_KEYFRAMES_A_SECOND: Final = 10
"""Above that rate a slot is sent no more of them."""
_RETRY_SECONDS: Final = 1.0
"""Until a conversion that was refused is asked for again."""


class RecordedSource:
    """Shows what was recorded of a camera in one slot: a `SlotSource`.

    One task reads ahead (as far as the transfer's credit goes) and shows each picture when it is due. A jump of the
    clock, or a change between all frames, keyframes and backwards, begins reading anew; play and pause only wake it.
    """

    def __init__(
        self,
        slot: Slot,
        camera: Camera,
        player: FootagePlayer,
        transcoder: PlaybackTranscoder,
        session_clock: SessionClock,
        clock: Clock,
    ) -> None:
        self._slot = slot
        self._camera = camera
        self._player = player
        self._transcoder = transcoder
        self._clock = session_clock
        self._time = clock
        self._now = clock.monotonic
        self._task: asyncio.Task[None] | None = None
        self._turned = asyncio.Event()
        """The clock was set going, stopped or changed its rate."""
        self._gop: list[AccessUnit] = []
        """The units shown from the last keyframe on, for a decoder that begins anew."""
        self._newest: AccessUnit | None = None
        self._following: AccessUnit | None = None
        """What will be shown next, where that is known already."""
        self._mode: PlaybackMode = "frames"
        self.late_seconds = 0.0
        """How long after its due time the newest picture was sent: reading or converting was too slow."""
        self.keyframe_seconds = float("inf")
        """Of footage from one keyframe to the next, as last shown; infinite until two were."""
        self._keyframe_us: int | None = None
        """Capture time of the last keyframe that was shown in turn."""
        self._received_bytes = 0
        self._received_us = 0

    @property
    def camera(self) -> str:
        """Whose history it is."""
        return self._camera.id

    @property
    def shown_us(self) -> int | None:
        """Capture time of the picture on the screen."""
        return self._newest.capture_us if self._newest is not None else None

    @property
    def next_us(self) -> int | None:
        """Capture time of the picture after the one on the screen, where it has been read already."""
        if self._mode != "frames" or self._following is None:
            return None
        return self._following.capture_us

    def start(self) -> None:
        """Begins to read where the clock stands."""
        self.restart_reading(nearest_first=True)

    def read_on(self) -> None:
        """The clock moved on a little: shows what is due by then, and begins reading anew only where it must."""
        if self._mode == "frames" and self._task is not None:
            self._turned.set()
        else:
            self.restart_reading(nearest_first=False)

    def restart_reading(self, *, nearest_first: bool) -> None:
        """Reads from where the clock stands: it jumped, or another mode is to be read.

        ``nearest_first``: the keyframe before the moment is shown as soon as it is there, and the moment's own picture
        when it is decoded.
        """
        self._stop()
        self._task = asyncio.create_task(self._run(nearest_first), name=f"playback {self._camera.id}")

    def clock_turned(self) -> None:
        """The clock was set going or stopped where it stands."""
        self._turned.set()
        state = self._slot.notice.state
        if state in ("playing", "paused"):
            self._slot.refresh_notice(state=self._state)

    def close(self) -> None:
        """Stops reading and ends the conversion."""
        self._stop()
        self._transcoder.close()

    def _stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._following = None
        self._keyframe_us = None
        self._gop = []
        self.late_seconds = 0.0

    def resync(self) -> bool:
        """Replays what was shown since the last keyframe; False in a gap, or before the first picture."""
        if not self._gop:
            return False
        self._present(list(self._gop))
        return True

    def adapt(self, size: Size | None, level: QualityLevel) -> None:
        """Does nothing: there is one profile, and each frame asks the slot for the link's level."""

    def notice(self) -> SlotNotice:
        """The notice for a slot that plays this camera."""
        unit = self._newest
        thinned = self._clock.thinned and self._clock.playing and self._slot.level is not QualityLevel.KEYFRAMES
        return SlotNotice(
            slot=self._slot.index,
            camera=self._camera.id,
            source="recorded",
            state=self._state,
            profile="main",
            codec=unit.codec.ffmpeg_name if unit is not None else "",
            transcoded=unit is not None and self._transcoder.converting,
            limited="keyframes" if self._slot.level is QualityLevel.KEYFRAMES or thinned else "none",
            limited_by="decoding" if thinned else "link",
        )

    @property
    def _state(self) -> Literal["playing", "paused"]:
        return "playing" if self._clock.playing else "paused"

    @property
    def bitrate_bps(self) -> float:
        """The recording's bit rate times the clock's rate; 0 while the clock stands or nothing was read."""
        rate = max(1.0, abs(self._clock.rate)) if self._clock.playing else 0.0
        return rate * 8e6 * self._received_bytes / self._received_us if self._received_us > 0 else 0.0

    async def _run(self, nearest_first: bool) -> None:
        again = Backoff(_RETRY_SECONDS)
        while True:
            try:
                await self._play(self._clock.at(self._now()), nearest_first)
            except ConversionRefusedError as error:
                waiting = self.notice().model_copy(update={"state": "waiting", "transcoded": False})
                self._slot.set_notice(waiting.model_copy(update={"reason": error.reason, "detail": error.message}))
                await sleep(self._time, again.next_seconds())
            else:
                return

    async def _play(self, at_us: int, nearest_first: bool) -> None:
        mode = self._mode = self._clock.mode
        async with (
            aclosing(self._player.read(at_us, mode)) as recorded,
            aclosing(self._transcoder.playable(recorded, at_us, every_frame=mode == "frames")) as items,
        ):
            if mode == "frames":
                first = await self._lead_in(items, at_us, nearest_first and self._slot.track.plays_at_once)
            else:
                first = await anext(items, None)
                if isinstance(first, AccessUnit):
                    self._measure(first)
                    self._present([first])
                    first = None
            while True:
                if isinstance(first, FootageGap):
                    await self._gap(first, backwards=mode == "backwards")
                elif first is not None:
                    self._following = first
                    waited = await self._until(first.capture_us)
                    self._following = None
                    self.late_seconds = 0.0 if waited else self._late(first.capture_us)
                    self._show(first)
                try:
                    first = await anext(items)
                except StopAsyncIteration:
                    self._say_gap(None)
                    return

    async def _lead_in(
        self, items: AsyncGenerator[PlaybackItem, None], at_us: int, nearest_first: bool
    ) -> PlaybackItem | None:
        """Shows the picture of the moment; returns the first item after it."""
        leading: list[AccessUnit] = []
        following: PlaybackItem | None = None
        nearest: AccessUnit | None = None
        async for item in items:
            if not isinstance(item, AccessUnit) or item.capture_us > at_us:
                following = item
                break
            self._measure(item)
            if item.keyframe:
                leading = []
            leading.append(item)
            if nearest_first:
                nearest_first = False
                frames = self._frames([self._restamp(item, item)])
                if self._slot.replay_gop(frames, moved=True, first_seconds=FIRST_PICTURE_SECONDS):
                    nearest = item
        if leading:
            self._present(leading, sent=leading[0] is nearest)
        elif isinstance(following, AccessUnit):  # in a hole too short to be a gap: the old picture must not stay
            self._measure(following)
            self._present([following])
            return None
        return following

    async def _until(self, capture_us: int) -> bool:
        """Returns when the clock has come to ``capture_us``; whether that took any time."""
        waited = False
        while (delay := self._clock.due(capture_us) - self._now()) > 0:
            waited = True
            self._turned.clear()
            try:
                async with timeout(self._time, min(delay, _FAR_AHEAD_SECONDS)):
                    await self._turned.wait()
            except TimeoutError:
                continue
        return waited

    def _late(self, capture_us: int) -> float:
        return self._now() - self._clock.due(capture_us) if self._clock.playing else 0.0

    async def _gap(self, gap: FootageGap, *, backwards: bool) -> None:
        edge_us = gap.to_us if backwards else gap.from_us
        waited = edge_us is not None and await self._until(edge_us)
        if waited and gap.to_us is None:
            return  # there may be footage by now: the player looks again
        self._say_gap(gap)

    def _say_gap(self, gap: FootageGap | None) -> None:
        # The screen is empty now. A decoder that asks for a keyframe must not bring the old picture back (R8).
        self._gop, self._newest, self.late_seconds = [], None, 0.0
        self._keyframe_us = None
        self._slot.skip_frame()
        self._slot.set_notice(
            SlotNotice(
                slot=self._slot.index,
                camera=self._camera.id,
                source="recorded",
                state="gap",
                detail=gap.cause if gap is not None else "",
                until_us=gap.to_us if gap is not None else None,
            )
        )

    def _present(self, units: list[AccessUnit], *, sent: bool = False) -> None:
        """Shows the last of ``units`` at once; those before it are sent to be decoded. ``sent``: the first one was."""
        needed = _needed(units)
        self._gop, self._newest = needed, units[-1]
        frames = self._frames([self._restamp(unit, units[-1]) for unit in needed[sent:]])
        if sent:
            self._slot.replay_more(frames)
        else:
            self._slot.replay_gop(frames, moved=True, first_seconds=FIRST_PICTURE_SECONDS)

    def _is_one_too_many(self, unit: AccessUnit) -> bool:
        """At 32× a camera's keyframes are sixteen a second: no eye needs them, no browser decodes a wall of them."""
        rate = abs(self._clock.rate)
        if rate <= _EVERY_KEYFRAME_RATE or self._newest is None:
            return False
        return abs(unit.capture_us - self._newest.capture_us) < rate * 1e6 / _KEYFRAMES_A_SECOND

    def _show(self, unit: AccessUnit) -> None:
        self._measure(unit)
        if self._is_one_too_many(unit):
            self._slot.skip_frame()
            return
        if unit.keyframe:
            self._gop = []
            if self._mode == "frames":
                if self._keyframe_us is not None:
                    self.keyframe_seconds = (unit.capture_us - self._keyframe_us) / 1e6
                self._keyframe_us = unit.capture_us
        self._gop.append(unit)
        self._newest = unit
        if self._slot.level is QualityLevel.KEYFRAMES and not unit.keyframe:
            self._slot.skip_frame()
            return
        for frame in self._frames([self._restamp(unit, unit)]):
            self._slot.show_frame(frame)
        notice = self._slot.notice
        if notice.state == self._state and notice.transcoded is not self._transcoder.converting:
            self._slot.refresh_notice()  # B-pictures came after a GOP that needed no conversion

    def _restamp(self, unit: AccessUnit, newest: AccessUnit) -> AccessUnit:
        """RTP time runs with the viewer's time at every rate and in both directions."""
        dts_90k = round(self._now() * SECOND_90K) - max(newest.dts_90k - unit.dts_90k, 0)
        rate = self._clock.rate
        shown_later = round((unit.pts_90k - unit.dts_90k) / rate) if rate > 0 else 0  # backwards: keyframes alone
        return unit._replace(pts_90k=dts_90k + shown_later, dts_90k=dts_90k)

    def _frames(self, units: list[AccessUnit]) -> list[Frame]:
        if not units:
            return []
        codec = units[-1].codec
        if not can_send(codec) or not self._slot.accepts(codec):
            name = codec.ffmpeg_name
            self._slot.set_notice(
                self.notice().model_copy(update={"state": "waiting", "reason": Reason.UNSUPPORTED_CODEC, "codec": name})
            )
            return []
        try:
            return [Frame(unit) for unit in units]
        except BitstreamError as error:
            log.warning("playback.bad_frame", camera=self._camera.id, error=error)
            return []

    def _measure(self, unit: AccessUnit) -> None:
        if self._newest is not None and 0 < (passed := unit.capture_us - self._newest.capture_us) < 10_000_000:
            self._received_bytes += len(unit.payload)
            self._received_us += passed


def _needed(units: list[AccessUnit]) -> list[AccessUnit]:
    """Those without which the last one cannot be decoded, and that one."""
    return [*(unit for unit in units[:-1] if not _disposable(unit)), units[-1]]


def _disposable(unit: AccessUnit) -> bool:
    try:
        return VIDEO[unit.codec.ffmpeg_name].is_disposable(unit.payload)
    except BitstreamError:
        return False
