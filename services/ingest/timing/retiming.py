"""Re-timing: published time goes forward, with any time stamps of the source.

Sources jump, stand still, run backwards, leave their first packet without a time and (over RTP) never say when a
picture is to be decoded. Published decoding times grow strictly; presentation times keep the source's spacing and
the order of B-pictures; where the source's time cannot be believed, arrival takes its place and the frame is counted.

All times are integers at 90 kHz. Nothing here knows of clocks or packets.
"""

from bisect import insort
from typing import Any, Final, NamedTuple

from services.ingest.timing.wall import SLACK, WINDOW, WallBound
from services.media.time import SECOND_90K

TOLERANCE: Final = 2 * SECOND_90K
"""A step forward may be longer than the time in which it arrived by so much (bursts, late packets) before it is
called a jump."""
MAX_REORDER: Final = 16
"""max_num_reorder_frames never exceeds it (H.264 A.3.1, H.265 A.4.2)."""
MAX_AHEAD: Final = 5 * SECOND_90K
"""A source that is further ahead of the machine's clock is timed by arrival: its clock is none of 90 kHz."""
_MAX_COMPOSITION: Final = 5 * SECOND_90K
_DEFAULT_INTERVAL: Final = SECOND_90K // 25
_LEAST_STEP: Final = SECOND_90K // 1000
_MINI_GOP: Final = 4
"""Pictures from one P-picture to the next that are assumed where the first picture came without a time."""


class Timing(NamedTuple):
    """When to decode and to show a frame."""

    pts_90k: int
    dts_90k: int
    bad: bool
    """The source's time stamp could not be believed; the frame was placed by its arrival."""


