"""Which recorder gives which stretch of a clip."""

from services.contracts.recordings import Range, Timeline
from services.footage.clips import Piece, plan


def test_neighbouring_ranges_of_one_recorder_are_asked_for_at_once() -> None:
    ranges = [(0, 20, "rec-1"), (30, 40, "rec-1"), (40, 60, "rec-2"), (60, 100, "rec-1")]
    timeline = Timeline(
        camera="cam-1",
        profile="main",
        from_us=0,
        to_us=100,
        ranges=tuple(Range(from_us=a, to_us=b, recorder=name) for a, b, name in ranges),
        gaps=(),
        recorders=2,
    )
    assert plan(timeline) == [Piece("rec-1", 0, 40), Piece("rec-2", 40, 60), Piece("rec-1", 60, 100)]
