"""The machine-readable band at the foot of every simulated picture: which camera, and which frame of the loop.

Geometry, in fractions of the picture (so that it is the same at any scale):

- The band is 18 × 2 cells. A cell is W/20 wide and 2·H/45 high (64 × 32 px at 1280 × 720, 10 × 5 px in a tile 200 px
  wide). Column ``c`` (0…17) begins at x = (1 + c)·W/20; row ``r`` (0, 1) at y = (39 + 2·r)·H/45. All of
  y = 38·H/45 … 44·H/45 around it is black.
- A white cell (luma 235) is 1, a black one (luma 16) 0.
- Row 0 is 1, sixteen bits, 0; row 1 is 0, sixteen bits, 1. The four outer cells are the sync pattern, and give the
  threshold: the middle between the mean of the two white and the mean of the two black ones.
- Row 0's bits, then row 1's, most significant first, are a 32-bit word: camera (12 bits), frame (12), CRC (8). The CRC
  has polynomial x⁸+x²+x+1 (0x07), begins at 0xFF, and runs over the word's first three bytes.

Read each cell as the mean of its middle half in both directions. In a page, with ``data`` from
``context.getImageData(0, 0, W, H)`` of the video drawn alone on a canvas::

    const luma = (x, y) => { const i = 4 * (Math.floor(y) * W + Math.floor(x));
                             return 0.299 * data[i] + 0.587 * data[i + 1] + 0.114 * data[i + 2]; };
    const cell = (r, c) => luma((1.5 + c) * W / 20, (40 + 2 * r) * H / 45);
    const middle = (cell(0, 0) + cell(1, 17) + cell(0, 17) + cell(1, 0)) / 4;
    const row = r => { let v = 0; for (let c = 1; c < 17; c++) v = v * 2 + (cell(r, c) > middle ? 1 : 0); return v; };
    const word = [row(0), row(1)];            // camera = word[0] >> 4
    const frame = (word[0] & 15) << 8 | word[1] >> 8;
    let crc = 0xff;
    for (let byte of [word[0] >> 8, word[0] & 255, word[1] >> 8]) {
      crc ^= byte; for (let i = 0; i < 8; i++) crc = (crc << 1 ^ (crc & 128 ? 0x107 : 0)) & 255; }
    // valid when cell(0,0), cell(1,17) > middle > cell(0,17), cell(1,0), and crc === (word[1] & 255)
"""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

MAX_CAMERA: Final = 0xFFF
MAX_FRAME: Final = 0xFFF
BAND_TOP: Final = 38 / 45
BAND_BOTTOM: Final = 44 / 45

_COLUMNS: Final = 18
_BLACK: Final = 16
_WHITE: Final = 235
_LEAST_CONTRAST: Final = 40.0
_LUMA: Final = np.array([0.299, 0.587, 0.114])


class Marker(NamedTuple):
    """The content of a picture's band."""

    camera: int
    """The number of the camera; of the scene where cameras share scenes."""
    frame: int
    """The position in the loop, in presentation order, from 0."""


def paint(luma: NDArray[np.uint8], camera: int, frame: int) -> None:
    """Paints the band into a luma plane of shape (H, W), in place; chroma there has to be neutral (128).

    Raises ValueError where camera or frame do not fit into 12 bits.
    """
    if not (0 <= camera <= MAX_CAMERA and 0 <= frame <= MAX_FRAME):
        raise ValueError(f"camera {camera} and frame {frame} must fit into 12 bits each")
    height, width = luma.shape
    luma[_at(38, 45, height) : _at(44, 45, height)] = _BLACK
    word = camera << 12 | frame
    word = word << 8 | _crc8(word.to_bytes(3, "big"))
    rows = ((1, *_bits(word >> 16), 0), (0, *_bits(word & 0xFFFF), 1))
    for row, cells in enumerate(rows):
        top, bottom = _at(39 + 2 * row, 45, height), _at(41 + 2 * row, 45, height)
        for column, bit in enumerate(cells):
            if bit:
                luma[top:bottom, _at(1 + column, 20, width) : _at(2 + column, 20, width)] = _WHITE


def read(picture: NDArray[Any]) -> Marker | None:
    """The marker in a picture: gray (H, W), RGB (H, W, 3) or RGBA (H, W, 4), any scale down to about 100 px wide.

    ``picture`` is the whole camera picture and nothing else. None where the band is not there or not intact.
    """
    height, width = picture.shape[:2]
    if height < 45 or width < 40:
        return None
    top = _at(38, 45, height)
    band: NDArray[Any] = picture[top:, :, :3] @ _LUMA if picture.ndim == 3 else picture[top:]
    cells = np.empty((2, _COLUMNS))
    for row in range(2):
        y0, y1 = _middle(39 + 2 * row, 41 + 2 * row, 45, height)
        for column in range(_COLUMNS):
            x0, x1 = _middle(1 + column, 2 + column, 20, width)
            cells[row, column] = band[y0 - top : y1 - top, x0:x1].mean()
    white = (cells[0, 0] + cells[1, -1]) / 2
    black = (cells[0, -1] + cells[1, 0]) / 2
    if white - black < _LEAST_CONTRAST:
        return None
    bits = cells > (white + black) / 2
    if not bits[0, 0] or not bits[1, -1] or bits[0, -1] or bits[1, 0]:
        return None
    word = int.from_bytes(np.packbits(bits[:, 1:-1]).tobytes(), "big")
    if _crc8((word >> 8).to_bytes(3, "big")) != word & 0xFF:
        return None
    return Marker(word >> 20, word >> 8 & 0xFFF)


def _at(numerator: int, denominator: int, length: int) -> int:
    return round(numerator * length / denominator)


def _middle(first: int, last: int, denominator: int, length: int) -> tuple[int, int]:
    """The pixels of the middle half of a cell, at least one."""
    begin, end = first * length / denominator, last * length / denominator
    quarter = (end - begin) / 4
    low, high = round(begin + quarter), round(end - quarter)
    if high <= low:
        low = int((begin + end) / 2)
        high = low + 1
    return low, high


def _bits(value: int) -> tuple[int, ...]:
    return tuple(value >> shift & 1 for shift in range(15, -1, -1))


def _crc8(data: bytes) -> int:
    crc = 0xFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1) ^ (0x107 if crc & 0x80 else 0)
    return crc