class Retimer:
    """Re-times one track. `begin` a run at each (re)connect, then `stamp` its frames in decoding order."""

    def __init__(self) -> None:
        self._last_dts: int | None = None
        self._interval = _DEFAULT_INTERVAL
        self._reorder = 0
        self._begin_at: int | None = 0
        self._offset: int | None = None
        """What is added to the source's times; None while it has given none."""
        self._top = 0
        """The source's latest time so far."""
        self._top_out = 0
        """The latest time so far as published."""
        self._arrival = 0
        self._pause = 0
        self._behind = 0
        """Frames in a row that were shown before an earlier one."""
        self._stood = 0
        """How far frames have gone on while the source's time stood: its next step makes up for it."""
        self._wall = WallBound()
        self._waiting: list[int] = []
        """Published presentation times that have not yet been a decoding time, sorted."""

    def begin(self, at_90k: int) -> None:
        """A new run, whose first frame is placed at ``at_90k`` or, if that is not later, behind the last run."""
        self._begin_at = at_90k
        self._wall = WallBound(window=max(WINDOW, self._pause), slack=SLACK if not self._pause else 8 * SLACK)
        self._offset = None
        self._behind = self._stood = 0
        self._waiting = []

    def pause_between(self, pause_90k: int) -> None:
        """How long a source may pause between its bursts; before `begin`. 0: it delivers frame by frame."""
        self._pause = pause_90k

    def expect(self, reorder: int | None, frame_rate: float | None) -> None:
        """What the stream's parameter sets claim: pictures to reorder (None: unsaid), and a frame rate."""
        if reorder is not None and not self._waiting:
            self._reorder = min(reorder, MAX_REORDER)
        self._interval = _interval(frame_rate) or self._interval

    def behind(self, pts_90k: int | None, dts_90k: int | None) -> bool:
        """Whether a frame is to be shown before one that came earlier: a B-picture, or a clock gone wrong."""
        return (
            dts_90k is None
            and pts_90k is not None
            and self._offset is not None
            and self._begin_at is None
            and self._top - TOLERANCE < pts_90k < self._top
        )

    def stamp(self, pts_90k: int | None, dts_90k: int | None, arrival_90k: int, *, b_picture: bool = False) -> Timing:
        """The next frame in decoding order.

        ``arrival_90k`` is on any clock that does not go back. ``b_picture`` says that a frame which is `behind` may
        be so by right.
        """
        key = pts_90k if dts_90k is None else dts_90k
        bad = False
        if self._begin_at is not None:
            first = self._begin_at
            if self._last_dts is not None:
                first = max(first, self._last_dts + (self._reorder + 1) * self._interval)
            self._begin_at = None
            self._top_out = first
            if key is not None:
                self._anchor(key, first)
        elif key is None:
            self._top_out += max(arrival_90k - self._arrival, _LEAST_STEP)
            self._offset = None
        elif self._offset is None:
            self._anchor(key, self._top_out + self._interval * (_MINI_GOP if self._reorder else 1))
        else:
            bad = not self._follow(key, arrival_90k - self._arrival, b_picture and self.behind(pts_90k, dts_90k))
        self._arrival = arrival_90k

        pts = self._top_out if key is None or self._offset is None else key + self._offset
        if dts_90k is None:
            dts = self._decoding_time(pts)
        else:
            dts = pts
            if pts_90k is not None and 0 <= pts_90k - dts_90k <= _MAX_COMPOSITION:
                pts += pts_90k - dts_90k
        if self._last_dts is not None:
            dts = max(dts, self._last_dts + 1)
        self._last_dts = dts
        return Timing(max(pts, dts), dts, bad)

    def _follow(self, key: int, gap: int, reordered: bool) -> bool:
        """Goes on with the source's time ``key``; False where it had to be replaced by the arrival's ``gap``."""
        step, stood, self._stood = key - self._top, self._stood, 0
        arrival = self._arrival + gap
        if 0 < step <= gap + TOLERANCE and (self._pause or self._wall.skew > -MAX_AHEAD):
            self._behind = 0
            made_up = min(stood, step - max(gap, _LEAST_STEP))
            if made_up > 0:
                step, self._stood = step - made_up, stood - made_up
            if step < SECOND_90K:
                self._interval += (step - self._interval) // 8
            self._anchor(key, self._top_out + self._wall.correct(step, self._top_out, arrival, gap))
            return True
        if reordered and self._behind < MAX_REORDER:
            self._behind += 1
            return True
        self._behind = 0
        replaced = self._wall.correct(max(gap, _LEAST_STEP), self._top_out, arrival, gap)
        if not step:
            self._stood = stood + replaced
        self._anchor(key, self._top_out + replaced)
        return False

    def _anchor(self, key: int, out: int) -> None:
        self._offset = out - key
        self._top = key
        self._top_out = out

    def _decoding_time(self, pts: int) -> int:
        """RTP carries none: of the times seen so far, the one that is ``reorder`` places back is due now."""
        if self._behind and self._last_dts is not None and pts <= self._last_dts and self._reorder < MAX_REORDER:
            self._reorder += 1  # the stream reorders more than it said
        insort(self._waiting, pts)
        missing = self._reorder + 1 - len(self._waiting)
        if missing > 0:
            return self._waiting[0] - missing * self._interval
        while len(self._waiting) > self._reorder + 1:
            self._waiting.pop(0)
        return self._waiting.pop(0)

    def lend(self, loan: Any) -> bool:
        """Puts its state into a ``pi_connection``; False while frames do not simply follow each other."""
        if self._begin_at is not None or self._offset is None or self._last_dts is None or self._behind:
            return False
        if self._stood or len(self._waiting) != self._reorder or not self._wall.lend(loan):
            return False
        loan.top, loan.top_out, loan.interval = self._top, self._top_out, self._interval
        loan.arrival_90k, loan.last_dts = self._arrival, self._last_dts
        loan.reorder = loan.waiting_count = self._reorder
        loan.waiting[0 : self._reorder] = self._waiting
        return True

    def lend_keyframes(self, loan: Any, reorder: int | None, frame_rate: float | None) -> bool:
        """Behind `lend`: what `expect` does at a keyframe; False where it would do more than set the interval."""
        if reorder is not None and not self._waiting and min(reorder, MAX_REORDER) != self._reorder:
            return False
        loan.key_interval = _interval(frame_rate) or 0
        return True

    def take_back(self, loan: Any) -> None:
        """What frames have made of it."""
        self._wall.take_back(loan)
        self._anchor(loan.top, loan.top_out)
        self._interval, self._arrival, self._last_dts = loan.interval, loan.arrival_90k, loan.last_dts
        self._waiting = list(loan.waiting[0 : loan.waiting_count])


def _interval(frame_rate: float | None) -> int | None:
    """Between the pictures of a stream that claims this rate; None where it claims none that can be."""
    return round(SECOND_90K / frame_rate) if frame_rate and 0.1 <= frame_rate <= 240 else None
