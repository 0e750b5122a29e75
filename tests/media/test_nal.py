import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.media import nal

# A unit never ends in a zero byte and holds no start code: what an encoder's escaping guarantees.
units_of_a_stream = st.lists(st.binary(min_size=1, max_size=60).map(lambda b: nal.escape(b) + b"\x80"), max_size=6)


@given(units_of_a_stream)
def test_annex_b_gives_back_what_was_joined(units: list[bytes]) -> None:
    assert nal.split_annex_b(nal.join_annex_b(units)) == units


@given(units_of_a_stream)
def test_length_prefixes_give_back_what_was_joined(units: list[bytes]) -> None:
    joined = nal.join_length_prefixed(units)
    assert nal.split_length_prefixed(joined) == units
    assert nal.length_prefixed_to_annex_b(joined) == nal.join_annex_b(units)
    assert nal.annex_b_to_length_prefixed(nal.join_annex_b(units)) == joined


@given(st.binary(max_size=80))
def test_any_bytes_split_or_are_refused(data: bytes) -> None:
    try:
        units = nal.split_length_prefixed(data)
    except nal.BitstreamError:
        return
    assert sum(len(unit) for unit in units) <= len(data)


@given(st.binary(max_size=80))
def test_annex_b_takes_any_bytes(data: bytes) -> None:
    assert all(unit and b"\0\0\1" not in unit for unit in nal.split_annex_b(data))


@given(st.binary(max_size=60).map(lambda b: b + b"\x80"))
def test_escaping_is_undone_and_leaves_no_start_code(rbsp: bytes) -> None:
    escaped = nal.escape(rbsp)
    assert nal.unescape(escaped) == rbsp
    assert b"\0\0\0" not in escaped
    assert b"\0\0\1" not in escaped


def test_start_codes_of_both_lengths_and_padding_are_taken_away() -> None:
    assert nal.split_annex_b(b"junk\0\0\1\x67ab\0\0\0\1\x68c\0\0\0\0\0\1\x65d\0\0") == [b"\x67ab", b"\x68c", b"\x65d"]


def test_a_length_that_leads_outside_is_refused() -> None:
    with pytest.raises(nal.BitstreamError, match="leads"):
        nal.split_length_prefixed(b"\0\0\0\5abc")


def test_exp_golomb_codes_follow_table_9_2() -> None:
    reader = nal.BitReader(bytes((0b1_010_011_0, 0b0100_0010, 0b1_0000000)))
    assert [reader.ue() for _ in range(5)] == [0, 1, 2, 3, 4]
    reader = nal.BitReader(bytes((0b1_010_011_0, 0b0100_0010, 0b1_0000000)))
    assert [reader.se() for _ in range(5)] == [0, 1, -1, 2, -2]


def test_reading_behind_the_end_is_an_error() -> None:
    reader = nal.BitReader(b"\0")
    with pytest.raises(nal.BitstreamError):
        reader.ue()
