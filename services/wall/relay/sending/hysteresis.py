"""Down after trouble, and back up after a quiet time that doubles with every attempt that failed. Pure.

A load between two steps therefore does not flap. The user defines trouble and quiet.
"""

from typing import Final

TROUBLE_SECONDS: Final = 2.0
QUIET_SECONDS: Final = 8.0
MAX_QUIET_SECONDS: Final = 120.0
PROBATION_SECONDS: Final = 10.0
"""A step up that is taken back within this time has failed."""
SETTLE_SECONDS: Final = 3.0
"""Reports that come so soon after a step are of the time before it."""


class Hysteresis:
    """A number from 0 (all is well) to ``most``."""

    __slots__ = ("_changed_at", "_most", "_quiet_needed", "_quiet_since", "_raised_at", "_trouble_since", "down")

    def __init__(self, now: float, most: int) -> None:
        self.down = 0
        """How many steps down from the best."""
        self._most = most
        self._raised_at = float("-inf")
        self._quiet_needed = QUIET_SECONDS
        self.settle(now)

    def settle(self, now: float) -> None:
        """Ignores the reports of the next seconds: something else changed."""
        self._changed_at = now
        self._trouble_since: float | None = None
        self._quiet_since: float | None = None

    def update(self, now: float, *, trouble: bool, quiet: bool) -> bool:
        """Takes the last second's view; whether it was a step. Neither trouble nor quiet: not enough to go up."""
        if now - self._changed_at < SETTLE_SECONDS:
            self._trouble_since = self._quiet_since = None
            return False
        if trouble:
            self._quiet_since = None
            if self._trouble_since is None:
                self._trouble_since = now
            if now - self._trouble_since >= TROUBLE_SECONDS and self.down < self._most:
                if now - self._raised_at < PROBATION_SECONDS:
                    self._quiet_needed = min(2 * self._quiet_needed, MAX_QUIET_SECONDS)
                self.down += 1
                self.settle(now)
                return True
            return False
        self._trouble_since = None
        if not quiet:
            self._quiet_since = None
            return False
        if self._quiet_since is None:
            self._quiet_since = now
        if self.down and now - self._quiet_since >= self._quiet_needed:
            self._raised_at = now
            self.down -= 1
            self.settle(now)
            return True
        if not self.down and now - self._raised_at > MAX_QUIET_SECONDS:
            self._quiet_needed = QUIET_SECONDS
        return False
