"""One source's life: opened, watched, reported on, closed, opened again."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, Literal

from services.contracts.models import Id, ProfileName, ProfileReport, Reason
from services.ingest.pipeline import Pipeline
from services.ingest.readers.source import Kind, Packet, Reader, ReaderEnd, RtpTransport, Source, Track
from services.ingest.settings import IngestSettings
from services.mesh.backoff import Backoff
from services.mesh.clock import Clock
from services.mesh.log import get_logger

log = get_logger()

Status = Literal["idle", "connecting", "online", "offline"]

STABLE_SECONDS: Final = 10.0
"""A source that delivered for so long may be tried again quickly when it ends."""
OPEN_GRACE_SECONDS: Final = 3.0
"""libav ends its opening by itself in time; past this a thread is stuck where libav cannot look (name resolution)."""
_AUDIO_MAY_BE_WHY: Final = frozenset((Reason.BAD_STREAM, Reason.REFUSED, Reason.NOT_FOUND))


class Run:
    """One opening of a source: the `Outlet` of its reader. What comes after it is over goes nowhere."""

    def __init__(self, feed: "Feed") -> None:
        self._feed: Feed | None = feed

    def opened(self, tracks: Sequence[Track], *, transport: RtpTransport = "", bursts: bool = False) -> None:
        """See `Outlet.opened`."""
        if self._feed is not None:
            self._feed.opened(tuple(tracks), transport, bursts=bursts)

    def packet(self, packet: Packet) -> None:
        """See `Outlet.packet`."""
        if self._feed is not None:
            self._feed.packet(packet)

    def close(self) -> None:
        """It is over."""
        self._feed = None


class Feed:
    """Keeps one source open. `run` does it; `check` is called now and then."""

    def __init__(
        self,
        camera: Id,
        profile: ProfileName,
        source: Source,
        pipelines: dict[Kind, Pipeline],
        *,
        epoch: int,
        deliver: Callable[[Kind, list[bytes]], None],
        settings: IngestSettings,
        make_reader: Callable[[], Reader],
        clock: Clock,
        on_change: Callable[[], None],
    ) -> None:
        """``deliver`` publishes messages of one kind; ``on_change`` is called when `report` says something new."""
        self.source = source
        self.epoch = epoch
        self.pipelines = pipelines
        self.status: Status = "connecting"
        self.reason = Reason.STARTING
        self.detail = ""
        self.reconnects = 0
        self.since_us = clock.now_us()
        self._log = log.bind(camera=camera, profile=profile)
        self._settings = settings
        self._make_reader = make_reader
        self._deliver = deliver
        self._clock = clock
        self._on_change = on_change
        self._run: Run | None = None
        self._verdict: asyncio.Future[ReaderEnd] | None = None
        self._tracks: tuple[Track, ...] | None = None
        self._shape: tuple[int, int] = (0, 0)
        self._transport: RtpTransport = ""
        self._opening_at = self._opened_at = self._packet_at = self._frame_at = 0.0
        self._last_frame_us = 0
        self._bursts = False
        self._without_audio = False

    async def run(self) -> None:
        """Opens the source again and again; cancel to close it."""
        backoff = Backoff(self._settings.backoff_min_seconds, self._settings.backoff_max_seconds)
        try:
            while True:
                started = self._clock.monotonic()
                end = await self._once()
                was_online = self.status == "online"
                self._over(end)
                if was_online and self._clock.monotonic() - started >= STABLE_SECONDS:
                    backoff.reset()
                await asyncio.sleep(backoff.next_seconds())
                self.reconnects += 1
        finally:
            self._close_run()

    async def _once(self) -> ReaderEnd:
        source = replace(
            self.source,
            audio=self.source.audio and not self._without_audio,
            open_seconds=self._settings.open_seconds,
            stall_seconds=self._settings.stall_seconds,
        )
        run = Run(self)
        self._run = run
        self._tracks = None
        self._opening_at = self._clock.monotonic()
        self._verdict = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.TaskGroup() as tasks:
                reading = tasks.create_task(self._make_reader().run(source, run), name="read")
                await asyncio.wait((reading, self._verdict), return_when=asyncio.FIRST_COMPLETED)
                end = self._verdict.result() if self._verdict.done() else reading.result()
                reading.cancel()
        finally:
            self._verdict = None
        if self.source.audio and self._tracks is None and end.reason in _AUDIO_MAY_BE_WHY:
            # Some sources refuse to be opened for the audio's sake; the picture matters more.
            self._without_audio = not self._without_audio
        self._close_run()
        return end

    def _close_run(self) -> None:
        if self._run is not None:
            self._run.close()
            self._run = None
        for pipeline in self.pipelines.values():
            pipeline.end()

    def opened(self, tracks: tuple[Track, ...], transport: RtpTransport, *, bursts: bool) -> None:
        """The source is open."""
        self._tracks = tracks
        self._transport = transport
        self._bursts = bursts
        self._opened_at = self._packet_at = self._frame_at = self._clock.monotonic()
        for track in tracks:
            if (pipeline := self.pipelines.get(track.kind)) is not None:
                pipeline.begin(track, bursts=bursts)
        if self.status == "connecting":
            self.detail = "waiting for a keyframe"

    def packet(self, packet: Packet) -> None:
        """The source sent this: publishes what it yields."""
        pipeline = self.pipelines.get(packet.kind)
        if pipeline is None:
            return
        messages = pipeline.feed(packet, self.epoch)
        if packet.kind == "video":
            self._packet_at = self._clock.monotonic()
            if messages:
                self._frame_at = self._packet_at
                self._last_frame_us = self._clock.now_us()
                shape = (pipeline.shape.width_px, pipeline.shape.height_px)
                if self.status != "online" or shape != self._shape:
                    self._shape = shape
                    self._set("online", Reason.NONE, "")
        if messages:
            self._deliver(packet.kind, messages)

    def check(self, now: float) -> None:
        """Ends a run that stands still. ``now`` is `Clock.monotonic`'s."""
        if self._run is None or self._verdict is None or self._verdict.done():
            return
        if self._tracks is None:
            if now - self._opening_at > self._settings.open_seconds + OPEN_GRACE_SECONDS:
                self._verdict.set_result(ReaderEnd(Reason.TIMEOUT, "opening the source takes too long"))
            return
        limit = self._settings.hls_stall_seconds if self._bursts else self._settings.stall_seconds
        if now - self._packet_at > limit:
            self._verdict.set_result(ReaderEnd(Reason.STALLED, f"no frame for {limit:g} s"))
        elif now - self._frame_at > self._settings.keyframe_seconds:
            self._verdict.set_result(
                ReaderEnd(Reason.NO_KEYFRAME, f"no decodable picture for {self._settings.keyframe_seconds:g} s")
            )

    def _over(self, end: ReaderEnd) -> None:
        if self.status != "offline":
            self._log.warning("camera.lost", reason=str(end.reason), detail=end.detail)
        self._set("offline", end.reason, end.detail)

    def _set(self, status: Status, reason: Reason, detail: str) -> None:
        if status != self.status:
            self.since_us = self._clock.now_us()
            if status == "online":
                self._log.info("camera.back" if self.status == "offline" else "camera.online")
        changed = (status, reason, detail) != (self.status, self.reason, self.detail) or status == "online"
        self.status, self.reason, self.detail = status, reason, detail
        if changed:
            self._on_change()

    def report(self) -> ProfileReport:
        """What is observed of the video."""
        pipeline = self.pipelines["video"]
        online = self.status == "online"
        meter = pipeline.meter
        return ProfileReport(
            status=self.status,
            reason=self.reason,
            detail=self.detail,
            since_us=self.since_us,
            codec=pipeline.codec.ffmpeg_name if pipeline.codec else "",
            width_px=self._shape[0],
            height_px=self._shape[1],
            frame_rate=meter.frame_rate if online else 0.0,
            bitrate_bps=meter.bitrate_bps if online else 0,
            last_frame_us=self._last_frame_us,
            keyframe_interval_seconds=meter.keyframe_interval_seconds,
            frames=meter.frames,
            reconnects=self.reconnects,
            bad_timestamps=pipeline.bad_timestamps,
            frames_lost=meter.missing if self._transport == "udp" else 0,
            transport=self._transport,
        )

    def audio_report(self) -> ProfileReport:
        """What is observed of the audio that comes along."""
        pipeline = self.pipelines["audio"]
        meter = pipeline.meter
        codec = pipeline.codec.ffmpeg_name if pipeline.codec else ""
        if self.status != "online" or self._tracks is None:
            return ProfileReport(
                status="connecting" if self.status == "connecting" else "offline",
                reason=self.reason, detail=self.detail, since_us=self.since_us, codec=codec, frames=meter.frames,
            )  # fmt: skip
        if not any(track.kind == "audio" for track in self._tracks):
            return ProfileReport(
                status="offline", reason=Reason.UNSUPPORTED_CODEC, since_us=self.since_us,
                detail="the source sends no audio that can be used (G.711, AAC or Opus)",
            )  # fmt: skip
        return ProfileReport(
            status="online", since_us=self.since_us, codec=codec, frame_rate=meter.frame_rate,
            bitrate_bps=meter.bitrate_bps, frames=meter.frames, bad_timestamps=pipeline.bad_timestamps,
            reconnects=self.reconnects,
        )  # fmt: skip
