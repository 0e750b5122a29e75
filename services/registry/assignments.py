"""Keeps the assignments as the plans say, while this registry leads."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final

from services.contracts import subjects
from services.contracts.errors import ConflictError, UnavailableError
from services.contracts.models import Assignment, Camera, Id, ToldAssignment, WorkerLease, WorkerRole
from services.contracts.troubles import Trouble
from services.mesh.bus import Bus
from services.mesh.clock import Clock, sleep
from services.mesh.leases import GIVE_UP_SECONDS, RENEW_SECONDS, Workers
from services.mesh.log import get_logger
from services.mesh.metrics import counter, gauge
from services.mesh.presence import Presence
from services.mesh.tasks import first_set
from services.registry import plan_ingest, plan_recorders
from services.registry.balance import WorkerCandidate
from services.registry.ledger import Ledgers
from services.registry.orders import ordered
from services.registry.plan_recorders import RecorderPlacement
from services.registry.roster import EXPECT_SECONDS, WorkerRoster
from services.registry.settings import RegistrySettings

log = get_logger()

LOOK_SECONDS: Final = 0.1
"""How often the leases are read while a worker is late. What changes is acted on at once…"""
REST_SECONDS: Final = 1.0
"""…and else they are read so often."""
PLAN_SECONDS: Final = 1.0
"""How often a plan is made without a change: a recorder's patience runs out by time alone…"""
QUIET_SECONDS: Final = 5.0
"""…and how often where nobody is waited for: the load of workers changes, by which cameras are balanced."""
IDLE_SHARE: Final = 100.0
"""Of the time that a plan took: so long none is made after it without a change, where none comes by time alone."""
REST_SHARE: Final = 30.0
"""Of the time that a plan took: so long none is made after it unless a worker comes or goes. An import changes the
catalogue all the time, and a plan of 10,000 cameras takes a tenth of a second."""
MOST_REST_SECONDS: Final = 10.0
"""A plan that took long because this process stood still is no reason to rest longer."""
BALANCE_SECONDS: Final = 5.0
"""Between two rounds of moves that only balance the load."""
COMMON_CAUSE_SECONDS: Final = 10.0
"""Where more than half of a role's leases are late at once, the cause is hardly theirs: so long no camera that has a
worker moves, and then they may at least as long."""
AHEAD_SECONDS: Final = 0.3
"""A takeover that is not written by then is told ahead of that: JetStream may be electing, which takes it 4 to 9 s."""
VOTERS: Final = 3
"""From so many registries on most of them decide whether a takeover may be told ahead: they are spread as NATS is."""
FRESH_SECONDS: Final = GIVE_UP_SECONDS - RENEW_SECONDS
"""Who was heard within it is there. Of two sides that do not hear each other any more each takes the other's workers
for gone only after that: the last heartbeats came up to `RENEW_SECONDS` apart."""
HOMES_SETTLED_SECONDS: Final = 2.0
"""Cameras get homes only after the recorders have been the same for so long: the first to start would get them all."""
CONCURRENT_WRITES: Final = 32
ADD: Final[dict[WorkerRole, str]] = {
    "ingest": "PANTAU_INGEST_CAPACITY",
    "recorder": "PANTAU_RECORDER_CAPACITY",
}
ROLES: Final[tuple[WorkerRole, ...]] = ("ingest", "recorder")

_written = counter("registry_assignments_written", "Assignments written, by role and cause", "role", "cause")
_assigned = gauge("registry_assigned_cameras", "Cameras assigned, by role and worker; of the leader", "role", "worker")
_unassigned = gauge("registry_unassigned_cameras", "Cameras without a worker; of the leader", "role")


