"""Media time is bounded against the machine's clock, and untouched while the source's clock is sound."""

import random
from itertools import pairwise

import pytest

from services.ingest.timing.retiming import Retimer
from services.media.time import SECOND_90K


def published(times: list[tuple[int, int]], *, pause: int = 0) -> list[tuple[int, int]]:
    """(published, arrival) of (source's time, arrival)."""
    retimer = Retimer()
    retimer.pause_between(pause)
    retimer.begin(0)
    retimer.expect(0, None)
    return [(retimer.stamp(pts, None, arrival).pts_90k, arrival) for pts, arrival in times]


@pytest.mark.parametrize("pace", [1.1, 1.02, 0.9, 0.2, 1.5])
def test_a_source_whose_clock_drifts_is_bounded_against_the_wall(pace: float) -> None:
    frames = [(round(number * 3600), round(number * 3600 / pace)) for number in range(20_000)]
    out = published(frames)
    assert all(b > a for (a, _), (b, _) in pairwise(out))
    assert max(abs(pts - arrival) for pts, arrival in out) < 8 * SECOND_90K
    if 0.9 <= pace <= 1.1:
        assert max(abs(pts - arrival) for pts, arrival in out) < SECOND_90K


def test_sound_sources_keep_their_spacing_exactly_whatever_the_network_does() -> None:
    rng = random.Random(7)
    frames, arrival = [], 0
    for number in range(5_000):
        late = rng.expovariate(1 / 4000) + (2.5 * SECOND_90K if 2_000 <= number < 2_010 else 0)
        arrival = max(arrival, round(number * 3600 + late))
        frames.append((number * 3600, arrival))
    out = published(frames)
    assert {b - a for (a, _), (b, _) in pairwise(out)} == {3600}


def test_a_network_that_stands_still_for_two_seconds_and_catches_up_moves_nothing_far() -> None:
    frames = []
    for number in range(3_000):
        at = number * 3600
        frames.append((at, max(at, 152 * SECOND_90K) if 150 * SECOND_90K <= at < 152 * SECOND_90K else at))
    out = published(frames)
    assert max(abs(pts - 3600 * number) for number, (pts, _) in enumerate(out)) < SECOND_90K // 2


def test_segments_of_ten_seconds_keep_their_spacing() -> None:
    frames = [(number * 3600, (number // 250 + 1) * 10 * SECOND_90K + number % 250) for number in range(5_000)]
    out = published(frames, pause=40 * SECOND_90K)
    assert {b - a for (a, _), (b, _) in pairwise(out)} == {3600}
