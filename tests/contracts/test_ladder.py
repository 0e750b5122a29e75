import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts.ladder import EXAMPLE, Ladder, parse_ladder


def test_the_example_is_read() -> None:
    assert parse_ladder(EXAMPLE) == Ladder(10 * 86_400, 60 * 86_400, 10)


@pytest.mark.parametrize(
    ("text", "ladder"),
    [
        ("full 10 d", Ladder(864_000)),
        ("FULL 36h", Ladder(129_600)),
        ("full for ever", Ladder(math.inf)),
        ("full 1.5d, keyframes forever every 1m", Ladder(129_600, math.inf, 60)),
        ("full 1w,keyframes 2w every 0.5s", Ladder(604_800, 1_209_600, 0.5)),
    ],
)
def test_ladders_as_people_write_them(text: str, ladder: Ladder) -> None:
    assert parse_ladder(text) == ladder


@pytest.mark.parametrize(
    "text",
    ["", "10d", "full", "full 10", "full 10y", "full 10d, keyframes 60d", "full 10d, keyframes 5d every 10s",
     "full 10d, keyframes 60d every 0s", "full 10d, full 20d", "full 10d, keyframes 60d every 10s, hold",
     "full for ever, keyframes for ever every 10s", "full -1d"],
)  # fmt: skip
def test_what_is_no_ladder_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"full|keyframes|every"):
        parse_ladder(text)


@given(st.integers(0, 10_000_000), st.integers(1, 10_000_000) | st.just(math.inf), st.integers(1, 100_000))
def test_a_ladder_s_text_gives_it_back(full: int, longer: float, every: int) -> None:
    for ladder in (Ladder(full), Ladder(full, full + longer, every)):
        assert parse_ladder(str(ladder)) == (ladder if ladder.keyframes_seconds else Ladder(full))


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        ladder = parse_ladder(text)
    except ValueError:
        return
    assert ladder.total_seconds >= ladder.full_seconds >= 0
