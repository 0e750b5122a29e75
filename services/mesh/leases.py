"""Leases: which workers are alive, and which registry leads. Heartbeats over core NATS.

Nothing of it is stored: neither a disk that is full nor an election of JetStream's interrupts it (decision 25). A
worker may act while its own heartbeats come back to it through nats-server; it is alive for others while they hear
them. One whose cameras were given to another meanwhile publishes under an older epoch, which nobody takes.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Final, get_args

from pydantic import ValidationError

from services.contracts import subjects
from services.contracts.models import Id, WorkerLease, WorkerRole
from services.mesh.bus import Bus, BusMessage, BusSubscription
from services.mesh.clock import Clock, SystemClock, sleep
from services.mesh.log import get_logger

log = get_logger()

RENEW_SECONDS: Final = 1.0
EXPIRE_SECONDS: Final = 3.0
"""A worker that was not heard for so long is gone for everybody."""
GIVE_UP_SECONDS: Final = 2.5
"""The holder stops so long after its last renewal, before another may begin."""
ROLL_CALL_SECONDS: Final = 0.4
"""After it who follows the workers has heard those that are there."""
DEAF_SECONDS: Final = 1.0
"""A process that did not run for so long has heard nobody meanwhile: that time does not count against the workers."""
CUT_OFF_SECONDS: Final = 3.0
"""Who hears no registry for so long may be on a node that is cut off from the others of its cluster…"""
CUT_OFF_AGAIN_SECONDS: Final = 30.0
"""…and changes to another node: at first after that time, then after this, doubled each time up to…"""
MOST_CUT_OFF_SECONDS: Final = 600.0
"""…this. There may be no registry just now."""
LATE_SECONDS: Final = 1.9
"""A heartbeat that comes no sooner after the one before is late."""
FORGET_SECONDS: Final = 7200.0
CLAIM_SECONDS: Final = 0.2
"""Who claims what another does is told so within this time."""
_SENT: Final = "Pantau-Sent"
"""Header: when the heartbeat was sent, by the sender's monotonic clock."""


def new_incarnation() -> int:
    """A number that is larger at each start."""
    return time.time_ns() // 1_000_000


def presence(lease: WorkerLease) -> str:
    """A subject that a worker listens on while it runs.

    When the worker's connection ends, nats-server answers questions there with "no responders". So a killed worker is
    noticed at once, before its lease expires.
    """
    return f"pantau.presence.{lease.role}.{lease.worker}.{lease.incarnation}"


class Lease:
    """A worker's own lease. `run` keeps it; `held` says whether this worker may act."""

    def __init__(self, bus: Bus, home: Id, current: Callable[[], WorkerLease], *, clock: Clock | None = None) -> None:
        """``current`` gives what the heartbeat shall say each time (load, draining)."""
        self._bus = bus
        self._home = home
        self._current = current
        self._clock = clock or SystemClock()
        self._renewed_at = float("-inf")
        self._released = False
        self._registry_heard_at = float("-inf")

    @property
    def held(self) -> bool:
        """Whether the last renewal is recent enough to act on."""
        return self._clock.monotonic() < self.held_until

    @property
    def held_until(self) -> float:
        """Until when this worker may act without another renewal: `Clock.monotonic` seconds.

        That clock is the machine's, so child processes may be told.
        """
        return self._renewed_at + GIVE_UP_SECONDS

    async def renew(self) -> bool:
        """Sends a heartbeat; False where the bus is away, or the lease was released.

        The lease is renewed when the heartbeat comes back (`run`).
        """
        if self._released:
            return False
        lease = self._current()
        headers = {_SENT: repr(self._clock.monotonic())}
        return await self._bus.publish(
            subjects.lease(self._home, lease.role, lease.worker), lease.pack(), headers=headers
        )

    async def run(self) -> None:
        """Sends a heartbeat each second, and when it is asked for, until it is cancelled; `release` afterwards.

        Answers on `presence`. In a cluster it asks another node where it hears of no registry.
        """
        bus, me = self._bus, self._current()
        self._released = False

        async def here(question: BusMessage) -> None:
            await bus.publish(question.reply, b"")

        async def called(_call: BusMessage) -> None:
            await self.renew()

        subscriptions = [
            await bus.subscribe(presence(me), here),
            await bus.subscribe(subjects.roll_call(self._home), called),
            await bus.subscribe(subjects.lease(self._home, me.role, me.worker), self._on_own),
            await bus.subscribe(subjects.lease(self._home, "registry", "*"), self._on_registry),
        ]
        try:
            await self._keep()
        finally:
            for subscription in subscriptions:
                await subscription.unsubscribe()

    async def _keep(self) -> None:
        bus = self._bus
        patience_seconds = CUT_OFF_SECONDS
        since = self._clock.monotonic()
        while True:
            await self.renew()
            try:
                async with asyncio.timeout(RENEW_SECONDS):
                    await bus.reconnected()
            except TimeoutError:
                pass
            now = self._clock.monotonic()
            if self._registry_heard_at > since:
                since, patience_seconds = self._registry_heard_at, CUT_OFF_SECONDS
            elif now - since >= patience_seconds:
                patience_seconds = min(max(2 * patience_seconds, CUT_OFF_AGAIN_SECONDS), MOST_CUT_OFF_SECONDS)
                since = now
                await bus.try_other_node("no registry is heard")

    async def _on_own(self, message: BusMessage) -> None:
        me = self._current()
        sent = (message.headers or {}).get(_SENT)
        lease = _unpack(message)
        if self._released or sent is None or lease is None or lease.incarnation != me.incarnation:
            return
        # The number was written by this process: no other has its incarnation.
        self._renewed_at = max(self._renewed_at, float(sent))

    async def _on_registry(self, message: BusMessage) -> None:
        if message.data:
            self._registry_heard_at = self._clock.monotonic()

    async def release(self) -> None:
        """Says that it ends, so that others need not wait until it is missed. Never raises."""
        lease = self._current()
        self._released = True
        self._renewed_at = float("-inf")
        await self._bus.publish(subjects.lease(self._home, lease.role, lease.worker), b"")


