"""A camera's observed state, from what ingest reports. Pure: reports and times in, `CameraState` out.

| from | when | to |
|---|---|---|
| any | not enabled | disabled |
| disabled | enabled | connecting |
| any but disabled | its sources were changed | connecting |
| any but disabled | nothing heard for `SILENT_SECONDS`, or its worker's lease has lapsed | offline, no-ingest |
| connecting | delivers, without a failure before | online, at once |
| connecting | delivers after a failure, for `STEADY_SECONDS` without a break | online |
| connecting | tries for `CONNECT_SECONDS` | offline, with ingest's reason, else timeout |
| connecting | waits for a keyframe for `KEYFRAME_SECONDS` | offline, no-keyframe |
| any but disabled | ingest says online, and its frame counter stands still for longer than a stall | offline, stalled |
| any | ingest says offline | offline with its reason, at once |
| online, degraded | ingest tries again under the same epoch | offline (it was a break), at once |
| online, degraded | ingest tries under a new epoch | connecting (the camera was moved) |
| online, degraded | the same, and the worker that it leaves says that it delivers | as it is |
| offline | delivers | connecting until it is steady |
| any but disabled | the same, and no worker has room for it | offline, unassigned |
| offline, no-ingest or unassigned | ingest tries | connecting |
| online | `quality` sees trouble, or it broke off `UNSTABLE_BREAKS` times in `UNSTABLE_SECONDS` | degraded |
| degraded | no trouble, and no break for `CALM_SECONDS` | online |
"""

from collections import deque
from typing import Final

from services.contracts.models import CameraReport, CameraState, Id, ProfileReport, Reason, Status
from services.registry.quality import CameraTrouble, ProfileQuality

SILENT_SECONDS: Final = 5.0
OVERDUE_SECONDS: Final = 2.5
"""A report comes every 2 s."""
READ_ON_SECONDS: Final = 3.5
"""A worker that a camera leaves, and that has said nothing of it for so long, does not read it any more."""
STEADY_SECONDS: Final = 3.0
CONNECT_SECONDS: Final = 15.0
KEYFRAME_SECONDS: Final = 150.0
"""The same for a source that sends pictures which only wait for a keyframe; ingest gives it up after two minutes."""
STILL_SECONDS: Final = 6.0
"""A frame counter that stands still for so long is a stall, also if ingest reports online…"""
REPORT_SLACK_SECONDS: Final = 3.0
"""…unless ingest knows a slow camera's pace; a report comes every 2 s."""
UNSTABLE_BREAKS: Final = 3
UNSTABLE_SECONDS: Final = 300.0
CALM_SECONDS: Final = 60.0

DELIVERS: Final = frozenset({Status.ONLINE, Status.DEGRADED})


