"""When a worker says that it has more to do than it can."""

import pytest

from services.ingest.overload import FULL_LOAD, LATE_SECONDS, LOOKS, Overload, WorkerLoad

WELL = WorkerLoad(0.5, 0.0, 0)


def after(*loads: WorkerLoad) -> str:
    overload = Overload()
    for load in loads:
        overload.look(load)
    return overload.reason


@pytest.mark.parametrize(
    ("load", "said"),
    [
        (WELL._replace(cpu=FULL_LOAD), "95% of its CPU"),
        (WELL._replace(late_seconds=LATE_SECONDS), "0.5 s late"),
        (WELL._replace(dropped=7), "7 frames"),
    ],
)
def test_a_limit_that_stays_passed_is_an_overload_and_a_moment_is_none(load: WorkerLoad, said: str) -> None:
    assert after(*[load] * (LOOKS - 1)) == ""
    assert said in after(*[load] * LOOKS)
    assert after(*[load, WELL] * 10) == ""


def test_it_is_over_when_there_is_room_again_for_a_while() -> None:
    full = [WELL._replace(cpu=FULL_LOAD)] * LOOKS
    assert after(*full, *[WELL] * (LOOKS - 1)) != ""
    assert after(*full, *[WELL] * LOOKS) == ""
    assert after(*full, *[WELL._replace(cpu=FULL_LOAD * 0.95)] * 10) != "", "it flaps at the limit"