def _unpack(message: BusMessage) -> WorkerLease | None:
    if not message.data:
        return None
    try:
        return WorkerLease.unpack(message.data)
    except (ValidationError, ValueError) as error:
        log.warning("lease.unreadable", subject=message.subject, error=error)
        return None


def _is_other(lease: WorkerLease, before: WorkerLease) -> bool:
    return (lease.incarnation, lease.draining) != (before.incarnation, before.draining)


class Workers:
    """The live workers, as this process hears them. Clocks of other machines do not matter."""

    def __init__(self, bus: Bus, home: Id, *, clock: Clock | None = None) -> None:
        self.ready = asyncio.Event()
        """Set when those that are there have been heard."""
        self.moved = asyncio.Event()
        """Set where a worker comes, goes, restarts or begins to drain; who waits for it clears it."""
        self._bus = bus
        self._home = home
        self._clock = clock or SystemClock()
        self._heard: defaultdict[str, dict[Id, tuple[WorkerLease, float]]] = defaultdict(dict)
        """Role → worker → its last heartbeat, and when it came."""
        self._last_heard: dict[str, float] = {}
        """Also of those that are gone, for `FORGET_SECONDS`."""
        self._said_goodbye: set[str] = set()
        """Of these, who gave their leases back."""
        self._deaf_seconds = 0.0
        self._ran_at = self._clock.monotonic()

    def _now(self) -> float:
        """Seconds during which this process could hear."""
        now = self._clock.monotonic()
        if now - self._ran_at > DEAF_SECONDS:
            self._deaf_seconds += now - self._ran_at
        self._ran_at = now
        return now - self._deaf_seconds

    def alive(self, role: str, *, within_seconds: float = EXPIRE_SECONDS) -> list[WorkerLease]:
        """Live workers of a role, by name: those that were heard ``within_seconds``."""
        now = self._now()
        return [lease for _, (lease, at) in sorted(self._heard[role].items()) if now - at < within_seconds]

    def silent_seconds(self, role: WorkerRole, worker: Id) -> float:
        """How long a worker has not been heard; infinite where it never was, or too long ago."""
        return self._now() - self._last_heard.get(f"{role}.{worker}", float("-inf"))

    def missed(self, role: WorkerRole) -> set[Id]:
        """Workers of a role, alive or not, that were heard in the last `FORGET_SECONDS` and did not say goodbye."""
        found = self._last_heard.keys() - self._said_goodbye
        return {worker for known, _, worker in (key.partition(".") for key in found) if known == role}

    def timely_seconds(self) -> float:
        """So long no worker of those that are alive can be late; 0 where one is."""
        now = self._now()
        heard = (at for each in self._heard.values() for _, at in each.values() if now - at < EXPIRE_SECONDS)
        return max(0.0, LATE_SECONDS - (now - min(heard, default=now)))

    def late(self, role: WorkerRole) -> list[WorkerLease]:
        """Workers that are alive but have missed a heartbeat."""
        timely = {lease.worker for lease in self.alive(role, within_seconds=LATE_SECONDS)}
        return [lease for lease in self.alive(role) if lease.worker not in timely]

    def all(self) -> list[WorkerLease]:
        """Live workers of every role."""
        return [lease for role in get_args(WorkerRole) for lease in self.alive(role)]

    async def run(self) -> None:
        """Follows the heartbeats until it is cancelled; asks for them at the start and after each reconnect."""
        subscription = await self._bus.subscribe(subjects.lease(self._home, "*", "*"), self._on_lease)
        try:
            while True:
                generation = self._bus.reconnects
                await self._bus.publish(subjects.roll_call(self._home), b"")
                await asyncio.sleep(ROLL_CALL_SECONDS)
                self.ready.set()
                while self._bus.reconnects == generation:
                    self._forget(self._now())
                    await sleep(self._clock, DEAF_SECONDS / 4)
        finally:
            await subscription.unsubscribe()

    async def _on_lease(self, message: BusMessage) -> None:
        role, worker = message.subject.split(".")[-2:]
        now = self._now()
        key = f"{role}.{worker}"
        before = self._heard[role].get(worker)
        if not message.data:
            self._heard[role].pop(worker, None)
            self._said_goodbye.add(key)
            self.moved.set()
        elif (lease := _unpack(message)) is not None and (lease.role, lease.worker) == (role, worker):
            self._heard[role][worker] = (lease, now)
            self._last_heard[key] = now
            self._said_goodbye.discard(key)
            if before is None or now - before[1] >= LATE_SECONDS or _is_other(lease, before[0]):
                self.moved.set()

    def _forget(self, now: float) -> None:
        for role, heard in self._heard.items():
            self._heard[role] = {name: each for name, each in heard.items() if now - each[1] <= 2 * EXPIRE_SECONDS}
        for key in [key for key, at in self._last_heard.items() if now - at > FORGET_SECONDS]:
            del self._last_heard[key]
        self._said_goodbye &= self._last_heard.keys()


