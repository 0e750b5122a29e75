"""The pipeline: numbered, flagged and cached as consumers expect it."""

from itertools import pairwise

from services.contracts.frames import (
    MAX_PAYLOAD_BYTES,
    AccessUnit,
    CaptureClockSource,
    Codec,
    Flags,
    SequenceTracker,
    decode,
)
from services.ingest.pipeline import Pipeline
from services.ingest.readers.source import Packet, Track
from services.mesh.clock import ManualClock
from tests.media.encoded import video

STREAM = video(gop=10, frames=30)
TRACK = Track("video", Codec.H264, b"")


def feed(pipeline: Pipeline, clock: ManualClock, numbers: range, *, epoch: int = 7) -> list[AccessUnit]:
    units = []
    for number in numbers:
        clock.advance(0.04)
        arrival = round(clock.monotonic() * 1e6)
        packet = STREAM.packets[number]
        units += pipeline.feed(Packet("video", packet.data, 3600 * packet.pts, None, arrival), epoch)
    return [decode(message) for message in units]


def make(clock: ManualClock) -> Pipeline:
    return Pipeline(clock, gop_bytes=10**6)


def test_units_are_numbered_dated_and_flagged() -> None:
    clock = ManualClock()
    pipeline = make(clock)
    pipeline.begin(TRACK)
    units = feed(pipeline, clock, range(30))
    assert {(unit.epoch, unit.codec) for unit in units} == {(7, Codec.H264)}
    assert [b.sequence - a.sequence for a, b in pairwise(units)] == [1] * 29
    assert [unit.flags for unit in units[:2]] == [Flags.KEYFRAME | Flags.DISCONTINUITY, Flags.NONE]
    assert units[10].flags == Flags.KEYFRAME
    assert [b.capture_us - a.capture_us for a, b in pairwise(units)] == [40_000] * 29
    assert {unit.clock for unit in units} == {CaptureClockSource.ARRIVAL}
    assert units[0].pts_90k == units[0].capture_us * 9 // 100


def test_the_gop_cache_holds_what_was_sent() -> None:
    clock = ManualClock()
    pipeline = make(clock)
    pipeline.begin(TRACK)
    units = feed(pipeline, clock, range(25))
    assert [decode(message) for message in pipeline.gop.snapshot()] == units[20:]


def test_a_reconnect_is_a_new_run_behind_the_last() -> None:
    clock = ManualClock()
    pipeline = make(clock)
    tracker = SequenceTracker()
    pipeline.begin(TRACK)
    units = feed(pipeline, clock, range(25))
    pipeline.end()
    assert pipeline.gop.snapshot() == ()
    clock.advance(3)
    pipeline.begin(TRACK)
    units += feed(pipeline, clock, range(30))
    assert units[25].flags == Flags.KEYFRAME | Flags.DISCONTINUITY
    assert all(tracker.accept(unit) for unit in units)
    assert tracker.lost == 0
    assert units[25].pts_90k - units[24].pts_90k == round(3.04 * 90_000)


def test_a_new_epoch_begins_with_a_keyframe_since_consumers_begin_anew_there() -> None:
    clock = ManualClock()
    pipeline = make(clock)
    pipeline.begin(TRACK)
    units = feed(pipeline, clock, range(15)) + feed(pipeline, clock, range(15, 30), epoch=8)
    assert [unit.epoch for unit in units] == [7] * 20 + [8] * 10
    assert units[20].flags == Flags.KEYFRAME
    assert [b.sequence - a.sequence for a, b in pairwise(units)] == [1] * 29


def test_a_restarted_process_goes_on_above_the_numbers_of_the_last() -> None:
    clock = ManualClock()
    first = make(clock)
    first.begin(TRACK)
    before = feed(first, clock, range(30))
    second = make(clock)
    second.begin(TRACK)
    after = feed(second, clock, range(5))
    assert after[0].order > before[-1].order


