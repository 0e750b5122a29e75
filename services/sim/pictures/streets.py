"""Draws the still part of a scene: sky, buildings, road, in one of three layouts and five times of day."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, Literal

from PIL import Image, ImageDraw, ImageEnhance

RGB = tuple[int, int, int]
Point = tuple[float, float]
Layout = Literal["avenue", "street", "junction"]

LAYOUTS: Final[tuple[Layout, ...]] = ("avenue", "street", "junction")


@dataclass(frozen=True, slots=True)
class Daylight:
    """How a time of day looks."""

    name: str
    hour: int
    sky_top: RGB
    sky_low: RGB
    brightness: float
    lamps: bool


DAYLIGHTS: Final = (
    Daylight("morning", 7, (118, 168, 214), (246, 222, 186), 1.0, lamps=False),
    Daylight("noon", 12, (70, 140, 220), (190, 220, 240), 1.1, lamps=False),
    Daylight("overcast", 15, (150, 158, 166), (196, 200, 202), 0.82, lamps=False),
    Daylight("dusk", 18, (66, 56, 110), (240, 138, 84), 0.66, lamps=True),
    Daylight("night", 21, (10, 14, 34), (34, 38, 64), 0.42, lamps=True),
)

_FACADES: Final[tuple[tuple[RGB, ...], ...]] = (
    ((196, 120, 86), (222, 196, 150), (150, 92, 74), (206, 170, 120)),
    ((128, 150, 168), (190, 200, 208), (96, 116, 134), (164, 176, 180)),
    ((214, 206, 190), (170, 190, 150), (226, 178, 140), (140, 170, 166)),
    ((178, 84, 84), (230, 214, 170), (92, 128, 120), (204, 148, 92)),
)
_GREENS: Final[tuple[RGB, ...]] = ((52, 104, 48), (70, 122, 52), (40, 88, 56), (94, 128, 50))
_SUPERSAMPLE: Final = 2


class _Canvas:
    """A drawing surface whose coordinates run from 0 to 1 in both directions."""

    def __init__(self, width: int, height: int) -> None:
        self.image = Image.new("RGB", (width, height))
        self._draw = ImageDraw.Draw(self.image)

    def polygon(self, points: Sequence[Point], color: RGB) -> None:
        width, height = self.image.size
        self._draw.polygon([(x * width, y * height) for x, y in points], fill=color)

    def box(self, left: float, top: float, right: float, bottom: float, color: RGB) -> None:
        width, height = self.image.size
        if right > left and bottom > top:
            self._draw.rectangle((left * width, top * height, right * width, bottom * height), fill=color)

    def disc(self, x: float, y: float, radius: float, color: RGB) -> None:
        self._draw.ellipse(self._around(x, y, radius), fill=color)

    def veil(self, discs: Sequence[tuple[float, float, float]], color: RGB, alpha: int) -> None:
        """Translucent discs (x, y, radius); where they overlap they are no denser."""
        mask = Image.new("L", self.image.size)
        draw = ImageDraw.Draw(mask)
        for disc in discs:
            draw.ellipse(self._around(*disc), fill=alpha)
        self.image.paste(color, mask=mask)

    def gradient(self, top: RGB, low: RGB, height_share: float) -> None:
        """A vertical run of colors over the upper part of the picture."""
        column = Image.new("RGB", (1, 64))
        for row in range(64):
            share = row / 63
            red, green, blue = (round(a + (b - a) * share) for a, b in zip(top, low, strict=True))
            column.putpixel((0, row), (red, green, blue))
        size = self.image.width, round(self.image.height * height_share)
        self.image.paste(column.resize(size, Image.Resampling.BILINEAR))

    def _around(self, x: float, y: float, radius: float) -> tuple[float, float, float, float]:
        width, height = self.image.size
        x, y, radius = x * width, y * height, radius * height
        return x - radius, y - radius, x + radius, y + radius


def draw(layout: Layout, daylight: Daylight, random: Random, width: int, height: int) -> Image.Image:
    """The background of a scene as an RGB image of the given size."""
    canvas = _Canvas(width * _SUPERSAMPLE, height * _SUPERSAMPLE)
    _sky(canvas, daylight, random)
    _LAYOUTS[layout](canvas, daylight, random)
    canvas.image = ImageEnhance.Brightness(canvas.image).enhance(daylight.brightness)
    if daylight.lamps:
        _glow(canvas, layout, random)
    return canvas.image.resize((width, height), Image.Resampling.BOX)


def _shade(color: RGB, factor: float) -> RGB:
    red, green, blue = (min(255, max(0, round(part * factor))) for part in color)
    return red, green, blue


def _sky(canvas: _Canvas, daylight: Daylight, random: Random) -> None:
    canvas.gradient(daylight.sky_top, daylight.sky_low, 0.6)
    x = random.uniform(0.1, 0.9)
    if daylight.lamps:
        canvas.disc(x, 0.1, 0.03, (235, 235, 215))
    elif daylight.name != "overcast":
        canvas.disc(x, 0.08, 0.045, (255, 244, 200))
    for _ in range(random.randint(2, 6)):
        x, y, radius = random.random(), random.uniform(0.04, 0.22), random.uniform(0.03, 0.06)
        canvas.veil(
            [(x + part * radius * 0.5, y + random.uniform(-0.012, 0.012), radius) for part in range(5)],
            (255, 255, 255), 70 if daylight.lamps else 150,
        )  # fmt: skip


def _facade(canvas: _Canvas, left: float, top: float, right: float, bottom: float, random: Random, lit: bool) -> None:
    """An upright house front with rows of windows."""
    color = random.choice(random.choice(_FACADES))
    canvas.box(left, top, right, bottom, color)
    canvas.box(left, top, right, top + 0.012, _shade(color, 0.7))
    columns = max(2, round((right - left) / 0.028))
    rows = max(2, round((bottom - top) / 0.075))
    cell_w, cell_h = (right - left) / columns, (bottom - top) / rows
    for row in range(rows):
        for column in range(columns):
            x, y = left + (column + 0.25) * cell_w, top + (row + 0.3) * cell_h
            pane: RGB = (
                (255, 214, 120) if lit and random.random() < 0.45 else _shade((70, 92, 112), random.uniform(0.7, 1.3))
            )
            canvas.box(x, y, x + cell_w * 0.5, y + cell_h * 0.45, pane)
    shop: RGB = random.choice(((190, 40, 40), (30, 90, 160), (230, 170, 30), (40, 120, 70)))
    canvas.box(left + 0.004, bottom - 0.07, right - 0.004, bottom - 0.045, shop)
    canvas.box(left + 0.01, bottom - 0.045, right - 0.01, bottom, _shade(color, 0.45))


def _tree(canvas: _Canvas, x: float, foot: float, size: float, random: Random) -> None:
    canvas.box(x - size * 0.05, foot - size * 0.6, x + size * 0.05, foot, (78, 58, 40))
    for _ in range(9):
        canvas.disc(
            x + random.uniform(-0.28, 0.28) * size, foot - size * random.uniform(0.6, 1.2),
            size * random.uniform(0.2, 0.36), random.choice(_GREENS),
        )  # fmt: skip


def _avenue(canvas: _Canvas, daylight: Daylight, random: Random) -> None:
    """A road that runs away from the camera between two rows of houses."""
    vanish_x, horizon = 0.5, 0.4
    canvas.box(0, horizon, 1, 1, (128, 130, 112))
    for side in (-1, 1):
        depth = 1.0
        while depth > 0.12:
            nearer, depth = depth, depth * random.uniform(0.66, 0.8)
            tall = random.uniform(0.32, 0.6)
            color = _shade(random.choice(random.choice(_FACADES)), 0.75 + 0.3 * (1 - depth))
            near_x, far_x = vanish_x + side * 0.62 * nearer, vanish_x + side * 0.62 * depth
            near_foot, far_foot = horizon + 0.3 * nearer, horizon + 0.3 * depth
            near_top, far_top = horizon - tall * nearer, horizon - tall * depth
            canvas.polygon(((near_x, near_top), (far_x, far_top), (far_x, far_foot), (near_x, near_foot)), color)
            _receding_windows(canvas, (near_x, near_top, near_foot), (far_x, far_top, far_foot), random, daylight.lamps)
        canvas.polygon(((vanish_x, horizon), (vanish_x + side * 0.9, 1), (vanish_x, 1)), (150, 146, 138))
    road: RGB = (78, 78, 82)
    canvas.polygon(((vanish_x - 0.012, horizon), (vanish_x + 0.012, horizon), (1.02, 1), (-0.02, 1)), road)
    for side in (-1, 1):
        canvas.polygon(
            ((vanish_x + side * 0.011, horizon), (vanish_x + side * 0.012, horizon),
             (vanish_x + side * 0.52, 1), (vanish_x + side * 0.505, 1)), (210, 200, 170),
        )  # fmt: skip
    near = 1.0
    while near > 0.03:
        far = near * 0.86
        near_y, far_y = horizon + 0.6 * near, horizon + 0.6 * far
        for x, half in ((0.0, 0.012), (-0.26, 0.006), (0.26, 0.006)):
            left, right = x - half, x + half
            canvas.polygon(
                ((vanish_x + left * near, near_y), (vanish_x + right * near, near_y),
                 (vanish_x + right * far, far_y), (vanish_x + left * far, far_y)),
                (228, 226, 214),
            )  # fmt: skip
        near = far * 0.84
    for side in (-1, 1):
        for depth in (0.2, 0.3, 0.45, 0.7):
            _tree(canvas, vanish_x + side * 0.6 * depth, horizon + 0.42 * depth, 0.34 * depth, random)


def _receding_windows(
    canvas: _Canvas, near: tuple[float, float, float], far: tuple[float, float, float], random: Random, lit: bool
) -> None:
    """Windows on a wall that runs from ``near`` to ``far``, each given as x, top and foot."""
    columns, rows = random.randint(3, 5), random.randint(3, 6)

    def at(u: float, v: float) -> Point:
        x, top, foot = (n + (f - n) * u for n, f in zip(near, far, strict=True))
        return x, top + (foot - top) * v

    for column in range(columns):
        for row in range(rows):
            u0, u1 = (column + 0.25) / columns, (column + 0.75) / columns
            v0, v1 = (row + 0.3) / rows, (row + 0.75) / rows
            pane: RGB = (255, 214, 120) if lit and random.random() < 0.4 else (66, 84, 104)
            canvas.polygon((at(u0, v0), at(u1, v0), at(u1, v1), at(u0, v1)), pane)


def _street(canvas: _Canvas, daylight: Daylight, random: Random) -> None:
    """A road that crosses the picture, houses behind it."""
    left = -0.05
    while left < 1:
        width = random.uniform(0.1, 0.24)
        _facade(canvas, left, random.uniform(0.08, 0.34), left + width, 0.56, random, daylight.lamps)
        left += width + random.choice((0.0, 0.0, 0.03))
    canvas.box(0, 0.56, 1, 0.63, (164, 158, 148))
    for step in range(25):
        canvas.box(step / 25, 0.56, step / 25 + 0.002, 0.63, (136, 132, 124))
    canvas.box(0, 0.63, 1, 0.645, (206, 202, 190))
    canvas.box(0, 0.645, 1, 0.93, (74, 75, 80))
    for step in range(12):
        canvas.box(step / 12, 0.775, step / 12 + 0.04, 0.785, (226, 222, 206))
    canvas.box(0, 0.93, 1, 1, (150, 145, 134))
    for _ in range(random.randint(2, 5)):
        _tree(canvas, random.uniform(0.03, 0.97), 0.6, random.uniform(0.2, 0.34), random)


def _junction(canvas: _Canvas, daylight: Daylight, random: Random) -> None:
    """Two roads that cross, seen from above."""
    canvas.box(0, 0, 1, 1, (118, 128, 96))
    for left, right in ((0.0, 0.34), (0.6, 1.0)):
        for top, bottom in ((0.0, 0.3), (0.66, 1.0)):
            canvas.box(left, top, right, bottom, random.choice(((132, 140, 104), (160, 150, 132), (104, 124, 88))))
            for _ in range(5):
                x, y = random.uniform(left, right - 0.1), random.uniform(top, bottom - 0.12)
                roof = random.choice(((168, 82, 60), (140, 70, 58), (120, 126, 132), (190, 180, 166)))
                width, height = random.uniform(0.08, 0.14), random.uniform(0.1, 0.16)
                canvas.box(
                    x + 0.008, y + 0.014, min(x + width + 0.008, right), min(y + height + 0.014, bottom), (40, 44, 40)
                )
                canvas.box(x, y, min(x + width, right), min(y + height / 2, bottom), _shade(roof, 1.12))
                canvas.box(x, y + height / 2, min(x + width, right), min(y + height, bottom), _shade(roof, 0.88))
            for _ in range(6):
                canvas.disc(random.uniform(left, right), random.uniform(top, bottom), random.uniform(0.02, 0.04),
                            random.choice(_GREENS))  # fmt: skip
    road: RGB = (82, 82, 86)
    canvas.box(0, 0.34, 1, 0.62, road)
    canvas.box(0.37, 0, 0.57, 1, road)
    for step in range(14):
        x = step / 14
        if not 0.33 < x < 0.6:
            canvas.box(x, 0.477, x + 0.035, 0.484, (230, 226, 208))
        if not 0.28 < x < 0.66:
            canvas.box(0.469, x, 0.472, x + 0.04, (230, 226, 208))
    for step in range(6):
        canvas.box(0.345, 0.36 + step * 0.043, 0.365, 0.38 + step * 0.043, (236, 234, 226))
        canvas.box(0.575, 0.36 + step * 0.043, 0.595, 0.38 + step * 0.043, (236, 234, 226))


_LAYOUTS: Final[dict[Layout, Callable[[_Canvas, Daylight, Random], None]]] = {
    "avenue": _avenue,
    "street": _street,
    "junction": _junction,
}


def _glow(canvas: _Canvas, layout: Layout, random: Random) -> None:
    """Street lamps and the light around them."""
    spots = {
        "avenue": [(0.5 + side * 0.56 * d, 0.4 - 0.24 * d, 0.22 * d) for side in (-1, 1) for d in (0.25, 0.4, 0.7)],
        "street": [(x + random.uniform(-0.03, 0.03), 0.4, 0.14) for x in (0.15, 0.4, 0.65, 0.9)],
        "junction": [(x, y, 0.16) for x in (0.34, 0.6) for y in (0.31, 0.65)],
    }[layout]
    for x, y, radius in spots:
        for ring in range(4):
            canvas.veil([(x, y, radius * (1 - ring / 5))], (255, 206, 120), 22)
        canvas.disc(x, y, radius * 0.08, (255, 240, 200))
