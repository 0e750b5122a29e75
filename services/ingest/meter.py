"""What a profile measures of its stream: rates over the last seconds, the distance of keyframes, losses."""

from collections import deque
from typing import Final

from services.ingest.timing.retiming import SECOND

WINDOW: Final = 5 * SECOND
_MAX_SAMPLES: Final = 2000
_GAP: Final = 1.5
"""A step longer than this many frame intervals has lost frames in it."""


class Meter:
    """Measures one profile of one source; `reset` at each reconnect. All times are at 90 kHz in media time."""

    def __init__(self) -> None:
        self.frames = 0
        self.missing = 0
        """Frames that the spacing of time stamps shows to be missing, over all runs."""
        self._samples: deque[tuple[int, int]] = deque(maxlen=_MAX_SAMPLES)
        self._bytes = 0
        self._step = 0
        self._keyframe_at: int | None = None
        self._keyframe_interval = 0

    def reset(self) -> None:
        """The source is opened anew: rates begin again, totals go on."""
        self._samples.clear()
        self._bytes = 0
        self._keyframe_at = None
        self._keyframe_interval = 0

    def add(self, dts_90k: int, size_bytes: int, *, keyframe: bool) -> None:
        """Takes a published frame."""
        samples = self._samples
        self.frames += 1
        if samples:
            step = dts_90k - samples[-1][0]
            if step > self._step * _GAP:
                self._count_missing(step)
            self._step = step
        if len(samples) == _MAX_SAMPLES:
            self._bytes -= samples[0][1]
        samples.append((dts_90k, size_bytes))
        self._bytes += size_bytes
        while samples[0][0] < dts_90k - WINDOW:
            self._bytes -= samples.popleft()[1]
        if keyframe:
            if self._keyframe_at is not None:
                self._keyframe_interval = dts_90k - self._keyframe_at
            self._keyframe_at = dts_90k

    def _count_missing(self, step: int) -> None:
        interval = self._interval()
        if interval and step > interval * _GAP:
            self.missing += round(step / interval) - 1

    def _interval(self) -> float:
        """The mean frame interval, once there is enough to tell; 0 before."""
        samples = self._samples
        return (samples[-1][0] - samples[0][0]) / (len(samples) - 1) if len(samples) > 10 else 0.0

    @property
    def frame_rate(self) -> float:
        """Frames a second; 0 while unknown."""
        samples = self._samples
        span = samples[-1][0] - samples[0][0] if len(samples) > 1 else 0
        return round((len(samples) - 1) * SECOND / span, 2) if span > 0 else 0.0

    @property
    def bitrate_bps(self) -> int:
        """Payload bits a second; 0 while unknown."""
        samples = self._samples
        span = samples[-1][0] - samples[0][0] if len(samples) > 1 else 0
        return round((self._bytes - samples[-1][1]) * 8 * SECOND / span) if span > 0 else 0

    @property
    def keyframe_interval_seconds(self) -> float:
        """From the last keyframe but one to the last."""
        return round(self._keyframe_interval / SECOND, 3)
