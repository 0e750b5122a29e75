"""How a source's clock stands against ours."""

import random

import pytest

from services.ingest.timing.source_clock import ClockEstimate, SourceClock

WALL_US = 1_700_000_000_000_000


def after(seconds: float, *, pace: float = 1.0, ahead_us: int | None = None, jitter_us: int = 20_000) -> ClockEstimate:
    """The estimate after so long of a source whose clock runs ``pace`` times as fast and is ``ahead_us``."""
    rng, clock = random.Random(3), SourceClock()
    for number in range(round(seconds * 25)):
        true_us = number * 40_000
        arrival_us = true_us + rng.randrange(jitter_us)
        rtcp_us = None if ahead_us is None else WALL_US + true_us + ahead_us
        clock.add(round(true_us * pace * 9 / 100), arrival_us, WALL_US + arrival_us, rtcp_us)
    return clock.estimate


@pytest.mark.parametrize("pace", [1.1, 1.0, 0.9, 0.2])
def test_the_drift_is_told_to_a_tenth_of_a_percent(pace: float) -> None:
    assert after(30, pace=pace).drift_ppm == pytest.approx((pace - 1) * 1e6, abs=1000)


def test_nothing_is_said_of_a_drift_too_early_nor_of_an_offset_without_reports() -> None:
    assert after(5, pace=1.1) == ClockEstimate()
    assert after(30).uncertainty_us == 0


@pytest.mark.parametrize("ahead_us", [0, 1_500_000, -40_000_000])
def test_the_offset_is_told_with_its_uncertainty(ahead_us: int) -> None:
    estimate = after(30, ahead_us=ahead_us)
    assert abs(estimate.offset_us - ahead_us) <= estimate.uncertainty_us
    assert 0 < estimate.uncertainty_us < 50_000


def test_a_clock_that_was_set_begins_anew() -> None:
    clock = SourceClock()
    for number in range(1000):
        jump = 90_000 * 3600 if number > 500 else 0
        clock.add(number * 3600 + jump, number * 40_000, WALL_US, None)
    assert abs(clock.estimate.drift_ppm) < 100
