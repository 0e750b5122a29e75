"""Who lost the lead while it asked what was told of a worker tells nothing: the next leader does."""

from typing import Any, cast

import pytest

from services.contracts.events import Event
from services.contracts.models import WorkerLease
from services.contracts.workers import OVERLOADED
from services.mesh.clock import TurnedClock
from services.registry import worker_loads
from services.registry.worker_loads import WorkerLoads


class Outbox:
    """Keeps what is posted."""

    def __init__(self) -> None:
        self.posted: list[str] = []

    def post(self, event: Event) -> None:
        self.posted.append(event.type)


@pytest.mark.parametrize(("leads_on", "posted"), [(True, ["worker.overloaded"]), (False, [])])
async def test_an_overload_is_told_by_who_leads_still_when_it_knows_what_was_told(
    monkeypatch: pytest.MonkeyPatch, leads_on: bool, posted: list[str]
) -> None:
    leads, outbox = [True], Outbox()

    async def last_event(*_: object) -> None:
        leads[0] = leads_on

    monkeypatch.setattr(worker_loads, "last_event", last_event)
    nobody: Any = None
    loads = WorkerLoads(
        bus=nobody,
        home="city",
        workers=nobody,
        outbox=cast("Any", outbox),
        telling=lambda: leads[0],
        clock=TurnedClock(),
    )
    lease = WorkerLease(role="ingest", worker="ingest-1", incarnation=1, detail={OVERLOADED: "its loop is late"})
    await loads._look(lease)
    assert outbox.posted == posted
