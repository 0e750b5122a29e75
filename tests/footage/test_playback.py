"""The order in which a history is played."""

from contextlib import aclosing
from typing import cast

import pytest

from services.contracts.recordings import (
    FootageGap,
    FootageRange,
    FootageTimeline,
    TimelineAnswer,
    TimelineQuestion,
    merge_timelines,
)
from services.footage.owners import NotGrantedError
from services.footage.playback import FootagePlayer, ranges_and_gaps
from services.mesh.bus import Bus
from services.mesh.clock import ManualClock

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


@pytest.mark.parametrize(("oldest", "cause"), [(30, "not-kept"), (4000, "unknown")])
async def test_a_hole_before_the_oldest_footage_says_that_nothing_is_kept_and_any_other_that_its_cause_is_unknown(
    monkeypatch: pytest.MonkeyPatch, oldest: int, cause: str
) -> None:
    kept = timeline((oldest, oldest - 5), (30, 5)).ranges

    async def ask(_: object, __: object, question: TimelineQuestion, **___: object) -> tuple[FootageTimeline, bool]:
        found = tuple(item for item in kept if item.from_us < question.to_us and item.to_us > question.from_us)
        return timeline().model_copy(update={"ranges": found}), True

    monkeypatch.setattr("services.footage.playback.ask_timeline", ask)
    clock = ManualClock(NOW_US)
    player = FootagePlayer(cast("Bus", None), "home", "cam-1", recorders=lambda: 1, clock=clock)
    async with aclosing(player.read(NOW_US - 60 * SECOND_US, "frames")) as items:
        async for item in items:
            assert isinstance(item, FootageGap)
            assert (item.cause, item.to_us) == (cause, NOW_US - 30 * SECOND_US)
            break


async def test_the_last_moment_of_a_gap_is_in_the_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = FootageGap(from_us=NOW_US - 40 * SECOND_US, to_us=NOW_US - 38 * SECOND_US, cause="unknown")
    why = FootageGap(from_us=NOW_US - 38 * SECOND_US, to_us=NOW_US - 30 * SECOND_US, cause="offline")
    history = timeline((60, 40), (30, 5), gaps=(unknown, why))

    async def ask(_: object, __: object, question: TimelineQuestion, **___: object) -> tuple[FootageTimeline, bool]:
        answer = TimelineAnswer(recorder="rec-1", ranges=history.ranges, gaps=history.gaps)
        return merge_timelines(question, [answer]), True

    monkeypatch.setattr("services.footage.playback.ask_timeline", ask)
    player = FootagePlayer(cast("Bus", None), "home", "cam-1", recorders=lambda: 1, clock=ManualClock(NOW_US))
    for before_us in (1, 400_000, 5 * SECOND_US, 10 * SECOND_US):
        at_us = NOW_US - 30 * SECOND_US - before_us
        async with aclosing(player.read(at_us, "frames")) as items:
            gap = await anext(items)
        assert isinstance(gap, FootageGap), before_us
        assert (gap.cause, gap.from_us, gap.to_us) == ("offline", at_us, NOW_US - 30 * SECOND_US)


async def test_a_history_that_its_owner_refuses_is_a_gap_that_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask(*_: object, **__: object) -> tuple[FootageTimeline, bool]:
        raise NotGrantedError("no")

    monkeypatch.setattr("services.footage.playback.ask_timeline", ask)
    player = FootagePlayer(cast("Bus", None), "home", "cam-1", recorders=lambda: 1, clock=ManualClock(NOW_US))
    async with aclosing(player.read(NOW_US - SECOND_US, "frames")) as items:
        gap = await anext(items)
    assert gap == FootageGap(from_us=NOW_US - SECOND_US, to_us=None, cause="not-granted")
