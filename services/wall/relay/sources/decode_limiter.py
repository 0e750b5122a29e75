"""Whether a page keeps up with the recordings that it plays, or is sent keyframes alone. Pure.

Nine large tiles at four times the cameras' pace are more than a browser decodes, and a tile that falls behind shows
another moment than its neighbours. So all tiles of a session go down to keyframes together.
"""

from typing import Final

from services.wall.relay.sending.hysteresis import Hysteresis

LATE_SECONDS: Final = 0.5
"""Behind by more is trouble, and less already where GOPs go by in less than a second: see `late_limit_seconds`."""
LEAST_LATE_SECONDS: Final = 0.15
"""A busy page that keeps up is now and then this late."""
IN_TIME_SECONDS: Final = 0.2
HEARD_SECONDS: Final = 3.0
"""What the page said longer ago does not count."""


def late_limit_seconds(rate: float, keyframe_seconds: float) -> float:
    """How late pictures may be at ``rate``, of a camera with a keyframe every ``keyframe_seconds`` of footage.

    A browser that is a little too slow leaves out what it is late with as soon as the next keyframe is there, and so is
    never later than one GOP of wall time. Chromium told 370 to 530 ms at 4× with GOPs of 2 s, for as long as it lasted.
    Half a GOP is trouble.
    """
    return max(LEAST_LATE_SECONDS, min(LATE_SECONDS, keyframe_seconds / (2 * max(rate, 1.0))))


class DecodeLimiter:
    """One session's."""

    def __init__(self, now: float) -> None:
        self._steps = Hysteresis(now, 1)
        self._rate = 0.0
        """The playback rate, without its sign."""
        self._heard: tuple[float, float] = (float("-inf"), 0.0)
        """When the page spoke last, and how late its pictures were."""

    @property
    def keyframes_only(self) -> bool:
        """Whether keyframes alone are sent."""
        return self._steps.down > 0

    def steer(self, now: float, rate: float | None) -> bool:
        """The clock was steered, to another ``rate`` unless None; returns `keyframes_only`. All frames are tried again
        at a lower rate."""
        if rate is not None:
            if abs(rate) < self._rate:
                self._steps = Hysteresis(now, 1)
            self._rate = abs(rate)
        self._steps.settle(now)  # the time that a jump takes is no trouble
        return self.keyframes_only

    def note_lateness(self, now: float, late_seconds: float) -> None:
        """The page tells how late its pictures are."""
        self._heard = (now, late_seconds)

    def update(self, now: float, sent_late_seconds: float, keyframe_seconds: float) -> bool:
        """Once a second while the clock goes; whether `keyframes_only` changed.

        ``sent_late_seconds``: how late pictures were sent. ``keyframe_seconds``: see `late_limit_seconds`.
        """
        at, shown_late_seconds = self._heard
        late = sent_late_seconds + (shown_late_seconds if now - at < HEARD_SECONDS else 0.0)
        limit = late_limit_seconds(self._rate, keyframe_seconds)
        return self._steps.update(now, trouble=late > limit, quiet=late < min(IN_TIME_SECONDS, 0.8 * limit))
