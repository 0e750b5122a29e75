"""Re-timing: with any source's clock published time goes forward and keeps the source's spacing."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.timing.retiming import Retimer, Timing
from services.media.time import SECOND_90K

FRAME = SECOND_90K // 25
START = 150_000_000_000_000


def run(
    stamps: Sequence[tuple[int | None, int | None]], *, reorder: int | None = 0, b: set[int] | None = None
) -> list[Timing]:
    """Times for frames that arrive 40 ms apart; ``b`` are the indexes of B-pictures."""
    retimer = Retimer()
    retimer.begin(START)
    retimer.expect(reorder, 25.0)
    return [
        retimer.stamp(pts, dts, 77_000 + index * FRAME, b_picture=b is None or index in b)
        for index, (pts, dts) in enumerate(stamps)
    ]


def test_a_regular_source_keeps_its_spacing_and_begins_where_told() -> None:
    times = run([(1_000_000 + n * FRAME, None) for n in range(50)])
    assert [time.pts_90k for time in times] == [START + n * FRAME for n in range(50)]
    assert [time.dts_90k for time in times] == [time.pts_90k for time in times]
    assert not any(time.bad for time in times)


# I P b b P b b in decoding order, shown at
SHOWN = [0, 3, 1, 2, 6, 4, 5, 9, 7, 8, 12, 10, 11]
B = {2, 3, 5, 6, 8, 9, 11, 12}


def test_b_pictures_keep_their_order_and_get_decoding_times() -> None:
    times = run([(n * FRAME, None) for n in SHOWN], reorder=1, b=B)
    assert [time.pts_90k - START for time in times] == [n * FRAME for n in SHOWN]
    assert all(time.dts_90k <= time.pts_90k for time in times)
    assert [after.dts_90k - before.dts_90k for before, after in pairwise(times)] == [FRAME] * (len(SHOWN) - 1)
    assert not any(time.bad for time in times)


def test_b_pictures_that_were_not_announced_are_learned() -> None:
    shown = [n + 3 * round_ for round_ in range(1, 20) for n in (0, -2, -1)]
    times = run([(0, None), *((n * FRAME, None) for n in shown)], reorder=None)
    assert not any(time.bad for time in times)
    settled = times[8:]
    assert [time.pts_90k - START for time in settled] == [n * FRAME for n in shown[7:]]
    assert [after.dts_90k - before.dts_90k for before, after in pairwise(settled)] == [FRAME] * (len(settled) - 1)


def test_a_first_frame_without_a_time_comes_before_the_second() -> None:
    times = run([(None, None), (3600, None), (7200, None)])
    assert [time.pts_90k - START for time in times] == [0, FRAME, 2 * FRAME]
    times = run([(None, None), *((n * FRAME, None) for n in SHOWN[1:])], reorder=1, b=B)
    order = sorted(range(len(SHOWN)), key=lambda index: times[index].pts_90k)
    assert order == sorted(range(len(SHOWN)), key=lambda index: SHOWN[index])


def test_times_that_stand_still_are_replaced_by_arrival() -> None:
    times = run([(5000, None)] * 100)
    assert [time.pts_90k - START for time in times] == [n * FRAME for n in range(100)]
    assert [time.bad for time in times] == [False] + [True] * 99


@pytest.mark.parametrize("together", [2, 3, 25])
def test_times_that_stand_and_catch_up_keep_the_spacing_on_the_whole(together: int) -> None:
    times = run([(n // together * together * FRAME, None) for n in range(2000)])
    assert [time.pts_90k - START for time in times] == [n * FRAME for n in range(2000)]


def test_times_that_stand_do_not_count_a_pause_on_the_way_twice() -> None:
    retimer = Retimer()
    retimer.begin(START)
    pause = 10 * SECOND_90K
    times, arrivals = [], []
    for n in range(1000):
        late = 301 <= n <= 551  # these wait on the way, and come together
        arrivals.append(300 * FRAME + pause if late else n * FRAME)
        times.append(retimer.stamp(n // 2 * 2 * FRAME, None, arrivals[-1]))
    assert all(abs(time.pts_90k - START - at) <= SECOND_90K // 2 for time, at in zip(times, arrivals, strict=True))


@pytest.mark.parametrize("pace", [4, 11])
def test_a_clock_that_is_none_of_90_khz_is_bounded_against_the_wall(pace: int) -> None:
    times = run([(n * FRAME * pace, None) for n in range(3000)])
    ahead = [time.pts_90k - START - n * FRAME for n, time in enumerate(times)]
    assert max(ahead[1500:]) - min(ahead[1500:]) < SECOND_90K
    assert max(ahead) < 20 * SECOND_90K


def test_a_source_without_any_times_is_timed_by_arrival_and_not_blamed() -> None:
    times = run([(None, None)] * 100)
    assert [time.pts_90k - START for time in times] == [n * FRAME for n in range(100)]
    assert not any(time.bad for time in times)


def test_a_jump_is_one_bad_frame_and_no_hole() -> None:
    for jump in (3600 * SECOND_90K, -3600 * SECOND_90K, -SECOND_90K, 5 * SECOND_90K):
        stamps = [(n * FRAME + (jump if n >= 20 else 0), None) for n in range(50)]
        times = run(stamps, b=set())
        assert [time.pts_90k - START for time in times] == [n * FRAME for n in range(50)]
        assert [index for index, time in enumerate(times) if time.bad] == [20]


def test_a_gap_that_lasted_as_long_on_the_way_stays_a_gap() -> None:
    retimer = Retimer()
    retimer.begin(START)
    retimer.stamp(0, None, 0)
    late = retimer.stamp(7 * SECOND_90K, None, 7 * SECOND_90K)
    assert late == Timing(START + 7 * SECOND_90K, START + 7 * SECOND_90K, False)


def test_a_burst_after_a_pause_on_the_way_keeps_its_spacing() -> None:
    retimer = Retimer()
    retimer.begin(START)
    retimer.stamp(0, None, 0)
    times = [retimer.stamp(n * FRAME, None, 4 * SECOND_90K) for n in range(1, 100)]
    assert [time.pts_90k - START for time in times] == [n * FRAME for n in range(1, 100)]


def test_given_decoding_times_are_kept_with_their_composition_offsets() -> None:
    stamps = [(n * FRAME + 2 * FRAME, n * FRAME) for n in range(20)]
    times = run(stamps)
    assert [(time.pts_90k - START, time.dts_90k - START) for time in times] == stamps


def test_a_new_run_lies_behind_the_last() -> None:
    retimer = Retimer()
    retimer.begin(START)
    first = retimer.stamp(0, None, 0)
    retimer.begin(START - SECOND_90K)  # our own clock was set back
    second = retimer.stamp(123, None, 1)
    assert second.dts_90k > first.dts_90k
    assert not second.bad


_times = st.one_of(st.none(), st.integers(-(2**40), 2**40), st.integers(0, 100).map(lambda n: n * FRAME))


@given(
    st.lists(
        st.tuples(_times, st.one_of(st.none(), _times), st.integers(0, 3 * SECOND_90K), st.booleans()),
        min_size=1,
        max_size=80,
    ),
    st.one_of(st.none(), st.integers(0, 40)),
)
def test_decoding_times_grow_whatever_comes(
    frames: list[tuple[int | None, int | None, int, bool]], reorder: int | None
) -> None:
    retimer = Retimer()
    retimer.begin(START)
    retimer.expect(reorder, None)
    arrival = 0
    times = []
    for pts, dts, gap, b_picture in frames:
        arrival += gap
        times.append(retimer.stamp(pts, dts, arrival, b_picture=b_picture))
    for time in times:
        assert time.pts_90k >= time.dts_90k
    for before, after in pairwise(times):
        assert after.dts_90k > before.dts_90k


@given(st.lists(st.tuples(st.sampled_from((0, 0, 0, 0, 7200, -7200, 86400)), st.integers(-3000, 3000)), max_size=60))
def test_media_time_keeps_to_arrival_whatever_the_clock_jumps(frames: list[tuple[int, int]]) -> None:
    retimer = Retimer()
    retimer.begin(START)
    clock = 0
    time = retimer.stamp(0, None, 0)
    for index, (jump_seconds, jitter) in enumerate(frames, start=1):
        clock += FRAME + jump_seconds * SECOND_90K
        time = retimer.stamp(clock, None, index * FRAME + jitter)
    jumps = sum(1 for jump_seconds, _ in frames if jump_seconds)
    assert abs(time.pts_90k - START - len(frames) * FRAME) <= 6000 * jumps
