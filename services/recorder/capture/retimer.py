"""Re-timing: whatever a camera's clock does, decoding times grow, and capture times can be believed."""

from typing import Final, NamedTuple

from services.contracts.frames import AccessUnit
from services.media.time import SECOND_90K, us_to_90k

MAX_STEP_90K: Final = 10 * SECOND_90K
"""A larger step between two pictures is not believed."""
_MAX_COMPOSITION_90K: Final = 2 * SECOND_90K
MAX_CAPTURE_ERROR_US: Final = 86_400 * 1_000_000
_DEFAULT_DURATION_90K: Final = 3_600


class Timed(NamedTuple):
    """An access unit's place in its run."""

    dts_90k: int
    """Since the run's first access unit; grows strictly."""
    pts_90k: int
    """On the same scale."""
    capture_us: int
    retimed: bool
    """Whether the camera's time stamp was replaced."""


class RecordingRetimer:
    """One run of one stream; make a new one at each discontinuity."""

    def __init__(self) -> None:
        self.duration_90k = _DEFAULT_DURATION_90K
        """The usual time between two pictures, as seen so far."""
        self.by_capture = False
        """Set where the camera's time stamps run at another speed than time: capture times are used instead."""
        self._last: AccessUnit | None = None
        self._last_capture_us = 0
        self._dts_90k = 0

    def feed(self, unit: AccessUnit, now_us: int) -> Timed:
        """Places ``unit``; ``now_us`` is the recorder's clock."""
        capture_us = unit.capture_us if abs(unit.capture_us - now_us) <= MAX_CAPTURE_ERROR_US else now_us
        retimed = capture_us != unit.capture_us
        last = self._last
        if last is not None:
            step = unit.dts_90k - last.dts_90k
            if self.by_capture or not 0 < step <= MAX_STEP_90K:
                step = us_to_90k(capture_us - self._last_capture_us)
                retimed = True
                if not 0 < step <= MAX_STEP_90K:
                    step = self.duration_90k
            else:
                self.duration_90k += (min(step, SECOND_90K) - self.duration_90k) // 8
            self._dts_90k += max(step, 1)
        composition = unit.pts_90k - unit.dts_90k
        if abs(composition) > _MAX_COMPOSITION_90K:
            composition, retimed = 0, True
        self._last, self._last_capture_us = unit, capture_us
        return Timed(self._dts_90k, self._dts_90k + composition, capture_us, retimed)
