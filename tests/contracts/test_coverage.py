"""Coverage of one history over several recorders."""

from hypothesis import given
from hypothesis import strategies as st

from services.contracts.coverage import MAX_GAPS, CameraCoverage, CoverageAnswer, coverage_statements, gap_us
from services.contracts.recordings import FootageDamage, FootageGap, FootageRange, GapCause, TimelineAnswer

S = 1_000_000
DAY = 86_400 * S


def answer(
    name: str, ranges: list[tuple[int, int]], gaps: tuple[FootageGap, ...] = (), **known: object
) -> CoverageAnswer:
    timeline = TimelineAnswer(
        recorder=name,
        ranges=tuple(FootageRange(from_us=a * S, to_us=b * S, recorder=name) for a, b in ranges),
        gaps=gaps,
    )
    part = CameraCoverage.model_validate({"camera": "cam-1", "timeline": timeline, **known})
    return CoverageAnswer(recorder=name, cameras=(part,))


def test_a_gap_that_the_other_recorder_fills_is_none() -> None:
    gap = FootageGap(from_us=40 * S, to_us=60 * S, cause="disk-full")
    one = answer("rec-1", [(0, 40), (60, 100)], (gap,), oldest_full_us=5, bytes_per_day=7, forecast_full_days=3.0)
    two = answer("rec-2", [(30, 70)], oldest_full_us=2, bytes_per_day=5, forecast_full_days=9.0)
    (made,) = coverage_statements(["cam-1", "cam-2"], 0, 100 * S, [one, two])
    assert (made.percent, made.gaps) == (100, ())
    assert (made.oldest_full_us, made.bytes_per_day, made.forecast_full_days) == (2, 12, 9)


def test_a_recorder_that_had_the_camera_once_is_not_counted_as_writing_it() -> None:
    before = answer("rec-1", [], oldest_full_us=1, bytes_per_day=7, forecast_full_days=30.0)
    now = answer("rec-2", [(0, 100)], oldest_full_us=50, bytes_per_day=5, forecast_full_days=9.0)
    (made,) = coverage_statements(["cam-1"], 0, 100 * S, [before, now])
    assert (made.oldest_full_us, made.bytes_per_day, made.forecast_full_days) == (1, 5, 9)


def test_a_hole_that_nobody_explains_is_unknown_unless_nothing_older_is_kept() -> None:
    (made,) = coverage_statements(["cam-1"], 0, 100 * S, [answer("rec-1", [(40, 60)], oldest_full_us=40 * S)])
    assert [(gap.from_us // S, gap.cause) for gap in made.gaps] == [(0, GapCause.NOT_KEPT), (60, GapCause.UNKNOWN)]
    (made,) = coverage_statements(["cam-1"], 0, 100 * S, [answer("rec-1", [(40, 60)], oldest_full_us=-1)])
    assert [gap.cause for gap in made.gaps] == [GapCause.UNKNOWN, GapCause.UNKNOWN]


def test_of_very_many_gaps_the_longest_are_named_and_all_are_counted() -> None:
    ranges = [(10 * n, 10 * n + (3 if n % 7 else 8)) for n in range(MAX_GAPS + 100)]
    (made,) = coverage_statements(["cam-1"], 0, 10 * S * len(ranges), [answer("rec-1", ranges, oldest_full_us=0)])
    assert len(made.gaps) == MAX_GAPS
    assert made.missing_us == {GapCause.UNKNOWN: made.to_us - made.recorded_us}
    assert min(gap_us(gap, made.to_us) for gap in made.gaps) == 7 * S
    assert made.recorded_us == sum(b - a for a, b in ranges) * S


@given(st.lists(st.lists(st.tuples(st.integers(0, 40), st.integers(2, 40)), max_size=5), min_size=1, max_size=3))
def test_recorded_and_gaps_are_the_whole(recorders: list[list[tuple[int, int]]]) -> None:
    answers, end = [], 1
    for number, pieces in enumerate(recorders):
        ranges, at = [], 0
        for pause, length in pieces:
            ranges.append((at + pause, at + pause + length))
            at += pause + length
        end = max(end, at)
        answers.append(answer(f"rec-{number}", ranges))
    (made,) = coverage_statements(["cam-1"], 0, end * S, answers)
    assert made.recorded_us + sum(gap_us(gap, made.to_us) for gap in made.gaps) == end * S


def test_missing_time_is_told_by_its_cause_and_by_whose_it_is() -> None:
    gaps = tuple(
        FootageGap(from_us=a * S, to_us=b * S, cause=cause)
        for a, b, cause in (
            (10, 20, "bus-lost"),
            (30, 33, "unreachable"),
            (40, 41, "frames-lost"),
            (60, 70, "disabled"),
        )
    )
    within = FootageGap(from_us=50 * S, to_us=50 * S + 400_000, cause="frames-lost")
    ranges = [(0, 10), (20, 30), (33, 40), (41, 60), (70, 90)]
    (made,) = coverage_statements(["cam-1"], 0, 100 * S, [answer("rec-1", ranges, (*gaps, within), oldest_full_us=0)])
    assert made.missing_us == {
        "bus-lost": 10 * S, "unreachable": 3 * S, "frames-lost": S, "disabled": 10 * S, "unknown": 10 * S,
    }  # fmt: skip
    assert [made.lost_us(by) for by in ("mesh", "camera", "nobody")] == [21 * S, 3 * S, 10 * S]


def test_damage_is_told_of_the_recorder_whose_footage_is_shown() -> None:
    damage = FootageDamage(from_us=30 * S, to_us=50 * S, damaged_us=10 * S)
    one, two = answer("rec-1", [(0, 40)]), answer("rec-2", [(40, 100)])
    both = [
        item.model_copy(
            update={
                "cameras": tuple(
                    part.model_copy(update={"timeline": part.timeline.model_copy(update={"damage": (damage,)})})
                    for part in item.cameras
                )
            }
        )
        for item in (one, two)
    ]
    (made,) = coverage_statements(["cam-1"], 0, 100 * S, both)
    assert made.damaged_us == 10 * S
