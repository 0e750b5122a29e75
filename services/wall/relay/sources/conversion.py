"""A camera's conversion: what is wanted of it, who does it, and its result on the bus as a profile like any other.

A converted profile lives on ``media.h264.<camera>`` or ``media.opus.<camera>`` of the mesh's own site, and is asked for
on ``convert`` as any profile is on ``want``. The relay whose question nobody answers claims it and
converts; so all relays of a mesh together convert a camera once. It ends some time after the last question.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Final, Literal, NamedTuple
from zlib import crc32

from services.contracts import subjects
from services.contracts.errors import UnavailableError
from services.contracts.frames import FrameError, decode
from services.contracts.models import Camera, PrivacyMasks, Reason, WantReply
from services.contracts.permissions import Actor
from services.contracts.sessions import ConversionOpen
from services.mesh.bus import Bus
from services.mesh.clock import Clock, sleep
from services.mesh.leases import RENEW_SECONDS, Claim
from services.mesh.lifecycle import Service
from services.mesh.log import get_logger
from services.mesh.metrics import gauge
from services.mesh.rpc import Nothing, call
from services.mesh.want import WantAnswerer
from services.wall.masking import rectangles
from services.wall.relay.convert.footage import ConversionRefusedError, FootageConverter
from services.wall.relay.convert.framing import Task
from services.wall.relay.convert.process import ConverterProcess, ConverterProcesses, Kind
from services.wall.relay.sending.frame import Frame
from services.wall.relay.sources.feed import ConvertedName, FeedHub, FeedName, ProfileFeed
from services.wall.relay.sources.site_limits import SiteLimits

log = get_logger()

KEEP_SECONDS: Final = 20.0
"""After the last want. A feed renews its want for 10 s after the last viewer, which makes 30 s at most."""
RETRY_SECONDS: Final = (1.0, 2.0, 5.0, 10.0)
"""After the first failed conversion of a camera, the second in a row, and so on."""
STEADY_SECONDS: Final = 10.0
MAX_SOUNDS: Final = 16
"""A converter of sound takes about a hundredth of a core."""
TAKE_OVER: Final = "convert"
"""The endpoint of `Conversions.take_over`."""
ASK_SECONDS: Final = 2.0
LOOK_SECONDS: Final = 1.0
KINDS: Final[dict[ConvertedName, Kind]] = {"h264": "picture", "masked": "picture", "opus": "sound"}

_running = gauge("relay_conversions", "Cameras converted by this relay")


class ConversionKey(NamedTuple):
    """Which profile of which camera is converted into what."""

    site: str
    camera: str
    source: FeedName
    result: ConvertedName
    masks: PrivacyMasks = ()
    """Drawn in its pictures."""

    @property
    def name(self) -> str:
        """Of the result on the bus: pictures with other masks are another stream, so that none of them is taken for one
        with these. It is no id, which has no underscore."""
        if not self.masks:
            return self.camera
        return f"{self.camera}_{crc32(repr(rectangles(self.masks)).encode()):08x}"


class _Input:
    """Gives a feed's frames to the process. A sink of the feed."""

    def __init__(self, feed: ProfileFeed, process: ConverterProcess) -> None:
        self._process = process
        self.feed_ready(feed)

    def feed_ready(self, feed: ProfileFeed) -> None:
        """Gives the process the GOP from its keyframe on."""
        for frame in feed.gop.frames:
            self._process.write_unit(frame.unit)

    def feed_frame(self, feed: ProfileFeed, frame: Frame) -> None:
        """Gives the process the next frame."""
        self._process.write_unit(frame.unit)

    def feed_status(self, feed: ProfileFeed) -> None:
        """Does nothing: the registry's state of the camera tells those who wait for the result."""


