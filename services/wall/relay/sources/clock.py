"""The one clock of a session: where its recorded slots stand, and how fast they go. Pure: times are handed in."""

from dataclasses import dataclass
from typing import Final

from services.contracts.playback import PlaybackMode

KEYFRAMES_FROM: Final = 8.0
"""At this rate and above only keyframes are shown."""


@dataclass
class SessionClock:
    """Maps the monotonic clock to the capture time that is shown. Stands still until `play`."""

    at_us: int
    """Where it stood at ``since``."""
    rate: float = 1.0
    """Negative: backwards."""
    playing: bool = False
    since: float = 0.0
    thinned: bool = False
    """The page cannot keep up with all frames: while the clock goes, keyframes alone are shown at any rate."""

    @property
    def mode(self) -> PlaybackMode:
        """What is to be read at this rate."""
        if self.rate < 0:
            return "backwards"
        return "keyframes" if self.rate >= KEYFRAMES_FROM or (self.thinned and self.playing) else "frames"

    def at(self, now: float) -> int:
        """The capture time at ``now``, Unix µs."""
        if not self.playing:
            return self.at_us
        return self.at_us + round((now - self.since) * self.rate * 1e6)

    def due(self, capture_us: int) -> float:
        """When a picture of ``capture_us`` is due.

        While the clock stands: at once if the clock has passed it, as after a step; else never.
        """
        if not self.playing:
            passed = capture_us >= self.at_us if self.rate < 0 else capture_us <= self.at_us
            return float("-inf" if passed else "inf")
        return self.since + (capture_us - self.at_us) / (self.rate * 1e6)

    def play(self, now: float, rate: float) -> None:
        """Goes on from where it stands."""
        self.at_us, self.since = self.at(now), now
        self.rate, self.playing = rate, True

    def pause(self, now: float) -> None:
        """Stands still."""
        self.at_us, self.since, self.playing = self.at(now), now, False

    def seek(self, now: float, at_us: int) -> None:
        """Jumps; keeps playing, or standing."""
        self.at_us, self.since = at_us, now
