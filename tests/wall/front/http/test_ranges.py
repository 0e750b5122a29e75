"""``Range`` as RFC 9110 has it."""

import pytest

from services.wall.front.http.ranges import ByteRange, UnsatisfiableRangeError, parse_range


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (None, None),
        ("bytes=0-9", ByteRange(0, 10)),
        ("bytes=90-", ByteRange(90, 10)),
        ("bytes=90-1000", ByteRange(90, 10)),
        ("bytes=-10", ByteRange(90, 10)),
        ("bytes=-1000", ByteRange(0, 100)),
        ("Bytes=99-99", ByteRange(99, 1)),
        ("bytes=9-0", None),
        ("bytes=-", None),
        ("bytes=0-1,5-6", None),
        ("lines=0-1", None),
        ("bytes=x", None),
    ],
)
def test_one_range_is_taken_and_what_is_none_gets_all_of_the_file(header: str | None, found: ByteRange | None) -> None:
    assert parse_range(header, 100) == found


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_a_range_behind_the_end_is_refused(header: str) -> None:
    with pytest.raises(UnsatisfiableRangeError):
        parse_range(header, 100)


def test_content_range_counts_from_nought_to_the_last_byte() -> None:
    assert ByteRange(90, 10).content_range(100) == "bytes 90-99/100"
