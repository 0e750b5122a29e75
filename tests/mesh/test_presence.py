"""Which of many workers are asked whether they are there (those whose heartbeat is late), and what follows."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from services.contracts.errors import NobodyThereError
from services.contracts.models import WorkerLease
from services.mesh import presence as presence_module
from services.mesh.leases import RENEW_SECONDS
from services.mesh.presence import ASKED_AT_ONCE, LATE_SECONDS, MISSES, Presence


async def test_who_waits_for_workers_is_told_at_once_that_one_is_gone() -> None:
    workers: Any = SimpleNamespace(moved=asyncio.Event())
    answers: list[Exception | None] = [None, *[NobodyThereError("gone")] * MISSES]

    async def request(_subject: str, _payload: bytes, **_: object) -> None:
        if (error := answers.pop(0)) is not None:
            raise error

    bus: Any = SimpleNamespace(request=request)
    presence = Presence(bus, workers, "ingest", asking=lambda: True)
    lease = WorkerLease(role="ingest", worker="ingest-1", incarnation=1)
    while answers:
        assert not workers.moved.is_set()
        await presence._ask(lease)
    assert presence.gone(lease)
    assert workers.moved.is_set()


async def test_who_comes_where_nobody_was_is_asked_with_the_next_look(monkeypatch: pytest.MonkeyPatch) -> None:
    now, came_at, asked_at = 0.0, 7.3, float("inf")
    lease = WorkerLease(role="registry", worker="registry-2", incarnation=1)

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds
        if now > asked_at or now > 100:
            raise asyncio.CancelledError

    async def request(_subject: str, _payload: bytes, **_: object) -> None:
        nonlocal asked_at
        asked_at = now

    workers: Any = SimpleNamespace(alive=lambda _role: [lease] if now >= came_at else [])
    bus: Any = SimpleNamespace(request=request, connected=True)
    seldom = Presence(bus, workers, "registry", asking=lambda: False, else_every_seconds=1.0)
    monkeypatch.setattr(presence_module, "asyncio", SimpleNamespace(sleep=sleep, TaskGroup=asyncio.TaskGroup))
    with pytest.raises(asyncio.CancelledError):
        await seldom.run()
    assert asked_at - came_at <= RENEW_SECONDS


def test_of_many_workers_those_are_asked_whose_heartbeat_is_late_or_whose_answer_is_not_known() -> None:
    names = [f"ingest-{number:03d}" for number in range(100)]
    ages = {name: number / 100 for number, name in enumerate(names)}
    workers: Any = SimpleNamespace(silent_seconds=lambda _role, name: ages[name])
    bus: Any = None
    presence = Presence(bus, workers, "ingest", asking=lambda: True)
    leases = [WorkerLease(role="ingest", worker=name, incarnation=1) for name in names]

    def asked() -> list[str]:
        return [lease.worker for lease in presence._to_ask(leases)]

    assert asked() == names[: -1 - ASKED_AT_ONCE : -1], "nothing is known of any of them"
    presence._misses = {(name, 1): 0 for name in names}
    assert asked() == []
    ages["ingest-007"] = LATE_SECONDS
    assert asked() == ["ingest-007"]
    presence._misses["ingest-008", 1] = 1  # its heartbeats come again: whether it is there has to be known, too
    assert asked() == ["ingest-007", "ingest-008"]
    assert presence._to_ask(leases[:ASKED_AT_ONCE]) == leases[:ASKED_AT_ONCE]
    own = Presence(bus, workers, "ingest", asking=lambda: True, me="ingest-001")
    assert own._to_ask(leases[:3]) == [leases[0], leases[2]], "a process need not ask itself"
