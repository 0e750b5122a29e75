"""A machine was cut off and JetStream elects: where most of the registries are there a takeover is told ahead, else
when it is written, and not before. Of less than three registries it goes by the workers."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from services.contracts import subjects
from services.contracts.errors import ConflictError, UnavailableError
from services.contracts.models import Assignment, ToldAssignment, WorkerLease
from services.mesh.clock import TurnedClock
from services.registry.assignments import AHEAD_SECONDS, FRESH_SECONDS, LOOK_SECONDS, Assigner
from services.registry.ledger import WRITE_SECONDS
from services.registry.settings import RegistrySettings
from tests.eventually import eventually

KEY = "ingest.gate"
OTHERS = {
    f"ingest.{worker}-s": (Assignment(camera=f"{worker}-s", site="city", workers=(worker,), incarnations=(1,)), 3)
    for worker in ("ingest-2", "ingest-3")
}
BEFORE = Assignment(camera="gate", site="city", workers=("ingest-1",), incarnations=(1,))
AFTER = BEFORE.model_copy(update={"workers": ("ingest-2",)})


class Store:
    """The assignments, which take nothing while there is no leader of their stream."""

    newest = 9

    def __init__(self) -> None:
        self.entries = {KEY: (BEFORE, 7), **OTHERS}
        self.elected = asyncio.Event()
        self.fails = False
        self.patience_seconds: float | None = WRITE_SECONDS

    async def update(self, key: str, assignment: Assignment, revision: int) -> int:
        try:
            async with asyncio.timeout(self.patience_seconds):
                await self.elected.wait()
        except TimeoutError:
            raise UnavailableError("no leader") from None
        if self.fails:
            raise UnavailableError("no leader")
        if self.entries[key][1] != revision:
            raise ConflictError("changed")
        self.entries[key] = (assignment, 12)
        return 12


class Told:
    reconnects = 0

    def __init__(self) -> None:
        self.messages: list[ToldAssignment] = []

    async def publish(self, subject: str, data: bytes) -> None:
        assert subject == subjects.assigned("city", "ingest-2")
        self.messages.append(ToldAssignment.unpack(data))


class Heard:
    """Who was heard, and when."""

    def __init__(self, clock: TurnedClock, ingest: tuple[str, ...], registries: tuple[str, ...]) -> None:
        self._clock = clock
        self.leases = {
            role: {name: WorkerLease.model_validate({"role": role, "worker": name, "incarnation": 1}) for name in names}
            for role, names in (("ingest", ingest), ("registry", registries))
        }
        self.heard_at = {"ingest": clock.monotonic(), "registry": clock.monotonic()}
        self.known_registries: set[str] = set()

    def alive(self, role: str, *, within_seconds: float) -> list[WorkerLease]:
        heard = self._clock.monotonic() - self.heard_at[role] < within_seconds
        return list(self.leases[role].values()) if heard else []

    def missed(self, role: str) -> set[str]:
        assert role == "registry"
        return self.known_registries


class Leader:
    """An assigner that hears some workers and registries of those that were there."""

    def __init__(self, *alive: str, registries: tuple[str, ...] = (), of: int = 0) -> None:
        self.store, self.bus, self.clock = Store(), Told(), TurnedClock()
        self.workers = Heard(self.clock, alive, registries)
        self.workers.known_registries = {f"registry-{number + 1}" for number in range(of)}
        around: Any = SimpleNamespace(cameras=None, assignments=self.store, plan_due=asyncio.Event())
        nobody: Any = None
        self.leads = True
        self.gone: set[str] = set()
        """Registries whose connections have ended."""
        self.assigner = Assigner(
            bus=cast("Any", self.bus),
            home="city",
            ledgers=around,
            workers=cast("Any", self.workers),
            presence=nobody,
            registries=cast("Any", SimpleNamespace(gone=lambda lease: lease.worker in self.gone)),
            leading=lambda: self.leads,
            settings=RegistrySettings(),
            clock=self.clock,
        )
        self.assigner._ingest.update_leases(
            [WorkerLease(role="ingest", worker=name, incarnation=1) for name in alive], 0.0
        )

    async def write(self) -> bool:
        others = {key: assignment for key, (assignment, _) in self.store.entries.items()}
        return await self.assigner._write({**others, KEY: AFTER}, dict(self.store.entries))

    async def told_ahead(self) -> None:
        self.store.patience_seconds = None
        writing = asyncio.create_task(self.write())
        await asyncio.sleep(0)
        self.clock.advance(AHEAD_SECONDS)
        await eventually(lambda: self.bus.messages == [ToldAssignment(assignment=AFTER, revision=10)])
        self.store.fails = True
        self.store.elected.set()
        assert not await writing
        self.store.fails = False


async def test_where_half_of_the_workers_are_heard_a_takeover_is_told_when_it_is_written_and_not_before() -> None:
    leader = Leader("ingest-2")
    writing = asyncio.create_task(leader.write())
    await asyncio.sleep(0)
    leader.clock.advance(AHEAD_SECONDS)
    assert not await writing, "it is to be tried again soon"
    assert leader.bus.messages == []
    leader.store.elected.set()
    assert await leader.write()
    assert leader.bus.messages == [ToldAssignment(assignment=AFTER, revision=12)]


async def test_where_most_of_the_workers_are_heard_it_is_told_ahead_under_the_next_epoch_until_it_is_written() -> None:
    leader = Leader("ingest-2", "ingest-3")
    leader.store.patience_seconds = None  # a busy machine may take longer than that to come to what follows
    writing = asyncio.create_task(leader.write())
    await asyncio.sleep(0)
    leader.clock.advance(AHEAD_SECONDS)
    await eventually(lambda: leader.bus.messages == [ToldAssignment(assignment=AFTER, revision=10)])
    assert leader.assigner._ahead == {KEY: (AFTER, 7)}, "the next plan may give it to another worker"
    leader.store.elected.set()
    assert await writing
    assert leader.bus.messages[1:] == [ToldAssignment(assignment=AFTER, revision=12)]
    assert not leader.assigner._ahead


async def test_workers_without_cameras_do_not_make_most_of_them() -> None:
    known = Store().entries
    few = Leader("ingest-2", "ingest-4", "ingest-5")
    assert not few.assigner._is_on_the_larger_side(known), "the other may hear 3"
    assert Leader("ingest-2", "ingest-3").assigner._is_on_the_larger_side(known)


async def test_of_two_ingest_workers_the_lost_ones_cameras_are_told_ahead_by_who_hears_most_registries() -> None:
    leader = Leader("ingest-2", registries=("registry-2", "registry-3"), of=3)
    del leader.store.entries["ingest.ingest-3-s"]
    await leader.told_ahead()


async def test_who_hears_one_registry_of_three_tells_nothing_ahead_although_it_hears_most_workers() -> None:
    leader = Leader("ingest-2", "ingest-3", registries=("registry-1",), of=3)
    writing = asyncio.create_task(leader.write())
    await asyncio.sleep(0)
    leader.clock.advance(AHEAD_SECONDS)
    assert not await writing
    assert leader.bus.messages == []


async def test_who_was_heard_before_the_machine_was_cut_off_does_not_count() -> None:
    known = Store().entries
    leader = Leader("ingest-2", "ingest-3", registries=("registry-1", "registry-2"), of=3)
    assert leader.assigner._is_on_the_larger_side(known)
    leader.gone = {"registry-2"}
    assert not leader.assigner._is_on_the_larger_side(known), "its connection has ended"
    leader.gone = set()
    leader.clock.advance(FRESH_SECONDS)
    assert not leader.assigner._is_on_the_larger_side(known), "the other side may have taken our worker for gone"


async def test_a_takeover_is_told_ahead_as_soon_as_most_registries_are_heard() -> None:
    leader = Leader("ingest-2", registries=("registry-2", "registry-3"), of=3)
    leader.store.patience_seconds = None
    leader.workers.heard_at["registry"] = float("-inf")
    writing = asyncio.create_task(leader.write())
    await asyncio.sleep(0)
    leader.clock.advance(AHEAD_SECONDS)
    await asyncio.sleep(0)
    assert leader.bus.messages == []
    leader.workers.heard_at["registry"] = leader.clock.monotonic()
    leader.clock.advance(LOOK_SECONDS)
    await eventually(lambda: leader.bus.messages == [ToldAssignment(assignment=AFTER, revision=10)])
    leader.store.elected.set()
    assert await writing


async def test_what_was_told_ahead_is_written_also_where_another_leads_by_then() -> None:
    leader = Leader("ingest-2", "ingest-3")
    await leader.told_ahead()
    leader.leads = False
    await leader.assigner._write_told_ahead()
    assert leader.store.entries[KEY] == (AFTER, 12), "frames of the worker before have an epoch that nobody takes"
    assert leader.bus.messages[1:] == [ToldAssignment(assignment=AFTER, revision=12)]
    assert not leader.assigner._ahead


async def test_what_was_told_ahead_is_not_written_over_what_another_leader_wrote() -> None:
    leader = Leader("ingest-2", "ingest-3")
    await leader.told_ahead()
    leader.leads = False
    leader.store.entries[KEY] = (BEFORE, 11)
    await leader.assigner._write_told_ahead()
    assert leader.store.entries[KEY] == (BEFORE, 11)
    assert not leader.assigner._ahead


async def test_a_camera_that_stays_after_all_gets_an_epoch_above_the_one_that_was_told_ahead() -> None:
    leader = Leader("ingest-2", "ingest-3")
    await leader.told_ahead()
    known = dict(leader.store.entries)
    assert await leader.assigner._write({key: assignment for key, (assignment, _) in known.items()}, known)
    assert leader.store.entries[KEY] == (BEFORE, 12)


async def test_a_camera_of_a_worker_that_is_there_is_not_told_ahead() -> None:
    leader = Leader("ingest-1", "ingest-2", "ingest-3")
    writing = asyncio.create_task(leader.write())
    await asyncio.sleep(0)
    leader.clock.advance(AHEAD_SECONDS)
    assert not await writing
    assert leader.bus.messages == []
