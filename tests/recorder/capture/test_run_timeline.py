"""Ingest's times are taken as they are; what ingest cannot have published is seen."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from services.media.time import SECOND_90K
from services.recorder.capture.run_timeline import MAX_STEP_90K, RunTimeline
from tests.recorder.units import FRAME_90K, FRAME_US, START_US, pictures

UNIT = pictures(count=1)[0]


@given(st.lists(st.tuples(st.integers(1, MAX_STEP_90K), st.integers(0, 5 * SECOND_90K)), min_size=1, max_size=40))
def test_steps_and_offsets_of_a_run_stay_as_they_are(pictures_of_run: list[tuple[int, int]]) -> None:
    timeline, dts_90k, units = RunTimeline(), 777, []
    for step_90k, offset_90k in pictures_of_run:
        dts_90k += step_90k
        units.append(UNIT._replace(dts_90k=dts_90k, pts_90k=dts_90k + offset_90k))
    placed = []
    for unit in units:
        assert timeline.continues(unit)
        placed.append(timeline.place(unit, START_US))
    assert placed[0].dts_90k == 0
    assert [b.dts_90k - a.dts_90k for a, b in pairwise(placed)] == [b.dts_90k - a.dts_90k for a, b in pairwise(units)]
    assert [item.pts_90k - item.dts_90k for item in placed] == [unit.pts_90k - unit.dts_90k for unit in units]
    assert not any(item.retimed for item in placed)


def test_a_picture_whose_time_does_not_grow_is_of_another_run() -> None:
    timeline = RunTimeline()
    timeline.place(UNIT, START_US)
    assert timeline.continues(UNIT._replace(dts_90k=UNIT.dts_90k + 1))
    for step_90k in (0, -1, -SECOND_90K, MAX_STEP_90K + 1):
        assert not timeline.continues(UNIT._replace(dts_90k=UNIT.dts_90k + step_90k))


def test_time_stamps_of_another_speed_are_replaced_by_capture_times() -> None:
    timeline = RunTimeline()
    timeline.by_capture = True
    units = [unit._replace(dts_90k=2 * unit.dts_90k, pts_90k=2 * unit.pts_90k) for unit in pictures(count=100)]
    placed = [timeline.place(unit, unit.capture_us) for unit in units]
    assert {b.dts_90k - a.dts_90k for a, b in pairwise(placed)} == {FRAME_90K}
    assert all(item.retimed for item in placed)


def test_a_capture_time_a_day_off_is_replaced_by_the_recorders_clock() -> None:
    now_us = START_US + 2 * 86_400_000_000
    assert RunTimeline().place(UNIT, now_us).capture_us == now_us
    assert RunTimeline().place(UNIT, START_US + FRAME_US).capture_us == UNIT.capture_us
