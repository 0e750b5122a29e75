"""When a viewer's link is too slow for what it is sent: step down main → sub → keyframes only, and back up.

Pure: reports and times in, a level out. Down needs two seconds of trouble, up a quiet while that doubles with every
attempt that failed, so that a link between two levels does not flap.
"""

from enum import IntEnum
from typing import Final


class Level(IntEnum):
    """How much a viewer is sent. The higher, the less."""

    FULL = 0
    SUB = 1
    KEYFRAMES = 2


TROUBLE_SECONDS: Final = 2.0
QUIET_SECONDS: Final = 8.0
MAX_QUIET_SECONDS: Final = 120.0
PROBATION_SECONDS: Final = 10.0
"""A step up that is taken back within this time has failed."""
SETTLE_SECONDS: Final = 3.0
"""After a step, reports still speak of the time before it."""
LOSS_TROUBLE: Final = 0.12
LOSS_TROUBLE_WORST: Final = 0.30
"""At the sub level more is borne: the next step has hardly any motion left."""
LOSS_QUIET: Final = 0.03
ESTIMATE_TROUBLE: Final = 0.75
"""An estimate below this part of what is sent is trouble."""


class Ladder:
    """The level of one connection."""

    __slots__ = ("_changed_at", "_quiet_needed", "_quiet_since", "_raised_at", "_trouble_since", "level")

    def __init__(self, now: float) -> None:
        self.level = Level.FULL
        self._changed_at = now
        self._raised_at = float("-inf")
        self._trouble_since: float | None = None
        self._quiet_since: float | None = None
        self._quiet_needed = QUIET_SECONDS

    def update(self, now: float, *, loss: float | None, estimate_bps: float | None, sent_bps: float) -> bool:
        """Takes the last second's view; whether the level changed.

        ``loss`` is the fraction lost before repair, None when the receiver said nothing; ``estimate_bps`` the
        receiver's estimate, None when it gives none; ``sent_bps`` what was really sent.
        """
        if now - self._changed_at < SETTLE_SECONDS:
            self._trouble_since = self._quiet_since = None
            return False
        limit = LOSS_TROUBLE if self.level == Level.FULL else LOSS_TROUBLE_WORST
        lossy = loss is not None and loss > limit
        narrow = estimate_bps is not None and sent_bps > 100_000 and estimate_bps < ESTIMATE_TROUBLE * sent_bps
        # An estimate sinks when the receiver's machine is busy, too: alone it takes away pixels, never motion.
        narrow = narrow and (self.level == Level.FULL or (loss is not None and loss > LOSS_QUIET))
        if lossy or narrow:
            self._quiet_since = None
            if self._trouble_since is None:
                self._trouble_since = now
            if now - self._trouble_since >= TROUBLE_SECONDS and self.level < Level.KEYFRAMES:
                if now - self._raised_at < PROBATION_SECONDS:
                    self._quiet_needed = min(2 * self._quiet_needed, MAX_QUIET_SECONDS)
                self._step(Level(self.level + 1), now)
                return True
            return False
        self._trouble_since = None
        if loss is None or loss > LOSS_QUIET:
            self._quiet_since = None
            return False
        if self._quiet_since is None:
            self._quiet_since = now
        if self.level > Level.FULL and now - self._quiet_since >= self._quiet_needed:
            self._raised_at = now
            self._step(Level(self.level - 1), now)
            return True
        if self.level == Level.FULL and now - self._raised_at > MAX_QUIET_SECONDS:
            self._quiet_needed = QUIET_SECONDS
        return False

    def _step(self, level: Level, now: float) -> None:
        self.level = level
        self._changed_at = now
        self._trouble_since = self._quiet_since = None
