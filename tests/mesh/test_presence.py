"""Which of many workers are asked whether they are there: those that were not heard for longest."""

from types import SimpleNamespace
from typing import Any

from services.contracts.models import WorkerLease
from services.mesh.presence import ASKED_AT_ONCE, Presence


def test_of_many_workers_those_are_asked_that_were_not_heard_for_longest() -> None:
    names = [f"ingest-{number:03d}" for number in range(100)]
    ages = {name: float(number * 37 % 100) for number, name in enumerate(names)}
    workers: Any = SimpleNamespace(silent_seconds=lambda _role, name: ages[name])
    bus: Any = None
    presence = Presence(bus, workers, "ingest", asking=lambda: True)
    leases = [WorkerLease(role="ingest", worker=name, incarnation=1) for name in names]
    asked = presence._silent_longest(leases)
    assert [ages[lease.worker] for lease in asked] == [float(99 - number) for number in range(ASKED_AT_ONCE)]
    assert presence._silent_longest(leases[:ASKED_AT_ONCE]) == leases[:ASKED_AT_ONCE]
