"""Privacy masks in decoded pictures."""

from collections.abc import Iterator

import av
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.contracts.models import PrivacyMask
from services.wall.masking import BLACK, COLOURLESS, draw_masks, rectangles

parts = st.floats(min_value=0, max_value=0.999)
ROUNDING = 1e-9
"""In parts of a picture. A third of its width is no float; a pixel that overlaps a mask by less is not touched."""


def picture(width_px: int, height_px: int, pixel_format: str = "yuv420p") -> av.VideoFrame:
    """A white one."""
    frame = av.VideoFrame(width_px, height_px, pixel_format)
    for plane, value in zip(frame.planes, (235, 90, 240), strict=True):
        plane.update(bytes((value,)) * plane.buffer_size)
    return frame


def pixels(frame: av.VideoFrame, plane: int) -> Iterator[tuple[int, int, int]]:
    """Column, row and value of each."""
    each = frame.planes[plane]
    held = bytes(each)
    for y in range(each.height):
        for x in range(each.width):
            yield x, y, held[y * each.line_size + x]


@given(parts, parts, parts, parts, st.integers(2, 33), st.integers(2, 33))
@example(1 / 3, 0.0, 0.0, 0.0, 24, 2)
def test_no_pixel_that_a_mask_touches_is_left_and_what_is_two_pixels_away_is(
    x: float, y: float, width: float, height: float, width_px: int, height_px: int
) -> None:
    mask = PrivacyMask(x=x, y=y, width=max(width, 0.001), height=max(height, 0.001))
    frame = picture(width_px, height_px)
    draw_masks(frame, rectangles((mask,)))
    right, bottom = mask.x + mask.width, mask.y + mask.height
    for plane, masked in ((0, BLACK), (1, COLOURLESS), (2, COLOURLESS)):
        size = 2 if plane else 1
        for column, row, value in pixels(frame, plane):
            left, top = column * size / width_px, row * size / height_px
            across = min(right, left + size / width_px) - max(x, left)
            down = min(bottom, top + size / height_px) - max(y, top)
            if min(across, down) > ROUNDING:
                assert value == masked, (plane, column, row)
            elif left >= right + 3 / width_px or top >= bottom + 3 / height_px:
                assert value != masked, (plane, column, row)


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuvj420p"])
def test_a_mask_of_the_whole_picture_leaves_nothing_and_two_masks_are_both_drawn(pixel_format: str) -> None:
    whole = picture(64, 48, pixel_format)
    draw_masks(whole, rectangles((PrivacyMask(x=0, y=0, width=1, height=1),)))
    assert {value for _, _, value in pixels(whole, 0)} == {BLACK}
    two = picture(64, 48, pixel_format)
    corners = (PrivacyMask(x=0, y=0, width=0.25, height=0.25), PrivacyMask(x=0.75, y=0.75, width=0.9, height=0.9))
    draw_masks(two, rectangles(corners))
    found = {(x, y): value for x, y, value in pixels(two, 0)}
    assert (found[0, 0], found[15, 11], found[63, 47], found[48, 36]) == (BLACK,) * 4
    assert (found[32, 24], found[63, 0]) == (235, 235)
