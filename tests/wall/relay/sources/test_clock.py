"""The clock that all recorded slots of a session follow."""

from math import inf

import pytest

from services.wall.relay.sources.clock import SessionClock

AT_US = 1_795_310_362_000_000
SECOND_US = 1_000_000


def test_it_stands_until_it_is_set_going_and_goes_on_from_where_it_was_stopped() -> None:
    clock = SessionClock(AT_US, since=10.0)
    assert clock.at(99.0) == AT_US
    clock.play(20.0, 2.0)
    assert clock.at(21.0) == AT_US + 2 * SECOND_US
    clock.pause(22.0)
    assert clock.at(99.0) == AT_US + 4 * SECOND_US
    clock.play(30.0, -0.5)
    assert clock.at(34.0) == AT_US + 2 * SECOND_US


@pytest.mark.parametrize(("rate", "seconds"), [(1.0, 3.0), (0.25, 12.0), (4.0, 0.75), (-1.0, -3.0)])
def test_a_picture_is_due_when_the_clock_comes_to_it(rate: float, seconds: float) -> None:
    clock = SessionClock(AT_US)
    clock.play(100.0, rate)
    assert clock.due(AT_US + 3 * SECOND_US) == pytest.approx(100.0 + seconds)


def test_while_it_stands_only_what_it_has_passed_is_due() -> None:
    clock = SessionClock(AT_US)
    assert [clock.due(AT_US + offset) for offset in (-1, 0, 1)] == [-inf, -inf, inf]
    clock.seek(5.0, AT_US + 1)
    assert clock.due(AT_US + 1) == -inf, "a step would not show its picture"
    clock.play(6.0, -1.0)
    clock.pause(6.0)
    assert [clock.due(AT_US + offset) for offset in (0, 1, 2)] == [inf, -inf, -inf]


@pytest.mark.parametrize(
    ("rate", "mode"), [(0.25, "frames"), (4.0, "frames"), (8.0, "keyframes"), (16.0, "keyframes"), (-0.25, "backwards")]
)
def test_a_rate_says_what_is_to_be_read(rate: float, mode: str) -> None:
    clock = SessionClock(AT_US)
    clock.play(0.0, rate)
    assert clock.mode == mode
