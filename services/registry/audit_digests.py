"""Makes the daily digest of the audit, while this registry leads, and has a recorder sign it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from services.contracts import subjects
from services.contracts.audit_digest import (
    AUDIT_SIGN,
    DIGEST_ACTION,
    AuditDigest,
    AuditHash,
    DigestSigned,
    DigestToSign,
)
from services.contracts.errors import PantauError, UnavailableError
from services.contracts.events import WALL_TARGET, Audit
from services.contracts.models import Id
from services.contracts.permissions import SYSTEM
from services.contracts.recordings import SERVICE
from services.mesh.bus import Bus
from services.mesh.clock import Clock, sleep
from services.mesh.event_stream import EventOutbox, events_since, last_event_number
from services.mesh.leases import Workers
from services.mesh.log import get_logger
from services.mesh.rpc import call

log = get_logger()

LOOK_SECONDS: Final = 60.0


class AuditDigests:
    """One digest for each day (UTC) that has ended, soon after its end; for several days away, one."""

    def __init__(
        self,
        *,
        bus: Bus,
        home: Id,
        workers: Workers,
        outbox: EventOutbox,
        leading: Callable[[], bool],
        clock: Clock,
    ) -> None:
        self._bus = bus
        self._home = home
        self._workers = workers
        self._outbox = outbox
        self._leading = leading
        self._clock = clock
        self._done = ""
        """The last day that has its digest."""

    async def run(self) -> None:
        """Makes digests until it is cancelled."""
        while True:
            if self._leading():
                try:
                    await self.make()
                except PantauError as error:
                    log.debug("audit_digest.waits", error=error)
            await sleep(self._clock, LOOK_SECONDS)

    async def make(self) -> None:
        """The digest of the day that has ended, where it is missing; raises what reading or signing does."""
        now = datetime.fromtimestamp(self._clock.now_us() // 1_000_000, UTC)
        day = f"{now.date() - timedelta(days=1):%Y-%m-%d}"
        if self._done == day:
            return
        before = await self._newest()
        if before is None or before.day < day:
            await self._make(day, before)
        self._done = day

    async def _newest(self) -> AuditDigest | None:
        newest: AuditDigest | None = None
        subject = Audit.filter_of(DIGEST_ACTION, WALL_TARGET)
        async for event in events_since(self._bus, subjects.AUDIT_STREAM, subject, 0):
            found = AuditDigest.of_detail(Audit.unpack(event.message.data).detail)
            newest = found if found is not None else newest
        return newest

    async def _make(self, day: str, before: AuditDigest | None) -> None:
        after, last = before.last if before else 0, await last_event_number(self._bus, subjects.AUDIT_STREAM)
        found = AuditHash()
        everything = Audit.subject_filter()
        async for event in events_since(self._bus, subjects.AUDIT_STREAM, everything, 0, after=after, until=last):
            found.add(event.message.subject, event.message.data)
        digest = AuditDigest(
            self._home, day, after, last, found.entries, found.hexdigest(), before.sha256 if before else ""
        )
        recorder, signed = await self._signed(digest)
        detail = digest.to_detail() | {"recorder": recorder, "key": signed.key, "signature": signed.signature}
        self._outbox.post(
            Audit.by(
                SYSTEM,
                site=self._home,
                at_us=self._clock.now_us(),
                target=WALL_TARGET,
                action=DIGEST_ACTION,
                detail=detail,
            )
        )
        log.info("audit_digest.made", day=day, entries=digest.entries, recorder=recorder)

    async def _signed(self, digest: AuditDigest) -> tuple[str, DigestSigned]:
        question = DigestToSign(**digest._asdict())
        for lease in sorted(self._workers.alive("recorder"), key=lambda lease: lease.worker):
            subject = subjects.rpc(self._home, f"{SERVICE}.{lease.worker}", AUDIT_SIGN)
            try:
                return lease.worker, await call(self._bus, subject, question, DigestSigned)
            except PantauError as error:  # it has no key, or is away: another one may sign
                log.debug("audit_digest.unsigned", recorder=lease.worker, error=error)
        raise UnavailableError("no recorder signs the audit's digest just now")
