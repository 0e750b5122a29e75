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


def test_who_comes_back_is_missed_anew() -> None:
    roster = WorkerRoster()
    assert roster.away(["a"], 30, 0) == set()
    assert roster.away(["a"], 30, 29) == set()
    roster.update_leases([lease("a")], 29.5)
    assert roster.away(["a"], 30, 31) == set()
    roster.update_leases([], 32)
    assert roster.away(["a"], 30, 32) == set()
    assert roster.away(["a"], 30, 61) == set()
    assert roster.away(["a"], 30, 62) == {"a"}
    roster.begin_view(63)
    assert roster.away(["a"], 30, 63) == set()