class Assigner:
    """Plans when a camera, an assignment or a worker has changed, and writes the assignments that differ."""

    def __init__(
        self,
        *,
        bus: Bus,
        home: Id,
        ledgers: Ledgers,
        workers: Workers,
        presence: Presence,
        registries: Presence,
        leading: Callable[[], bool],
        settings: RegistrySettings,
        clock: Clock,
    ) -> None:
        self._bus = bus
        self._home = home
        self._ledgers = ledgers
        self._cameras = ledgers.cameras
        self._assignments = ledgers.assignments
        self._plan_due = ledgers.plan_due
        self._workers = workers
        self._presence = presence
        self._registries = registries
        self._leading = leading
        self._settings = settings
        self._clock = clock
        self._ingest = WorkerRoster()
        self._recorders = WorkerRoster()
        self._view = -1
        self._was_leading = False
        self._planned_at = self._rest_until = self._idle_until = float("-inf")
        self._moved = False
        """Whether a worker came or went since the last plan."""
        self._balanced_at: dict[WorkerRole, float] = {}
        self._uneven_since: float | None = None
        """Since when cameras would have to move between ingest workers. A move opens a camera twice, and some allow
        one client alone; a worker that was switched off may be back at once."""
        self._still_until: dict[WorkerRole, float] = {}
        self._ahead: dict[str, tuple[Assignment, int]] = {}
        """Key → a takeover that was told and is not written so far, and the revision that it is to be written over.
        Consumers take no lower epoch any more, so it is written also where another registry leads by then."""
        self._unassigned: dict[WorkerRole, int] = {}
        """Role → cameras for which no worker has room."""

    async def run(self) -> None:
        """Plans until it is cancelled."""
        while True:
            await self._rest()
            self._workers.moved.clear()
            if not self._look():
                if self._ahead and not self._leading():
                    await self._write_told_ahead()
                continue
            self._plan_due.clear()
            self._moved = False
            self._planned_at = self._clock.monotonic()
            known = dict(self._assignments.entries)  # what another leader writes while the plan is made stays
            desired = await self._plan()
            planned_at = self._clock.monotonic()
            took_seconds = planned_at - self._planned_at
            self._rest_until = planned_at + min(REST_SHARE * took_seconds, MOST_REST_SECONDS)
            idle_seconds = min(max(QUIET_SECONDS, IDLE_SHARE * took_seconds), MOST_REST_SECONDS)
            if not await self._write(desired, known) or not self._is_quiet(self._planned_at):
                idle_seconds = PLAN_SECONDS
            self._idle_until = planned_at + idle_seconds

    async def _rest(self) -> None:
        """Returns when there may be something to do."""
        now = self._clock.monotonic()
        seconds = min(REST_SECONDS, self._workers.timely_seconds())
        if self._ahead or self._bus.reconnects != self._view:
            seconds = 0.0
        events = [self._workers.moved]
        if self._resting():
            seconds = min(seconds, self._rest_until - now)
        else:
            events.append(self._plan_due)
            if self._was_leading:
                seconds = min(seconds, self._idle_until - now)
        await first_set(events, max(LOOK_SECONDS, seconds))

    def _resting(self) -> bool:
        """Whether the last plan took so long that the next one can wait, unless a worker comes or goes."""
        return self._clock.monotonic() < self._rest_until

    def troubles(self) -> list[Trouble]:
        """Roles that have no room for all cameras, while this registry leads."""
        if not self._was_leading:
            return []
        return [
            Trouble(
                kind="unassigned",
                subject=role,
                count=count,
                detail=f"{count} cameras have no {role}: all that run are full; add one, or raise {variable}",
            )
            for role, variable in ADD.items()
            if (count := self._unassigned.get(role, 0))
        ]

    def _look(self) -> bool:
        """Updates the rosters, also while another leads: who begins to lead knows who was there.

        Returns whether a plan is due.
        """
        now = self._clock.monotonic()
        if self._view != self._bus.reconnects:
            self._view = self._bus.reconnects
            self._ingest.begin_view(now)
            self._recorders.begin_view(now)
        # A worker stops by itself GIVE_UP_SECONDS after its last renewal. Only then may another begin.
        ingest = self._workers.alive("ingest", within_seconds=GIVE_UP_SECONDS)
        moved = self._ingest.update_leases([lease for lease in ingest if not self._presence.gone(lease)], now)
        moved |= self._recorders.update_leases(self._workers.alive("recorder"), now)
        for role in ROLES:
            self._look_for_common_cause(role, now)
        if not self._leading():
            self._was_leading = False
            self._uneven_since = None
            self._plan_due.clear()
            return False
        self._moved |= moved or not self._was_leading
        self._was_leading = True
        due = self._plan_due.is_set() or now >= self._idle_until
        return self._moved or (due and not self._resting())

    def _look_for_common_cause(self, role: WorkerRole, now: float) -> None:
        there = len(self._workers.alive(role))
        late = sum(not self._presence.gone(lease) for lease in self._workers.late(role))
        began_before = now < self._still_until.get(role, float("-inf")) + COMMON_CAUSE_SECONDS
        if late < 2 or 2 * late <= there or began_before:
            return
        log.warning("assignments.still", role=role, late=late, of=there, seconds=COMMON_CAUSE_SECONDS)
        self._still_until[role] = now + COMMON_CAUSE_SECONDS

    def _is_still(self, role: WorkerRole) -> bool:
        return self._clock.monotonic() < self._still_until.get(role, float("-inf"))

    def _is_quiet(self, now: float) -> bool:
        """Whether no worker is waited for, and no camera to be moved: nobody's patience runs out by time alone."""
        seconds = max(self._settings.recorder_away_seconds, HOMES_SETTLED_SECONDS, EXPECT_SECONDS)
        settled = all(roster.settled(seconds, now) for roster in (self._ingest, self._recorders))
        return settled and self._uneven_since is None and not any(self._is_still(role) for role in ROLES)

    def _may_balance(self, role: WorkerRole, roster: WorkerRoster) -> bool:
        now = self._clock.monotonic()
        settled = roster.settled(self._settings.rebalance_after_seconds, now)
        return (
            settled and not self._is_still(role) and now - self._balanced_at.get(role, float("-inf")) >= BALANCE_SECONDS
        )

    async def _plan(self) -> dict[str, Assignment]:
        cameras = {key: camera for key, (camera, _) in self._cameras.entries.items() if _is_read(camera)}
        desired = await self._plan_ingest(cameras)
        desired.update(await self._plan_recorders({key: camera for key, camera in cameras.items() if camera.record}))
        return desired

    def _current(self, role: str) -> dict[Id, Assignment]:
        return {
            key.partition(".")[2]: assignment
            for key, (assignment, _) in self._assignments.entries.items()
            if key.partition(".")[0] == role
        }

    async def _plan_ingest(self, cameras: dict[Id, Camera]) -> dict[str, Assignment]:
        now = self._clock.monotonic()
        alive = self._ingest.alive
        current = self._current("ingest")
        held = {camera: assignment.workers[0] for camera, assignment in current.items() if assignment.workers}
        told = {key.partition(".")[2]: assignment.workers[0] for key, (assignment, _) in self._ahead.items()}
        ahead = {camera: worker for camera, worker in told.items() if worker in alive}
        held |= {camera: worker for camera, worker in ahead.items() if camera in held}
        waiting = self._is_still("ingest") or self._ingest.expected(now)
        plan = partial(
            plan_ingest.plan,
            cameras,
            held,
            self._candidates("ingest", alive),
            expected=set(held.values()) - alive.keys() if waiting else (),
            last={key for key, camera in cameras.items() if not camera.record},
            pins={key: camera.pin for key, camera in cameras.items() if camera.pin},
        )
        planned = plan(settled=False)
        if not self._may_balance("ingest", self._ingest):
            pass
        elif (balanced := plan(settled=True)) == planned:
            self._uneven_since = None
        elif self._uneven_since is None:
            self._uneven_since = now
        elif now - self._uneven_since >= self._settings.rebalance_after_seconds:
            planned = balanced
            self._balanced_at["ingest"] = now
        _count("ingest", len(cameras) - len(planned), planned.values())
        self._unassigned["ingest"] = len(cameras) - len(planned) if alive else 0
        return {
            f"ingest.{camera}": _assignment(cameras[camera], (worker,), (), current.get(camera), alive)
            for camera, worker in planned.items()
        }

    async def _plan_recorders(self, cameras: dict[Id, Camera]) -> dict[str, Assignment]:
        now = self._clock.monotonic()
        alive = self._recorders.alive
        current = self._current("recorder")
        names = {name for assignment in current.values() for name in (*assignment.workers, *assignment.homes)}
        balancing = self._may_balance("recorder", self._recorders)
        before = {key: RecorderPlacement(kept.workers, kept.homes or kept.workers) for key, kept in current.items()}
        planned = await asyncio.to_thread(
            plan_recorders.plan,
            {key: camera.copies for key, camera in cameras.items()},
            before,
            self._candidates("recorder", alive),
            away=self._silent_recorders(names, self._settings.recorder_away_seconds),
            lost=self._silent_recorders(names, self._settings.recorder_lost_hours * 3600),
            settled=self._recorders.settled(HOMES_SETTLED_SECONDS, now),
            balancing=balancing,
            machines=self._machines() | {key: camera.pin for key, camera in cameras.items() if camera.pin},
        )
        if balancing and any(kept.homes != before[key].homes for key, kept in planned.items() if key in before):
            self._balanced_at["recorder"] = now
        self._unassigned["recorder"] = len(cameras) - len(planned) if alive else 0
        _count("recorder", len(cameras) - len(planned), (name for kept in planned.values() for name in kept.workers))
        return {
            f"recorder.{camera}": _assignment(
                cameras[camera],
                kept.workers,
                kept.homes,
                current.get(camera),
                alive,
                silent_since_us=self._silent_since_us(current.get(camera), kept.workers),
            )
            for camera, kept in planned.items()
        }

    def _candidates(self, role: WorkerRole, alive: dict[Id, WorkerLease]) -> list[WorkerCandidate]:
        return [
            WorkerCandidate(
                name,
                lease.capacity,
                lease.load,
                lease.draining,
                lease.machine,
                leaving=ordered(self._ledgers, role, name, lease.machine) is not None,
                rack=lease.rack,
            )
            for name, lease in alive.items()
        ]

    def _silent_recorders(self, names: Iterable[Id], seconds: float) -> set[Id]:
        if self._is_still("recorder"):
            return set()
        now = self._clock.monotonic()
        return self._recorders.silent(names, seconds, now, partial(self._workers.silent_seconds, "recorder"))

    def _machines(self) -> dict[Id, str]:
        """Where each camera is ingested, as far as it is known."""
        found: dict[Id, str] = {}
        for camera, assignment in self._current("ingest").items():
            lease = self._ingest.alive.get(assignment.workers[0]) if assignment.workers else None
            if lease is not None and lease.machine:
                found[camera] = lease.machine
        return found

    def _silent_since_us(self, current: Assignment | None, workers: tuple[Id, ...]) -> int:
        """When the first of the recorders that are replaced now was heard last; 0: all of them are alive."""
        if current is None or current.workers == workers:
            return current.silent_since_us if current is not None else 0
        silent = [
            self._workers.silent_seconds("recorder", name)
            for name in current.workers
            if name not in workers and name not in self._recorders.alive
        ]
        known = [seconds for seconds in silent if seconds != float("inf")]
        return self._clock.now_us() - round(max(known) * 1_000_000) if known else 0

    async def _write(self, desired: dict[str, Assignment], known: Mapping[str, tuple[Assignment, int]]) -> bool:
        """Writes the assignments that differ from ``known``, of which the plan was made, each over its revision there.

        Returns whether all were written. A write that fails is repeated in the next round.
        """
        limit = asyncio.Semaphore(CONCURRENT_WRITES)
        written: list[str] = []
        self._forget_overtaken(known)
        takeovers = self._takeovers(desired, known)

        async def one(key: str, assignment: Assignment | None, revision: int) -> None:
            async with limit:
                if not self._leading():
                    return
                try:
                    if assignment is None:
                        await self._assignments.delete(key, revision)
                    elif revision:
                        before = known[key][0]
                        revision = await self._assignments.update(key, assignment, revision)
                        await self._tell(key, before, assignment, revision)
                    else:
                        await self._assignments.create(key, assignment)
                    written.append(key)
                    settle(key)
                except ConflictError:
                    settle(key)
                    await self._learn(key)
                except UnavailableError as error:
                    log.debug("assignments.not_written", key=key, error=error)

        def settle(key: str) -> None:
            takeovers.pop(key, None)
            self._ahead.pop(key, None)

        causes: Counter[tuple[str, str]] = Counter()
        async with asyncio.TaskGroup() as around:
            telling = around.create_task(self._tell_ahead(takeovers, known))
            async with asyncio.TaskGroup() as tasks:
                for key, (_, revision) in known.items():
                    if key not in desired:
                        causes[key.partition(".")[0], "ended"] += 1
                        tasks.create_task(one(key, None, revision))
                for key, assignment in desired.items():
                    before, revision = known.get(key, (None, 0))
                    if key in self._ahead or (before is not assignment and before != assignment):
                        causes[key.partition(".")[0], _cause(before, assignment)] += 1
                        tasks.create_task(one(key, assignment, revision))
                for labels, count in causes.items():
                    _written.labels(*labels).inc(count)
            telling.cancel()
        if written:
            log.info("assignments.written", assignments=len(written), of=len(desired))
        return len(written) == causes.total()

    async def _write_told_ahead(self) -> None:
        """Writes what this registry told while it led, over the revisions of then."""
        known = dict(self._assignments.entries)
        self._forget_overtaken(known)
        for key, (assignment, revision) in list(self._ahead.items()):
            try:
                written = await self._assignments.update(key, assignment, revision)
                await self._tell(key, known[key][0], assignment, written)
            except ConflictError:
                await self._learn(key)
            except UnavailableError as error:
                log.debug("assignments.not_written", key=key, error=error)
                return
            self._ahead.pop(key, None)

    def _forget_overtaken(self, known: Mapping[str, tuple[Assignment, int]]) -> None:
        """Of what was told ahead: what was written since, with a revision that is no lower than the one told."""
        for key, (_, revision) in list(self._ahead.items()):
            if key not in known or known[key][1] != revision:
                del self._ahead[key]

    def _takeovers(
        self, desired: Mapping[str, Assignment], known: Mapping[str, tuple[Assignment, int]]
    ) -> dict[str, Assignment]:
        """The cameras of ingest workers that are gone."""
        alive = self._ingest.alive
        return {
            key: desired[key]
            for key, (before, _) in known.items()
            if key.startswith("ingest.")
            and before.workers
            and before.workers[0] not in alive
            and key in desired
            and desired[key].workers[0] in alive
        }

    def _is_on_the_larger_side(self, known: Mapping[str, tuple[Assignment, int]]) -> bool:
        """Whether more than half of those are there that any leader knows of.

        Two leaders that do not hear each other may both plan: who does not hear most waits until JetStream takes what
        it writes, which one of them can. Registries are these, where there are `VOTERS` or more: those that were there
        when the other side was heard last, but for who said goodbye. One that begins to run on either side makes more
        than half harder to reach there, as long as it is alone.

        Else ingest workers are. Those without cameras do not count: a leader does not know of those that only the other
        one hears.
        """
        voters = self._workers.missed("registry")
        if len(voters) >= VOTERS:
            fresh = self._workers.alive("registry", within_seconds=FRESH_SECONDS)
            there = {lease.worker for lease in fresh if not self._registries.gone(lease)}
        else:
            kept = [before for key, (before, _) in known.items() if key.startswith("ingest.") and before.workers]
            voters = {before.workers[0] for before in kept}
            fresh = self._workers.alive("ingest", within_seconds=FRESH_SECONDS)
            there = {lease.worker for lease in fresh} & self._ingest.alive.keys()
        return 2 * len(voters & there) > len(voters)

    async def _tell_ahead(
        self, takeovers: Mapping[str, Assignment], known: Mapping[str, tuple[Assignment, int]]
    ) -> None:
        """Tells ingest workers of takeovers that take long to be written, as soon as this registry hears most others.

        The epoch is the next revision: what is written later has that one or a higher one.
        """
        await sleep(self._clock, AHEAD_SECONDS)
        while takeovers and not self._is_on_the_larger_side(known):
            await sleep(self._clock, LOOK_SECONDS)
        if not takeovers or not self._leading():
            return
        revision = max(self._assignments.newest, *(known[key][1] for key in takeovers)) + 1
        log.warning("assignments.told_ahead", cameras=len(takeovers), revision=revision)
        for key, assignment in list(takeovers.items()):
            self._ahead[key] = assignment, known[key][1]
            told = ToldAssignment(assignment=assignment, revision=revision)
            await self._bus.publish(subjects.assigned(self._home, assignment.workers[0]), told.pack())

    async def _tell(self, key: str, before: Assignment, assignment: Assignment, revision: int) -> None:
        """Tells an ingest worker of a camera that it takes over: what brings it the bucket may be on a lost node."""
        if key.startswith("ingest.") and before.workers != assignment.workers:
            told = ToldAssignment(assignment=assignment, revision=revision)
            await self._bus.publish(subjects.assigned(self._home, assignment.workers[0]), told.pack())

    async def _learn(self, key: str) -> None:
        try:
            await self._assignments.fetch(key)
        except UnavailableError as error:
            log.debug("assignments.not_read", key=key, error=error)


