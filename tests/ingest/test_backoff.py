"""Backoff: grows to its bound, with jitter, and begins anew."""

from services.ingest.backoff import Backoff


def test_pauses_double_to_the_bound_and_begin_anew() -> None:
    backoff = Backoff(1, 30, uniform=lambda _low, high: high)
    assert [backoff.next_seconds() for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]
    backoff.reset()
    assert backoff.next_seconds() == 1


def test_pauses_are_spread() -> None:
    pauses = {Backoff(1, 30).next_seconds() for _ in range(20)}
    assert len(pauses) > 10
    assert all(0.5 <= pause <= 1 for pause in pauses)
