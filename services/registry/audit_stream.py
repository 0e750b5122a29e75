"""Watches the audit stream, while this registry leads: forgets old seals, and tells when the stream gets full."""

from collections.abc import Callable
from typing import Final

from services.contracts import subjects
from services.contracts.errors import UnavailableError
from services.contracts.events import SegmentClosed
from services.contracts.troubles import Trouble
from services.mesh.bus import Bus
from services.mesh.clock import Clock, sleep
from services.mesh.event_stream import forget_events, stream_fill
from services.mesh.log import get_logger
from services.mesh.metrics import gauge

log = get_logger()

LOOK_SECONDS: Final = 10.0
FORGET_SECONDS: Final = 600.0
TELL_PERCENT: Final = 80
_fill = gauge("registry_audit_percent", "How full the stream of audit and seals is; of the leader")


class AuditStream:
    """The stream refuses when it is full, so its room is watched. Seals go by age alone, audit by the stream's age."""

    def __init__(self, *, bus: Bus, leading: Callable[[], bool], seals_seconds: float, clock: Clock) -> None:
        self._bus = bus
        self._leading = leading
        self._seals_seconds = seals_seconds
        self._clock = clock
        self._percent = 0
        self._forgot_at = float("-inf")

    def troubles(self) -> list[Trouble]:
        """That it is nearly full, or is."""
        if self._percent < TELL_PERCENT or not self._leading():
            return []
        detail = (
            f"audit and seals fill {self._percent} % of their stream; when it is full new ones wait at their writers: "
            "raise PANTAU_REGISTRY_AUDIT_MAX_MEGABYTES, or lower PANTAU_REGISTRY_SEALS_MAX_DAYS"
        )
        return [Trouble(kind="audit-full", subject=subjects.AUDIT_STREAM, count=self._percent, detail=detail)]

    async def run(self) -> None:
        """Watches until it is cancelled."""
        while True:
            if self._leading():
                try:
                    await self._look()
                except UnavailableError as error:
                    log.debug("audit_stream.away", error=error)
            await sleep(self._clock, LOOK_SECONDS)

    async def _look(self) -> None:
        fill = await stream_fill(self._bus, subjects.AUDIT_STREAM)
        self._percent = fill.percent
        _fill.set(fill.percent)
        if self._clock.monotonic() - self._forgot_at >= FORGET_SECONDS:
            before_us = self._clock.now_us() - round(self._seals_seconds * 1_000_000)
            await forget_events(self._bus, SegmentClosed, before_us, fill.last)
            self._forgot_at = self._clock.monotonic()
