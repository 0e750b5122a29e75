"""G.711's rate on its way through the mesh."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.media.g711 import G711Config, parse_config
from services.media.nal import BitstreamError


@given(st.integers(1, 192_000), st.sampled_from((1, 2)))
def test_rate_and_channels_come_back(rate: int, channels: int) -> None:
    assert parse_config(G711Config(rate, channels).pack()) == (rate, channels)


def test_eight_kilohertz_take_no_bytes() -> None:
    assert G711Config().pack() == b""
    assert parse_config(b"") == (8000, 1)


@given(st.binary(min_size=1, max_size=12))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        found = parse_config(data)
    except BitstreamError:
        return
    assert G711Config(*found).pack() in (data, b"")


@pytest.mark.parametrize("data", [b"\0\0\0\0\1", b"\0\0\x3e\x80\0", b"\0\0\x3e\x80\7"])
def test_what_no_g711_can_be_is_refused(data: bytes) -> None:
    with pytest.raises(BitstreamError):
        parse_config(data)
