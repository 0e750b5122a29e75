"""Measuring: rates in our own time, over a window that is wide enough for slow cameras."""

from services.ingest.meter import WINDOW_US, Meter


def test_rates_forget_what_is_long_ago() -> None:
    meter = Meter()
    for number in range(100):
        meter.add_run([number * 100_000], [number * 9000], [5000], [False])
    for number in range(200):
        meter.add_run([10_000_000 + number * 40_000], [100 * 9000 + number * 3600], [100], [False])
    assert meter.frame_rate == 25.0
    assert meter.bitrate_bps == 100 * 25 * 8
    assert WINDOW_US < 200 * 40_000


def test_a_camera_that_delivers_a_fifth_of_real_time_has_a_fifth_of_the_rate() -> None:
    meter = Meter()
    for number in range(100):
        meter.add_run([number * 200_000], [number * 3600], [1000], [False])
    assert meter.frame_rate == 5.0


def test_a_picture_every_eight_seconds_has_a_rate() -> None:
    meter = Meter()
    for number in range(5):
        meter.add_run([number * 8_000_000], [number * 720_000], [1000], [True])
    assert meter.frame_rate == 0.12
    assert meter.bitrate_bps == 1000
    assert meter.keyframe_interval_seconds == 8.0


def test_frames_that_come_at_once_have_no_rate() -> None:
    meter = Meter()
    for number in range(50):
        meter.add_run([number * 20], [number * 3600], [1000], [False])
    assert (meter.frame_rate, meter.bitrate_bps) == (0.0, 0)
    meter.add_run([600_000], [50 * 3600], [1000], [False])
    assert meter.frame_rate > 0


def test_a_reset_keeps_totals() -> None:
    meter = Meter()
    meter.add_run([0], [0], [10], [True])
    meter.add_run([40_000], [3600], [10], [True])
    meter.reset()
    assert (meter.frames, meter.frame_rate, meter.bitrate_bps, meter.keyframe_interval_seconds) == (2, 0.0, 0, 0.0)
