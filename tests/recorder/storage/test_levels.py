"""Levels in their rows, and what is read out of them."""

from hypothesis import given
from hypothesis import strategies as st

from services.recorder.storage.levels import (
    HOUR_US,
    SLOT_US,
    SLOTS,
    ActivityHour,
    ActivityLevel,
    blank,
    merge_slots,
    minutes,
    next_stretch,
    paint,
    resample,
    step_for,
    stretches,
    to_level,
)

S = 1_000_000
HOUR = 472_222


def at(seconds: float) -> int:
    return HOUR * HOUR_US + int(seconds * S)


def hours_of(levels: list[tuple[float, float, float]]) -> list[ActivityHour]:
    """Rows of (from, to, level), in seconds since the hour."""
    painted = paint([ActivityLevel(at(begin), at(end), level) for begin, end, level in levels])
    return sorted((hour, merge_slots(None, slots, None)) for hour, slots in painted.items())


def seconds(us: int) -> float:
    return (us - HOUR * HOUR_US) / S


def test_a_level_comes_back_as_it_went_in_and_unknown_is_still() -> None:
    (row,) = hours_of([(0, 8, 0.5), (8, 12, 1.0), (12, 16, 0.0)])
    assert [round(to_level(byte), 2) for byte in row[1][:5]] == [0.5, 0.5, 1.0, 0.0, 0.0]
    assert row[1][3] == 1
    assert row[1][4] == 0


def test_of_several_groups_in_a_slot_the_busiest_counts_and_a_segment_keeps_what_the_last_one_left_there() -> None:
    ((_, row),) = hours_of([(0, 2, 0.9), (2, 4, 0.1)])
    assert round(to_level(row[0]), 2) == 0.9
    following = paint([ActivityLevel(at(2), at(6), 0.2)])[HOUR]
    assert round(to_level(merge_slots(row, following, 0)[0]), 2) == 0.9
    judged_again = paint([ActivityLevel(at(0), at(4), 0.3)])[HOUR]
    assert round(to_level(merge_slots(row, judged_again, None)[0]), 2) == 0.3


def test_stretches_join_over_a_slot_and_over_the_hour_and_end_at_longer_pauses() -> None:
    rows = hours_of([(8, 12, 0.9), (16, 24, 0.7), (40, 44, 0.6), (60, 64, 0.4), (3592, 3604, 0.8)])
    assert [(seconds(s.from_us), seconds(s.to_us), round(s.level, 1)) for s in stretches(rows)] == [
        (8, 24, 0.9),
        (40, 44, 0.6),
        (3592, 3604, 0.8),
    ]
    assert list(stretches(rows[::-1], backwards=True)) == list(stretches(rows))[::-1]


def test_the_next_activity_is_the_one_that_begins_next() -> None:
    rows = hours_of([(8, 24, 0.9), (40, 44, 0.6)])
    found = [next_stretch(rows, at(t)) for t in (0, 8, 20, 40)]
    assert [seconds(one.from_us) if one else None for one in found] == [8, 40, 40, None]
    found = [next_stretch(rows[::-1], at(t), backwards=True) for t in (100, 40, 20, 8)]
    assert [seconds(one.from_us) if one else None for one in found] == [40, 8, 8, None]


def test_minutes_are_weighed_by_how_much_of_them_was_busy() -> None:
    rows = hours_of([(0, 60, 0.5), (60, 64, 1.0), (120, 180, 1.0)])
    found = {seconds(at_us): round(level, 2) for level, at_us in minutes(rows, at(0), at(180))}
    assert found == {0: 0.5, 60: 0.07, 120: 1.0}
    assert [seconds(at_us) for _, at_us in minutes(rows, at(60), at(120))] == [60]


def test_what_is_removed_is_not_known_any_more() -> None:
    ((_, row),) = hours_of([(0, 60, 0.5)])
    left = blank(row, HOUR, at(10), at(30))
    assert [slot for slot in range(15) if left[slot] == 0] == [2, 3, 4, 5, 6, 7]
    assert len(left) == SLOTS
    assert blank(row, HOUR, at(-100), at(4000)) == bytes(SLOTS)
    assert blank(row, HOUR + 1, at(0), at(3600)) == row


@given(st.integers(0, 3 * SLOTS - 1), st.integers(0, HOUR_US * 3), st.integers(1, 400 * 24 * HOUR_US))
def test_a_peak_is_in_the_step_that_covers_it_and_in_no_other(slot: int, from_us: int, length_us: int) -> None:
    step_us, begin_us = step_for(from_us, from_us + length_us, 1000)
    rows = [(0, bytes(SLOTS)), (1, bytes(SLOTS)), (2, bytes(SLOTS))]
    hour = slot // SLOTS
    rows[hour] = (hour, merge_slots(None, {slot % SLOTS: 200}, None))
    found = resample(rows, begin_us, from_us + length_us, step_us)
    assert begin_us <= from_us < begin_us + step_us
    assert len(found) <= 1001
    expected = slot * SLOT_US // step_us - begin_us // step_us
    assert [step for step, byte in enumerate(found) if byte] == ([expected] if 0 <= expected < len(found) else [])
