"""Bounds media time against the machine's own clock. Pure; times are integers at 90 kHz.

A source whose clock runs 10 % fast is a minute ahead after ten. So a step of media time is corrected where the source
has drifted too far: by `GAIN` of the excess for each second of arrival. The quickest frames of the last seconds tell
how far that is; network jitter and bursts only ever delay. While the source is within `SLACK` nothing is corrected, and
the published time keeps its spacing exactly.

The excess settles at the drift divided by `GAIN` (0.33 s for a clock that runs 10 % fast), and for a slow source at as
much more as it falls behind within the window: 7 s for one that delivers a fifth of real time.
"""

from collections import deque
from typing import Any, Final

from services.media.time import SECOND_90K

SLACK: Final = SECOND_90K // 4
GAIN: Final = 0.3
SETTLE: Final = SECOND_90K
"""The first frames of a run come in a burst (a camera's own cached GOP); what they say is not held against the rest."""
WINDOW: Final = 3 * SECOND_90K
WINDOW_FRAMES: Final = 25


class WallBound:
    """One run of one track."""

    def __init__(self, *, window: int = WINDOW, slack: int = SLACK) -> None:
        """``window`` is longer than the pauses of a source that delivers in bursts."""
        self._window = window
        self._slack = slack
        self._lies: deque[tuple[int, int]] = deque()
        """Arrival, and how much later than media time it is; only what is less than all that came after it."""
        self._frames: deque[int] = deque(maxlen=WINDOW_FRAMES)
        self._begun_at: int | None = None
        self._base = 0
        self.skew = 0
        """How far the source is behind (positive) or ahead of its first second."""

    def correct(self, step: int, out: int, arrival: int, gap: int) -> int:
        """The step to publish for ``step`` of the source's, from ``out`` on, of a frame ``gap`` after the last one."""
        lie = arrival - out - step
        while self._lies and self._lies[-1][1] >= lie:
            self._lies.pop()
        self._lies.append((arrival, lie))
        oldest = arrival - self._window
        if len(self._frames) == WINDOW_FRAMES:
            oldest = min(oldest, self._frames[0])
        self._frames.append(arrival)
        while self._lies[0][0] < oldest:
            self._lies.popleft()
        least = self._lies[0][1]
        if self._begun_at is None:
            self._begun_at = arrival
        if arrival - self._begun_at <= SETTLE:
            self._base = least
            return step
        self.skew = least - self._base
        excess = self.skew - max(-self._slack, min(self._slack, self.skew))
        if not excess:
            return step
        corrected = max(step + round(GAIN * excess * gap / SECOND_90K), step // 2, 1)
        moved = corrected - step
        self._lies = deque((at, lie - moved) for at, lie in self._lies)
        return corrected

    def lend(self, loan: Any) -> bool:
        """Puts its state into a ``pi_connection``; False in the run's first second."""
        lies, frames = self._lies, self._frames
        if self._begun_at is None or not frames or len(lies) > len(loan.lies):
            return False
        loan.window, loan.slack = self._window, self._slack
        loan.begun_at, loan.base, loan.skew = self._begun_at, self._base, self.skew
        loan.lies_first, loan.lies_count = 0, len(lies)
        loan.lies[0 : len(lies)] = list(lies)
        loan.frames_first, loan.frames_count = 0, len(frames)
        loan.frames[0 : len(frames)] = list(frames)
        return True

    def take_back(self, loan: Any) -> None:
        """What frames have made of it."""
        self.skew = loan.skew
        room, first = len(loan.lies), loan.lies_first
        places = [(first + number) % room for number in range(loan.lies_count)]
        self._lies = deque((loan.lies[place].arrival, loan.lies[place].lie) for place in places)
        room, first = len(loan.frames), loan.frames_first
        self._frames.clear()
        self._frames.extend(loan.frames[(first + number) % room] for number in range(loan.frames_count))