def _assignment(
    camera: Camera,
    workers: tuple[Id, ...],
    homes: tuple[Id, ...],
    current: Assignment | None,
    alive: dict[Id, WorkerLease],
    *,
    silent_since_us: int = 0,
) -> Assignment:
    """A worker without a lease keeps its incarnation here, so that a restarted one gets a new epoch."""
    had = dict(zip(current.workers, current.incarnations, strict=False)) if current else {}
    incarnations = tuple(alive[name].incarnation if name in alive else had.get(name, 0) for name in workers)
    if current and (current.site, current.workers, current.incarnations, current.homes) == (
        camera.site,
        workers,
        incarnations,
        homes,
    ):
        return current  # the usual case; building and comparing models for each camera each second costs CPU
    return Assignment(
        camera=camera.id,
        site=camera.site,
        workers=workers,
        incarnations=incarnations,
        homes=homes,
        silent_since_us=silent_since_us,
    )


def _cause(before: Assignment | None, after: Assignment) -> str:
    if before is None:
        return "new"
    if before.workers != after.workers:
        return "moved"
    return "restarted" if before.incarnations != after.incarnations else "changed"


def _count(role: str, unassigned: int, workers: Iterable[Id]) -> None:
    counts: dict[Id, int] = {}
    for worker in workers:
        counts[worker] = counts.get(worker, 0) + 1
    _unassigned.labels(role).set(unassigned)
    for worker, count in counts.items():
        _assigned.labels(role, worker).set(count)


def _is_read(camera: Camera) -> bool:
    """Whether this mesh is to read the camera: a joined site's is read by its owner."""
    return camera.enabled and camera.owner_id is None
