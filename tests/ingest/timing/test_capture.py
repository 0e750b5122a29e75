"""Capture time: what is believed of a source's clock, and what arrival tells."""

from hypothesis import given
from hypothesis import strategies as st

from services.contracts.frames import CaptureClockSource
from services.ingest.timing.capture import MOST_ROOM_90K, ROOM_SHARE, SANE_LATE_US, CaptureClock

WALL = 1_760_000_000_000_000
FRAME_US = 40_000


def test_a_sane_source_clock_tells_the_time() -> None:
    clock = CaptureClock()
    for n in range(20):
        taken = WALL + n * FRAME_US
        capture = clock.stamp(n * 3600, n * FRAME_US + 30_000, taken + 30_000, taken)
        assert (capture.at_us, capture.clock) == (taken, CaptureClockSource.RTCP)
        assert capture.uncertainty_us == 30_000


def test_a_source_clock_that_is_hours_off_is_not_believed() -> None:
    for off_us in (3_600_000_000, -3_600_000_000, SANE_LATE_US + 1):
        clock = CaptureClock()
        for n in range(20):
            now = WALL + n * FRAME_US
            capture = clock.stamp(n * 3600, n * FRAME_US, now, now - off_us)
            assert capture.clock is CaptureClockSource.ARRIVAL
            assert capture.at_us == now


def test_jitter_and_bursts_do_not_show_in_arrival_times() -> None:
    clock = CaptureClock()
    late = [0, 30_000, 10_000, 200_000, 160_000, 120_000, 80_000, 40_000, 0, 5_000]
    for n, delay in enumerate(late):
        capture = clock.stamp(n * 3600, n * FRAME_US + delay, WALL + n * FRAME_US + delay, None)
        assert abs(capture.at_us - (WALL + n * FRAME_US)) <= 250
        assert capture.uncertainty_us >= 250_000


def test_our_own_clock_may_be_set_while_it_runs() -> None:
    clock = CaptureClock()
    clock.stamp(0, 0, WALL, None)
    assert clock.stamp(3600, FRAME_US, WALL + FRAME_US + 5_000_000, None).at_us == WALL + FRAME_US + 5_000_000


def test_a_source_whose_media_time_is_slow_does_not_fall_behind_for_ever() -> None:
    clock = CaptureClock(longest_delay_us=1_000_000)
    for n in range(2000):
        now = WALL + n * FRAME_US
        capture = clock.stamp(n * 1800, n * FRAME_US, now, None)  # half as fast as it should be
        assert 0 <= now - capture.at_us <= 1_000_000 + FRAME_US


@given(st.lists(st.tuples(st.integers(0, 2**50), st.integers(0, 10**6), st.one_of(st.none(), st.integers(0, 2**60)))))
def test_a_capture_time_is_never_later_than_arrival_by_more_than_a_sane_clock_may_say(
    frames: list[tuple[int, int, int | None]],
) -> None:
    clock = CaptureClock()
    arrival, latest_us = 0, 500_000
    for pts, gap, rtcp in frames:
        arrival += gap
        capture = clock.stamp(pts, arrival, WALL + arrival, rtcp)
        assert capture.uncertainty_us > 0
        latest_us += MOST_ROOM_90K // ROOM_SHARE
        assert capture.at_us <= WALL + arrival + latest_us


def test_a_picture_that_is_shown_before_one_that_came_earlier_lies_between_its_neighbours() -> None:
    clock = CaptureClock()
    shown = (0, 3, 1, 2, 6, 4, 5, 9, 7, 8)
    captured = {
        pts: clock.stamp(pts * 3600, 1_000_000 + number * 40_000, 5_000_000_000 + number * 40_000, None).at_us
        for number, pts in enumerate(shown)
    }
    assert [captured[pts] for pts in sorted(captured)] == sorted(captured.values())
    assert len(set(captured.values())) == len(shown)


SHOWN = {
    "each as it comes": (0, 1, 2, 3, 4, 5, 6, 7, 8),
    "two B pictures": (0, 3, 1, 2, 6, 4, 5, 9, 7, 8),
    "a pyramid of seven": (0, 8, 4, 2, 1, 3, 6, 5, 7, 16, 12, 10, 9, 11, 14, 13, 15),
    "seven one after the other": (0, 8, 1, 2, 3, 4, 5, 6, 7, 16, 9, 10, 11, 12, 13, 14, 15),
}


@given(st.sampled_from(sorted(SHOWN)), st.sampled_from((90_000 // 60, 3600, 7200)), st.data())
def test_capture_times_stand_in_the_order_of_showing_whatever_our_two_clocks_say(
    name: str, ticks: int, data: st.DataObject
) -> None:
    """Between looking at the one and at the other a process may be put aside, so they disagree for one picture."""
    clock, taken = CaptureClock(), {}
    for number, pts in enumerate(SHOWN[name]):
        arrival = 1_000_000 + number * 40_000 + data.draw(st.integers(0, 200_000))
        wall = WALL + arrival - data.draw(st.integers(-200_000, 200_000))
        taken[pts] = clock.stamp(pts * ticks, arrival, wall, None).at_us
    in_order = [taken[pts] for pts in sorted(taken)]
    assert in_order == sorted(set(in_order))