class ObservedCamera:
    """One camera's state machine. ``now`` is in seconds of a monotonic clock, ``now_us`` Unix time."""

    def __init__(self, camera: Id, site: Id, now: float, now_us: int, previous: CameraState | None = None) -> None:
        """``previous`` is the state that the last leader wrote. Reports have `SILENT_SECONDS` to arrive."""
        self.camera = camera
        self.site = site
        self.status = Status.CONNECTING
        self.reason = Reason.STARTING
        self.detail = ""
        self.since_us = now_us
        self.worker = ""
        self.profiles: dict[str, ProfileReport] = {}
        if previous is not None:
            self.status, self.reason, self.detail = previous.status, previous.reason, previous.detail
            self.since_us, self.worker, self.profiles = previous.since_us, previous.worker, dict(previous.profiles)
        self._since = now
        self._heard_at = now
        self._main: ProfileReport | None = None
        self._frames = -1
        self._frames_at = now
        self.unassigned = False
        """Whether no worker has room for it."""
        self._lost_worker = False
        self._epoch = 0
        self._up_epoch = 0
        self._up_since: float | None = None
        self._failed = self.status is Status.OFFLINE
        self._breaks: deque[float] = deque(maxlen=100)
        self._break = CameraTrouble(Reason.CLOSED, "")
        self._quality = ProfileQuality()

    def add_report(self, report: CameraReport, worker: Id, now: float, now_us: int) -> None:
        """Takes a report of ingest. One of an older epoch than the last is ignored."""
        if report.epoch < self._epoch or self._is_read_on(report, worker, now):
            return
        if report.epoch != self._epoch or worker != self.worker:
            self._frames = -1
        self._epoch = report.epoch
        self._heard_at = now
        self._lost_worker = False
        self.worker = worker
        self.site = report.site
        self.profiles = dict(report.profiles)
        self._main = report.profiles.get("main") or next(iter(report.profiles.values()), None)
        if self._main is not None and self._main.frames != self._frames:
            self._frames, self._frames_at = self._main.frames, now
        if self._main is None or self._main.status != "online":
            self._up_since = None
        else:
            if self._up_since is None:
                self._up_since = now
                self._quality.began(now)
            self._quality.add_report(self._main, self._frames, now)
        if self.status is not Status.DISABLED:
            self._follow(now, now_us)

    def _is_read_on(self, report: CameraReport, worker: Id, now: float) -> bool:
        """Whether this worker only begins to read it, and the one before delivers until it does (decision 43)."""
        main = report.profiles.get("main")
        return (
            worker != self.worker
            and self.status in DELIVERS
            and main is not None
            and main.status == "connecting"
            and self._main is not None
            and self._main.status == "online"
            and now - self._heard_at < READ_ON_SECONDS
        )

    def go_on(self, frames: int, now: float, now_us: int) -> bool:
        """Its worker says that all is as reported last, and that so many frames have come.

        False where nothing of it is known, or that it was not online: a report was lost, it has to be named whole.
        """
        if self._main is None or self._main.status != "online":
            return self.status is Status.DISABLED
        self._heard_at = now
        if frames != self._frames:
            self._frames, self._frames_at = frames, now
        if self.status is Status.ONLINE and self._quality.calm:
            self._quality.go_on(frames, now)
            return True
        self._quality.add_report(self._main, frames, now)
        self._follow(now, now_us)
        return True

    def allow_silence(self, now: float) -> None:
        """Gives reports `SILENT_SECONDS` again, after a time in which this process could not receive them."""
        self._heard_at = now

    def begin_again(self, now: float, now_us: int) -> None:
        """Starts over: the sources have changed, so earlier reports say nothing about the new ones."""
        self._heard_at = now
        self._main = self._up_since = None
        self._frames = -1
        self._lost_worker = False
        self._failed = False
        self._breaks.clear()
        self._quality = ProfileQuality()
        if self.status is not Status.DISABLED:
            self._set(Status.CONNECTING, Reason.STARTING, "", now, now_us)

    def tick(self, now: float, now_us: int, *, enabled: bool) -> None:
        """Applies the transitions that depend on time alone."""
        if not enabled:
            self._set(Status.DISABLED, Reason.DISABLED, "", now, now_us)
            self._main, self._up_since, self.profiles, self.worker = None, None, {}, ""
            return
        if self.status is Status.DISABLED:
            self._set(Status.CONNECTING, Reason.STARTING, "", now, now_us)
            self.begin_again(now, now_us)
        self._follow(now, now_us)

    def rests_until(self, now: float) -> float:
        """Until when `tick` changes nothing, where no report comes meanwhile; `now` where it may at any time."""
        main = self._main
        if self.status is Status.DISABLED:
            return float("inf")
        if main is None or self._lost_worker:
            return now
        silent_at = self._heard_at + SILENT_SECONDS
        if self.status is Status.ONLINE and main.status == "online":
            return min(silent_at, self._frames_at + _patience_seconds(main))
        return silent_at if self.status is Status.OFFLINE and main.status == "offline" else now

    def is_overdue(self, now: float) -> bool:
        """Whether its worker should have spoken of it."""
        return now - self._heard_at >= OVERDUE_SECONDS

    def follows(self, worker: Id, epoch: int) -> bool:
        """Whether its state is what this worker says under this epoch."""
        return (worker, epoch) == (self.worker, self._epoch)

    def state(self, announced: Status | None = None) -> CameraState:
        """The state as it is written to the bucket."""
        return CameraState(
            camera=self.camera,
            site=self.site,
            status=self.status,
            reason=self.reason,
            detail=self.detail,
            since_us=self.since_us,
            profiles=self.profiles,
            worker=self.worker,
            announced=announced,
        )

    def _follow(self, now: float, now_us: int) -> None:
        main = self._main
        if now - self._heard_at >= SILENT_SECONDS or self._lost_worker:
            self._silence(now, now_us)
        elif main is None:
            self._try(now, now_us)
        elif main.status == "offline":
            self._fail(CameraTrouble(main.reason, main.detail), now, now_us)
        elif main.status == "online":
            still_seconds = now - self._frames_at
            if still_seconds >= _patience_seconds(main):
                self._fail(CameraTrouble(Reason.STALLED, f"no frame for {still_seconds:.0f} s"), now, now_us)
            else:
                self._deliver(now, now_us)
        else:
            self._try(now, now_us)

    def lose_worker(self) -> None:
        """Its worker's lease has lapsed: what it said last is not so any more. Another report revokes this."""
        self._lost_worker = True

    def _silence(self, now: float, now_us: int) -> None:
        self._main = self._up_since = None
        self._failed = True
        if any(profile.reason is not Reason.NO_INGEST for profile in self.profiles.values()):
            self.profiles = {name: _silent(profile) for name, profile in self.profiles.items()}
        if self.unassigned:
            self._set(Status.OFFLINE, Reason.UNASSIGNED, "all ingest workers are full: add one", now, now_us)
        else:
            self._set(Status.OFFLINE, Reason.NO_INGEST, "no ingest worker reports on it", now, now_us)

    def _try(self, now: float, now_us: int) -> None:
        main = self._main
        if self.status in DELIVERS:
            if main is None:  # a new leader without a report of it so far
                return
            if self._epoch > self._up_epoch > 0:
                self._set(Status.CONNECTING, Reason.STARTING, "", now, now_us)
            else:
                reason = main.reason if main.reason not in (Reason.NONE, Reason.STARTING) else Reason.CLOSED
                self._fail(CameraTrouble(reason, main.detail), now, now_us)
        elif self.status is Status.CONNECTING:
            if self._failed and self._epoch == self._up_epoch:  # it broke off before it was steady
                self._set(Status.OFFLINE, self._break.reason, self._break.detail, now, now_us)
            elif now - self._since >= (KEYFRAME_SECONDS if _waits_for_keyframe(main) else CONNECT_SECONDS):
                trouble = CameraTrouble(Reason.TIMEOUT, f"not connected after {CONNECT_SECONDS:g} s")
                if main is not None and main.reason not in (Reason.NONE, Reason.STARTING):
                    trouble = CameraTrouble(main.reason, main.detail)
                self._fail(trouble, now, now_us)
            elif main is not None and main.reason is Reason.NO_KEYFRAME:
                self._set(Status.CONNECTING, main.reason, main.detail, now, now_us)
        elif self.reason in (Reason.NO_INGEST, Reason.UNASSIGNED) and main is not None:
            self._failed = False
            self._set(Status.CONNECTING, Reason.STARTING, "", now, now_us)

    def _fail(self, trouble: CameraTrouble, now: float, now_us: int) -> None:
        if self.status in DELIVERS:
            self._breaks.append(now)
        self._failed = True
        self._up_since = None
        self._break = trouble
        self._set(Status.OFFLINE, trouble.reason, trouble.detail, now, now_us)

    def _deliver(self, now: float, now_us: int) -> None:
        up_since = self._up_since if self._up_since is not None else now
        self._up_epoch = self._epoch
        if self.status is Status.OFFLINE:
            self._set(Status.CONNECTING, Reason.STARTING, "", now, now_us)
        if self.status is Status.CONNECTING and self._failed and now - up_since < STEADY_SECONDS:
            return
        self._failed = False
        trouble = self._quality.trouble(now) or self._unstable(now)
        if trouble is None:
            self._set(Status.ONLINE, Reason.NONE, "", now, now_us)
        else:
            self._set(Status.DEGRADED, trouble.reason, trouble.detail, now, now_us)

    def _unstable(self, now: float) -> CameraTrouble | None:
        breaks = sum(now - at < UNSTABLE_SECONDS for at in self._breaks)
        if breaks < UNSTABLE_BREAKS or now - self._breaks[-1] >= CALM_SECONDS:
            return None
        return CameraTrouble(self._break.reason, f"broke off {breaks} times within {UNSTABLE_SECONDS / 60:g} minutes")

    def _set(self, status: Status, reason: Reason, detail: str, now: float, now_us: int) -> None:
        if status is not self.status:
            self.status = status
            self._since = now
            self.since_us = now_us
        self.reason = reason
        self.detail = detail


def _patience_seconds(main: ProfileReport) -> float:
    """A frame counter that stands still for so long is a stall."""
    return max(STILL_SECONDS, main.stalls_after_seconds + REPORT_SLACK_SECONDS)


def _waits_for_keyframe(main: ProfileReport | None) -> bool:
    return main is not None and main.status == "connecting" and main.reason is Reason.NO_KEYFRAME


def _silent(profile: ProfileReport) -> ProfileReport:
    """The last report of a profile that is not renewed any more: offline, without rates."""
    return profile.model_copy(
        update={"status": "offline", "reason": Reason.NO_INGEST, "frame_rate": 0.0, "bitrate_bps": 0}
    )
