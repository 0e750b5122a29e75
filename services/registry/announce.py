"""Which events a camera's state is worth: few, though it flaps. Pure.

``online`` and ``offline`` say whether it delivers, ``degraded`` and ``recovered`` whether it does as it should; a
camera that comes back after being offline is ``online`` and ``recovered``. A break shorter than `OFFLINE_SECONDS` is
not told. `BURST` tellings may follow one another; beyond, one every `REFILL_SECONDS`, so that a camera that flaps all
day costs no more than 4 + 60 an hour; what is told last is always what lasts.
"""

from typing import Final, Literal

from services.contracts.models import Status
from services.registry.observed import DELIVERS

OFFLINE_SECONDS: Final = 3.0
BURST: Final = 4
REFILL_SECONDS: Final = 60.0

Name = Literal["online", "offline", "degraded", "recovered"]


class Announcer:
    """One camera's. ``now`` is in seconds of a monotonic clock."""

    def __init__(self, now: float, announced: Status | None = None, trouble_since_us: int | None = None) -> None:
        """``announced``: what the last leader's events have said. ``trouble_since_us``: since when, if that was bad."""
        self.announced = announced
        self.trouble_since_us = trouble_since_us
        """Since when it has not been simply online, where that was told."""
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
