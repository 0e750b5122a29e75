"""A feed's life, with scripted readers behind the seam: what it makes of their ends, and when it gives up on them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from services.contracts.frames import AccessUnit, Codec, Flags, decode, encode_fields
from services.contracts.models import Reason
from services.ingest.feed import OPEN_GRACE_SECONDS, Feed, Readers, Run
from services.ingest.pace import NO_MEDIA_SECONDS
from services.ingest.pipeline import Pipeline
from services.ingest.readers.source import Kind, Outlet, Packet, ReaderEnd, Source, Track
from services.ingest.settings import IngestSettings
from services.ingest.usual_pictures import UsualPictures
from services.mesh.clock import ManualClock, sleep
from tests.media.encoded import video

STREAM = video(gop=10, frames=30)
VIDEO = Track("video", Codec.H264, b"")
SOUND = Track("audio", Codec.PCM_ALAW, b"")
SETTINGS = IngestSettings()

Script = Callable[[Source, Outlet], Awaitable[ReaderEnd]]


class ScriptedReader:
    """A reader that does as it is told."""

    def __init__(self, script: Script) -> None:
        self._script = script

    async def run(self, source: Source, outlet: Outlet) -> ReaderEnd:
        return await self._script(source, outlet)


class Bench:
    """A feed, and what it delivered."""

    def __init__(self, script: Script, *, audio: bool = False, readers: Readers | None = None) -> None:
        self.clock = ManualClock()
        self.delivered: list[tuple[Kind, AccessUnit]] = []
        self.changes = 0
        kinds: tuple[Kind, ...] = ("video", "audio") if audio else ("video",)
        self.feed = Feed(
            "cam",
            "main",
            Source("rtsp://host/x", audio=audio),
            {kind: Pipeline(self.clock, gop_bytes=10**6) for kind in kinds},
            epoch=3,
            deliver=self._deliver,
            settings=SETTINGS,
            reader="auto",
            readers=readers or {"libav": lambda: ScriptedReader(script)},
            clock=self.clock,
            on_change=self._changed,
        )

    def _changed(self) -> None:
        self.changes += 1

    def _deliver(self, kind: Kind, messages: list[bytes]) -> None:
        self.delivered += [(kind, decode(message)) for message in messages]

    async def until(self, condition: Callable[[], object], *, turn: float = 0.0) -> None:
        """Waits until ``condition`` holds, turning the clock by ``turn`` seconds again and again."""
        async with asyncio.timeout(90):
            while not condition():
                if turn:
                    self.clock.advance(turn)
                    self.feed.check(self.clock.monotonic())
                await asyncio.sleep(0.001)


@asynccontextmanager
async def running(script: Script, *, audio: bool = False, readers: Readers | None = None) -> AsyncIterator[Bench]:
    bench = Bench(script, audio=audio, readers=readers)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(bench.feed.run())
        try:
            yield bench
        finally:
            running.cancel()


def packet(number: int, clock: ManualClock | None = None) -> Packet:
    arrival = round((clock or ManualClock()).monotonic() * 1e6)
    return Packet("video", STREAM.packets[number].data, 3600 * number, None, arrival)


async def for_ever() -> ReaderEnd:
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


async def test_a_source_that_ends_is_opened_again_as_a_new_run() -> None:
    async def three_frames(_source: Source, outlet: Outlet) -> ReaderEnd:
        outlet.opened((VIDEO,))
        for number in range(3):
            outlet.packet(packet(number))
        return ReaderEnd(Reason.CLOSED, "it closed")

    async with running(three_frames) as bench:
        await bench.until(lambda: len(bench.delivered) >= 9, turn=0.5)
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
        assert (report.reader, report.next_attempt_us) == ("libav", 0)
        go.set()
        await bench.until(lambda: bench.feed.report().reason is Reason.UNAUTHORIZED, turn=0.1)
        report = bench.feed.report()
        assert report.status == "offline"
        assert 20e6 < report.next_attempt_us - bench.clock.now_us() < 31e6
        assert bench.feed.pipelines["video"].gop.snapshot() == ()
        assert bench.changes >= 3


async def test_a_camera_that_is_cut_every_five_seconds_yields_nine_tenths_of_its_footage() -> None:
    clock: ManualClock | None = None

    async def cut(_source: Source, outlet: Outlet) -> ReaderEnd:
        assert clock is not None
        outlet.opened((VIDEO,))
        for number in range(int(5 / 0.04)):
            outlet.packet(packet(number % 30, clock))
            await sleep(clock, 0.04)
        return ReaderEnd(Reason.CLOSED, "it closed")

    async with running(cut) as bench:
        clock = bench.clock
        began = clock.monotonic()
        await bench.until(lambda: bench.feed.reconnects == 10, turn=0.02)
        assert len(bench.delivered) * 0.04 > 0.9 * (clock.monotonic() - began)


async def test_a_source_that_falls_silent_is_given_up_within_a_second_of_the_setting() -> None:
    runs = 0

    async def silent(_source: Source, outlet: Outlet) -> ReaderEnd:
        nonlocal runs
        runs += 1
        outlet.opened((VIDEO,))
        outlet.packet(packet(0))
        outlet.packet(packet(1))
        return await for_ever()

    async with running(silent) as bench:
        await bench.until(lambda: bench.delivered)
        bench.clock.advance(SETTINGS.stall_seconds - 0.1)
        bench.feed.check(bench.clock.monotonic())
        await asyncio.sleep(0.01)
        assert bench.feed.status == "online"
        bench.clock.advance(0.2)
        bench.feed.check(bench.clock.monotonic())
        await bench.until(lambda: bench.feed.reason is Reason.STALLED)
        await bench.until(lambda: runs == 2, turn=0.1)


@pytest.mark.parametrize("interval", [2.0, 8.0, 15.0])
async def test_a_slow_camera_stays_online_and_is_missed_when_it_is_silent(interval: float) -> None:
    go_on = 6
    clock: ManualClock | None = None

    async def slow(_source: Source, outlet: Outlet) -> ReaderEnd:
        assert clock is not None
        outlet.opened((VIDEO,))
        for _ in range(go_on):
            outlet.packet(packet(0, clock))
            await sleep(clock, interval)
        return await for_ever()

    async with running(slow) as bench:
        clock = bench.clock
        await bench.until(lambda: len(bench.delivered) == go_on, turn=0.5)
        assert bench.feed.reconnects == 0
        last = clock.monotonic()
        await bench.until(lambda: bench.feed.reason is Reason.STALLED, turn=0.1)
        assert clock.monotonic() - last < max(SETTINGS.stall_seconds, 1.5 * interval + 1) + 1


async def test_a_source_that_agrees_to_play_and_sends_nothing_is_told_apart_within_ten_seconds() -> None:
    async def mute(_source: Source, outlet: Outlet) -> ReaderEnd:
        outlet.opened((VIDEO,))
        return await for_ever()

    async with running(mute) as bench:
        began = bench.clock.monotonic()
        await bench.until(lambda: bench.feed.reason is Reason.NO_MEDIA, turn=0.1)
        assert bench.clock.monotonic() - began < NO_MEDIA_SECONDS + 1


async def test_a_source_that_begins_late_is_waited_for_at_the_second_try() -> None:
    clock: ManualClock | None = None
    tries = 0

    async def late(_source: Source, outlet: Outlet) -> ReaderEnd:
        nonlocal tries
        assert clock is not None
        tries += 1
        outlet.opened((VIDEO,))
        await sleep(clock, 12.0)
        for number in range(100):
            outlet.packet(packet(number % 10, clock))
            await sleep(clock, 0.5)
        return await for_ever()

    async with running(late) as bench:
        clock = bench.clock
        await bench.until(lambda: bench.feed.reason is Reason.NO_MEDIA, turn=0.25)
        await bench.until(lambda: bench.feed.status == "online", turn=0.25)
        assert tries == 2


async def test_a_source_that_never_opens_is_given_up() -> None:
    async def stuck(_source: Source, _outlet: Outlet) -> ReaderEnd:
        return await for_ever()

    async with running(stuck) as bench:
        await asyncio.sleep(0.01)
        bench.clock.advance(SETTINGS.open_seconds + OPEN_GRACE_SECONDS + 0.1)
        bench.feed.check(bench.clock.monotonic())
        await bench.until(lambda: bench.feed.reason is Reason.TIMEOUT)


async def test_a_source_that_only_waits_for_a_keyframe_says_so_and_is_left_open_for_two_minutes() -> None:
    clock: ManualClock | None = None

    async def no_keyframe(_source: Source, outlet: Outlet) -> ReaderEnd:
        assert clock is not None
        outlet.opened((VIDEO,))
        for number in range(100_000):
            outlet.packet(packet(11 + number % 8, clock))
            await sleep(clock, 0.5)
        raise AssertionError("unreachable")

    async with running(no_keyframe) as bench:
        clock = bench.clock
        began = clock.monotonic()
        await bench.until(lambda: bench.feed.reason is Reason.NO_KEYFRAME, turn=0.25)
        assert bench.feed.status == "connecting"
        await bench.until(lambda: bench.feed.status == "offline", turn=0.25)
        assert bench.feed.reason is Reason.NO_KEYFRAME
        assert clock.monotonic() - began >= 120
        assert bench.delivered == []


async def test_auto_goes_from_direct_to_libav_at_once_and_says_why() -> None:
    async def unsuited(_source: Source, _outlet: Outlet) -> ReaderEnd:
        return ReaderEnd(Reason.UNSUPPORTED_CODEC, "VP8 over RTP", unsuited=True)

    async def plays(_source: Source, outlet: Outlet) -> ReaderEnd:
        outlet.opened((VIDEO,), transport="tcp")
        outlet.packet(packet(0))
        return await for_ever()

    readers: Readers = {"direct": lambda: ScriptedReader(unsuited), "libav": lambda: ScriptedReader(plays)}
    async with running(plays, readers=readers) as bench:
        await bench.until(lambda: bench.feed.status == "online")  # no clock was turned: there was no pause
        report = bench.feed.report()
        assert (report.reader, report.reader_detail, report.transport) == ("libav", "VP8 over RTP", "tcp")


async def test_a_source_that_will_not_open_with_audio_is_opened_without_and_tried_again_with_it() -> None:
    tried: list[bool] = []
    clock: ManualClock | None = None

    async def refuses_audio(source: Source, outlet: Outlet) -> ReaderEnd:
        tried.append(source.audio)
        if source.audio:
            return ReaderEnd(Reason.REJECTED, "SETUP was refused")
        outlet.opened((VIDEO,))
        assert clock is not None
        while True:
            outlet.packet(packet(0, clock))
            await sleep(clock, 1.0)

    async with running(refuses_audio, audio=True) as bench:
        clock = bench.clock
        await bench.until(lambda: bench.feed.status == "online", turn=0.1)
        audio = bench.feed.audio_report()
        assert (audio.status, audio.reason) == ("offline", Reason.REJECTED)
        assert "SETUP was refused" in audio.detail
        await bench.until(lambda: tried == [True, False, True, False], turn=0.1)


async def test_audio_goes_its_own_way() -> None:
    async def both(_source: Source, outlet: Outlet) -> ReaderEnd:
        outlet.opened((VIDEO, SOUND))
        outlet.packet(packet(0))
        outlet.packet(Packet("audio", b"\xd5" * 160, 0, None, 0))
        return await for_ever()

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
            return ReaderEnd(Reason.CLOSED, "it closed")
        return await for_ever()

    async with running(keeps_its_outlet) as bench:
        await bench.until(lambda: len(outlets) == 2, turn=0.5)
        count = len(bench.delivered)
        assert isinstance(outlets[0], Run)
        outlets[0].opened((VIDEO,))
        outlets[0].packet(packet(0))
        assert len(bench.delivered) == count
        assert bench.feed.status == "offline"


async def test_a_segment_that_comes_at_once_is_published_at_its_pace_and_whole() -> None:
    async def playlist(_source: Source, outlet: Outlet) -> ReaderEnd:
        outlet.opened((VIDEO,), bursts=True)
        for number in range(30):
            outlet.packet(packet(number))
        return await for_ever()

    async with running(playlist) as bench:
        began = bench.clock.monotonic()
        await bench.until(lambda: bench.delivered)
        assert len(bench.delivered) == 1
        await bench.until(lambda: len(bench.delivered) == 30, turn=0.01)
        assert 29 * 0.04 - 0.05 < bench.clock.monotonic() - began < 29 * 0.04 + 0.05
        assert bench.feed.status == "online"


def test_what_the_kernel_has_is_taken_back_before_tracks_are_begun_anew() -> None:
    feed = Bench(lambda _source, _outlet: for_ever()).feed
    found: list[Codec | None] = []

    class Loan:
        def fetch(self) -> None:
            raise AssertionError("nothing is published by Python")

        def end_loan(self) -> None:
            found.append(feed.pipelines["video"].codec)

    feed.lent(Loan())
    feed.opened((VIDEO,), "tcp", bursts=False)
    assert found == [None]
    feed.opened((VIDEO._replace(codec=Codec.HEVC), SOUND), "tcp", bursts=False)
    assert found == [None, Codec.H264]


class UnfetchedPictures:
    """A loan with pictures that were not fetched yet."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self.came_at: list[float] = []

    def fetch(self) -> None:
        if came_at := self.came_at:
            self.came_at = []
            messages = [encode_fields(0, Codec.H264, 3, number, 0, 0, 0, 0, 0, b"") for number in range(len(came_at))]
            counts = [0] * len(came_at)
            arrivals_us = [round(at * 1e6) for at in came_at]
            self._feed.take_usual(UsualPictures(messages, arrivals_us, counts, counts, counts))

    def end_loan(self) -> None:
        raise AssertionError("nothing that is lent changes")


