"""Frames from the bus into a recording: those that are looked at together, and those that are not."""

from collections.abc import AsyncGenerator, Callable
from types import SimpleNamespace
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.contracts.frames import (
    INBOX_PICTURES,
    AccessUnit,
    CaptureClockSource,
    Codec,
    Flags,
    FrameError,
    decode,
    encode,
)
from services.contracts.keeping import KeepingError, KeptRun
from services.contracts.models import Assignment, Camera, Profile
from services.media.time import SECOND_90K
from services.mesh.clock import ManualClock
from services.recorder.capture.camera import CameraFeed
from services.recorder.capture.camera_recordings import CameraRecordings
from services.recorder.capture.feed import PATIENCE_SECONDS, FeedPull, FeedState
from services.recorder.capture.gaps import GapChange
from services.recorder.capture.late import TimeSpan
from services.recorder.capture.recording import StreamRecording
from services.recorder.storage.disk import FragmentDropped
from services.recorder.storage.paths import RecordedStream
from services.recorder.storage.segment import SegmentEnd, SegmentFragment
from tests.recorder.units import FRAME_90K, FRAME_US, START_US, pictures, sounds

STREAM: Final = RecordedStream("city", "cam-1", "main")
KEYFRAME, *OTHERS = (unit.payload for unit in pictures(Codec.H264, count=5))
SOUND: Final = sounds(Codec.PCM_ALAW, count=1)[0]


class Disk:
    """Notes what it is given."""

    queued_bytes = 0
    failure = None

    def __init__(self) -> None:
        self.steps: list[object] = []
        self.rewound: list[tuple[RecordedStream, bool]] = []
        self.all = [self]

    def choose(self, _stream: RecordedStream, _current: object) -> Any:
        return self

    def begin_segment(self, _stream: RecordedStream, begin: object, gap: object, **_made: object) -> Any:
        self.steps.append((begin, gap))
        return SimpleNamespace(synced=0)

    def append_fragment(self, _file: object, fragment: object) -> None:
        self.steps.append(fragment)

    def end_segment(self, _file: object, end: object) -> None:
        self.steps.append(end)

    def rewind(self, stream: RecordedStream, *, late: bool = False) -> None:
        self.rewound.append((stream, late))


class Surroundings:
    """A service whose bus is there, and whose clock stands."""

    connected = True

    def __init__(self) -> None:
        self.clock = ManualClock(START_US)
        self.bus = self


class Recorded:
    """One camera's feed, its recording and its disk."""

    def __init__(self) -> None:
        self.around = Surroundings()
        self.disk = Disk()
        self.gaps: list[GapChange] = []
        self.recording = StreamRecording(
            STREAM,
            place=self.disk,
            explain=lambda from_us, to_us, seen: (f"{from_us}-{to_us}", repr(seen)),
            on_gap=lambda change, _disk: self.gaps.append(change),
            last_end_us=None,
        )
        service: Any = self.around
        disks: Any = self.disk
        pulls: Any = None
        self.camera = CameraFeed(
            service,
            disks,
            Camera(id="cam-1", site="city", name="Gate", profiles={"main": Profile(url="rtsp://camera/1")}),
            self.recording,
            positions={1: 0},
            end_us=None,
            pulls=pulls,
        )
        self.camera.feed.tick(0.0, expected=False)  # nobody keeps anything: it is live

    def hear(self, message: bytes) -> None:
        """As the bus tells of it."""
        self.camera._on_frame(message)

    def hear_alone(self, message: bytes) -> None:
        """The same, each frame looked at by itself and at once."""
        try:
            unit = decode(message)
        except FrameError:
            return
        self.camera.feed.live(unit, self.around.clock.monotonic())
        self.camera.advance()

    def tick(self, seconds: float) -> None:
        clock = self.around.clock
        self.camera.catch_up()
        clock.advance(seconds)
        self.recording.tick(clock.now_us(), clock.monotonic())
        self.camera.advance(expected=False)

    @property
    def truth(self) -> tuple[object, ...]:
        """All that is seen of it from outside."""
        recording, feed = self.recording, self.camera.feed
        return (
            self.disk.steps, self.gaps, recording.frames, recording.lost, recording.end_us, recording.mid_file,
            recording.assembler.unreadable, recording.assembler.waiting, recording.assembler.written_order,
            feed.state, feed.positions, feed.forgotten, recording.safe(feed.positions),
        )  # fmt: skip


