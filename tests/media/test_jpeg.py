import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.media import jpeg
from services.media.nal import BitstreamError
from tests.media import encoded


def test_size_of_an_encoded_picture() -> None:
    stream = encoded.video("mjpeg", size=(176, 98), frames=2, pixel_format="yuvj420p")
    assert jpeg.size_px(stream.packets[0].data) == (176, 98)


@given(st.binary(max_size=64))
def test_any_bytes_are_read_or_refused(tail: bytes) -> None:
    for data in (tail, b"\xff\xd8" + tail, b"\xff\xd8\xff" + tail):
        try:
            width, height = jpeg.size_px(data)
        except BitstreamError:
            continue
        assert width
        assert height


def test_a_picture_without_frame_header_is_refused() -> None:
    with pytest.raises(BitstreamError):
        jpeg.size_px(b"\xff\xd8\xff\xd9")