async def test_a_source_is_not_given_up_for_pictures_that_the_kernel_has_and_is_without_them() -> None:
    async def silent(_source: Source, outlet: Outlet) -> ReaderEnd:
        outlet.opened((VIDEO,))
        for number in range(2):
            outlet.packet(packet(number))
        return await for_ever()

    async with running(silent) as bench:
        await bench.until(lambda: bench.feed.status == "online")
        loan = UnfetchedPictures(bench.feed)
        bench.feed.lent(loan)
        bench.clock.advance(SETTINGS.stall_seconds - 0.5)
        loan.came_at = [bench.clock.monotonic()]
        bench.clock.advance(SETTINGS.stall_seconds - 1.0)
        bench.feed.check(bench.clock.monotonic())
        assert bench.feed.status == "online"
        assert bench.feed.report().frames == 3
        bench.feed.lent(None)
        await bench.until(lambda: bench.feed.status == "offline", turn=0.5)
        assert bench.feed.reason is Reason.STALLED


def test_a_report_counts_what_the_kernel_has_and_ends_no_loan() -> None:
    feed = Bench(lambda _source, _outlet: for_ever()).feed
    loan = UnfetchedPictures(feed)
    feed.lent(loan)
    loan.came_at = [1.0, 1.04]
    assert feed.report().frames == 2
