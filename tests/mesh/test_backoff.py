"""Backoff: grows to its bound, with jitter, and begins anew."""

from hypothesis import given
from hypothesis import strategies as st

from services.mesh.backoff import Backoff


def test_pauses_double_to_the_bound_and_begin_anew() -> None:
    backoff = Backoff(1, 30, uniform=lambda _low, high: high)
    assert [backoff.next_seconds() for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]
    backoff.reset()
    assert backoff.next_seconds() == 1


def test_without_a_most_the_bound_stays() -> None:
    backoff = Backoff(2, uniform=lambda _low, high: high)
    assert [backoff.next_seconds() for _ in range(3)] == [2, 2, 2]


def test_pauses_are_spread() -> None:
    pauses = {Backoff(1, 30).next_seconds() for _ in range(20)}
    assert len(pauses) > 10


@given(st.floats(0.001, 10), st.floats(0.001, 1000), st.integers(0, 50))
def test_every_pause_lies_between_half_the_least_and_the_most(least: float, most: float, failures: int) -> None:
    backoff = Backoff(least, most)
    pauses = [backoff.next_seconds() for _ in range(failures)]
    assert all(least / 2 <= pause <= max(least, most) for pause in pauses)
