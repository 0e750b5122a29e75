"""When a child that ended is started again."""

from hypothesis import given
from hypothesis import strategies as st

from services.up.restart import MAX_DELAY_SECONDS, STEADY_SECONDS, RestartPolicy


def test_a_child_that_was_well_is_started_again_at_once() -> None:
    policy = RestartPolicy()
    assert [policy.delay_seconds(STEADY_SECONDS + 1) for _ in range(5)] == [0.0] * 5


def test_a_child_that_is_killed_three_times_in_a_row_is_still_back_within_two_seconds() -> None:
    policy = RestartPolicy()
    assert max(policy.delay_seconds(1) for _ in range(3)) <= 0.5


def test_a_child_that_keeps_dying_young_is_started_ever_later() -> None:
    policy = RestartPolicy()
    delays = [policy.delay_seconds(0.1) for _ in range(20)]
    assert delays[:4] == [0.0, 0.25, 0.5, 1.0]
    assert all(MAX_DELAY_SECONDS * 0.75 <= delay <= MAX_DELAY_SECONDS for delay in delays[10:])
    assert policy.delay_seconds(STEADY_SECONDS) == 0.0


@given(st.lists(st.floats(0, 100), max_size=2000))
def test_no_history_makes_it_wait_longer_than_the_longest(lives: list[float]) -> None:
    policy = RestartPolicy()
    assert all(0 <= policy.delay_seconds(lived) <= MAX_DELAY_SECONDS for lived in lives)