class Conversion:
    """One camera's conversion, from claiming it to giving it back."""

    def __init__(
        self,
        bus: Bus,
        home: str,
        source: ProfileFeed,
        wanted: ConversionKey,
        max_height_px: int,
        clock: Clock,
        processes: ConverterProcesses,
    ) -> None:
        self._processes = processes
        self._bus = bus
        self._clock = clock
        self._source = source
        self._wanted = wanted
        self._max_height_px = max_height_px
        self._media = subjects.media(home, wanted.result, wanted.name)
        self._want = subjects.convert(home, wanted.result, wanted.name)
        self._wanted_at = clock.monotonic()
        self._gop: list[bytes] = []

    async def run(self, claim: Claim) -> Literal["unwanted", "elsewhere", "ended"]:
        """Converts until nobody wants it, another relay does it, or its process ends."""
        masks = rectangles(self._wanted.masks)
        task = Task(KINDS[self._wanted.result], _epoch(self._clock), self._max_height_px, masks)
        try:
            # The first picture is made while others may object to the claim, and published after that.
            async with self._processes.converter(task) as process:
                sink = _Input(self._source, process)
                self._source.attach(sink)
                try:
                    return await self._convert(claim, process) if await claim.attempt() else "elsewhere"
                finally:
                    self._source.detach(sink)
        finally:
            await claim.release()

    async def _convert(self, claim: Claim, process: ConverterProcess) -> Literal["unwanted", "elsewhere", "ended"]:
        wants = WantAnswerer(self._bus, self._answer_want)
        await wants.listen(self._want)
        out = asyncio.create_task(self._publish(process), name=f"convert {self._wanted.camera}")
        try:
            return await self._watch(claim, out)
        finally:
            out.cancel()
            await wants.close()

    async def _watch(self, claim: Claim, out: "asyncio.Task[None]") -> Literal["unwanted", "elsewhere", "ended"]:
        while True:
            await asyncio.wait((out,), timeout=RENEW_SECONDS)
            if out.done():
                out.result()
                return "ended"
            if self._clock.monotonic() - self._wanted_at > KEEP_SECONDS:
                return "unwanted"
            if not await claim.attempt() and self._bus.connected:
                return "elsewhere"

    async def _publish(self, process: ConverterProcess) -> None:
        async for message in process.messages():
            try:
                if decode(message).keyframe:
                    self._gop.clear()
            except FrameError:  # a library in the process wrote to its standard output
                log.exception("conversion.bad_output", camera=self._wanted.camera)
                return
            self._gop.append(message)
            await self._bus.publish(self._media, message)

    def _answer_want(self, _profile: str) -> tuple[WantReply, tuple[bytes, ...]]:
        self._wanted_at = self._clock.monotonic()
        source = self._source
        if not source.live and source.reason is not Reason.STARTING:
            return WantReply(status="failed", reason=source.reason, detail=source.detail), ()
        frames = tuple(self._gop)
        return WantReply(status="live" if frames else "opening", reason=Reason.STARTING, frames=len(frames)), frames


def _epoch(clock: Clock) -> int:
    """Grows from one converting relay to the next: two of them begin more than a second apart."""
    return clock.now_us() // 1_000_000 & 0xFFFFFFFF


class ConversionLimits(NamedTuple):
    """What one relay converts."""

    max_pictures: int
    """So many cameras' pictures, and tiles that play recordings, at once."""
    max_height_px: int


