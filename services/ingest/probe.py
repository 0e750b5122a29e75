"""Looks at a source once, before somebody saves it as a camera: a picture, codec, size, rate, and its sub profile.

Cameras serve few clients, so there is one connection at a time and one for each address; the next address is tried
when the last is closed. All of it ends within `PROBE_SECONDS`. Nothing of a probe is kept.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from services.contracts.errors import UnavailableError
from services.contracts.frames import decode
from services.contracts.models import Camera, Credentials, Profile, ReaderName, Reason
from services.contracts.permissions import Actor
from services.contracts.probe import ProbedStream, ProbeQuestion, ProbeReply
from services.ingest.attempts import ReaderChoice
from services.ingest.feed import Readers
from services.ingest.pipeline import Pipeline
from services.ingest.readers.source import Packet, ReaderEnd, RtpTransport, Source, Track
from services.ingest.settings import IngestSettings
from services.ingest.sub_urls import sub_urls
from services.mesh.clock import Clock, sleep

AT_ONCE: Final = 2
"""Probes of a worker: it has cameras to read."""
OPEN_SECONDS: Final = 6.0
PICTURE_SECONDS: Final = 5.0
"""From the source's answer to its first keyframe; a longer GOP is told as one."""
MEASURE_SECONDS: Final = 1.5
"""From the first keyframe on: what rate and size are measured over."""
MAIN_SECONDS: Final = 14.0
"""For the main profile, with all readers that are tried."""
SUB_SECONDS: Final = 8.0
"""For the sub profile, or all addresses at which one is looked for. Both together are less than `PROBE_SECONDS`."""
PAUSE_SECONDS: Final = 0.3
"""A camera frees a client's place a little after it has gone."""
MAX_KEYFRAME_BYTES: Final = 2 * 1024 * 1024

_NO_PICTURE: Final = ReaderEnd(Reason.NO_MEDIA, "agreed to play and sent no picture")


class _Look:
    """The `Outlet` of one attempt: what came, as the pipeline of a camera would take it."""

    def __init__(self, clock: Clock) -> None:
        self.pipeline = Pipeline(clock, gop_bytes=0)
        self.tracks: tuple[Track, ...] = ()
        self.opened_event = asyncio.Event()
        self.picture_event = asyncio.Event()
        self.keyframe = b""
        self.packets = 0

    def opened(self, tracks: Sequence[Track], *, transport: RtpTransport = "", bursts: bool = False) -> None:
        del transport
        self.tracks = tuple(tracks)
        for track in tracks:
            if track.kind == "video":
                self.pipeline.begin(track, bursts=bursts)
        self.opened_event.set()

    def packet(self, packet: Packet) -> None:
        if packet.kind != "video":
            return
        self.packets += 1
        for message in self.pipeline.feed(packet, 0):
            if not self.keyframe and (unit := decode(message)).keyframe:
                self.keyframe = unit.payload
                self.picture_event.set()

    def heard(self) -> None:
        """Nothing hangs on it here."""

    def codec_of(self, kind: str) -> str:
        """FFmpeg's name of the track of a kind; empty where there is none."""
        return next((track.codec.ffmpeg_name for track in self.tracks if track.kind == kind), "")


