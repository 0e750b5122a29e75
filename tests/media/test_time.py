"""Media time: rounded down, in order, and never further off than a tick."""

from hypothesis import given
from hypothesis import strategies as st

from services.media.time import SECOND_90K, SECOND_US, rescale, us_from_90k, us_to_90k

times = st.integers(-(2**62), 2**62)
rates = st.integers(1, 1_000_000)


def test_a_second_is_a_second_in_both() -> None:
    assert us_from_90k(SECOND_90K) == SECOND_US
    assert us_to_90k(SECOND_US) == SECOND_90K


def test_what_does_not_come_out_even_is_rounded_down_before_zero_too() -> None:
    assert [us_from_90k(ticks) for ticks in (-1, 0, 1)] == [-12, 0, 11]
    assert [us_to_90k(us) for us in (-1, 0, 11, 12)] == [-1, 0, 0, 1]


@given(times)
def test_microseconds_are_less_than_one_too_few(ticks_90k: int) -> None:
    assert 0 <= 100 * ticks_90k - 9 * us_from_90k(ticks_90k) < 9


@given(times)
def test_ticks_are_less_than_one_too_few(us: int) -> None:
    assert 0 <= 9 * us - 100 * us_to_90k(us) < 100


@given(times)
def test_there_and_back_loses_one_tick_at_most(ticks_90k: int) -> None:
    assert us_to_90k(us_from_90k(ticks_90k)) in (ticks_90k, ticks_90k - 1)


@given(times, times)
def test_what_was_in_order_stays_in_order(one: int, other: int) -> None:
    earlier, later = sorted((one, other))
    assert us_from_90k(earlier) <= us_from_90k(later)
    assert us_to_90k(earlier) <= us_to_90k(later)


@given(times, rates, rates)
def test_another_clock_rate_is_less_than_one_tick_too_few(ticks: int, from_hz: int, to_hz: int) -> None:
    assert 0 <= ticks * to_hz - rescale(ticks, from_hz, to_hz) * from_hz < from_hz


@given(times)
def test_microseconds_are_ticks_of_a_megahertz(us: int) -> None:
    assert rescale(us, SECOND_US, SECOND_90K) == us_to_90k(us)
