"""Which events a camera's state causes. Pure.

``online`` and ``offline`` say whether it delivers frames, ``degraded`` and ``recovered`` whether their quality is as
usual. A camera that comes back after being offline is ``online`` and ``recovered``. A break shorter than
`OFFLINE_SECONDS` causes no event. A token bucket limits the events: `BURST` at once, then one every `REFILL_SECONDS`,
so a camera that flaps all day causes at most 4 + 60 an hour. The last event always tells the state that lasts.
"""

from typing import Final, Literal

from services.contracts.models import Status
from services.registry.observed import DELIVERS

OFFLINE_SECONDS: Final = 3.0
BURST: Final = 4
REFILL_SECONDS: Final = 60.0

Name = Literal["online", "offline", "degraded", "recovered"]


class Announcer:
    """The events of one camera. ``now`` is in seconds of a monotonic clock."""

    def __init__(self, now: float, announced: Status | None = None, trouble_since_us: int | None = None) -> None:
        """``announced`` is the status in the last leader's events, ``trouble_since_us`` its begin if it was bad."""
        self.announced = announced
        self.trouble_since_us = trouble_since_us
        """Since when its events say other than online; None: they say online."""
        self._tokens = float(BURST)
        self._filled_at = now
        self._down_since: float | None = None if announced in DELIVERS else now

    def step(self, status: Status, since_us: int, now: float) -> tuple[Name, ...]:
        """The events to send now."""
        self._tokens = min(float(BURST), self._tokens + (now - self._filled_at) / REFILL_SECONDS)
        self._filled_at = now
        if status in DELIVERS:
            self._down_since = None
        elif self._down_since is None:
            self._down_since = now
        if status is Status.DISABLED:  # told by the catalogue's own event
            self.announced = None
            self.trouble_since_us = None
            self._down_since = now
            return ()
        names = self._names(status, now)
        if not names or self._tokens < 1:
            return ()
        self._tokens -= 1
        if self.announced is Status.ONLINE or (self.announced is None and status is not Status.ONLINE):
            self.trouble_since_us = since_us
        self.announced = status
        return names

    def is_behind(self, status: Status) -> bool:
        """Whether time alone may bring an event of a camera that stays in this status."""
        return self.announced is not (None if status is Status.DISABLED else status)

    def _names(self, status: Status, now: float) -> tuple[Name, ...]:
        before = self.announced
        if status is Status.CONNECTING or status is before:
            return ()
        if status is Status.OFFLINE:
            lasted = self._down_since is not None and now - self._down_since >= OFFLINE_SECONDS
            return ("offline",) if lasted else ()
        names: tuple[Name, ...] = () if before in DELIVERS else ("online",)
        if status is Status.DEGRADED:
            return (*names, "degraded")
        return (*names, "recovered") if before is not None else names