async def roll_call(bus: Bus, home: Id) -> list[WorkerLease]:
    """All workers that answer just now."""
    workers = Workers(bus, home)
    following = asyncio.create_task(workers.run(), name="roll call")
    try:
        await workers.ready.wait()
    finally:
        following.cancel()
    return workers.all()


class Leadership:
    """One leader at a time among the registries that hear each other: the one that has run for longest.

    Two that do not hear each other may both lead. What a leader writes is written by compare-and-set into JetStream,
    which has one majority (`services.registry.ledger`), so only one of them can.
    """

    def __init__(self, lease: Lease, workers: Workers, me: WorkerLease, *, gone: Callable[[WorkerLease], bool]) -> None:
        """``gone`` says of a registry whether its connection is known to have ended."""
        self._lease = lease
        self._workers = workers
        self._me = me
        self._gone = gone
        self._was = False

    @property
    def leading(self) -> bool:
        """Whether this process may act as the leader now."""
        leads = self._workers.ready.is_set() and self._lease.held and self._is_first()
        if leads != self._was:
            self._was = leads
            log.info("leadership.won" if leads else "leadership.lost", worker=self._me.worker)
        return leads

    def _is_first(self) -> bool:
        mine = (self._me.incarnation, self._me.worker)
        return all(
            (other.incarnation, other.worker) >= mine or other.draining or self._gone(other)
            for other in self._workers.alive(self._me.role)
        )


class Claim:
    """One of those that want to do the same thing does it: of all that hear each other the one that said so first."""

    def __init__(self, bus: Bus, home: Id, what: str, worker: Id, *, clock: Clock | None = None) -> None:
        """``what`` is a token of a subject."""
        self._bus = bus
        self._subject = subjects.claim(home, what)
        self._clock = clock or SystemClock()
        self._me = WorkerLease(role="converter", worker=worker, incarnation=new_incarnation())
        self._subscription: BusSubscription | None = None
        self._earlier: dict[Id, float] = {}
        """Who claimed it earlier → when it was heard last."""

    async def attempt(self) -> bool:
        """Claims it, again each second; whether nobody claimed it earlier."""
        if self._subscription is None:
            self._subscription = await self._bus.subscribe(self._subject, self._on_claim)
            await self._bus.publish(self._subject, self._me.pack())
            await asyncio.sleep(CLAIM_SECONDS)
        else:
            await self._bus.publish(self._subject, self._me.pack())
        now = self._clock.monotonic()
        return all(now - heard_at >= EXPIRE_SECONDS for heard_at in self._earlier.values())

    async def _on_claim(self, message: BusMessage) -> None:
        other = _unpack(message)
        if other is None or other.worker == self._me.worker:
            return
        if other.draining:
            self._earlier.pop(other.worker, None)
        elif (other.incarnation, other.worker) < (self._me.incarnation, self._me.worker):
            self._earlier[other.worker] = self._clock.monotonic()
        else:
            await self._bus.publish(self._subject, self._me.pack())

    async def release(self) -> None:
        """Lets another do it. Never raises."""
        if self._subscription is not None:
            await self._subscription.unsubscribe()
            await self._bus.publish(self._subject, self._me.model_copy(update={"draining": True}).pack())
