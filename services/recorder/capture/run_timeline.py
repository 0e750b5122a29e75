"""Where the pictures of one run lie in media time.

Ingest re-times: within a run its decoding times grow strictly and go as fast as the source's (docs/decisions/0014). So
they are taken as they are, but for a camera whose time stamps run at another speed than time.
"""

from bisect import bisect_left
from collections.abc import Sequence
from operator import sub
from typing import Final, NamedTuple

from services.contracts.frames import AccessUnit, PictureRun
from services.media.time import SECOND_90K, us_to_90k

MAX_STEP_90K: Final = 3600 * SECOND_90K
MAX_COMPOSITION_90K: Final = 600 * SECOND_90K
"""What is beyond these has not come from ingest."""
MAX_CAPTURE_ERROR_US: Final = 86_400 * 1_000_000
_MAX_CAPTURE_STEP_90K: Final = 10 * SECOND_90K
_DEFAULT_DURATION_90K: Final = 3_600


class TimedUnit(NamedTuple):
    """An access unit's place in its run."""

    dts_90k: int
    """Since the run's first access unit; grows strictly."""
    pts_90k: int
    """On the same scale."""
    capture_us: int
    retimed: bool
    """Whether the camera's time stamp, or the capture time, was replaced."""


class RunTimeline:
    """One run of one stream; make a new one at each discontinuity."""

    def __init__(self) -> None:
        self.duration_90k = _DEFAULT_DURATION_90K
        """The usual time between two pictures, as seen so far."""
        self.by_capture = False
        """Set where the camera's time stamps run at another speed than time: capture times are used instead."""
        self._last_dts_90k: int | None = None
        """The last picture's, as it came."""
        self._last_capture_us = 0
        self._dts_90k = 0

    @property
    def end_90k(self) -> int:
        """Where the last picture ends, if it lasts as long as usual."""
        return self._dts_90k + self.duration_90k

    def continues(self, unit: AccessUnit) -> bool:
        """Whether ``unit`` can belong to this run. Where not, the message with which another run began was lost."""
        return self._last_dts_90k is None or 0 < unit.dts_90k - self._last_dts_90k <= MAX_STEP_90K

    def place(self, unit: AccessUnit, now_us: int) -> TimedUnit:
        """Places ``unit``, which `continues` the run; ``now_us`` is the recorder's clock."""
        capture_us = unit.capture_us if abs(unit.capture_us - now_us) <= MAX_CAPTURE_ERROR_US else now_us
        if self._last_dts_90k is not None:
            step = unit.dts_90k - self._last_dts_90k
            if self.by_capture:
                step = us_to_90k(capture_us - self._last_capture_us)
                if not 0 < step <= _MAX_CAPTURE_STEP_90K:
                    step = self.duration_90k
            else:
                self.duration_90k += (min(step, SECOND_90K) - self.duration_90k) // 8
            self._dts_90k += max(step, 1)
        self._last_dts_90k, self._last_capture_us = unit.dts_90k, capture_us
        return TimedUnit(
            self._dts_90k,
            self._dts_90k + unit.pts_90k - unit.dts_90k,
            capture_us,
            retimed=self.by_capture or capture_us != unit.capture_us,
        )

    def place_run(self, run: PictureRun, now_us: int, until_90k: int) -> Sequence[int]:
        """Decoding times of the first pictures of ``run``, as `place` gives them: of those before ``until_90k``.

        Of none where one does not continue the run of before, or has a time that was to be replaced.
        """
        before_90k = self._last_dts_90k
        if before_90k is None or self.by_capture:
            return ()
        steps = list(map(sub, run.dts_90k, (before_90k, *run.dts_90k)))
        compositions = list(map(sub, run.pts_90k, run.dts_90k))
        if (
            not 0 < min(steps) <= max(steps) <= MAX_STEP_90K
            or not 0 <= min(compositions) <= max(compositions) <= MAX_COMPOSITION_90K
            or min(run.capture_us) < now_us - MAX_CAPTURE_ERROR_US
            or max(run.capture_us) > now_us + MAX_CAPTURE_ERROR_US
        ):
            return ()
        shift_90k = self._dts_90k - before_90k
        count = bisect_left(run.dts_90k, until_90k - shift_90k)
        placed = [dts_90k + shift_90k for dts_90k in run.dts_90k[:count]]
        if placed:
            duration_90k = self.duration_90k
            for step in steps[:count]:
                duration_90k += (min(step, SECOND_90K) - duration_90k) // 8
            self.duration_90k, self._dts_90k = duration_90k, placed[-1]
            self._last_dts_90k, self._last_capture_us = run.dts_90k[count - 1], run.capture_us[count - 1]
        return placed
