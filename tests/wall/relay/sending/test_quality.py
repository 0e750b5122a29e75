import itertools

from hypothesis import given
from hypothesis import strategies as st

from services.wall.relay.sending.hysteresis import QUIET_SECONDS
from services.wall.relay.sending.quality import QualityController, QualityLevel


def level(ladder: QualityController) -> QualityLevel:
    return ladder.level


def feed(
    ladder: QualityController,
    now: float,
    seconds: int,
    *,
    loss: float | None = 0.0,
    estimate: float | None = None,
    sent: float = 2e6,
) -> tuple[float, list[QualityLevel]]:
    levels = []
    for _ in range(seconds):
        now += 1.0
        ladder.update(now, loss=loss, estimate_bps=estimate, sent_bps=sent)
        levels.append(ladder.level)
    return now, levels


def test_a_good_link_stays_full_and_five_percent_loss_is_borne() -> None:
    ladder = QualityController(0.0)
    _, levels = feed(ladder, 0.0, 60, loss=0.05, estimate=3e6)
    assert set(levels) == {QualityLevel.FULL}


def test_heavy_loss_steps_down_once_and_only_very_heavy_loss_twice() -> None:
    ladder = QualityController(0.0)
    now, _ = feed(ladder, 0.0, 10, loss=0.2)
    assert level(ladder) == QualityLevel.SUB
    feed(ladder, now, 30, loss=0.2)
    assert level(ladder) == QualityLevel.SUB
    feed(ladder, now + 30, 10, loss=0.5)
    assert level(ladder) == QualityLevel.KEYFRAMES


def test_one_bad_second_changes_nothing() -> None:
    ladder = QualityController(0.0)
    now, _ = feed(ladder, 0.0, 10)
    now, _ = feed(ladder, now, 1, loss=0.9)
    feed(ladder, now, 10)
    assert level(ladder) == QualityLevel.FULL


def test_a_narrow_estimate_steps_down_and_quiet_brings_it_back() -> None:
    ladder = QualityController(0.0)
    now, _ = feed(ladder, 0.0, 10, estimate=1e6)
    assert level(ladder) != QualityLevel.FULL
    feed(ladder, now, 40, estimate=2e6, sent=1e5)
    assert level(ladder) == QualityLevel.FULL


def test_a_link_between_two_levels_is_tried_less_and_less_often() -> None:
    ladder, now = QualityController(0.0), 0.0
    raises: list[float] = []
    for _ in range(400):
        now += 1.0
        before = ladder.level
        ladder.update(now, loss=0.2 if ladder.level == QualityLevel.FULL else 0.0, estimate_bps=None, sent_bps=2e6)
        if ladder.level < before:
            raises.append(now)
    pauses = [b - a for a, b in itertools.pairwise(raises)]
    assert pauses[0] >= QUIET_SECONDS
    assert all(later > earlier for earlier, later in itertools.pairwise(pauses))


@given(st.lists(st.tuples(st.none() | st.floats(0, 1), st.none() | st.floats(0, 1e8), st.floats(0, 1e8)), max_size=80))
def test_levels_change_by_one_and_never_within_three_seconds(
    seconds: list[tuple[float | None, float | None, float]],
) -> None:
    ladder, now, changed = QualityController(0.0), 0.0, 0.0
    for loss, estimate, sent in seconds:
        now += 1.0
        before = ladder.level
        told = ladder.update(now, loss=loss, estimate_bps=estimate, sent_bps=sent)
        assert told == (ladder.level is not before)
        if told:
            assert abs(ladder.level - before) == 1
            assert now - changed >= 3.0
            changed = now


def test_a_low_estimate_without_loss_takes_away_pixels_but_never_motion() -> None:
    ladder = QualityController(0.0)
    for second in range(4, 60):
        ladder.update(float(second), loss=0.0, estimate_bps=100_000, sent_bps=2_000_000)
    assert ladder.level == QualityLevel.SUB
