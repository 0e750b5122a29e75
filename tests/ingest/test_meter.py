"""Measuring: missing frames and rates over a window."""

from services.ingest.meter import WINDOW, Meter


def test_missing_frames_show_in_the_spacing() -> None:
    meter = Meter()
    for number in [*range(20), *range(23, 40)]:
        meter.add(number * 3600, 1000, keyframe=False)
    assert meter.missing == 3


def test_uneven_spacing_is_no_loss() -> None:
    meter = Meter()
    for number in range(100):
        meter.add(number * 3600 + (number % 2) * 1500, 1000, keyframe=False)
    assert meter.missing == 0


def test_rates_forget_what_is_long_ago() -> None:
    meter = Meter()
    for number in range(100):
        meter.add(number * 9000, 5000, keyframe=False)
    for number in range(200):
        meter.add(100 * 9000 + number * 3600, 100, keyframe=False)
    assert meter.frame_rate == 25.0
    assert meter.bitrate_bps == 100 * 25 * 8
    assert WINDOW < 200 * 3600


def test_a_reset_keeps_totals() -> None:
    meter = Meter()
    meter.add(0, 10, keyframe=True)
    meter.add(3600, 10, keyframe=True)
    meter.reset()
    assert (meter.frames, meter.frame_rate, meter.bitrate_bps, meter.keyframe_interval_seconds) == (2, 0.0, 0, 0.0)
