"""Whether those who watch recordings keep up with them, or are to be shown keyframes alone. Pure.

Nine large tiles at four times the cameras' pace are more than a browser decodes, and a tile that falls behind shows
another moment than its neighbours. So all tiles of a session go down to keyframes together.
"""

from typing import Final

from services.wall.relay.sending.hysteresis import Hysteresis

LATE_SECONDS: Final = 0.5
"""Behind by more is trouble: half a second beside the clock, a GOP of wall time at 4×."""
IN_TIME_SECONDS: Final = 0.2
HEARD_SECONDS: Final = 3.0
"""What the page said longer ago does not count."""


class DecodeLimiter:
    """Of one session."""

    def __init__(self, now: float) -> None:
        self._steps = Hysteresis(now, 1)
        self._rate = 0.0
        """The one at which it stands."""
        self._heard: tuple[float, float] = (float("-inf"), 0.0)
        """When the page spoke last, and how late its pictures were."""

    @property
    def keyframes_only(self) -> bool:
        """Whether all frames are too many."""
        return self._steps.down > 0

    def steer(self, now: float, rate: float | None) -> bool:
        """Somebody steers, to another ``rate`` perhaps; see `keyframes_only`. Slower, all frames are tried again."""
        if rate is not None:
            if abs(rate) < self._rate:
                self._steps = Hysteresis(now, 1)
            self._rate = abs(rate)
        self._steps.settle(now)  # what a jump takes is no trouble
        return self.keyframes_only

    def note_lateness(self, now: float, late_seconds: float) -> None:
        """The page tells how late its pictures are."""
        self._heard = (now, late_seconds)

    def update(self, now: float, sent_late_seconds: float) -> bool:
        """Once a second while the clock goes: how late pictures were sent; whether `keyframes_only` changed."""
        at, shown_late_seconds = self._heard
        late = sent_late_seconds + (shown_late_seconds if now - at < HEARD_SECONDS else 0.0)
        return self._steps.update(now, trouble=late > LATE_SECONDS, quiet=late < IN_TIME_SECONDS)
