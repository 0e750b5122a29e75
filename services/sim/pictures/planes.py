"""Pictures as YUV 4:2:0 planes, and sprites that are blended into them. Nothing else is done per frame."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

U8 = NDArray[np.uint8]
U16 = NDArray[np.uint16]

# BT.601 as video encoders expect it: luma 16…235, chroma 16…240 around 128.
_TO_YUV: Final = np.array(
    [[0.257, 0.504, 0.098], [-0.148, -0.291, 0.439], [0.439, -0.368, -0.071]], dtype=np.float32
)  # fmt: skip


@dataclass(slots=True)
class Planes:
    """One picture: luma of shape (H, W), chroma of (H/2, W/2)."""

    y: U8
    u: U8
    v: U8

    @classmethod
    def from_image(cls, image: Image.Image) -> "Planes":
        """The planes of an RGB image with even sides."""
        y, u, v = _convert(np.asarray(image.convert("RGB"), dtype=np.float32))
        return cls(np.rint(y).astype(np.uint8), _halve(u), _halve(v))

    def copy_to(self, other: "Planes") -> None:
        """Overwrites ``other``, which has the same shape."""
        np.copyto(other.y, self.y)
        np.copyto(other.u, self.u)
        np.copyto(other.v, self.v)


class Sprite:
    """A small picture with transparency, ready to be blended into planes at even positions."""

    __slots__ = ("_planes", "height", "width")

    def __init__(self, image: Image.Image) -> None:
        """From an RGBA image; it is padded to even sides."""
        width, height = image.width + image.width % 2, image.height + image.height % 2
        padded = Image.new("RGBA", (width, height))
        padded.paste(image)
        rgba = np.asarray(padded, dtype=np.float32)
        alpha = rgba[..., 3]
        half_alpha = _halve(alpha)
        y, u, v = _convert(rgba[..., :3])
        self.width, self.height = width, height
        self._planes = (
            _premultiply(np.rint(y), alpha),
            _premultiply(_halve(u), half_alpha),
            _premultiply(_halve(v), half_alpha),
        )

    def blend(self, onto: Planes, left: int, top: int) -> None:
        """Blends it in with its upper left corner at the even position below (left, top); what is outside is cut."""
        left, top = left & ~1, top & ~1
        height, width = onto.y.shape
        x0, x1 = max(left, 0), min(left + self.width, width)
        y0, y1 = max(top, 0), min(top + self.height, height)
        if x0 >= x1 or y0 >= y1:
            return
        for plane, (color, inverse), scale in zip((onto.y, onto.u, onto.v), self._planes, (1, 2, 2), strict=True):
            to = (slice(y0 // scale, y1 // scale), slice(x0 // scale, x1 // scale))
            of = (
                slice((y0 - top) // scale, (y1 - top) // scale),
                slice((x0 - left) // scale, (x1 - left) // scale),
            )
            mixed = plane[to] * inverse[of]
            mixed += color[of]
            mixed >>= 8
            plane[to] = mixed


def _convert(rgb: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    yuv = rgb @ _TO_YUV.T
    return yuv[..., 0] + 16, yuv[..., 1] + 128, yuv[..., 2] + 128


def _halve(plane: NDArray[np.float32]) -> U8:
    height, width = plane.shape
    halved: U8 = np.rint(plane.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))).astype(np.uint8)
    return halved


def _premultiply(plane: NDArray[np.float32] | U8, alpha: NDArray[np.float32] | U8) -> tuple[U16, U16]:
    """Color times alpha, rounded up by the half that ``>> 8`` loses, and the inverse alpha: both at most 65280."""
    weight = np.rint(alpha.astype(np.float32) * (256 / 255)).astype(np.uint16)
    inverse = (256 - weight).astype(np.uint16)
    return (np.rint(plane).astype(np.uint16) * weight).astype(np.uint16), inverse
