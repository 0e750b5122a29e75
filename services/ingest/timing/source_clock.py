"""How a source's clock stands against ours: its drift, and its offset where sender reports tell it. Pure."""

from collections import deque
from typing import Any, Final, NamedTuple

from services.media.time import us_from_90k

BUCKET_US: Final = 2_000_000
BUCKETS: Final = 60
"""Two minutes are looked at."""
LEAST_US: Final = 8_000_000
"""A drift over less than this is jitter."""
JUMP_US: Final = 2_000_000
FLOOR_US: Final = 5_000
"""No network path is known better than this."""


class ClockEstimate(NamedTuple):
    """What is known of a source's clock."""

    offset_us: int = 0
    """How far it is ahead of ours, by its sender reports, the way of its packets left out."""
    uncertainty_us: int = 0
    """Half-width of the interval around the offset; 0: there are no sender reports."""
    drift_ppm: float = 0.0
    """How much faster it runs than ours: millionths; 0 while too little has come."""


class _Bucket(NamedTuple):
    at_us: int
    delay_us: int
    """The least of arrival less the source's own media time."""
    lag_us: int | None
    """The least of arrival less the time of its sender reports, both in Unix time."""


class SourceClock:
    """One track's; `reset` at each (re)connect."""

    def __init__(self) -> None:
        self._buckets: deque[_Bucket] = deque(maxlen=BUCKETS)

    def reset(self) -> None:
        """Forgets all."""
        self._buckets.clear()

    def add(self, pts_90k: int | None, arrival_us: int, wall_us: int, rtcp_us: int | None) -> None:
        """Takes a frame's times; see `Packet`. ``wall_us`` is the arrival in Unix time."""
        if pts_90k is None:
            return
        delay_us = arrival_us - us_from_90k(pts_90k)
        lag_us = None if rtcp_us is None else wall_us - rtcp_us
        last = self._buckets[-1] if self._buckets else None
        if last is not None and abs(delay_us - last.delay_us) > JUMP_US + arrival_us - last.at_us:
            self._buckets.clear()  # its clock was set
            last = None
        if last is None or arrival_us - last.at_us >= BUCKET_US:
            self._buckets.append(_Bucket(arrival_us, delay_us, lag_us))
            return
        if lag_us is None or (last.lag_us is not None and last.lag_us < lag_us):
            lag_us = last.lag_us
        if delay_us < last.delay_us or lag_us != last.lag_us:
            self._buckets[-1] = _Bucket(last.at_us, min(delay_us, last.delay_us), lag_us)

    def lend(self, loan: Any) -> bool:
        """Puts what the next frame is measured by into a ``pi_connection``; False where there is nothing yet."""
        if not self._buckets:
            return False
        last = self._buckets[-1]
        loan.bucket = last.at_us, last.delay_us, last.lag_us or 0, last.lag_us is not None
        loan.full_count = 0
        return True

    def take_back(self, loan: Any) -> None:
        """What frames have made of it."""
        self._buckets.pop()
        for number in range(loan.full_count):
            self._buckets.append(_returned(loan.full[number]))
        self._buckets.append(_returned(loan.bucket))

    @property
    def estimate(self) -> ClockEstimate:
        """What the frames of the last two minutes tell."""
        lags = [bucket.lag_us for bucket in self._buckets if bucket.lag_us is not None]
        offset_us = uncertainty_us = 0
        if lags:
            offset_us = -min(lags[-5:])
            uncertainty_us = max(FLOOR_US, max(lags[-5:]) - min(lags[-5:]))
        drift_ppm = 0.0
        # The last bucket may still be filling; its least is not its least yet.
        if len(self._buckets) > 2 and self._buckets[-2].at_us - self._buckets[0].at_us >= LEAST_US:
            first, last = self._buckets[0], self._buckets[-2]
            drift_ppm = round((first.delay_us - last.delay_us) * 1e6 / (last.at_us - first.at_us), 1)
        return ClockEstimate(offset_us, uncertainty_us, drift_ppm)


def _returned(bucket: Any) -> _Bucket:
    return _Bucket(bucket.at, bucket.delay, bucket.lag if bucket.has_lag else None)
