"""Patience with workers that are not there."""

from services.contracts.models import WorkerLease
from services.registry.roster import EXPECT_SECONDS, WorkerRoster


def lease(name: str, incarnation: int = 1, *, draining: bool = False) -> WorkerLease:
    return WorkerLease(role="ingest", worker=name, incarnation=incarnation, draining=draining)


def test_a_change_is_a_worker_that_comes_goes_restarts_or_drains() -> None:
    roster = WorkerRoster()
    assert roster.update_leases([lease("a")], 0)
    assert not roster.update_leases([lease("a").model_copy(update={"load": 0.5})], 1)
    assert roster.update_leases([lease("a", 2)], 2)
    assert roster.update_leases([lease("a", 2, draining=True)], 3)
    assert roster.update_leases([], 4)
    assert not roster.settled(2, 5)
    assert roster.settled(2, 6)


def test_after_a_beginning_everybody_may_still_be_coming() -> None:
    roster = WorkerRoster()
    roster.begin_view(100)
    assert roster.expected(100 + EXPECT_SECONDS - 0.1)
    assert not roster.expected(100 + EXPECT_SECONDS)


def test_who_is_silent_for_longer_than_the_patience_is_away_as_far_back_as_the_view_reaches() -> None:
    roster, silent_seconds = WorkerRoster(), {"a": 29.0, "b": 31.0, "c": float("inf")}.__getitem__
    assert roster.silent("abc", 30, 100, silent_seconds) == {"b", "c"}
    roster.update_leases([lease("b")], 100)
    assert roster.silent("abc", 30, 100, silent_seconds) == {"c"}
    roster.begin_view(100)
    assert roster.silent("ac", 30, 129, silent_seconds) == set()
    assert roster.silent("ac", 30, 130, silent_seconds) == {"c"}