class Prober:
    """Answers `ProbeQuestion`."""

    def __init__(
        self,
        settings: IngestSettings,
        readers: Readers,
        clock: Clock,
        *,
        kept: Callable[[str], tuple[Camera, Credentials] | None] = lambda _: None,
    ) -> None:
        """``kept`` gives a camera of the catalogue and its credentials; None where it has none."""
        self._settings = settings
        self._readers = readers
        self._clock = clock
        self._kept = kept
        self._running = 0

    async def probe(self, question: ProbeQuestion, _actor: Actor) -> ProbeReply:
        """Raises `UnavailableError` where as many probes run as may."""
        if self._running >= AT_ONCE:
            raise UnavailableError("other cameras are being probed just now; try again shortly", retry_after_seconds=5)
        self._running += 1
        try:
            return await self._probe(question)
        finally:
            self._running -= 1

    async def _probe(self, question: ProbeQuestion) -> ProbeReply:
        credentials = question.credentials or self._credentials(question)
        main = await self._look(question.main, credentials, until=self._clock.monotonic() + MAIN_SECONDS)
        if main.reason is not Reason.NONE:
            return ProbeReply(main=main)
        await sleep(self._clock, PAUSE_SECONDS)
        until = self._clock.monotonic() + SUB_SECONDS
        if question.sub is not None:
            return ProbeReply(main=main, sub=await self._look(question.sub, credentials, until=until))
        return ProbeReply(main=main, sub=await self._find_sub(question.main, main, credentials, until))

    async def _find_sub(
        self, main: Profile, found: ProbedStream, credentials: Credentials | None, until: float
    ) -> ProbedStream | None:
        for url in sub_urls(main.url):
            if self._clock.monotonic() >= until:
                break
            sub = await self._look(main.model_copy(update={"url": url}), credentials, until=until)
            # Some cameras give their only stream at every path.
            if sub.reason is Reason.NONE and sub.width_px < found.width_px:
                return sub
            await sleep(self._clock, PAUSE_SECONDS)
        return None

    def _credentials(self, question: ProbeQuestion) -> Credentials | None:
        """Those kept for the camera, for its own host alone: nobody learns a password by probing another one."""
        kept = self._kept(question.camera) if question.camera is not None else None
        if kept is None:
            return None
        camera, credentials = kept
        hosts = {urlsplit(profile.url).hostname for profile in camera.profiles.values()}
        return credentials if urlsplit(question.main.url).hostname in hosts else None

    async def _look(self, profile: Profile, credentials: Credentials | None, *, until: float) -> ProbedStream:
        """One address: one connection, and one more where only libav can read it. It ends at ``until``."""
        source = Source(
            url=profile.url,
            transport=profile.transport,
            username=credentials.username if credentials else "",
            password=credentials.password if credentials else "",
            open_seconds=min(OPEN_SECONDS, self._settings.open_seconds, until - self._clock.monotonic()),
            stall_seconds=self._settings.stall_seconds,
            verify=self._settings.certificates == "verified",
            authorities=str(self._settings.certificate_authorities or ""),
            networks=self._settings.networks,
        )
        reader: ReaderName = self._settings.reader or profile.reader
        choice = ReaderChoice(reader, source, frozenset(self._readers))
        while True:
            look = _Look(self._clock)
            end = await self._attempt(choice, source, look, until)
            if not choice.ended(end):
                return _told(source, look, end)

    async def _attempt(self, choice: ReaderChoice, source: Source, look: _Look, until: float) -> ReaderEnd:
        """Until enough was seen, or the source or the time says that nothing will be."""
        reading = asyncio.ensure_future(self._readers[choice.kind]().run(source, look))
        try:
            if not await self._comes(reading, look.opened_event, source.open_seconds + 1, until):
                return reading.result() if reading.done() else ReaderEnd(Reason.TIMEOUT, "did not open in time")
            if not await self._comes(reading, look.picture_event, PICTURE_SECONDS, until):
                if reading.done():
                    return reading.result()
                return _NO_PICTURE if look.packets == 0 else ReaderEnd(Reason.NO_KEYFRAME, "sends no keyframe in time")
            await self._comes(reading, asyncio.Event(), MEASURE_SECONDS, until)
            return ReaderEnd(Reason.NONE, "")
        finally:
            reading.cancel()
            await asyncio.wait([reading])

    async def _comes(
        self, reading: asyncio.Future[ReaderEnd], event: asyncio.Event, within_seconds: float, until: float
    ) -> bool:
        """Whether ``event`` is set before the reading ends and the time is over."""
        within_seconds = max(0.0, min(within_seconds, until - self._clock.monotonic()))
        waits: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(event.wait()),
            asyncio.ensure_future(sleep(self._clock, within_seconds)),
        ]
        try:
            await asyncio.wait([reading, *waits], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return event.is_set()


def _told(source: Source, look: _Look, end: ReaderEnd) -> ProbedStream:
    stream = ProbedStream(url=source.url, reason=end.reason, detail=end.detail)
    if not look.keyframe:
        return stream
    shape, meter = look.pipeline.shape, look.pipeline.meter
    figures = {
        "codec": look.codec_of("video"),
        "audio_codec": look.codec_of("audio"),
        "width_px": shape.width_px,
        "height_px": shape.height_px,
        "frame_rate": meter.frame_rate,
        "bitrate_bps": meter.bitrate_bps,
        "keyframe": look.keyframe if len(look.keyframe) <= MAX_KEYFRAME_BYTES else b"",
    }
    return stream.model_copy(update=figures)
