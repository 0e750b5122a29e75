"""One source's life: opened, watched, reported on, closed, opened again."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Literal

from services.contracts.models import Id, ProfileName, ProfileReport, ReaderName, Reason
from services.ingest.attempts import Pauses, ReaderChoice, ReaderKind, SoundChoice
from services.ingest.pace import Pace
from services.ingest.pipeline import Pipeline
from services.ingest.readers.source import (
    Kind,
    Packet,
    Reader,
    ReaderEnd,
    RtpTransport,
    Source,
    Track,
    UsualLoan,
    UsualTaker,
)
from services.ingest.settings import IngestSettings
from services.ingest.timing.burst import BurstPacer
from services.ingest.timing.source_clock import ClockEstimate
from services.ingest.usual_pictures import UsualPictures
from services.mesh.clock import Clock, ClockTimer, sleep
from services.mesh.log import get_logger

log = get_logger()

Status = Literal["idle", "connecting", "online", "offline"]
Readers = Mapping[ReaderKind, Callable[[], Reader]]

OPEN_GRACE_SECONDS: Final = 3.0
"""A reader ends its opening by itself in time; past this it hangs where it cannot look (libav in name resolution)."""


class Run:
    """One opening of a source: the `Outlet` of its reader. What comes after it is over goes nowhere."""

    def __init__(self, feed: "Feed") -> None:
        self._feed: Feed | None = feed

    def opened(
        self, tracks: Sequence[Track], *, transport: RtpTransport = "", bursts: bool = False
    ) -> UsualTaker | None:
        if self._feed is not None:
            self._feed.opened(tuple(tracks), transport, bursts=bursts)
        return self

    def packet(self, packet: Packet) -> None:
        if self._feed is not None:
            self._feed.packet(packet)

    def heard(self) -> None:
        if self._feed is not None:
            self._feed.heard()

    def close(self) -> None:
        """It is over."""
        if self._feed is not None:
            self._feed.end_loan()
        self._feed = None

    def lend(self, loan: Any) -> bool:
        return self._feed is not None and self._feed.lend(loan)

    def take_back(self, loan: Any) -> None:
        if self._feed is not None:
            self._feed.pipelines["video"].take_back(loan)

    def lent(self, loan: UsualLoan | None) -> None:
        if self._feed is not None:
            self._feed.lent(loan)

    def take_usual(self, pictures: UsualPictures) -> None:
        if self._feed is not None:
            self._feed.take_usual(pictures)


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
        keep: Callable[[Sequence[bytes], float], None] = lambda _messages, _now: None,
        subject: Callable[[], str] = str,
        settings: IngestSettings,
        reader: ReaderName,
        readers: Readers,
        clock: Clock,
        on_change: Callable[[], None],
        learned: str = "",
        on_fallback: Callable[[str], None] = lambda _: None,
    ) -> None:
        """``reader`` is the wanted one, ``readers`` all there are. ``deliver`` publishes messages of one kind.
        ``keep`` keeps those of the video that are published otherwise, on the ``subject()``, with `Clock.monotonic`.

        ``learned`` is why ``auto`` has fallen back to libav before, and ``on_fallback`` is told when it does now.
        ``on_change`` is called when `report` says something new.
        """
        self.source = source
        self.reader = reader
        self._epoch = epoch
        self.pipelines = pipelines
        self.status: Status = "connecting"
        self.reason = Reason.STARTING
        self.detail = ""
        self.reconnects = 0
        self.since_us = clock.now_us()
        self._log = log.bind(camera=camera, profile=profile)
        self._settings = settings
        self._readers = readers
        self._choice = ReaderChoice(settings.reader or reader, source, frozenset(readers), learned=learned)
        self._on_fallback = on_fallback
        self._sound = SoundChoice(wanted=source.audio)
        self._pauses = Pauses(settings.backoff_min_seconds, settings.backoff_max_seconds)
        self._deliver = deliver
        self._keep = keep
        self._subject = subject
        self._loan: UsualLoan | None = None
        self._clock = clock
        self._on_change = on_change
        self._run: Run | None = None
        self._verdict: asyncio.Future[ReaderEnd] | None = None
        self._tracks: tuple[Track, ...] | None = None
        self._shape: tuple[int, int] = (0, 0)
        self._transport: RtpTransport = ""
        self._bursts = False
        self._pacer: BurstPacer | None = None
        self._release: ClockTimer | None = None
        self._pace = Pace()
        self._opening_at = self._opened_at = self._packet_at = self._frame_at = 0.0
        self._first_frame_at: float | None = None
        self._last_frame_us = 0
        self._next_attempt_us = 0

    async def run(self) -> None:
        """Opens the source again and again; cancel to close it."""
        try:
            while True:
                end = await self._once()
                delivered = 0.0 if self._first_frame_at is None else self._frame_at - self._first_frame_at
                if self._choice.ended(end):
                    self._log.info("camera.reader", reader=self._choice.kind, detail=end.detail)
                    self._on_fallback(end.detail)
                    self._set("connecting", Reason.STARTING, f"read with libav: {end.detail}")
                else:
                    pause = self._pauses.after(end.reason, delivered)
                    self._next_attempt_us = self._clock.now_us() + round(pause * 1e6)
                    self._over(end)
                    await sleep(self._clock, pause)
                    self._next_attempt_us = 0
                self.reconnects += 1
        finally:
            self.close_run()

    async def _once(self) -> ReaderEnd:
        source = replace(
            self.source,
            audio=self._sound.with_sound,
            open_seconds=self._settings.open_seconds,
            stall_seconds=self._settings.stall_seconds,
            verify=self._settings.certificates == "verified",
            authorities=str(self._settings.certificate_authorities or ""),
            networks=self._settings.networks,
        )
        run = Run(self)
        self._run = run
        self._tracks = None
        self._first_frame_at = None
        self._opening_at = self._clock.monotonic()
        self._verdict = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.TaskGroup() as tasks:
                reading = tasks.create_task(self._readers[self._choice.kind]().run(source, run), name="read")
                await asyncio.wait((reading, self._verdict), return_when=asyncio.FIRST_COMPLETED)
                end = self._verdict.result() if self._verdict.done() else reading.result()
                reading.cancel()
        finally:
            self._verdict = None
        if self._tracks is None:
            self._sound.failed_to_open(end)
        self.close_run()
        return end

    def close_run(self) -> None:
        """Takes what came so far. What its reader brings from now on goes nowhere."""
        if self._run is not None:
            self._run.close()
            self._run = None
        self._pacer = None
        if self._release is not None:
            self._release.cancel()
            self._release = None
        for pipeline in self.pipelines.values():
            pipeline.end()

    def count_from(self, epoch: int) -> None:
        """Another epoch counts from the next keyframe on."""
        self.end_loan()
        self._epoch = epoch

    def opened(self, tracks: tuple[Track, ...], transport: RtpTransport, *, bursts: bool) -> None:
        """The source is open, or goes on with other tracks."""
        self.end_loan()
        self._tracks = tracks
        self._transport = transport
        self._bursts = bursts
        self._opened_at = self._packet_at = self._frame_at = self._clock.monotonic()
        self._pace.begin()
        self._sound.opened(self._opened_at)
        for track in tracks:
            if (pipeline := self.pipelines.get(track.kind)) is not None:
                pipeline.begin(track, bursts=bursts)
        self._pacer = BurstPacer() if bursts else None

    def packet(self, packet: Packet) -> None:
        """The source sent this: publishes what it yields, at once or, of what comes in bursts, when it is due."""
        if packet.kind == "video":
            now = self._packet_at = self._clock.monotonic()
            self._pace.add(now)
            if self._choice.kind == "libav":
                self._pace.heard()  # libav cannot ask whether the source is there
        if self._pacer is None:
            self._publish(packet)
            return
        self._pacer.put(packet, round(self._clock.monotonic() * 1e6))
        if self._release is None:
            self._publish_due()

    # Usual pictures, which the kernel makes messages of

    def lend(self, loan: Any) -> bool:
        """Puts what the next message needs into a ``pi_connection``; False where Python has to make it."""
        if self.status != "online" or self.detail or self._pacer is not None or self._choice.kind != "direct":
            return False
        subject = self._subject().encode()
        if not 0 < len(subject) <= len(loan.subject) or not self.pipelines["video"].lend(loan, self._epoch):
            return False
        loan.subject[0 : len(subject)] = subject
        loan.subject_bytes = len(subject)
        return True

    def lent(self, loan: UsualLoan | None) -> None:
        """What takes back what is lent; None: nothing is lent any more."""
        self._loan = loan

    def end_loan(self) -> None:
        """Takes back what is lent: it is looked at, or something that was lent changes."""
        if self._loan is not None:
            self._loan.end_loan()

    def catch_up(self) -> None:
        """Takes what the kernel has made messages of: it is looked at."""
        if self._loan is not None:
            self._loan.fetch()

    def take_usual(self, pictures: UsualPictures) -> None:
        """The kernel has made messages, and they were published: notes and keeps them."""
        now, arrived = self._clock.monotonic(), [arrival_us / 1e6 for arrival_us in pictures.arrivals_us]
        self._packet_at = self._frame_at = arrived[-1]
        self._last_frame_us = self._clock.now_us() - round((now - arrived[-1]) * 1e6)
        self._pace.add(*arrived)
        self.pipelines["video"].usual(pictures)
        self._keep(pictures.messages, now)

    def heard(self) -> None:
        """The source said something that is no packet."""
        self._pace.heard()

    def _publish_due(self) -> None:
        self._release = None
        if self._pacer is None:
            return
        now_us = round(self._clock.monotonic() * 1e6)
        for packet in self._pacer.due(now_us):
            self._publish(packet)
        if (next_us := self._pacer.next_us) is not None:
            self._release = self._clock.call_later((next_us - now_us) / 1e6, self._publish_due)

    def _publish(self, packet: Packet) -> None:
        pipeline = self.pipelines.get(packet.kind)
        if pipeline is None:
            return
        self.catch_up()  # it came before
        messages = pipeline.feed(packet, self._epoch)
        if packet.kind == "video":
            if messages:
                now = self._frame_at = self._clock.monotonic()
                if self._first_frame_at is None:
                    self._first_frame_at = now
                self._last_frame_us = self._clock.now_us()
                shape = (pipeline.shape.width_px, pipeline.shape.height_px)
                if self.status != "online" or shape != self._shape or self.detail:
                    self._shape = shape
                    self._set("online", Reason.NONE, "")
            elif self.status == "connecting" and self.reason is not Reason.NO_KEYFRAME:
                self._set("connecting", Reason.NO_KEYFRAME, "waiting for a keyframe")
        if messages:
            self._deliver(packet.kind, messages)

    @property
    def bitrate_bps(self) -> int:
        """Of its video and its sound, over the last seconds; 0 while unknown."""
        return sum(pipeline.meter.bitrate_bps for pipeline in self.pipelines.values()) if self.status == "online" else 0

    @property
    def stalls_after_seconds(self) -> float:
        """Without a picture for so long the source counts as stalled."""
        if self._bursts:
            return self._settings.hls_stall_seconds
        return max(self._settings.stall_seconds, self._pace.patience_seconds)

    def check(self, now: float) -> None:
        """Ends a run that stands still. ``now`` is `Clock.monotonic`'s."""
        if self._run is None or self._verdict is None or self._verdict.done():
            return
        if now - self._packet_at > min(self._settings.stall_seconds, self._settings.keyframe_seconds):
            self.catch_up()
        if (end := self._judge(now)) is not None:
            if end.reason is Reason.STALLED:
                self._pace.stalled(now)
            elif end.reason is Reason.NO_MEDIA:
                self._pace.sent_nothing()
            self._verdict.set_result(end)
        elif self.status == "online" and not self.detail and not self._bursts:
            silent_seconds = now - self._packet_at
            if self._settings.stall_seconds < silent_seconds and self._pace.interval_seconds is None:
                detail = f"one picture so far, and none for {silent_seconds:.0f} s: it may be a slow camera"
                self._set("online", Reason.NONE, detail)

    def _judge(self, now: float) -> ReaderEnd | None:
        if self._tracks is None:
            if now - self._opening_at > self._settings.open_seconds + OPEN_GRACE_SECONDS:
                return ReaderEnd(Reason.TIMEOUT, "opening the source takes too long")
            return None
        limit = self.stalls_after_seconds
        if not self._pace.begun and not self._bursts:
            limit = self._pace.first_picture_seconds
        if self._pacer is not None and len(self._pacer):
            return None  # what is paced out is still there
        if now - self._packet_at > limit:
            if not self._pace.begun:
                return ReaderEnd(Reason.NO_MEDIA, f"the source agreed to play and sent no picture for {limit:.0f} s")
            return ReaderEnd(Reason.STALLED, f"no picture for {limit:.0f} s")
        if now - self._frame_at > self._settings.keyframe_seconds:
            waited = f"{self._settings.keyframe_seconds:g} s"
            return ReaderEnd(Reason.NO_KEYFRAME, f"no picture that could be decoded for {waited}")
        if self._sound.due(now):
            return ReaderEnd(Reason.NONE, "opened again with its sound")
        return None

    def _over(self, end: ReaderEnd) -> None:
        if end.reason is Reason.NONE:  # we closed it, to open it in another way
            self._set("connecting", Reason.STARTING, end.detail)
            return
        if self.status != "offline":
            self._log.warning("camera.lost", reason=str(end.reason), detail=end.detail)
        self._set("offline", end.reason, end.detail)

    def _set(self, status: Status, reason: Reason, detail: str) -> None:
        if status != self.status:
            self.since_us = self._clock.now_us()
            if status == "online":
                self._log.info("camera.back" if self.status == "offline" else "camera.online")
        self.end_loan()
        changed = (status, reason, detail) != (self.status, self.reason, self.detail) or status == "online"
        self.status, self.reason, self.detail = status, reason, detail
        if changed:
            self._on_change()

    def report(self) -> ProfileReport:
        """What is observed of the video; of its clock when the loan ended last, which is some seconds ago at most."""
        self.catch_up()
        pipeline = self.pipelines["video"]
        online = self.status == "online"
        meter = pipeline.meter
        clock = pipeline.clock.estimate if online else ClockEstimate()
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
            frames_lost=pipeline.lost_packets,
            frames_damaged=pipeline.damaged,
            clock_offset_us=clock.offset_us,
            clock_uncertainty_us=clock.uncertainty_us,
            clock_drift_ppm=clock.drift_ppm,
            reader=self._choice.kind,
            reader_detail=self._choice.detail,
            transport=self._transport,
            certificate=self._certificate,
            next_attempt_us=self._next_attempt_us,
            stalls_after_seconds=round(self.stalls_after_seconds, 1) if online else 0.0,
        )

    @property
    def _certificate(self) -> Literal["", "verified", "unverified"]:
        if not self.source.is_secure:
            return ""
        return "verified" if self._settings.certificates == "verified" else "unverified"

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
                status="offline",
                since_us=self.since_us,
                reason=Reason.REJECTED if self._sound.trouble else Reason.UNSUPPORTED_CODEC,
                detail=f"the source does not open with its sound: {self._sound.trouble}"
                if self._sound.trouble
                else "the source sends no audio that can be used (G.711, AAC or Opus)",
            )  # fmt: skip
        return ProfileReport(
            status="online", since_us=self.since_us, codec=codec, frame_rate=meter.frame_rate,
            bitrate_bps=meter.bitrate_bps, frames=meter.frames, bad_timestamps=pipeline.bad_timestamps,
            reconnects=self.reconnects,
        )  # fmt: skip
