"""Degraded: held against the camera's own past."""

from services.contracts.models import ProfileReport, Reason
from services.registry.quality import BASELINE_SECONDS, ENTER_SECONDS, LEAVE_SECONDS, ProfileQuality


class Stream:
    """Reports every two seconds on a stream whose faults a test chooses."""

    def __init__(self) -> None:
        self.now = 0.0
        self.quality = ProfileQuality()
        self.frames = self.lost = self.bad = self.damaged = 0
        self.quality.began(self.now)

    def run(
        self,
        seconds: float,
        *,
        fps: float = 25,
        lost: int = 0,
        bad: int = 0,
        width_px: int = 1280,
        damaged: int = 0,
        drift_ppm: float = 0,
    ) -> Reason | None:
        """The trouble at the end. ``lost``, ``bad`` and ``damaged`` are counts a report."""
        for _ in range(round(seconds / 2)):
            self.now += 2
            self.frames += round(2 * fps)
            self.lost += lost
            self.bad += bad
            self.damaged += damaged
            report = ProfileReport(
                status="online",
                codec="h264",
                width_px=width_px,
                frame_rate=fps,
                frames=self.frames,
                frames_lost=self.lost,
                bad_timestamps=self.bad,
                frames_damaged=self.damaged,
                clock_drift_ppm=drift_ppm,
            )
            self.quality.add_report(report, report.frames, self.now)
        trouble = self.quality.trouble(self.now)
        return trouble.reason if trouble else None


def test_a_healthy_stream_is_well() -> None:
    assert Stream().run(600) is None


def test_a_low_rate_is_trouble_only_against_its_own_past_and_until_it_is_back() -> None:
    stream = Stream()
    assert stream.run(60, fps=5) is None, "5 frames a second are as good as any where they are usual"
    other = Stream()
    other.run(60)
    assert other.run(4, fps=10) is None, "a moment is no trouble"
    assert other.run(ENTER_SECONDS + 2, fps=10) is Reason.LOW_RATE
    assert other.run(60, fps=15) is Reason.LOW_RATE, "it is over only well above where it began"
    assert other.run(LEAVE_SECONDS - 2, fps=25) is Reason.LOW_RATE
    assert other.run(6, fps=25) is None


def test_half_the_rate_at_night_is_not_low() -> None:
    stream = Stream()
    stream.run(600)
    assert stream.run(600, fps=12.5) is None


def test_a_lower_rate_that_lasts_becomes_the_usual_one() -> None:
    stream = Stream()
    stream.run(600)
    assert stream.run(60, fps=8) is Reason.LOW_RATE
    assert stream.run(3 * BASELINE_SECONDS, fps=8) is None


def test_another_resolution_begins_a_new_baseline() -> None:
    stream = Stream()
    stream.run(120)
    assert stream.run(60, fps=8, width_px=640) is None


def test_lost_frames_and_bad_time_stamps_are_trouble_until_they_have_stopped_for_a_while() -> None:
    stream = Stream()
    stream.run(20)
    assert stream.run(10, lost=4) is Reason.FRAMES_LOST
    assert stream.run(10) is Reason.FRAMES_LOST
    assert stream.run(20) is None
    assert stream.run(10, bad=2) is Reason.BAD_TIMESTAMPS
    assert stream.run(40) is None


def test_damaged_frames_are_trouble_though_none_is_missing() -> None:
    stream = Stream()
    assert stream.run(60, damaged=10) is Reason.FRAMES_LOST
    assert stream.run(60) is None


def test_a_source_that_delivers_a_fifth_of_real_time_is_slow_from_its_beginning() -> None:
    assert Stream().run(20, fps=5, drift_ppm=-800_000) is Reason.LOW_RATE
    assert Stream().run(20, drift_ppm=-100_000) is None


def test_a_few_lost_frames_are_no_trouble() -> None:
    stream = Stream()
    stream.run(20)
    stream.lost += 3
    assert stream.run(20) is None


def test_counters_that_begin_again_with_another_worker_are_no_losses() -> None:
    stream = Stream()
    stream.lost = 500
    stream.run(20)
    stream.frames = stream.lost = 0
    assert stream.run(20) is None
    stream.quality.began(stream.now)
    stream.frames, stream.lost = 1_000_000, 700
    assert stream.run(20) is None


def test_frames_that_were_lost_are_held_against_ten_seconds_of_a_stream_that_was_only_said_to_go_on() -> None:
    for lost, calm in ((4, True), (6, False)):  # of 250 frames; of the last 50 both are many
        stream = Stream()
        stream.run(30)
        for _ in range(4):
            stream.now += 2
            stream.frames += 50
            stream.quality.go_on(stream.frames, stream.now)
        stream.run(2, lost=lost)
        assert stream.quality.calm is calm
