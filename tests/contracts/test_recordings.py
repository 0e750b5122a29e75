"""One history out of several recorders' answers."""

from hypothesis import given
from hypothesis import strategies as st

from services.contracts.recordings import (
    MAX_DAMAGE,
    MIN_GAP_US,
    FootageGap,
    FootageRange,
    TierName,
    TimelineAnswer,
    TimelineQuestion,
    joined_damage,
    merge_timelines,
)

S = 1_000_000
QUESTION = TimelineQuestion(camera="cam-1", from_us=0, to_us=100 * S)


def answer(
    name: str, ranges: list[tuple[float, float]], gaps: tuple[FootageGap, ...] = (), tier: TierName = "full"
) -> TimelineAnswer:
    return TimelineAnswer(
        recorder=name,
        ranges=tuple(FootageRange(from_us=int(a * S), to_us=int(b * S), tier=tier, recorder=name) for a, b in ranges),
        gaps=gaps,
    )


def gap(a: float, b: float | None, cause: str) -> FootageGap:
    return FootageGap(from_us=int(a * S), to_us=None if b is None else int(b * S), cause=cause)


def test_a_gap_that_another_recorder_has_footage_of_is_none() -> None:
    one = answer("rec-1", [(0, 40), (60, 100)], (gap(40, 60, "disk-full"),))
    two = answer("rec-2", [(35, 65)])
    merged = merge_timelines(QUESTION, [one, two])
    assert merged.gaps == ()
    assert [(r.from_us // S, r.to_us // S, r.recorder) for r in merged.ranges] == [
        (0, 40, "rec-1"), (40, 60, "rec-2"), (60, 100, "rec-1"),
    ]  # fmt: skip


def test_a_gap_in_both_is_what_neither_has_with_the_cause_of_the_longer() -> None:
    one = answer("rec-1", [(0, 40), (60, 100)], (gap(40, 48, "timeout"),))
    two = answer("rec-2", [(0, 45), (70, 100)], (gap(45, 70, "recorder-down"),))
    merged = merge_timelines(QUESTION, [one, two])
    assert merged.gaps == (gap(45, 60, "recorder-down"),)


def test_full_footage_goes_before_thinned() -> None:
    merged = merge_timelines(QUESTION, [answer("rec-1", [(0, 100)], tier="keyframes"), answer("rec-2", [(20, 50)])])
    assert [(r.from_us // S, r.tier) for r in merged.ranges] == [(0, "keyframes"), (20, "full"), (50, "keyframes")]


def test_a_gap_that_lasts_stays_open() -> None:
    merged = merge_timelines(QUESTION, [answer("rec-1", [(0, 40)], (gap(40, None, "timeout"),))])
    assert merged.gaps == (gap(40, None, "timeout"),)


def test_a_gap_whose_end_was_never_told_ends_with_the_next_footage() -> None:
    told = (gap(20, None, "recorder-down"), gap(60, 70, "stalled"))
    merged = merge_timelines(QUESTION, [answer("rec-1", [(0, 20), (40, 60), (70, 100)], told)])
    assert merged.gaps == (gap(20, 40, "recorder-down"), gap(60, 70, "stalled"))


def test_lost_frames_and_set_clocks_are_remarks_within_footage() -> None:
    small = FootageGap(from_us=10 * S, to_us=10 * S + 120_000, cause="frames-lost")
    remark = FootageGap(from_us=20 * S, to_us=20 * S, cause="clock-jump")
    merged = merge_timelines(QUESTION, [answer("rec-1", [(0, 100)], (small, remark))])
    assert merged.gaps == (small, remark)


def test_two_clocks_that_differ_a_little_leave_no_slivers() -> None:
    merged = merge_timelines(QUESTION, [answer("rec-1", [(0, 60)]), answer("rec-2", [(0.01, 60.02)])])
    assert [(r.from_us, r.recorder) for r in merged.ranges] == [(10_000, "rec-2")]


def test_several_causes_one_after_another_are_all_told() -> None:
    causes = (gap(20, 50, "timeout"), gap(50, 80, "recorder-down"))
    merged = merge_timelines(QUESTION, [answer("rec-1", [(0, 20), (80, 100)], causes)])
    assert merged.gaps == causes


spans = st.lists(st.tuples(st.integers(0, 100), st.integers(1, 30)), max_size=5).map(
    lambda found: [(a, min(a + length, 100)) for a, length in found if a < 100]
)


@given(spans, spans, spans)
def test_every_second_that_anybody_has_is_covered_once(
    a: list[tuple[float, float]], b: list[tuple[float, float]], c: list[tuple[float, float]]
) -> None:
    answers = [answer("rec-1", a), answer("rec-2", b), answer("rec-3", c, tier="keyframes")]
    merged = merge_timelines(QUESTION, answers)
    for earlier, later in zip(merged.ranges, merged.ranges[1:], strict=False):
        assert earlier.to_us <= later.from_us
    for second in range(100):
        middle = second * S + S // 2
        have = any(r.from_us <= middle < r.to_us for item in answers for r in item.ranges)
        full = any(r.from_us <= middle < r.to_us for item in answers[:2] for r in item.ranges)
        got = [r for r in merged.ranges if r.from_us <= middle < r.to_us]
        assert len(got) == have
        assert not full or got[0].tier == "full"
    assert all(r.to_us - r.from_us >= MIN_GAP_US for r in merged.ranges)


def test_damage_of_a_month_is_told_in_few_stretches_and_its_length_is_exact() -> None:
    spans = [(at * 2 * S, at * 2 * S + S // 4) for at in range(30 * 43_200)]
    made = joined_damage(spans, asked_us=30 * 86_400 * S)
    assert len(made) <= MAX_DAMAGE
    assert sum(item.damaged_us for item in made) == len(spans) * S // 4
    few = joined_damage(spans[:5], asked_us=10 * S)
    assert [(item.from_us, item.to_us) for item in few] == spans[:5]
