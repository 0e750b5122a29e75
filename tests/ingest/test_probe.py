"""A source is looked at once, with scripted readers behind the seam."""

import asyncio

import pytest

from services.contracts.errors import UnavailableError
from services.contracts.frames import Codec
from services.contracts.models import Camera, Credentials, Profile, Reason
from services.contracts.permissions import SYSTEM
from services.contracts.probe import PROBE_SECONDS, ProbeQuestion, ProbeReply
from services.ingest.feed import Readers
from services.ingest.probe import AT_ONCE, Prober
from services.ingest.readers.source import Outlet, Packet, ReaderEnd, Source, Track
from services.ingest.settings import IngestSettings
from services.mesh.clock import ManualClock, sleep
from tests.eventually import eventually
from tests.media.encoded import video

MAIN, SUB = "rtsp://10.0.0.9/cam/main", "rtsp://10.0.0.9/cam/sub"
NOT_FOUND = ReaderEnd(Reason.NOT_FOUND, "has no such stream")
PICTURES = {MAIN: video(size=(320, 180), gop=10, frames=10), SUB: video(gop=10, frames=10)}


class ScriptedCamera:
    """A camera that plays what is at its addresses, and counts its clients."""

    def __init__(self, clock: ManualClock, ends: dict[str, ReaderEnd] | None = None) -> None:
        self.opened: list[Source] = []
        self.clients = self.most_clients = 0
        self._clock = clock
        self._ends = ends or {}

    async def run(self, source: Source, outlet: Outlet) -> ReaderEnd:
        self.opened.append(source)
        self.clients += 1
        self.most_clients = max(self.most_clients, self.clients)
        try:
            if (end := self._ends.get(source.url)) is not None:
                return end
            stream = PICTURES.get(source.url)
            if stream is None:
                return NOT_FOUND
            outlet.opened((Track("video", Codec.H264, b""),))
            for number, unit in enumerate(stream.packets):
                outlet.packet(Packet("video", unit.data, number * 3600, None, round(self._clock.monotonic() * 1e6)))
                self._clock.advance(0.1)
            await asyncio.Event().wait()
            raise AssertionError("it is never set")
        finally:
            self.clients -= 1


async def answer(
    camera: ScriptedCamera, clock: ManualClock, question: ProbeQuestion, prober: Prober | None = None
) -> ProbeReply:
    """The answer, the clock being turned until it is there."""
    asked = prober or Prober(IngestSettings(), {"libav": lambda: camera, "direct": lambda: camera}, clock)
    task = asyncio.ensure_future(asked.probe(question, SYSTEM))
    while not task.done():
        await asyncio.sleep(0)
        clock.advance(0.1)
    return task.result()


def question(url: str = MAIN, **changes: object) -> ProbeQuestion:
    """About the main profile at ``url``."""
    return ProbeQuestion.model_validate({"main": Profile(url=url), **changes})


async def test_a_probe_gives_a_picture_its_figures_and_the_sub_profile_over_one_connection_at_a_time() -> None:
    clock = ManualClock()
    camera = ScriptedCamera(clock)
    reply = await answer(camera, clock, question())
    assert (reply.main.reason, reply.main.codec) == (Reason.NONE, "h264")
    assert reply.main.width_px == 320
    assert reply.main.frame_rate == pytest.approx(10, rel=0.2)
    assert reply.main.bitrate_bps > 0
    assert len(reply.main.keyframe) > 100
    assert reply.sub is not None
    assert (reply.sub.url, reply.sub.width_px) == (SUB, 162)
    assert [source.url for source in camera.opened] == [MAIN, SUB]
    assert camera.most_clients == 1


@pytest.mark.parametrize("reason", [Reason.NOT_FOUND, Reason.UNAUTHORIZED, Reason.UNREACHABLE, Reason.TOO_MANY_CLIENTS])
async def test_a_refusal_is_told_by_its_reason_after_one_connection(reason: Reason) -> None:
    clock = ManualClock()
    camera = ScriptedCamera(clock, {MAIN: ReaderEnd(reason, "10.0.0.9 says so")})
    reply = await answer(camera, clock, question())
    assert (reply.main.reason, reply.main.detail, reply.sub) == (reason, "10.0.0.9 says so", None)
    assert len(camera.opened) == 1


async def test_a_camera_that_gives_its_only_stream_at_every_path_has_no_sub_profile() -> None:
    clock = ManualClock()
    camera = ScriptedCamera(clock)
    PICTURES["rtsp://10.0.0.9/same/main"] = PICTURES["rtsp://10.0.0.9/same/sub"] = PICTURES[MAIN]
    reply = await answer(camera, clock, question("rtsp://10.0.0.9/same/main"))
    assert (reply.main.reason, reply.sub) == (Reason.NONE, None)


