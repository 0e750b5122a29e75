"""A machine was cut off and JetStream elects: nobody is told of a takeover before it is written, and then at once."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from services.contracts import subjects
from services.contracts.errors import UnavailableError
from services.contracts.models import Assignment, ToldAssignment
from services.mesh.clock import TurnedClock
from services.registry.assignments import Assigner
from services.registry.settings import RegistrySettings

KEY = "ingest.gate"


class Store:
    """The assignments, which take nothing while there is no leader of their stream."""

    def __init__(self, entries: dict[str, tuple[Assignment, int]]) -> None:
        self.entries = entries
        self.electing = True

    async def update(self, key: str, assignment: Assignment, revision: int) -> int:
        if self.electing:
            raise UnavailableError("no leader")
        assert self.entries[key][1] == revision
        self.entries[key] = (assignment, revision + 5)
        return revision + 5


class Told:
    reconnects = 0

    def __init__(self) -> None:
        self.messages: list[tuple[str, ToldAssignment]] = []

    async def publish(self, subject: str, data: bytes) -> None:
        self.messages.append((subject, ToldAssignment.unpack(data)))


async def test_a_takeover_is_told_when_it_is_written_and_not_before() -> None:
    before = Assignment(camera="gate", site="city", workers=("ingest-1",), incarnations=(1,))
    after = before.model_copy(update={"workers": ("ingest-2",)})
    store, bus = Store({KEY: (before, 7)}), Told()
    around: Any = SimpleNamespace(cameras=None, assignments=store, plan_due=asyncio.Event())
    nobody: Any = None
    assigner = Assigner(
        bus=cast("Any", bus),
        home="city",
        ledgers=around,
        workers=nobody,
        presence=nobody,
        leading=lambda: True,
        settings=RegistrySettings(),
        clock=TurnedClock(),
    )
    for _ in range(3):
        assert not await assigner._write({KEY: after}, dict(store.entries)), "it is to be tried again soon"
    assert bus.messages == []
    store.electing = False
    assert await assigner._write({KEY: after}, dict(store.entries))
    assert bus.messages == [
        (subjects.assigned("city", "ingest-2"), ToldAssignment(assignment=after, revision=store.entries[KEY][1]))
    ]
