"""How long a source may be silent, as a table: a stall is noticed, and a slow camera is no stall."""

from typing import Literal, NamedTuple

import pytest

from services.ingest.pace import FIRST_PATIENCE_SECONDS, Pace

STALL_SECONDS = 5.0


class Run(NamedTuple):
    """One run of a source: when its pictures came, and whether it answered afterwards."""

    pictures: tuple[float, ...]
    answers: bool = False
    stalls: bool = True


def limit_after(*runs: Run) -> float:
    """How long the source may be silent after the last picture of the last run."""
    pace, now = Pace(), 1000.0
    limit = STALL_SECONDS
    for number, run in enumerate(runs):
        pace.begin()
        began = now
        for at in run.pictures:
            now = began + at
            pace.add(now)
        if run.answers:
            pace.heard()
        limit = max(STALL_SECONDS, pace.patience_seconds)
        if number < len(runs) - 1 and run.stalls:
            now += limit + 0.1
            pace.stalled(now)
        now += 1.0
    return limit


def every(seconds: float, count: int) -> tuple[float, ...]:
    return tuple(number * seconds for number in range(count))


ONE = (0.0,)
LIMITS: dict[str, tuple[tuple[Run, ...], float | Literal["first"]]] = {
    "15 a second": ((Run(every(1 / 15, 50)),), STALL_SECONDS),
    "15 a second, two pictures so far": ((Run(every(1 / 15, 2), answers=True),), STALL_SECONDS),
    "15 a second with one hiccup of 4 s": ((Run((*every(1 / 15, 20), 5.4, 5.5, 5.6)),), STALL_SECONDS),
    "one every 2 s": ((Run(every(2, 10)),), STALL_SECONDS),
    "one every 8 s": ((Run(every(8, 10)),), 13.0),
    "one every 8 s, two so far": ((Run(every(8, 2)),), 13.0),
    "one every 15 s": ((Run(every(15, 10)),), 23.5),
    "now after 2, now after 15 s": ((Run((0, 2, 17, 19, 34, 36, 51)),), 23.5),
    "one every 60 s is no camera that is waited for": ((Run(every(60, 10)),), 23.5),
    "one picture in its life, and it answers": ((Run(ONE, answers=True),), "first"),
    "one picture in its life, and it is silent": ((Run(ONE),), STALL_SECONDS),
    "one picture again, after a silent stall": ((Run(ONE), Run(ONE)), "first"),
    "one picture again, after 16 s for nothing": ((Run(ONE), Run(ONE), Run(ONE)), STALL_SECONDS),
    "one picture again, after it answered for 16 s": ((Run(ONE, answers=True), Run(ONE, answers=True)), STALL_SECONDS),
    "a relay's kept picture, then one every 8 s": ((Run((0.0, 3.0), answers=True), Run((0.0, 1.5))), "first"),
    "three quick pictures, and it stalls again": ((Run(every(0.1, 3)), Run(every(0.1, 3))), STALL_SECONDS),
    "slow in the run before": ((Run(every(8, 4), stalls=False), Run(ONE)), 13.0),
    "it stood still once, and is quick": ((Run(ONE), Run(ONE), Run(every(1 / 15, 20)), Run(ONE)), STALL_SECONDS),
}


@pytest.mark.parametrize("name", LIMITS)
def test_a_source_may_be_silent_for_as_long_as_the_table_says(name: str) -> None:
    runs, expected = LIMITS[name]
    assert limit_after(*runs) == pytest.approx(FIRST_PATIENCE_SECONDS if expected == "first" else expected)


@pytest.mark.parametrize("seconds", [2.0, 4.0, 8.0, 11.0, 15.0])
@pytest.mark.parametrize("answers", [True, False])
def test_a_slow_camera_is_given_up_at_most_once_in_its_life(seconds: float, answers: bool) -> None:
    pace, now, stalls = Pace(), 0.0, 0
    pace.begin()
    for _ in range(30):
        pace.add(now)
        if answers:
            pace.heard()
        if seconds > max(STALL_SECONDS, pace.patience_seconds):
            now += max(STALL_SECONDS, pace.patience_seconds) + 0.1
            pace.stalled(now)
            stalls += 1
            pace.begin()
        now += seconds
    assert stalls <= (0 if answers or seconds <= STALL_SECONDS else 1)
