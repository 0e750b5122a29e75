"""No more than the rate, and nothing lost of it."""

from hypothesis import given
from hypothesis import strategies as st

from services.recorder.archive.store import RateLimit


@given(st.lists(st.tuples(st.integers(1, 5_000_000), st.floats(0, 20)), min_size=1, max_size=50))
def test_what_has_gone_never_passes_the_rate(pieces: list[tuple[int, float]]) -> None:
    limit, now, gone = RateLimit(1_000_000), 100.0, 0
    for size, idle in pieces:
        now += idle + limit.delay_seconds(size, now + idle)
        assert gone <= (now - 100.0) * 1_000_000 + 1e-3
        gone += size


def test_a_piece_that_waits_for_the_one_before_waits_exactly_its_time() -> None:
    limit = RateLimit(1000)
    assert limit.delay_seconds(500, 10.0) == 0
    assert limit.delay_seconds(500, 10.0) == 0.5
    assert limit.delay_seconds(500, 10.75) == 0.25


def test_without_a_bound_nothing_waits() -> None:
    limit = RateLimit(0)
    assert [limit.delay_seconds(1 << 40, 0.0) for _ in range(3)] == [0, 0, 0]
