"""A whole scene: street, traffic, the camera's name, a running clock, sensor noise and the marker."""

from random import Random
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from services.sim.pictures import marker, streets, traffic
from services.sim.pictures.planes import Planes, Sprite

_NOISE: Final = 2
_NOISE_MARGIN: Final = 64
_GLYPHS: Final = "0123456789:."


class Scene:
    """The pictures of one camera at one size. ``number`` (from 1) chooses the street and stands in the marker."""

    def __init__(self, number: int, label: str, width_px: int, height_px: int, *, marked: bool = True) -> None:
        random = Random(number)
        self._marked = marked
        self.number = number
        self._layout = streets.LAYOUTS[(number - 1) % len(streets.LAYOUTS)]
        self._daylight = streets.DAYLIGHTS[(number - 1) % len(streets.DAYLIGHTS)]
        self._movers = traffic.movers(self._layout, random)
        image = streets.draw(self._layout, self._daylight, random, width_px, height_px)
        font = ImageFont.load_default(size=height_px / 18)
        _paint_label(image, label, font)
        self._background = Planes.from_image(image)
        # Room for the noise, so that its addition never wraps around.
        np.clip(self._background.y, 16 + _NOISE, 235 - _NOISE, out=self._background.y)
        self._glyphs = {glyph: _glyph(glyph, font) for glyph in _GLYPHS}
        noise = np.random.default_rng(number).integers(
            -_NOISE, _NOISE + 1, (height_px + _NOISE_MARGIN, width_px + _NOISE_MARGIN), dtype=np.int8
        )
        self._noise = noise.view(np.uint8)
        self._label_bottom = round(height_px / 9)
        blank = self._background
        self._frame = Planes(np.empty_like(blank.y), np.empty_like(blank.u), np.empty_like(blank.v))

    def frame(self, index: int, loop_frames: int, frame_rate: int) -> Planes:
        """Frame ``index`` of the loop. The planes are overwritten by the next call."""
        frame = self._frame
        self._background.copy_to(frame)
        traffic.paint(frame, self._movers, self._layout, self._daylight.lamps, index / loop_frames)
        height, width = frame.y.shape
        shift = Random(index)
        top, left = shift.randrange(_NOISE_MARGIN), shift.randrange(_NOISE_MARGIN)
        street = slice(self._label_bottom, round(marker.BAND_TOP * height) if self._marked else height)
        # Modulo 256 this is the addition of small signed numbers.
        frame.y[street] += self._noise[top : top + height, left : left + width][street]
        self._paint_clock(frame, index, frame_rate)
        if self._marked:
            marker.paint(frame.y, self.number, index)
            band = slice(round(marker.BAND_TOP * height / 2), round(marker.BAND_BOTTOM * height / 2))
            frame.u[band] = frame.v[band] = 128
        return frame

    def _paint_clock(self, frame: Planes, index: int, frame_rate: int) -> None:
        second, part = divmod(index, frame_rate)
        text = f"{self._daylight.hour:02d}:{self.number % 60:02d}:{second:02d}.{part * 100 // frame_rate:02d}"
        width = frame.y.shape[1]
        left = width - sum(self._glyphs[glyph].width for glyph in text) - width // 50
        for glyph in text:
            sprite = self._glyphs[glyph]
            sprite.blend(frame, left, width // 100)
            left += sprite.width


def _paint_label(image: Image.Image, label: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> None:
    draw = ImageDraw.Draw(image)
    x, y = image.width // 50, image.width // 100
    draw.text(
        (x, y), label, font=font, fill=(255, 255, 255), stroke_width=max(1, image.height // 240), stroke_fill=(0, 0, 0)
    )


def _glyph(glyph: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> Sprite:
    """A white sign on a black plate, all digits equally wide."""
    left, _, right, _ = font.getbbox("0" if glyph.isdigit() else glyph)
    _, top, _, bottom = font.getbbox("0123456789")
    margin = 2
    size = _even(right - left + 2 * margin), _even(bottom - top + 4 * margin)
    image = Image.new("RGBA", size, (0, 0, 0, 255))
    ImageDraw.Draw(image).text((margin - left, 2 * margin - top), glyph, font=font, fill=(255, 255, 255, 255))
    return Sprite(image)


def _even(length: float) -> int:
    return round(length / 2 + 0.5) * 2