async def test_what_only_libav_reads_is_opened_once_more_with_libav() -> None:
    clock = ManualClock()
    unsuited = ScriptedCamera(clock, {MAIN: ReaderEnd(Reason.UNSUPPORTED_CODEC, "mp2t", unsuited=True)})
    camera = ScriptedCamera(clock)
    prober = Prober(IngestSettings(), {"direct": lambda: unsuited, "libav": lambda: camera}, clock)
    reply = await answer(camera, clock, question(sub=Profile(url=SUB)), prober)
    assert reply.main.reason is Reason.NONE
    assert reply.sub is not None
    assert (reply.sub.url, len(unsuited.opened), len(camera.opened)) == (SUB, 2, 1)


async def test_a_camera_that_says_nothing_is_given_up() -> None:
    class Silent:
        async def run(self, source: Source, outlet: Outlet) -> ReaderEnd:
            if source.url == SUB:
                outlet.opened((Track("video", Codec.H264, b""),))
            await asyncio.Event().wait()
            raise AssertionError("it is never set")

    clock = ManualClock()
    prober = Prober(IngestSettings(), {"direct": Silent, "libav": Silent}, clock)
    assert (await answer(ScriptedCamera(clock), clock, question(), prober)).main.reason is Reason.TIMEOUT
    assert (await answer(ScriptedCamera(clock), clock, question(SUB), prober)).main.reason is Reason.NO_MEDIA


async def test_a_probe_ends_within_its_time_though_each_reader_and_address_takes_all_that_it_may() -> None:
    class Slow:
        """Opens as late as it may and then shows nothing; the direct reader leaves it to libav before."""

        def __init__(self, picture: bytes, *, unsuited: bool) -> None:
            self._picture = picture
            self._unsuited = unsuited

        async def run(self, source: Source, outlet: Outlet) -> ReaderEnd:
            await sleep(clock, source.open_seconds - 0.5)
            if self._unsuited:
                return ReaderEnd(Reason.BAD_STREAM, "no picture", unsuited=True)
            outlet.opened((Track("video", Codec.H264, b""),))
            if source.url == MAIN:
                await sleep(clock, 2.0)
                outlet.packet(Packet("video", self._picture, 0, None, round(clock.monotonic() * 1e6)))
            await asyncio.Event().wait()
            raise AssertionError("it is never set")

    clock = ManualClock()
    picture = PICTURES[MAIN].packets[0].data
    readers: Readers = {
        "direct": lambda: Slow(picture, unsuited=True),
        "libav": lambda: Slow(picture, unsuited=False),
    }
    begun = clock.monotonic()
    reply = await answer(ScriptedCamera(clock), clock, question(), Prober(IngestSettings(), readers, clock))
    assert (reply.main.reason, reply.sub) == (Reason.NONE, None)
    assert clock.monotonic() - begun < PROBE_SECONDS


@pytest.mark.parametrize(("url", "user"), [(MAIN, "admin"), ("rtsp://10.0.0.66/cam/main", "")])
async def test_a_kept_password_goes_to_the_cameras_own_host_alone(url: str, user: str) -> None:
    clock = ManualClock()
    camera = ScriptedCamera(clock)
    known = Camera(id="cam", site="city", name="Cam", profiles={"main": Profile(url=MAIN)})
    secret = Credentials(username="admin", password="rahasia")
    prober = Prober(
        IngestSettings(), {"direct": lambda: camera, "libav": lambda: camera}, clock, kept=lambda _: (known, secret)
    )
    await answer(camera, clock, question(url, camera="cam"), prober)
    assert camera.opened[0].username == user


async def test_more_probes_than_a_worker_takes_are_refused() -> None:
    clock = ManualClock()

    class Waiting(ScriptedCamera):
        async def run(self, source: Source, outlet: Outlet) -> ReaderEnd:
            self.opened.append(source)
            await asyncio.Event().wait()
            raise AssertionError("it is never set")

    camera = Waiting(clock)
    prober = Prober(IngestSettings(), {"direct": lambda: camera, "libav": lambda: camera}, clock)
    running = [asyncio.ensure_future(prober.probe(question(), SYSTEM)) for _ in range(AT_ONCE)]
    await eventually(lambda: len(camera.opened) == AT_ONCE)
    with pytest.raises(UnavailableError):
        await prober.probe(question(), SYSTEM)
    for task in running:
        task.cancel()
    await asyncio.wait(running)
