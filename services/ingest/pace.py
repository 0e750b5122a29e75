"""How often a source sends a picture, so that a slow one is not taken for one that stands still. Pure.

How long the next picture may take, beyond ``stall_seconds``:

| what is known of the source | its connection | patience |
|---|---|---|
| its interval: the second longest of the last eight | – | half as much again and 1 s, at most 1.5 × 15 s + 1 s |
| it has sent one picture in its life | has answered since that picture | 16 s: it may be a slow one |
| it has sent one picture in its life | is silent | none |
| its last run stalled after one picture, or few slow ones | – | 16 s, once: slow cameras may answer nothing |
| that run brought no picture in 16 s either | – | none, until it sends more |

Until a run's first picture comes it has 8.5 s; 16 s where the last run that was given up without one had 8.5 s.
"""

from collections import deque
from itertools import pairwise
from typing import Final

SLOW_SECONDS: Final = 15.0
"""Construction and traffic cameras send a picture in 2 to 15 s."""
FIRST_PATIENCE_SECONDS: Final = SLOW_SECONDS + 1.0
NO_MEDIA_SECONDS: Final = 8.5
"""A source that agreed to play and sent nothing for so long is given up: the state says so within 10 s."""
FEW_PICTURES: Final = 3
"""A run with more has shown its interval. Relays send a picture that they had kept, so the first may be short."""
SLOW_INTERVAL_SECONDS: Final = 1.0
"""Of a source that sends its first pictures faster than this, a stall is one."""
_INTERVALS: Final = 8


class Pace:
    """One source's, over all of its runs. Times are `Clock.monotonic`'s."""

    def __init__(self) -> None:
        self.begun = False
        """Whether this run has sent a picture."""
        self._intervals: deque[float] = deque(maxlen=_INTERVALS)
        self._last: float | None = None
        self._pictures = 0
        self._heard = False
        """Whether the source has said anything since its last picture."""
        self._stalled_early = self._waited_long = False
        """What became of the last run that brought few pictures."""
        self._begins_late = False
        """The last run that was given up without a picture had little time. Slow cameras, and those that wake up,
        begin late; one that delivered in the longer time has it the next time too."""

    def begin(self) -> None:
        """A new run: what was learned of the source stays."""
        self.begun = self._heard = False
        self._last = None
        self._pictures = 0

    def add(self, *came_at: float) -> None:
        """Pictures came, at least one."""
        if self._last is not None:
            self._intervals.append(came_at[0] - self._last)
        self._intervals.extend(after - before for before, after in pairwise(came_at[-_INTERVALS - 1 :]))
        self._last = came_at[-1]
        self._pictures += len(came_at)
        self.begun, self._heard = True, False
        if self._pictures > FEW_PICTURES:
            self._stalled_early = self._waited_long = False

    def heard(self) -> None:
        """The source answered something, so its connection is alive."""
        self._heard = True

    def sent_nothing(self) -> None:
        """This run was given up without a picture."""
        self._begins_late = not self._begins_late

    def stalled(self, now: float) -> None:
        """This run was given up since no picture came."""
        if self._last is None or self._pictures > FEW_PICTURES:
            return
        self._stalled_early = True
        self._waited_long = self._waited_long or now - self._last >= FIRST_PATIENCE_SECONDS

    @property
    def first_picture_seconds(self) -> float:
        """How long a run's first picture may take."""
        return FIRST_PATIENCE_SECONDS if self._begins_late else NO_MEDIA_SECONDS

    @property
    def interval_seconds(self) -> float | None:
        """The second longest of the last, so that one hiccup does not count; None before the second picture."""
        longest = sorted(self._intervals)
        return longest[-2] if len(longest) > 2 else longest[-1] if longest else None

    @property
    def patience_seconds(self) -> float:
        """How long the next picture may take; see the module's table."""
        interval = self.interval_seconds
        may_be_slow = interval is None or interval >= SLOW_INTERVAL_SECONDS
        asks_for_more = self._stalled_early or (interval is None and self._heard)
        if asks_for_more and may_be_slow and self._pictures <= FEW_PICTURES and not self._waited_long:
            return FIRST_PATIENCE_SECONDS
        return 0.0 if interval is None else 1.5 * min(interval, SLOW_SECONDS) + 1.0
