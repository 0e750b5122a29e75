"""A feed's life, with scripted readers behind the seam: what it makes of their ends, and when it gives up on them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from services.contracts.frames import AccessUnit, Codec, Flags, decode
from services.contracts.models import Reason
from services.ingest.feed import OPEN_GRACE_SECONDS, Feed, Run
from services.ingest.pipeline import Pipeline
from services.ingest.readers.source import Kind, Outlet, Packet, ReaderEnd, Source, Track
from services.ingest.settings import IngestSettings
from services.mesh.clock import ManualClock
from tests.media.encoded import video

STREAM = video(gop=10, frames=30)
VIDEO = Track("video", Codec.H264, b"")
SOUND = Track("audio", Codec.PCM_ALAW, b"")
SETTINGS = IngestSettings(backoff_min_seconds=0.01, backoff_max_seconds=0.02)

Script = Callable[[Source, Outlet], Awaitable[ReaderEnd]]


class ScriptedReader:
    """A reader that does as it is told."""

    def __init__(self, script: Script) -> None:
        self._script = script

    async def run(self, source: Source, outlet: Outlet) -> ReaderEnd:
        """See `Reader.run`."""
        return await self._script(source, outlet)


class Bench:
    """A feed, and what it delivered."""

    def __init__(self, script: Script, *, audio: bool = False) -> None:
        self.clock = ManualClock()
        self.delivered: list[tuple[Kind, AccessUnit]] = []
        self.changes = 0
        kinds: tuple[Kind, ...] = ("video", "audio") if audio else ("video",)
        self.feed = Feed(
            "cam",
            "main",
            Source("rtsp://host/x", audio=audio),
            {kind: Pipeline(self.clock, gop_frames=100, gop_bytes=10**6) for kind in kinds},
            epoch=3,
            deliver=self._deliver,
            settings=SETTINGS,
            make_reader=lambda: ScriptedReader(script),
            clock=self.clock,
            on_change=self._changed,
        )

    def _changed(self) -> None:
        self.changes += 1

    def _deliver(self, kind: Kind, messages: list[bytes]) -> None:
        self.delivered += [(kind, decode(message)) for message in messages]

    async def until(self, condition: Callable[[], object]) -> None:
        """Waits until ``condition`` holds."""
        async with asyncio.timeout(30):
            while not condition():
                await asyncio.sleep(0.001)


@asynccontextmanager
async def running(script: Script, *, audio: bool = False) -> AsyncIterator[Bench]:
    bench = Bench(script, audio=audio)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(bench.feed.run())
        try:
            yield bench
        finally:
            running.cancel()


def packet(number: int, clock: ManualClock | None = None) -> Packet:
    arrival = round((clock or ManualClock()).monotonic() * 1e6)
    return Packet("video", STREAM.packets[number].data, 3600 * number, None, arrival)


async def test_a_source_that_ends_is_opened_again_as_a_new_run() -> None:
    async def three_frames(_source: Source, outlet: Outlet) -> ReaderEnd:
        outlet.opened((VIDEO,))
        for number in range(3):
            outlet.packet(packet(number))
        await asyncio.sleep(0.02)
        return ReaderEnd(Reason.CLOSED, "it closed")

    async with running(three_frames) as bench:
        await bench.until(lambda: len(bench.delivered) >= 9)
        assert bench.feed.reconnects >= 2
    begins = [unit for _, unit in bench.delivered if unit.flags & Flags.DISCONTINUITY]
    assert len(begins) >= 3
    orders = [unit.order for _, unit in bench.delivered]
    assert orders == sorted(set(orders))


async def test_statuses_follow_what_happens() -> None:
    go = asyncio.Event()

    async def once(_source: Source, outlet: Outlet) -> ReaderEnd:
        if go.is_set():
            return ReaderEnd(Reason.UNAUTHORIZED, "no")
        outlet.opened((VIDEO,))
        outlet.packet(packet(0))
        await go.wait()
        return ReaderEnd(Reason.CLOSED, "it closed")

    async with running(once) as bench:
        assert bench.feed.report().status == "connecting"
        await bench.until(lambda: bench.feed.report().status == "online")
        report = bench.feed.report()
        assert (report.codec, report.width_px, report.height_px, report.reason) == ("h264", 162, 90, Reason.NONE)
        go.set()
        await bench.until(lambda: bench.feed.report().reason is Reason.UNAUTHORIZED)
        assert bench.feed.report().status == "offline"
        assert bench.feed.pipelines["video"].gop.snapshot() == ()
        assert bench.changes >= 3


async def test_a_source_that_falls_silent_is_given_up() -> None:
    runs = 0

    async def silent(_source: Source, outlet: Outlet) -> ReaderEnd:
        nonlocal runs
        runs += 1
        outlet.opened((VIDEO,))
        outlet.packet(packet(0))
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    async with running(silent) as bench:
        await bench.until(lambda: bench.delivered)
        bench.clock.advance(SETTINGS.stall_seconds - 0.1)
        bench.feed.check(bench.clock.monotonic())
        await asyncio.sleep(0.01)
        assert bench.feed.status == "online"
        bench.clock.advance(0.2)
        bench.feed.check(bench.clock.monotonic())
        await bench.until(lambda: runs == 2)
        assert bench.feed.reconnects == 1


async def test_a_source_that_never_opens_is_given_up() -> None:
    # passes if nothing raises
    async def stuck(_source: Source, _outlet: Outlet) -> ReaderEnd:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    async with running(stuck) as bench:
        await asyncio.sleep(0.01)
        bench.clock.advance(SETTINGS.open_seconds + OPEN_GRACE_SECONDS + 0.1)
        bench.feed.check(bench.clock.monotonic())
        await bench.until(lambda: bench.feed.reason is Reason.TIMEOUT)


async def test_frames_that_nobody_can_decode_are_no_sign_of_life() -> None:
    numbers = iter(range(11, 100_000))

    async def no_keyframe(_source: Source, outlet: Outlet) -> ReaderEnd:
        outlet.opened((VIDEO,))
        while True:
            outlet.packet(packet(11 + next(numbers) % 8))
            await asyncio.sleep(0.001)

    async with running(no_keyframe) as bench:
        for _ in range(10):
            await asyncio.sleep(0.01)
            bench.clock.advance(SETTINGS.keyframe_seconds / 9)
            bench.feed.check(bench.clock.monotonic())
        await bench.until(lambda: bench.feed.reason is Reason.NO_KEYFRAME)
        assert bench.delivered == []


async def test_a_source_that_will_not_open_with_audio_is_opened_without() -> None:
    async def refuses_audio(source: Source, outlet: Outlet) -> ReaderEnd:
        if source.audio:
            return ReaderEnd(Reason.REFUSED, "SETUP was refused")
        outlet.opened((VIDEO,))
        outlet.packet(packet(0))
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    async with running(refuses_audio, audio=True) as bench:
        await bench.until(lambda: bench.feed.status == "online")
        assert bench.feed.audio_report().reason is Reason.UNSUPPORTED_CODEC


async def test_audio_goes_its_own_way() -> None:
    async def both(_source: Source, outlet: Outlet) -> ReaderEnd:
        outlet.opened((VIDEO, SOUND))
        outlet.packet(packet(0))
        outlet.packet(Packet("audio", b"\xd5" * 160, 0, None, 0))
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    async with running(both, audio=True) as bench:
        await bench.until(lambda: len(bench.delivered) == 2)
        assert [(kind, unit.codec) for kind, unit in bench.delivered] == [
            ("video", Codec.H264),
            ("audio", Codec.PCM_ALAW),
        ]
        assert bench.feed.audio_report().status == "online"


async def test_what_an_abandoned_run_still_reads_goes_nowhere() -> None:
    outlets: list[Outlet] = []

    async def keeps_its_outlet(_source: Source, outlet: Outlet) -> ReaderEnd:
        outlets.append(outlet)
        if len(outlets) == 1:
            outlet.opened((VIDEO,))
            outlet.packet(packet(0))
            await asyncio.sleep(0.01)
            return ReaderEnd(Reason.CLOSED, "it closed")
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    async with running(keeps_its_outlet) as bench:
        await bench.until(lambda: len(outlets) == 2)
        count = len(bench.delivered)
        assert isinstance(outlets[0], Run)
        outlets[0].opened((VIDEO,))
        outlets[0].packet(packet(0))
        await asyncio.sleep(0.02)
        assert len(bench.delivered) == count
        assert bench.feed.status == "offline"