class Conversions:
    """All conversions that this relay does: a bounded number at once, each in a task of its own."""

    def __init__(
        self, service: Service, hub: FeedHub, limits: ConversionLimits, others: Callable[[], Sequence[str]]
    ) -> None:
        """``others``: the other relays that are alive, by name."""
        self.home = service.home
        self._others = others
        self._asking: set[ConversionKey] = set()
        """What other relays are being asked to convert."""
        self._bus = service.bus
        self._tasks = service.tasks
        self._clock = service.clock
        self._hub = hub
        self._worker = service.worker
        self._limits: dict[Kind, int] = {"picture": limits.max_pictures, "sound": MAX_SOUNDS}
        self._max_height_px = limits.max_height_px
        self._running: dict[ConversionKey, asyncio.Task[None]] = {}
        self._failures: dict[ConversionKey, tuple[int, float]] = {}
        """Failures in a row, and when it may be tried again."""
        self._footage: set[asyncio.Task[None]] = set()
        self._processes = ConverterProcesses(service.clock)
        self._expected: set[str] = set()
        """Cameras whose pictures some browsers cannot decode."""

    def note_codecs(self, camera: str, codecs: Collection[str]) -> None:
        """What a camera's profiles are in, as ffmpeg names it; empty where it is gone."""
        (self._expected.discard if set(codecs) <= {"", "h264"} else self._expected.add)(camera)

    async def keep_one_ahead(self) -> None:
        """Until cancelled: keeps a converter ready while a camera may need one."""
        try:
            while True:
                with suppress(OSError):  # a conversion tells of it
                    await self._processes.keep_ahead(bool(self._expected) and self._limits["picture"] > 0)
                await sleep(self._clock, LOOK_SECONDS)
        finally:
            await self._processes.close()

    def start_conversion(self, wanted: ConversionKey) -> tuple[Reason, str]:
        """Converts, or asks the other relays to where this one has no room; returns what to tell those who wait."""
        told = self._start(wanted)
        if told[0] is Reason.OVERLOADED and wanted not in self._asking:
            self._asking.add(wanted)
            self._tasks.create_task(self._ask_others(wanted), name=f"ask to convert {wanted.camera}")
        return told

    async def take_over(self, question: ConversionOpen, _actor: Actor) -> Nothing:
        """Converts for another relay. Raises `UnavailableError` where there is no room here either."""
        reason, detail = self._start(
            ConversionKey(question.site, question.camera, question.source, question.result, question.masks)
        )
        if reason is Reason.OVERLOADED:
            raise UnavailableError(detail)
        return Nothing()

    async def _ask_others(self, wanted: ConversionKey) -> None:
        question = ConversionOpen.model_validate(wanted._asdict())
        try:
            for relay in self._others():
                subject = subjects.rpc(self.home, f"relay.{relay}", TAKE_OVER)
                with suppress(UnavailableError):
                    await call(self._bus, subject, question, Nothing, timeout_seconds=ASK_SECONDS)
                    return
        finally:
            self._asking.discard(wanted)

    def _start(self, wanted: ConversionKey) -> tuple[Reason, str]:
        if wanted in self._running:
            return Reason.STARTING, ""
        if self._clock.monotonic() < self._failures.get(wanted, (0, 0.0))[1]:
            return Reason.BAD_STREAM, "the conversion failed; it will be tried again"
        if refusal := self._refusal(KINDS[wanted.result]):
            return Reason.OVERLOADED, refusal
        self._running[wanted] = self._tasks.create_task(self._run(wanted), name=f"conversion {wanted.camera}")
        return Reason.STARTING, ""

    def _refusal(self, kind: Kind) -> str:
        """Why nothing more of a kind is converted; empty where there is room. Footage counts as pictures."""
        limit = self._limits[kind]
        count = sum(KINDS[other.result] == kind for other in self._running)
        count += len(self._footage) if kind == "picture" else 0
        return f"relay {self._worker} converts at most {limit} at once" if count >= limit else ""

    def open_footage(self, masks: PrivacyMasks = ()) -> FootageConverter:
        """A converter for one slot's recordings, until it is closed; ``masks`` are drawn in every picture. Raises
        `ConversionRefusedError`."""
        if refusal := self._refusal("picture"):
            raise ConversionRefusedError(Reason.OVERLOADED, refusal)
        converter = FootageConverter()
        task = self._tasks.create_task(self._keep(converter, masks), name="footage conversion")
        self._footage.add(task)
        task.add_done_callback(self._footage.discard)
        return converter

    async def _keep(self, converter: FootageConverter, masks: PrivacyMasks) -> None:
        task = Task("footage", _epoch(self._clock), self._max_height_px, rectangles(masks))
        _running.inc()
        try:
            async with self._processes.converter(task) as process:
                converter.process.set_result(process)
                await converter.closed.wait()
        except OSError as error:  # the process could not be started
            log.warning("conversion.failed", error=error)
            if not converter.process.done():
                converter.process.set_exception(error)
        finally:
            _running.dec()
            converter.process.cancel()

    async def _run(self, wanted: ConversionKey) -> None:
        _running.inc()
        began, end = self._clock.monotonic(), "failed"
        log.info("conversion.started", camera=wanted.camera, source=wanted.source, result=wanted.result)
        try:
            claim = Claim(self._bus, self.home, f"{wanted.result}-{wanted.name}", self._worker)
            end = await self._conversion(wanted).run(claim)
        except OSError as error:  # the process could not be started
            log.warning("conversion.failed", camera=wanted.camera, error=error)
        finally:
            _running.dec()
            self._running.pop(wanted, None)
            self._remember(wanted, end in ("failed", "ended"), self._clock.monotonic() - began)
            log.info("conversion.ended", camera=wanted.camera, result=wanted.result, why=end)

    def _conversion(self, wanted: ConversionKey) -> Conversion:
        source = self._hub.get(wanted.site, wanted.source, wanted.camera)
        return Conversion(self._bus, self.home, source, wanted, self._max_height_px, self._clock, self._processes)

    def _remember(self, wanted: ConversionKey, failed: bool, lasted_seconds: float) -> None:
        if not failed:
            self._failures.pop(wanted, None)
            return
        count = 0 if lasted_seconds > STEADY_SECONDS else self._failures.get(wanted, (0, 0.0))[0]
        pause = RETRY_SECONDS[min(count, len(RETRY_SECONDS) - 1)]
        self._failures[wanted] = (count + 1, self._clock.monotonic() + pause)

    def close(self) -> None:
        """Ends all."""
        for task in (*self._running.values(), *self._footage):
            task.cancel()


class CameraFeeds:
    """What cameras give this relay: their profiles as they are, and converted by some relay of the mesh."""

    def __init__(self, hub: FeedHub, conversions: Conversions, limits: SiteLimits) -> None:
        self.limits = limits
        self._hub = hub
        self._conversions = conversions

    def original(self, camera: Camera, profile: FeedName) -> ProfileFeed:
        """One of a camera's own profiles, or its sound."""
        return self._hub.get(camera.site, profile, camera.id)

    def converted(self, camera: Camera, source: FeedName, result: ConvertedName) -> ProfileFeed:
        """The conversion of a profile. It lives on the mesh's own site, and this relay does it if no other does."""
        masks = camera.privacy_masks if result == "masked" else ()
        conversions, wanted = self._conversions, ConversionKey(camera.site, camera.id, source, result, masks)
        return self._hub.get(conversions.home, result, wanted.name, lambda: conversions.start_conversion(wanted))
