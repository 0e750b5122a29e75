"""Capture time: when a picture was taken, as well as that can be known.

Where a source sends RTCP sender reports (RFC 3550, 6.4.1) and its clock is near ours, they tell it. Else arrival does:
the frames that were delayed least show how media time lies on our clock, and the others are placed along that line, so
that network jitter and bursts do not show. Either way the frame says which it was and how far it may be off.
"""

from collections import deque
from typing import Any, Final, NamedTuple

from services.contracts.frames import CaptureClockSource
from services.media.time import SECOND_90K, us_from_90k

SANE_EARLY_US: Final = 500_000
SANE_LATE_US: Final = 3_000_000
"""A source's clock is believed while its frames seem to take between -0.5 and 3 s to us."""
WINDOW_FRAMES: Final = 250
"""Frames over which, at least, the quickest way is looked for."""
STEPPED_US: Final = 10_000_000
"""A capture time further back than this is so because our own clock was set back: that is followed."""
REORDERED: Final = 16
"""Pictures that may come before one that is shown before them (H.264 and H.265, 16 reference pictures)."""
ROOM_SHARE: Final = 8
"""Of media time in ticks: capture time goes on by so small a part of it at least, in µs, which is 1 %. So what is shown
between two pictures and comes after both has room between them, however unlike the moments at which they came."""
MOST_ROOM_90K: Final = SECOND_90K
_RTCP_FLOOR_US: Final = 5_000
_LEAK: Final = 0.0005
"""The line may rise so much faster than media time: more than any two quartz clocks differ."""


class Capture(NamedTuple):
    """When a picture was taken."""

    at_us: int
    """Unix time, UTC."""
    uncertainty_us: int
    """Half-width of the interval around it."""
    clock: CaptureClockSource


class _Least:
    """The least of the last ``window`` to twice as many values."""

    __slots__ = ("_before", "_count", "_now", "_window")

    def __init__(self, window: int) -> None:
        self._window = window
        self._count = 0
        self._now: int | None = None
        self._before: int | None = None

    def add(self, value: int) -> int:
        """Takes a value; returns the least."""
        self._count += 1
        if self._count > self._window:
            self._count, self._before, self._now = 1, self._now, None
        if self._now is None or value < self._now:
            self._now = value
        return self._now if self._before is None or self._now < self._before else self._before

    def lend(self, loan: Any) -> None:
        """Puts its state into a ``pi_connection``."""
        loan.least_window, loan.least_count = self._window, self._count
        loan.has_least_now, loan.least_now = self._now is not None, self._now or 0
        loan.has_least_before, loan.least_before = self._before is not None, self._before or 0

    def take_back(self, loan: Any) -> None:
        """What values have made of it."""
        self._count = loan.least_count
        self._now = loan.least_now if loan.has_least_now else None
        self._before = loan.least_before if loan.has_least_before else None


