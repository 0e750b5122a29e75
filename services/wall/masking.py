"""Draws a camera's privacy masks into a decoded picture: live in a relay's converter, in stills in the front."""

from collections.abc import Iterable
from math import ceil, floor
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:  # a converter is started while a viewer waits, and models take pydantic
    from av import VideoFrame

    from services.contracts.models import PrivacyMask

BLACK: Final = 16
"""Of luma. In full range it is a dark grey."""
COLOURLESS: Final = 128


class Rectangle(NamedTuple):
    """A mask, in parts of the picture's width and height."""

    left: float
    top: float
    right: float
    bottom: float


def rectangles(masks: "Iterable[PrivacyMask]") -> tuple[Rectangle, ...]:
    """The masks as they are drawn."""
    return tuple(Rectangle(each.x, each.y, each.x + each.width, each.y + each.height) for each in masks)


def draw_masks(picture: "VideoFrame", masks: Iterable[Rectangle]) -> None:
    """Blackens them, in a picture of 8 bits and 4:2:0 (yuv420p, yuvj420p). Edges go outwards to even pixels.

    The picture's own bytes are changed; where a decoder still refers to them it gets others.
    """
    picture.make_writable()
    for mask in masks:
        left, right = _even(mask.left, mask.right, picture.width)
        top, bottom = _even(mask.top, mask.bottom, picture.height)
        for plane, shift, value in zip(picture.planes, (0, 1, 1), (BLACK, COLOURLESS, COLOURLESS), strict=True):
            pixels = memoryview(plane)
            begin, end = left >> shift, (right + shift) >> shift
            row = bytes((value,)) * (end - begin)
            for y in range(top >> shift, (bottom + shift) >> shift):
                at = y * plane.line_size + begin
                pixels[at : at + len(row)] = row


def _even(begin: float, end: float, size_px: int) -> tuple[int, int]:
    last = ceil(min(end, 1.0) * size_px)
    return floor(begin * size_px) & ~1, min(last + last % 2, size_px)
