"""When recorded tiles go down to keyframes, and when they are tried whole again."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.wall.relay.sending.hysteresis import MAX_QUIET_SECONDS, QUIET_SECONDS, SETTLE_SECONDS, TROUBLE_SECONDS
from services.wall.relay.sources.decode_limiter import (
    HEARD_SECONDS,
    LATE_SECONDS,
    LEAST_LATE_SECONDS,
    DecodeLimiter,
    late_limit_seconds,
)

GOP_SECONDS = 4.0


def watch(
    limiter: DecodeLimiter,
    now: float,
    seconds: int,
    *,
    shown: float | None = 0.0,
    sent: float = 0.0,
    keyframe_seconds: float = GOP_SECONDS,
) -> tuple[float, list[float]]:
    """A second after the other; when it changed."""
    changes = []
    for _ in range(seconds):
        now += 1.0
        if shown is not None:
            limiter.note_lateness(now, shown)
        if limiter.update(now, sent, keyframe_seconds):
            changes.append(now)
    return now, changes


def test_who_keeps_up_is_shown_all_and_one_slow_second_changes_nothing() -> None:
    limiter = DecodeLimiter(0.0)
    limiter.steer(0.0, 4.0)
    now, _ = watch(limiter, 0.0, 60, shown=0.1)
    now, _ = watch(limiter, now, 1, shown=5.0)
    watch(limiter, now, 60, shown=0.1)
    assert not limiter.keyframes_only


def test_who_falls_behind_is_shown_keyframes_alone_within_seconds() -> None:
    limiter = DecodeLimiter(0.0)
    limiter.steer(0.0, 4.0)
    _, (changed,) = watch(limiter, 0.0, 8, shown=LATE_SECONDS + 0.1)
    assert limiter.keyframes_only
    assert changed <= SETTLE_SECONDS + TROUBLE_SECONDS


@pytest.mark.parametrize(("rate", "gop_seconds"), [(4.0, 2.0), (4.0, 1.0), (2.0, 1.0), (1.0, 0.5)])
def test_a_page_that_leaves_out_what_it_is_late_with_and_so_is_never_a_gop_late_is_found_out(
    rate: float, gop_seconds: float
) -> None:
    limiter = DecodeLimiter(0.0)
    limiter.steer(0.0, rate)
    watch(limiter, 0.0, 8, shown=0.7 * gop_seconds / rate, keyframe_seconds=gop_seconds)
    assert limiter.keyframes_only


def test_what_is_trouble_at_4x_is_none_at_the_cameras_pace() -> None:
    limiter = DecodeLimiter(0.0)
    limiter.steer(0.0, 1.0)
    watch(limiter, 0.0, 60, shown=0.35, keyframe_seconds=2.0)
    assert not limiter.keyframes_only


@given(st.floats(0, 16), st.floats(0, 60) | st.just(float("inf")))
def test_what_is_in_time_is_never_late(rate: float, gop_seconds: float) -> None:
    assert LEAST_LATE_SECONDS <= late_limit_seconds(rate, gop_seconds) <= LATE_SECONDS


def test_what_the_relay_itself_is_late_with_counts_although_the_page_says_nothing() -> None:
    limiter = DecodeLimiter(0.0)
    limiter.steer(0.0, 4.0)
    watch(limiter, 0.0, 8, shown=None, sent=LATE_SECONDS + 0.1)
    assert limiter.keyframes_only


def test_an_old_word_of_the_page_is_no_news() -> None:
    limiter = DecodeLimiter(0.0)
    limiter.steer(0.0, 1.0)
    limiter.note_lateness(0.0, 10.0)
    watch(limiter, HEARD_SECONDS, 30, shown=None)
    assert not limiter.keyframes_only


def test_all_frames_are_tried_again_ever_more_seldom() -> None:
    limiter = DecodeLimiter(0.0)
    limiter.steer(0.0, 4.0)
    tries = []
    for now in range(1, 1200):
        limiter.note_lateness(now, 0.05 if limiter.keyframes_only else 2.0)
        if limiter.update(now, 0.0, GOP_SECONDS) and not limiter.keyframes_only:
            tries.append(now)
    pauses = [after - before for before, after in pairwise(tries)]
    assert tries[0] >= QUIET_SECONDS
    assert sorted(pauses) == pauses
    assert pauses[-1] >= MAX_QUIET_SECONDS


def test_slower_all_frames_are_tried_at_once_but_not_faster_or_after_a_pause() -> None:
    limiter = DecodeLimiter(0.0)
    limiter.steer(0.0, 2.0)
    now, _ = watch(limiter, 0.0, 10, shown=2.0)
    assert limiter.steer(now, None), "a pause, or a seek"
    assert limiter.steer(now, 2.0)
    assert limiter.steer(now, 4.0)
    assert not limiter.steer(now, 1.0)


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 10)), max_size=300))
def test_it_never_flaps(told: list[tuple[float, float]]) -> None:
    limiter = DecodeLimiter(0.0)
    limiter.steer(0.0, 4.0)
    changes = [0.0]
    for now, (shown, sent) in enumerate(told, 1):
        limiter.note_lateness(now, shown)
        if limiter.update(now, sent, GOP_SECONDS):
            assert now - changes[-1] >= SETTLE_SECONDS
            changes.append(now)