def test_after_a_loss_on_the_way_nothing_that_refers_to_it_leaves() -> None:
    clock = ManualClock()
    pipeline = make(clock)
    tracker = SequenceTracker()
    pipeline.begin(TRACK)
    units = feed(pipeline, clock, range(5))
    pipeline.skipped()
    assert feed(pipeline, clock, range(6, 10)) == []
    units += feed(pipeline, clock, range(10, 15))
    assert all(tracker.accept(unit) for unit in units)
    assert tracker.lost == 4
    assert not units[5].flags & Flags.DISCONTINUITY
    assert len(pipeline.gop.snapshot()) == 5


def test_a_frame_that_no_message_can_carry_is_dropped_and_waited_out() -> None:
    clock = ManualClock()
    pipeline = make(clock)
    pipeline.begin(TRACK)
    feed(pipeline, clock, range(5))
    clock.advance(0.04)
    huge = STREAM.packets[5].data + b"\x11" * MAX_PAYLOAD_BYTES
    assert pipeline.feed(Packet("video", huge, 3600 * 5, None, round(clock.monotonic() * 1e6)), 7) == []
    assert feed(pipeline, clock, range(6, 10)) == []
    assert feed(pipeline, clock, range(10, 11))[0].keyframe
    assert pipeline.bad_units == 1


def test_packets_that_cannot_be_read_are_counted() -> None:
    clock = ManualClock()
    pipeline = make(clock)
    pipeline.begin(Track("video", Codec.MJPEG, b""))
    assert pipeline.feed(Packet("video", b"no picture", None, None, 0), 1) == []
    assert pipeline.bad_units == 1


def test_what_comes_after_the_end_goes_nowhere() -> None:
    clock = ManualClock()
    pipeline = make(clock)
    pipeline.begin(TRACK)
    pipeline.end()
    assert feed(pipeline, clock, range(3)) == []


def test_rates_are_measured() -> None:
    clock = ManualClock()
    pipeline = make(clock)
    pipeline.begin(TRACK)
    units = feed(pipeline, clock, range(30))
    meter = pipeline.meter
    assert meter.frame_rate == 25.0
    assert meter.frames == 30
    assert meter.keyframe_interval_seconds == 0.4
    sent = sum(len(unit.payload) for unit in units[:-1])
    assert abs(meter.bitrate_bps - sent * 8 / (29 * 0.04)) <= 1


def marked(clock: ManualClock, pipeline: Pipeline, damage: dict[int, tuple[bool, int]]) -> list[bool]:
    """Which of thirty frames, a keyframe each ten, carry the mark; ``damage`` is by number: damaged, packets lost."""
    units = []
    for number in range(30):
        clock.advance(0.04)
        packet = STREAM.packets[number]
        damaged, lost = damage.get(number, (False, 0))
        arrival = round(clock.monotonic() * 1e6)
        given = Packet("video", packet.data, 3600 * packet.pts, None, arrival, None, damaged, lost)
        units += [decode(message) for message in pipeline.feed(given, 7)]
    return [unit.damaged for unit in units]


def test_a_damaged_frame_and_all_that_refer_to_it_are_marked_until_the_next_keyframe() -> None:
    clock = ManualClock()
    pipeline = make(clock)
    pipeline.begin(TRACK)
    found = marked(clock, pipeline, {13: (True, 1)})
    assert found == [13 <= number < 20 for number in range(30)]
    assert (pipeline.damaged, pipeline.lost_packets) == (7, 1)


def test_packets_lost_between_two_frames_mark_what_follows_and_a_damaged_keyframe_its_whole_gop() -> None:
    clock = ManualClock()
    pipeline = make(clock)
    pipeline.begin(TRACK)
    found = marked(clock, pipeline, {5: (False, 3), 10: (True, 1), 20: (False, 2)})
    assert found == [5 <= number < 20 for number in range(30)]
    assert pipeline.lost_packets == 6
