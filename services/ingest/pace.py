"""How often a source sends a picture, so that a slow one is not taken for one that stands still. Pure."""

from collections import deque
from typing import Final

SLOW_SECONDS: Final = 15.0
"""Construction and traffic cameras send a picture in 2 to 15 s."""
FIRST_PATIENCE_SECONDS: Final = SLOW_SECONDS + 1.0
_INTERVALS: Final = 8


class Pace:
    """One source's, over all of its runs."""

    def __init__(self) -> None:
        self.begun = False
        """Whether this run has sent a picture."""
        self._intervals: deque[float] = deque(maxlen=_INTERVALS)
        self._last: float | None = None

    def begin(self) -> None:
        """A new run: what was learned of the source stays."""
        self.begun = False
        self._last = None

    def add(self, now: float) -> None:
        """A picture came."""
        if self._last is not None:
            self._intervals.append(now - self._last)
        self._last = now
        self.begun = True

    @property
    def interval_seconds(self) -> float | None:
        """The mean of the last intervals; None before the second picture."""
        return sum(self._intervals) / len(self._intervals) if self._intervals else None

    @property
    def patience_seconds(self) -> float:
        """How long the next picture may take: half as much again as usual and a second, at most 1.5 × 15 s.

        Of a source that has sent one picture in its life nothing is known: it may be a slow one.
        """
        interval = self.interval_seconds
        if interval is None:
            return FIRST_PATIENCE_SECONDS
        return 1.5 * min(interval, SLOW_SECONDS) + 1.0