def usual(sequence: int, **changed: Any) -> AccessUnit:
    """Picture ``sequence`` of a stream with a keyframe each 25."""
    keyframe = sequence % 25 == 1
    unit = AccessUnit(
        Flags.KEYFRAME if keyframe else Flags.NONE,
        Codec.H264,
        1,
        sequence,
        sequence * FRAME_90K,
        sequence * FRAME_90K,
        START_US + sequence * FRAME_US,
        2_000,
        CaptureClockSource.RTCP,
        KEYFRAME if keyframe else OTHERS[sequence % len(OTHERS)],
    )
    return unit._replace(**changed)


faults = st.sampled_from(
    [
        "lost", "twice", "damaged", "disposable", "begins", "keyframe", "late", "back", "far", "composed", "wild",
        "clock", "day", "garbage", "cut", "sound", "epoch", "silence",
    ]
)  # fmt: skip
stretches = st.lists(st.tuples(st.integers(0, 80), st.none() | faults, st.sampled_from([0.0, 0.3, 1.0])), max_size=12)


@settings(max_examples=200, deadline=None)
@given(stretches)
def test_pictures_that_are_looked_at_together_are_recorded_as_each_by_itself(
    stream: list[tuple[int, str | None, float]],
) -> None:
    together, alone = Recorded(), Recorded()
    sequence, ticks_90k, capture_us, epoch = 0, 0, 0, 1

    def send(message: bytes) -> None:
        together.hear(message)
        alone.hear_alone(message)

    def next_unit(**changed: Any) -> AccessUnit:
        nonlocal sequence
        sequence += 1
        unit = usual(sequence, epoch=epoch)
        unit = unit._replace(
            dts_90k=unit.dts_90k + ticks_90k, pts_90k=unit.pts_90k + ticks_90k, capture_us=unit.capture_us + capture_us
        )
        return unit._replace(**changed)

    for count, fault, pause in stream:
        for _ in range(count):
            send(encode(next_unit()))
        match fault:
            case "lost":
                sequence += 1 + count % 30
            case "twice":
                unit = next_unit()
                send(encode(unit))
                send(encode(unit))
            case "damaged":
                send(encode(next_unit(flags=Flags.DAMAGED)))
            case "disposable":
                send(encode(next_unit(flags=Flags.DISPOSABLE | Flags.DAMAGED)))
            case "begins":
                send(encode(next_unit(flags=Flags.DISCONTINUITY)))
            case "keyframe":
                send(encode(next_unit(flags=Flags.KEYFRAME, payload=KEYFRAME)))
            case "late":
                ticks_90k += 3 * SECOND_90K
            case "back":
                ticks_90k -= SECOND_90K
            case "far":
                ticks_90k += 4000 * SECOND_90K
            case "composed":
                unit = next_unit()
                send(encode(unit._replace(pts_90k=unit.pts_90k + 2 * FRAME_90K)))
            case "wild":
                unit = next_unit()
                send(encode(unit._replace(pts_90k=unit.pts_90k - 1)))
            case "clock":
                capture_us += 700_000
            case "day":
                send(encode(next_unit(capture_us=START_US + 2 * 86_400_000_000)))
            case "garbage":
                send(b"\x9c\xcc\x01")
            case "cut":
                send(encode(next_unit())[:-1])
            case "sound":
                send(encode(SOUND._replace(sequence=sequence, capture_us=START_US + sequence * FRAME_US)))
            case "epoch":
                epoch += 1
            case "silence":
                for each in (together, alone):
                    each.tick(3.0)
        if pause:
            for each in (together, alone):
                each.tick(pause)
            assert together.truth == alone.truth
    for each in (together, alone):
        each.tick(0.5)
    assert together.truth == alone.truth


