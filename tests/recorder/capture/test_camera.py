"""What a recorder takes of the GOPs that ingest still has."""

from services.recorder.capture.camera import not_recorded
from tests.recorder.units import FRAME_US, START_US, pictures

UNITS = pictures(count=100, gop=25)


def test_a_recorder_without_footage_takes_all() -> None:
    assert not_recorded(UNITS, None) == UNITS


def test_what_is_on_disk_already_is_left_out() -> None:
    assert not_recorded(UNITS, START_US + 50 * FRAME_US) == UNITS[50:]


def test_after_a_long_absence_all_that_is_cached_is_taken() -> None:
    assert not_recorded(UNITS, START_US - 60_000_000) == UNITS


def test_the_last_gop_is_taken_although_it_overlaps() -> None:
    assert not_recorded(UNITS, START_US + 80 * FRAME_US) == UNITS[75:]


def test_an_answer_that_broke_off_before_the_end_of_the_footage_is_not_recorded_twice() -> None:
    assert not_recorded(UNITS[:70], START_US + 80 * FRAME_US) == []
