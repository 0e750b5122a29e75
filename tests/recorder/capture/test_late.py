"""What of late footage is still missing, and which of its GOPs fill it."""

from services.recorder.capture.late import MissingGops, TimeSpan, missing_spans
from tests.recorder.units import FRAME_US, START_US, pictures

S = 1_000_000
UNITS = pictures(count=100, gop=25)


def taken(*spans: TimeSpan) -> list[int]:
    gops = MissingGops(spans)
    found = [unit.sequence - 1 for each in UNITS for unit in gops.take(each)]
    return found + [unit.sequence - 1 for unit in gops.end()]


def at(frame: int) -> int:
    return START_US + frame * FRAME_US


def test_what_nothing_covers_is_missing() -> None:
    assert missing_spans(0, 10 * S, []) == [TimeSpan(0, 10 * S)]
    assert missing_spans(0, 10 * S, [(4 * S, 6 * S), (0, 2 * S)]) == [TimeSpan(2 * S, 4 * S), TimeSpan(6 * S, 10 * S)]
    assert missing_spans(0, 10 * S, [(-S, 5 * S), (5 * S + 50_000, 20 * S)]) == []


def test_a_hole_between_two_gops_is_filled_exactly() -> None:
    assert taken(TimeSpan(at(25), at(75))) == list(range(25, 75))


def test_a_hole_that_begins_within_a_gop_is_filled_from_its_keyframe_on_and_to_its_end_alone() -> None:
    assert taken(TimeSpan(at(30), at(60))) == list(range(25, 60))


def test_several_holes_are_filled_and_nothing_between_them() -> None:
    assert taken(TimeSpan(at(0), at(25)), TimeSpan(at(75), at(100))) == [*range(25), *range(75, 100)]
    assert taken() == []
