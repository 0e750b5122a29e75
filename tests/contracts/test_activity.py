"""Activity of several recorders as one answer."""

from services.contracts.activity import ActivityAnswer, BusyTime, merge_activity, merge_busiest

MINUTE = 60_000_000


def strip(*levels: int, from_us: int = 0) -> ActivityAnswer:
    return ActivityAnswer(from_us=from_us, step_us=4_000_000, levels=levels)


def busy(camera: str, minute: int, level: float) -> BusyTime:
    return BusyTime(camera=camera, from_us=minute * MINUTE, to_us=(minute + 1) * MINUTE, level=level)


def test_where_one_recorder_has_a_gap_the_others_level_counts() -> None:
    assert merge_activity([strip(0, 50, 20), strip(30, 0, 40)]).levels == (30, 50, 40)
    assert merge_activity([strip(1, 2)]).levels == (1, 2)


def test_an_answer_in_other_steps_does_not_shift_the_first() -> None:
    assert merge_activity([strip(1, 2), strip(9, 9, 9), strip(9, 9, from_us=4_000_000)]).levels == (1, 2)


def test_a_minute_that_two_recorders_keep_is_listed_once() -> None:
    found = [busy("cam-1", 1, 0.5), busy("cam-1", 1, 0.7), busy("cam-2", 1, 0.6), busy("cam-1", 2, 0.1)]
    assert merge_busiest(found, 3) == [busy("cam-1", 1, 0.7), busy("cam-2", 1, 0.6), busy("cam-1", 2, 0.1)]
    assert merge_busiest(found, 1) == [busy("cam-1", 1, 0.7)]