class CaptureClock:
    """Tells one track's capture times; `reset` at each (re)connect."""

    def __init__(self, *, latency_us: int = 250_000, longest_delay_us: int = 2_000_000) -> None:
        """``latency_us`` is what the way from lens to us may take where nothing tells it; ``longest_delay_us`` how
        much later than the quickest a frame may come before it is the source's clock that is slow."""
        self._latency_us = latency_us
        self._longest_delay_us = longest_delay_us
        self._line_us: float | None = None
        self._line_at_us = 0
        self._least = _Least(WINDOW_FRAMES)
        self._top_pts: int | None = None
        self._top_at_us = 0
        self._placed: deque[tuple[int, int]] = deque(maxlen=REORDERED + 1)
        """The last pictures: when they are shown, and were taken."""

    def reset(self) -> None:
        """Forgets how media time lay on our clock."""
        self._line_us = None
        self._least = _Least(WINDOW_FRAMES)

    def stamp(self, pts_90k: int, arrival_us: int, wall_us: int, rtcp_us: int | None) -> Capture:
        """The capture time of a frame.

        ``arrival_us`` is on a clock that neither steps nor goes back, ``wall_us`` the same moment in Unix time by our
        own clock, ``rtcp_us`` what the source's sender reports lead to. A later picture is never given an earlier time:
        where what tells the time changes, it waits until the other catches up.
        """
        capture = self._stamp(pts_90k, arrival_us, wall_us, rtcp_us)
        if self._top_pts is not None and pts_90k > self._top_pts:
            least_us = self._top_at_us + _room_us(pts_90k - self._top_pts)
            back_us = least_us - capture.at_us
            if 0 < back_us < STEPPED_US:
                capture = Capture(least_us, capture.uncertainty_us + back_us, capture.clock)
        elif self._top_pts is not None and pts_90k < self._top_pts:
            capture = self._between(pts_90k, capture)
        if self._top_pts is None or pts_90k > self._top_pts:
            self._top_pts, self._top_at_us = pts_90k, capture.at_us
        self._placed.append((pts_90k, capture.at_us))
        return capture

    def _between(self, pts_90k: int, capture: Capture) -> Capture:
        """Of a picture that is shown before one that came earlier: its time lies between those of its neighbours."""
        before = max(((pts, at) for pts, at in self._placed if pts < pts_90k), default=None)
        after = min(((pts, at) for pts, at in self._placed if pts > pts_90k), default=None)
        at_us = capture.at_us
        if after is not None and at_us - after[1] < STEPPED_US:
            at_us = min(at_us, after[1] - _room_us(after[0] - pts_90k))
        if before is not None and before[1] - at_us < STEPPED_US:
            at_us = max(at_us, before[1] + _room_us(pts_90k - before[0]))
        return capture._replace(at_us=at_us, uncertainty_us=capture.uncertainty_us + abs(at_us - capture.at_us))

    def _stamp(self, pts_90k: int, arrival_us: int, wall_us: int, rtcp_us: int | None) -> Capture:
        along_us = self._along(pts_90k, arrival_us)
        if rtcp_us is not None:
            least = self._least.add(wall_us - rtcp_us)
            if -SANE_EARLY_US <= least <= SANE_LATE_US:
                return Capture(rtcp_us, max(abs(least), _RTCP_FLOOR_US), CaptureClockSource.RTCP)
        delayed_us = max(0, arrival_us - along_us)
        return Capture(wall_us - delayed_us, self._latency_us, CaptureClockSource.ARRIVAL)

    def _along(self, pts_90k: int, arrival_us: int) -> int:
        """When the frame would have arrived had it come as quickly as the quickest."""
        media_us = us_from_90k(pts_90k)
        lies_us = float(arrival_us - media_us)
        if self._line_us is not None:
            leaked_us = self._line_us + max(0, arrival_us - self._line_at_us) * _LEAK
            if lies_us - leaked_us < self._longest_delay_us:
                lies_us = min(lies_us, leaked_us)
        self._line_us, self._line_at_us = lies_us, arrival_us
        return round(media_us + lies_us)

    def lend(self, loan: Any) -> bool:
        """Puts its state into a ``pi_connection``; False before the first frame."""
        placed = self._placed
        if self._line_us is None or self._top_pts is None:
            return False
        loan.latency_us, loan.longest_delay_us = self._latency_us, self._longest_delay_us
        loan.line_us, loan.line_at_us = self._line_us, self._line_at_us
        self._least.lend(loan)
        loan.top_pts, loan.top_at_us = self._top_pts, self._top_at_us
        loan.placed_first, loan.placed_count = 0, len(placed)
        loan.placed[0 : len(placed)] = list(placed)
        return True

    def take_back(self, loan: Any) -> None:
        """What frames have made of it."""
        self._line_us, self._line_at_us = loan.line_us, loan.line_at_us
        self._least.take_back(loan)
        self._top_pts, self._top_at_us = loan.top_pts, loan.top_at_us
        room, first = len(loan.placed), loan.placed_first
        places = [(first + number) % room for number in range(loan.placed_count)]
        self._placed.clear()
        self._placed.extend((loan.placed[place].pts, loan.placed[place].at_us) for place in places)


def _room_us(ticks: int) -> int:
    """How much later a picture was taken, at least, than one that is shown so many ticks before it."""
    return max(1, min(ticks, MOST_ROOM_90K) // ROOM_SHARE)
