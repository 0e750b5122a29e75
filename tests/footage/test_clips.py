"""Which recorder gives which stretch of a clip."""

from services.contracts.recordings import FootageRange, FootageTimeline
from services.footage.clips import ClipPiece, plan_clip


def test_neighbouring_ranges_of_one_recorder_are_asked_for_at_once() -> None:
    ranges = [(0, 20, "rec-1"), (30, 40, "rec-1"), (40, 60, "rec-2"), (60, 100, "rec-1")]
    timeline = FootageTimeline(
        camera="cam-1",
        profile="main",
        from_us=0,
        to_us=100,
        ranges=tuple(FootageRange(from_us=a, to_us=b, recorder=name) for a, b, name in ranges),
        gaps=(),
        recorders=2,
    )
    assert plan_clip(timeline) == [ClipPiece("rec-1", 0, 40), ClipPiece("rec-2", 40, 60), ClipPiece("rec-1", 60, 100)]
