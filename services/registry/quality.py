"""Whether a camera delivers as usual, compared with its own past. Pure: reports and times in."""

from collections import deque
from typing import Final, NamedTuple

from services.contracts.models import ProfileReport, Reason

WINDOW_SECONDS: Final = 10.0
"""Counters are compared with their values of so long ago, or of the last report before."""
LOST_SHARE: Final = 0.02
"""More than this share of the frames lost is trouble."""
BAD_TIMESTAMPS: Final = 3
"""From this number of bad time stamps in a window on it is trouble."""
LEAST_PACE: Final = 0.8
"""A source that delivers less than this share of real time is slow at any frame rate."""
LOW_RATE: Final = 0.5
"""A frame rate below this share of the camera's own baseline is low…"""
RATE_AGAIN: Final = 0.8
"""…until it is above this one."""
WARM_UP_SECONDS: Final = 30.0
"""A younger baseline is not compared with."""
RAMP_SECONDS: Final = 5.0
"""Rates of the first seconds of a stream are left out."""
BASELINE_SECONDS: Final = 600.0
"""Time constant of the baseline: a camera that was set to a lower rate is no trouble any more after 20 minutes."""
ENTER_SECONDS: Final = 5.0
"""Trouble is reported when it has lasted so long…"""
LEAVE_SECONDS: Final = 15.0
"""…and ends when none was seen for so long."""


class CameraTrouble(NamedTuple):
    """A reason why a camera is degraded or offline."""

    reason: Reason
    detail: str


class _Sample(NamedTuple):
    at: float
    frames: int
    lost: int
    bad: int

    def counts_less_than(self, earlier: "_Sample") -> bool:
        """Whether a counter runs backwards."""
        return self.frames < earlier.frames or self.lost < earlier.lost or self.bad < earlier.bad


class ProfileQuality:
    """The quality of one profile. Times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self.baseline_fps = 0.0
        self._stream: tuple[str, int, int] = ("", 0, 0)
        self._baseline_age = 0.0
        self._last_at = float("-inf")
        self._began_at = float("-inf")
        self._samples: deque[_Sample] = deque()
        self._report: ProfileReport | None = None
        self._gone_on: tuple[int, float] | None = None
        """Frames and time of `go_on`, which are judged with the next report."""
        self._low = False
        self._seen: CameraTrouble | None = None
        self._seen_since = float("-inf")
        self._seen_last = float("-inf")
        self._trouble: CameraTrouble | None = None

    def began(self, now: float) -> None:
        """The stream has begun (again): counters restart, the baseline stays."""
        self._began_at = self._last_at = now
        self._samples.clear()
        self._gone_on = None
        self._low = False
        self._seen = self._trouble = None

    @property
    def calm(self) -> bool:
        """Whether the last report showed no trouble: of a stream that goes on like that none can be seen."""
        return self._seen is None and not self._low

    def go_on(self, frames: int, now: float) -> None:
        """So many frames have come by now of a stream that is `calm`, and all else is as reported last."""
        self._gone_on = frames, now

    def add_report(self, report: ProfileReport, frames: int, now: float) -> None:
        """Takes a report of a profile that is online, and how many frames have come by now."""
        if self._gone_on is not None and self._report is not None:
            went, self._gone_on = self._gone_on, None
            self._judge(self._report, *went)
        self._report = report
        self._judge(report, frames, now)

    def _judge(self, report: ProfileReport, frames: int, now: float) -> None:
        stream = (report.codec, report.width_px, report.height_px)
        if stream != self._stream:
            self._stream = stream
            self.baseline_fps = self._baseline_age = 0.0
            self.began(now)
        lost = max(report.frames_lost, report.frames_damaged)
        sample = _Sample(now, frames, lost, report.bad_timestamps)
        if self._samples and sample.counts_less_than(self._samples[-1]):
            self._samples.clear()  # another worker counts from zero
        while len(self._samples) > 1 and now - self._samples[1].at >= WINDOW_SECONDS:
            self._samples.popleft()  # the last one before the window stays: cameras that go on are seldom reported
        self._samples.append(sample)
        self._note(self._counted() or _paced(report) or self._rated(report.frame_rate, now), now)

    def trouble(self, now: float) -> CameraTrouble | None:
        """The trouble that is reported at ``now``; None: none."""
        if self._seen and now - self._seen_last > LEAVE_SECONDS:
            self._seen = self._trouble = None
        elif self._seen and self._seen_last - self._seen_since >= ENTER_SECONDS:
            self._trouble = self._seen
        return self._trouble

    def _note(self, seen: CameraTrouble | None, now: float) -> None:
        self.trouble(now)
        if seen is None:
            if self._trouble is None:
                self._seen = None  # too short to be reported
            return
        if self._seen is None:
            self._seen_since = now
        self._seen = seen
        self._seen_last = now

    def _counted(self) -> CameraTrouble | None:
        first, last = self._samples[0], self._samples[-1]
        frames, lost, bad = last.frames - first.frames, last.lost - first.lost, last.bad - first.bad
        if lost > LOST_SHARE * (frames + lost):
            detail = f"{lost} frames lost or damaged beside {frames} in {WINDOW_SECONDS:g} s"
            return CameraTrouble(Reason.FRAMES_LOST, detail)
        if bad >= BAD_TIMESTAMPS:
            return CameraTrouble(Reason.BAD_TIMESTAMPS, f"{bad} bad time stamps in {WINDOW_SECONDS:g} s")
        return None

    def _rated(self, fps: float, now: float) -> CameraTrouble | None:
        elapsed = now - self._last_at
        self._last_at = now
        if fps <= 0 or now - self._began_at < RAMP_SECONDS:
            return None
        usual = self.baseline_fps
        warm = self._baseline_age >= WARM_UP_SECONDS
        self._baseline_age = min(self._baseline_age + elapsed, BASELINE_SECONDS)
        if usual == 0:
            self.baseline_fps = fps
        else:
            self.baseline_fps += (fps - usual) * min(1.0, elapsed / max(self._baseline_age, elapsed, 1e-9))
        self._low = warm and fps < usual * (RATE_AGAIN if self._low else LOW_RATE)
        return CameraTrouble(Reason.LOW_RATE, f"{fps:.1f} instead of {usual:.1f} frames/s") if self._low else None


def _paced(report: ProfileReport) -> CameraTrouble | None:
    pace = 1 + report.clock_drift_ppm / 1e6
    if pace >= LEAST_PACE:
        return None
    return CameraTrouble(Reason.LOW_RATE, f"delivers {pace:.0%} of real time ({report.frame_rate:.1f} frames/s)")
