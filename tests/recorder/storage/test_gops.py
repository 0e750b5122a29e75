import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.recorder.storage import gops
from services.recorder.storage.gops import Gop

steps = st.tuples(*([st.integers(0, 1 << 40)] * 5), st.just(0) | st.integers(0, 1 << 40))


@given(st.lists(steps, max_size=40))
def test_a_keyframe_index_gives_back_its_gops(deltas: list[tuple[int, int, int, int, int, int]]) -> None:
    made: list[Gop] = []
    for time, offset, key, other, frames, damaged in deltas:
        last = made[-1] if made else Gop(0, 0, 0, 0, 0)
        made.append(Gop(last.time_90k + time, last.fragment_offset + offset, key, other, frames, damaged))
    assert gops.unpack(gops.pack(made)) == made


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(blob: bytes) -> None:
    try:
        found = gops.unpack(blob)
    except ValueError:
        return
    assert gops.unpack(gops.pack(found)) == found


def test_a_keyframe_index_without_damage_is_as_it_always_was() -> None:
    assert gops.pack([Gop(0, 1000, 2, 3, 4)]).hex() == "0100e807020304"
    assert gops.pack([Gop(0, 1000, 2, 3, 4, 5)]).hex() == "0200e80702030405"


def test_damaged_pictures_are_the_last_of_their_gop() -> None:
    whole, half, all_of_it = (0, 10, 1, 1, 25), (90_000, 20, 1, 1, 25, 45_000), (180_000, 30, 1, 1, 25, 90_000)
    made = [Gop(*whole), Gop(*half), Gop(*all_of_it), Gop(270_000, 40, 1, 1, 25, 9_000)]
    assert gops.damaged_spans(made, 5_000_000, 9_000_000) == [(6_500_000, 8_000_000), (8_900_000, 9_000_000)]


def test_gops_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="order"):
        gops.pack([Gop(10, 0, 1, 1, 1), Gop(5, 0, 1, 1, 1)])


def test_a_day_of_two_second_gops_takes_less_than_half_a_megabyte() -> None:
    day = [Gop(index * 180_000, index * 1_000_000, 120_000, 880_000, 50) for index in range(43_200)]
    assert len(gops.pack(day)) < 600_000
