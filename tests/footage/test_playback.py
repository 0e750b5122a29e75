"""The order in which a history is played."""

import pytest

from services.contracts.recordings import FootageGap, FootageRange, FootageTimeline
from services.footage.playback import ranges_and_gaps

NOW_US = 1_795_310_362_000_000
SECOND_US = 1_000_000


def timeline(*ranges: tuple[int, int], gaps: tuple[FootageGap, ...] = ()) -> FootageTimeline:
    """Seconds before `NOW_US`."""
    footage = tuple(
        FootageRange(from_us=NOW_US - start * SECOND_US, to_us=NOW_US - end * SECOND_US, recorder="rec-1")
        for start, end in ranges
    )
    return FootageTimeline(
        camera="cam-1", profile="main", from_us=NOW_US - 60 * SECOND_US, to_us=NOW_US + 1, ranges=footage, gaps=gaps,
        recorders=1,
    )  # fmt: skip


def told(pieces: list[FootageRange | FootageGap]) -> list[tuple[str, int, int | None]]:
    return [
        (
            piece.cause if isinstance(piece, FootageGap) else "footage",
            (NOW_US - piece.from_us) // SECOND_US,
            None if piece.to_us is None else (NOW_US - piece.to_us) // SECOND_US,
        )
        for piece in pieces
    ]


def test_holes_are_gaps_with_their_cause_and_the_one_that_reaches_the_present_is_open() -> None:
    why = FootageGap(from_us=NOW_US - 40 * SECOND_US, to_us=NOW_US - 30 * SECOND_US, cause="offline")
    span = (NOW_US - 60 * SECOND_US, NOW_US + 1)
    history = timeline((60, 40), (30, 5), gaps=(why,))
    played = [("footage", 60, 40), ("offline", 40, 30), ("footage", 30, 5), ("unknown", 5, None)]
    assert told(ranges_and_gaps(history, span, NOW_US, backwards=False)) == played


def test_backwards_the_hole_before_the_present_is_closed() -> None:
    span = (NOW_US - 60 * SECOND_US, NOW_US + 1)
    pieces = ranges_and_gaps(timeline((60, 5)), span, NOW_US, backwards=True)
    assert told(pieces) == [("unknown", 5, -1), ("footage", 60, 5)]


@pytest.mark.parametrize("short_us", [1, 999_999])
def test_a_hole_of_less_than_a_second_is_played_over(short_us: int) -> None:
    ends = NOW_US - 30 * SECOND_US
    ranges = (
        FootageRange(from_us=NOW_US - 60 * SECOND_US, to_us=ends, recorder="rec-1"),
        FootageRange(from_us=ends + short_us, to_us=NOW_US, recorder="rec-2"),
    )
    history = timeline().model_copy(update={"ranges": ranges})
    assert ranges_and_gaps(history, (ranges[0].from_us, NOW_US + 1), NOW_US, backwards=False) == list(ranges)
