"""Leases: which workers are alive, and which one leads. An entry of the leases bucket expires after three seconds."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from services.contracts.errors import ConflictError, UnavailableError
from services.contracts.models import WorkerLease
from services.mesh.buckets import Bucket, Mirror
from services.mesh.bus import BusMessage
from services.mesh.clock import Clock, SystemClock
from services.mesh.log import get_logger

log = get_logger()

RENEW_SECONDS: Final = 1.0
EXPIRE_SECONDS: Final = 3.0
"""The bucket's TTL: after it, the entry is gone for everybody."""
GIVE_UP_SECONDS: Final = 2.5
"""The holder stops so long after its last renewal, before another may begin."""
MISSED_SECONDS: Final = 2.0
"""A renewal that is so late counts against the node of the cluster that this process is connected to."""
RELEASE_SECONDS: Final = 0.5


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
    """A worker's own lease. `run` keeps it; `held` says whether this worker may still act."""

    def __init__(
        self, bucket: Bucket[WorkerLease], current: Callable[[], WorkerLease], *, clock: Clock | None = None
    ) -> None:
        """``current`` gives what the entry shall say at each renewal (load, draining)."""
        self._bucket = bucket
        self._current = current
        self._clock = clock or SystemClock()
        self._renewed_at = float("-inf")

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

    async def renew(self, timeout_seconds: float = RENEW_SECONDS) -> bool:
        """Writes the entry once; False where the bus does not answer."""
        lease = self._current()
        started = self._clock.monotonic()
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._bucket.put(f"{lease.role}.{lease.worker}", lease)
        except (UnavailableError, TimeoutError) as error:
            log.debug("lease.not_renewed", worker=lease.worker, error=error)
            return False
        self._renewed_at = max(self._renewed_at, started)
        return True

    async def run(self) -> None:
        """Renews until it is cancelled, and answers on `presence`; `release` afterwards.

        It renews each second without waiting for the last answer: a request that was lost with a connection does not
        delay the next, and a late answer still counts. Where none comes it asks another node of the cluster.
        """
        bus = self._bucket.bus

        async def here(question: BusMessage) -> None:
            await bus.publish(question.reply, b"")

        subscription = await bus.subscribe(presence(self._current()), here)
        began = self._clock.monotonic()
        try:
            async with asyncio.TaskGroup() as renewals:
                while True:
                    renewals.create_task(self.renew(GIVE_UP_SECONDS), name="renew")
                    await asyncio.sleep(RENEW_SECONDS)
                    if self._clock.monotonic() - max(self._renewed_at, began) >= MISSED_SECONDS:
                        await bus.try_other_node("the lease is not renewed")
        finally:
            await subscription.unsubscribe()

    async def release(self) -> None:
        """Removes the lease, so that others need not wait until it expires. Waits at most `RELEASE_SECONDS`."""
        lease = self._current()
        self._renewed_at = float("-inf")
        if not self._bucket.bus.connected:
            return
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                await self._bucket.delete(f"{lease.role}.{lease.worker}")
        except (UnavailableError, TimeoutError) as error:
            log.debug("lease.not_released", worker=lease.worker, error=error)


class Workers:
    """The live workers, from a mirror of the leases bucket.

    The bucket does not announce an entry that expires. So a worker is alive while its last renewal was seen recently by
    this process's clock; clocks of other machines do not matter.
    """

    def __init__(self, bucket: Bucket[WorkerLease], *, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._seen: dict[str, float] = {}
        self.mirror = Mirror(bucket, self._on_change)

    def _on_change(self, key: str, value: WorkerLease | None, _revision: int) -> None:
        if value is None:
            self._seen.pop(key, None)
        else:
            self._seen[key] = self._clock.monotonic()

    def alive(self, role: str, *, within_seconds: float = EXPIRE_SECONDS) -> list[WorkerLease]:
        """Live workers of a role, by name: those whose renewal was seen ``within_seconds``."""
        now = self._clock.monotonic()
        return [
            lease
            for key, (lease, _) in sorted(self.mirror.entries.items())
            if lease.role == role and now - self._seen.get(key, float("-inf")) < within_seconds
        ]

    async def run(self) -> None:
        """Follows the bucket until it is cancelled."""
        await self.mirror.run()


class Leadership:
    """At most one leader at a time: the holder of one key, written by compare-and-set."""

    def __init__(self, bucket: Bucket[WorkerLease], me: WorkerLease, *, key: str, clock: Clock | None = None) -> None:
        self._bucket = bucket
        self._me = me
        self._key = key
        self._clock = clock or SystemClock()
        self._revision = 0
        self._renewed_at = float("-inf")

    @property
    def leading(self) -> bool:
        """Whether this process may act as the leader now."""
        return self._revision > 0 and self._clock.monotonic() - self._renewed_at < GIVE_UP_SECONDS

    async def attempt(self) -> bool:
        """Renews, or takes what has expired; returns `leading`."""
        started = self._clock.monotonic()
        try:
            # A request that was lost with a connection must not block the next one.
            async with asyncio.timeout(RENEW_SECONDS):
                if self._revision:
                    self._revision = await self._bucket.update(self._key, self._me, self._revision)
                else:
                    self._revision = await self._bucket.create(self._key, self._me)
            self._renewed_at = started
        except ConflictError:
            self._revision = await self._own_revision()
        except (UnavailableError, TimeoutError) as error:
            log.debug("leadership.unsure", error=error)
        return self.leading

    async def _own_revision(self) -> int:
        """The revision of our own entry, where an answer to our last renewal was lost; 0: another leads, or none."""
        try:
            async with asyncio.timeout(RENEW_SECONDS):
                entry = await self._bucket.get(self._key)
        except (UnavailableError, TimeoutError):
            return 0
        return entry[1] if entry is not None and entry[0] == self._me else 0

    async def run(self) -> None:
        """Tries until it is cancelled; `release` afterwards."""
        was = False
        while True:
            leads = await self.attempt()
            if leads != was:
                log.info("leadership.won" if leads else "leadership.lost", worker=self._me.worker)
                was = leads
            await asyncio.sleep(RENEW_SECONDS)

    async def release(self) -> None:
        """Lets another lead at once."""
        if self.leading:
            self._revision = 0
            try:
                await self._bucket.delete(self._key)
            except UnavailableError as error:
                log.debug("leadership.not_released", error=error)
