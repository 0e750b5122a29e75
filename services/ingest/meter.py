"""What a profile measures of its stream: rates over the last seconds of our clock, and the distance of keyframes."""

from collections import deque
from collections.abc import Sequence
from typing import Final

from services.media.time import SECOND_90K

WINDOW_US: Final = 5_000_000
LEAST_SPAN_US: Final = 500_000
"""Of less nothing is told: what a source had kept, or a busy machine has not read, comes at once."""
LEAST_SAMPLES: Final = 3
"""Of a slow source so many frames are looked at, however long ago they came."""
_MAX_SAMPLES: Final = 2000


class Meter:
    """Measures one profile of one source; `reset` at each reconnect."""

    def __init__(self) -> None:
        self.frames = 0
        """Over all runs."""
        self._samples: deque[tuple[int, int]] = deque()
        self._bytes = 0
        self._keyframe_at: int | None = None
        self._keyframe_interval = 0

    def reset(self) -> None:
        """The source is opened anew: rates begin again, totals go on."""
        self._samples.clear()
        self._bytes = 0
        self._keyframe_at = None
        self._keyframe_interval = 0

    def add_run(
        self,
        arrivals_us: Sequence[int],
        dts_90k: Sequence[int],
        sizes_bytes: Sequence[int],
        keyframes: Sequence[int],
    ) -> None:
        """Takes published frames that follow each other, at least one; they arrived at ``arrivals_us`` of a clock that
        does not step, and are keyframes where ``keyframes`` has a 1."""
        samples = self._samples
        self.frames += len(arrivals_us)
        samples.extend(zip(arrivals_us, sizes_bytes, strict=True))
        self._bytes += sum(sizes_bytes)
        oldest_us = arrivals_us[-1] - WINDOW_US
        while len(samples) > _MAX_SAMPLES or (len(samples) > LEAST_SAMPLES and samples[0][0] < oldest_us):
            self._bytes -= samples.popleft()[1]
        if 1 in keyframes:
            for dts, keyframe in zip(dts_90k, keyframes, strict=True):
                if keyframe:
                    if self._keyframe_at is not None:
                        self._keyframe_interval = dts - self._keyframe_at
                    self._keyframe_at = dts

    def _span_us(self) -> int:
        span_us = self._samples[-1][0] - self._samples[0][0] if len(self._samples) > 1 else 0
        return span_us if span_us >= LEAST_SPAN_US else 0

    @property
    def frame_rate(self) -> float:
        """Frames a second; 0 while unknown."""
        span_us = self._span_us()
        return round((len(self._samples) - 1) * 1e6 / span_us, 2) if span_us > 0 else 0.0

    @property
    def bitrate_bps(self) -> int:
        """Payload bits a second; 0 while unknown."""
        span_us = self._span_us()
        return round((self._bytes - self._samples[-1][1]) * 8e6 / span_us) if span_us > 0 else 0

    @property
    def keyframe_interval_seconds(self) -> float:
        """From the last keyframe but one to the last, in media time."""
        return round(self._keyframe_interval / SECOND_90K, 3)