def test_pictures_wait_for_those_behind_them_and_not_for_more_than_a_few() -> None:
    recorded = Recorded()
    for sequence in range(1, 4):
        recorded.hear(encode(usual(sequence)))
    assert recorded.recording.frames == 1  # the keyframe
    recorded.hear(encode(usual(4, flags=Flags.DISCONTINUITY)))
    assert recorded.recording.frames == 4
    for sequence in range(5, 6 + INBOX_PICTURES):
        recorded.hear(encode(usual(sequence, flags=Flags.NONE)))
    assert recorded.recording.frames == 4 + INBOX_PICTURES


@pytest.mark.parametrize(("last", "state"), [(9, FeedState.LIVE), (10, FeedState.SEEKING)])
def test_what_a_worker_keeps_is_missing_only_where_it_has_not_come_when_it_is_said_again(
    last: int, state: FeedState, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = Recorded()
    monkeypatch.setattr(recorded.camera, "advance", lambda: None)  # it would ask for it
    run = KeptRun("city", "cam-1", 1, 1, last, START_US, START_US + last * FRAME_US, live=True)
    for sequence in range(1, 10):
        recorded.hear(encode(usual(sequence)))
    for _ in range(2):
        assert recorded.camera.feed.state is FeedState.LIVE
        recorded.camera.offered("w-1", (run,), spooled=True)
    assert recorded.camera.feed.state is state
    assert recorded.recording.frames == 1  # the others wait still for those behind them


def test_a_worker_that_keeps_nothing_any_more_does_not_make_a_feed_seek_for_what_has_come() -> None:
    recorded = Recorded()
    for sequence in range(1, 4):
        recorded.hear(encode(usual(sequence)))
    run = KeptRun("city", "cam-1", 1, first=1, last=6, first_us=START_US, last_us=START_US + 6 * FRAME_US, live=True)
    recorded.camera.offered("w-1", (run,), spooled=True)
    for sequence in range(4, 8):
        recorded.hear(encode(usual(sequence)))
    recorded.camera.offered("w-1", (), spooled=True)
    assert recorded.camera.feed.state is FeedState.LIVE
    recorded.camera.catch_up()
    assert recorded.camera.feed.state is FeedState.LIVE
    assert recorded.recording.frames == 7


async def test_pictures_that_wait_are_recorded_before_the_recording_stops() -> None:
    recorded = Recorded()
    for sequence in range(1, 10):
        recorded.hear(encode(usual(sequence)))
    await recorded.camera.stop(leaving=False)
    assert recorded.recording.frames == 9
    assert len(recorded.disk.steps) == 3
    recorded.hear(encode(usual(10)))
    recorded.hear(encode(usual(11)))
    recorded.camera.catch_up()
    assert recorded.recording.frames == 9


def cut_off(recorded: Recorded) -> tuple[CameraRecordings, Callable[[], None]]:
    """It has heard nobody for 8 s, within a GOP. And a worker that says what it keeps, as before."""
    run = KeptRun("city", "cam-1", 1, 1, 9, START_US, START_US + 9 * FRAME_US, live=True)

    def tell() -> None:
        recorded.camera.offered("w-1", (run,), spooled=True)

    for sequence in range(1, 10):
        recorded.hear(encode(usual(sequence)))
    tell()
    recorded.camera.catch_up()
    clock = recorded.around.clock
    for _ in range(16):
        clock.advance(0.5)
        complete = recorded.camera.feed.complete(clock.monotonic())
        recorded.recording.tick(clock.now_us(), clock.monotonic(), complete=complete)
    unused: Any = None
    service: Any = recorded.around
    recordings = CameraRecordings(service, "r-1", unused, unused)
    recordings.feeds["cam-1"] = recorded.camera
    return recordings, tell


def fragments(recorded: Recorded) -> list[int]:
    """Pictures of each that was written."""
    return [len(step.video.samples) for step in recorded.disk.steps if isinstance(step, SegmentFragment)]


ANOTHERS: Final[Any] = {"recorder.cam-1": Assignment(camera="cam-1", site="city", workers=("r-2",), incarnations=(1,))}


def test_a_recorder_that_was_cut_off_within_a_gop_writes_it_as_one() -> None:
    recorded = Recorded()
    cut_off(recorded)
    assert fragments(recorded) == []
    for sequence in range(10, 27):
        recorded.hear(encode(usual(sequence)))
    recorded.camera.catch_up()
    assert fragments(recorded) == [25]


async def test_a_recorder_that_was_cut_off_leaves_a_gop_that_has_begun_to_whose_the_camera_is_now() -> None:
    recorded = Recorded()
    recordings, tell = cut_off(recorded)
    await recordings._reconcile({}, ANOTHERS)
    assert list(recordings.feeds) == ["cam-1"]  # it does not know yet whether a worker keeps it
    tell()
    await recordings._reconcile({}, ANOTHERS)
    assert not recordings.feeds
    assert fragments(recorded) == []
    assert recorded.camera.feed.positions == {1: 0}


async def test_a_gop_that_has_begun_is_written_by_who_leaves_a_camera_of_which_no_worker_says_what_it_keeps() -> None:
    recorded = Recorded()
    recordings, _ = cut_off(recorded)
    await recordings._reconcile({}, ANOTHERS)
    recorded.around.clock.advance(PATIENCE_SECONDS)
    await recordings._reconcile({}, ANOTHERS)
    assert not recordings.feeds
    assert fragments(recorded) == [9]


def late_recording(disk: Disk) -> StreamRecording:
    return StreamRecording(
        STREAM,
        place=disk,
        explain=lambda _from_us, _to_us, _seen: ("", ""),
        on_gap=lambda _change, _disk: None,
        last_end_us=None,
        late=True,
    )


def test_footage_of_the_past_that_a_disk_drops_ends_its_file_and_the_disk_takes_it_when_it_comes_again() -> None:
    recorded, disk = Recorded(), Disk()
    late = recorded.camera._late = late_recording(disk)
    for sequence in range(1, 60):
        late.record_picture(usual(sequence), START_US, 0.0)
    fragment = disk.steps[1]
    assert isinstance(fragment, SegmentFragment)
    file: Any = late.file
    file.late = True
    recorded.camera.fragment_dropped(FragmentDropped(file, fragment, "disk-full"))
    assert isinstance(disk.steps[-1], SegmentEnd)
    assert disk.rewound == [(STREAM, True)]
    assert late.file is None
    assert recorded.camera._late is None


async def test_a_disk_that_dropped_footage_of_the_past_takes_what_is_fetched_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recorded = Recorded()

    async def kept(_pull: FeedPull) -> AsyncGenerator[AccessUnit, None]:
        assert recorded.disk.rewound == [(STREAM, True)], "before any of it is given to the disk"
        yield usual(1)

    monkeypatch.setattr(recorded.camera, "_kept", kept)
    run = KeptRun(
        camera="cam-1", site="city", epoch=0, first=1, last=1, first_us=START_US, last_us=START_US, live=False
    )
    assert not recorded.disk.rewound
    await recorded.camera._record_late("w-1", run, [])
    assert recorded.disk.rewound == [(STREAM, True)]


async def test_footage_of_the_past_that_came_before_a_pull_broke_has_its_file_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recorded = Recorded()

    async def kept(_pull: FeedPull) -> AsyncGenerator[AccessUnit, None]:
        for sequence in range(1, 60):
            yield usual(sequence)
        raise KeepingError("the worker is gone")

    monkeypatch.setattr(recorded.camera, "_kept", kept)
    run = KeptRun("city", "cam-1", 0, first=1, last=99, first_us=START_US, last_us=START_US + 99 * FRAME_US, live=False)
    with pytest.raises(KeepingError):
        await recorded.camera._record_late("w-1", run, [TimeSpan(run.first_us, run.last_us)])
    assert isinstance(recorded.disk.steps[-1], SegmentEnd)
    assert recorded.disk.steps[-1].end_us < run.last_us
