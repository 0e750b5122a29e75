"""The moving part of a scene: vehicles and people, drawn once and moved along their lanes, seamless over the loop."""

from dataclasses import dataclass
from functools import lru_cache
from math import exp, log
from random import Random
from typing import Final, Literal

from PIL import Image, ImageDraw

from services.sim.pictures.planes import Planes, Sprite
from services.sim.pictures.streets import RGB, Layout

Kind = Literal["car", "truck", "angkot", "motorbike", "person"]
View = Literal["side", "rear", "front", "above"]

_COLORS: Final[tuple[RGB, ...]] = (
    (200, 36, 36), (28, 74, 160), (236, 236, 232), (34, 36, 42),
    (226, 176, 30), (24, 128, 78), (140, 146, 152), (120, 40, 110),
)  # fmt: skip
_MASTER_PX: Final = 192
_SCALE_STEP: Final = 0.07


@dataclass(frozen=True, slots=True)
class Mover:
    """One thing on one lane."""

    kind: Kind
    color: RGB
    view: View
    start: float
    """Where on its lane (0…1) it is when the loop begins."""
    turns: int
    """How often it runs along its lane in a loop; negative: backwards. Whole, so that the loop has no seam."""
    lane: float
    """Position across the road; the layout gives its scale."""
    upright: bool = False
    """On the junction: on the road that runs up and down."""


def movers(layout: Layout, random: Random) -> tuple[Mover, ...]:
    """The traffic of a scene, the farthest first."""
    found: list[Mover] = []

    def add(count: int, lane: float, turns: int, view: View, kinds: tuple[Kind, ...], upright: bool = False) -> None:
        offset = random.random()
        for index in range(count):
            start = (offset + (index + random.uniform(-0.2, 0.2)) / count) % 1
            found.append(Mover(random.choice(kinds), random.choice(_COLORS), view, start, turns, lane, upright))

    vehicles: tuple[Kind, ...] = ("car", "car", "angkot", "truck", "motorbike", "motorbike")
    if layout == "avenue":
        # Traffic keeps to the left: vehicles that leave are on the left, those that come on the right.
        for lane in (-0.36, -0.14):
            add(random.randint(1, 3), lane, 1, "rear", vehicles)
        for lane in (0.14, 0.36):
            add(random.randint(1, 3), lane, -1, "front", vehicles)
        add(random.randint(1, 3), random.choice((-0.58, 0.58)), 1, "front", ("person",))
    elif layout == "street":
        add(random.randint(2, 4), 0.605, 1, "side", ("person",))
        add(random.randint(2, 4), 0.735, random.choice((-2, -1)), "side", vehicles)
        add(random.randint(2, 4), 0.84, random.choice((1, 2)), "side", vehicles)
    else:
        add(random.randint(2, 4), 0.42, -1, "above", vehicles)
        add(random.randint(2, 4), 0.54, 1, "above", vehicles)
        add(random.randint(1, 3), 0.42, 1, "above", vehicles, upright=True)
        add(random.randint(1, 3), 0.52, -1, "above", vehicles, upright=True)
        add(random.randint(1, 3), 0.64, 1, "above", ("person",))
    return tuple(found)


def paint(onto: Planes, movers: tuple[Mover, ...], layout: Layout, lamps: bool, share: float) -> None:
    """Blends the traffic in as it stands at ``share`` (0…1) of the loop."""
    height, width = onto.y.shape
    placed = []
    for mover in movers:
        along = (mover.start + mover.turns * share) % 1
        x, foot, tall = _place(mover, layout, along)
        placed.append((foot, x, tall, mover))
    for foot, x, tall, mover in sorted(placed, key=lambda item: item[0]):
        sprite = _sprite(mover.kind, mover.color, mover.view, mover.turns < 0, mover.upright,
                         _scale(tall * height), lamps)  # fmt: skip
        sprite.blend(onto, round(x * width - sprite.width / 2), round(foot * height) - sprite.height)


def _place(mover: Mover, layout: Layout, along: float) -> tuple[float, float, float]:
    """Centre, foot and height, in fractions of the picture."""
    size = {"car": 1.0, "truck": 1.7, "angkot": 1.25, "motorbike": 0.85, "person": 0.9}[mover.kind]
    if layout == "avenue":
        # Constant speed on the ground is the inverse of the distance in the picture.
        depth = 1 / (0.8 + 11 * along)
        return 0.5 + mover.lane * depth, 0.4 + 0.6 * depth, 0.2 * size * depth
    if layout == "street":
        return -0.2 + 1.4 * along, mover.lane, 0.1 * size * (0.4 + 0.9 * (mover.lane - 0.3))
    wide = 0.075 if mover.kind in ("car", "angkot", "truck") else 0.035
    if mover.upright:
        return mover.lane, -0.1 + 1.35 * along, wide * 2.1 * (1.3 if mover.kind == "truck" else 1)
    return -0.12 + 1.24 * along, mover.lane + wide / 2, wide


def _scale(tall_px: float) -> int:
    """The nearest of a few heights (7 % apart, even), so that few sprites have to be made."""
    step = round(log(max(tall_px, 4.0)) / _SCALE_STEP)
    return max(4, round(exp(step * _SCALE_STEP) / 2) * 2)


@lru_cache(maxsize=4096)
def _sprite(kind: Kind, color: RGB, view: View, mirrored: bool, upright: bool, tall_px: int, lamps: bool) -> Sprite:
    master = _master(kind, color, view, mirrored, upright, lamps)
    wide_px = max(2, round(master.width * tall_px / master.height / 2) * 2)
    return Sprite(master.resize((wide_px, tall_px), Image.Resampling.BOX))


@lru_cache(maxsize=256)
def _master(kind: Kind, color: RGB, view: View, mirrored: bool, upright: bool, lamps: bool) -> Image.Image:
    """The largest picture of a thing, darkened where lamps are lit (but for its own lamps)."""
    image = _DRAW[view](kind, color, lamps)
    if mirrored:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if upright:
        image = image.transpose(Image.Transpose.ROTATE_270)
    if lamps:
        levels = [round(level * 0.6) if level < 240 else level for level in range(256)]
        image = image.point([*levels * 3, *range(256)])
    return image


def _side(kind: Kind, color: RGB, lamps: bool) -> Image.Image:
    """Seen from the side, driving to the right."""
    if kind == "person":
        return _person(color)
    length = {"car": 2.6, "truck": 2.4, "angkot": 2.1, "motorbike": 1.4}[kind]
    image = Image.new("RGBA", (round(_MASTER_PX * length), _MASTER_PX))
    draw = ImageDraw.Draw(image)
    w, h = image.size
    glass, tyre = (60, 84, 104, 255), (22, 22, 24, 255)
    body = (*color, 255)
    if kind == "motorbike":
        draw.polygon([(w * 0.2, h * 0.6), (w * 0.8, h * 0.55), (w * 0.7, h * 0.75), (w * 0.25, h * 0.78)], fill=body)
        draw.ellipse((w * 0.38, 0, w * 0.58, h * 0.24), fill=(*color, 255))
        draw.polygon(
            [(w * 0.36, h * 0.24), (w * 0.6, h * 0.24), (w * 0.66, h * 0.6), (w * 0.3, h * 0.62)],
            fill=(50, 60, 90, 255),
        )
    elif kind == "car":
        draw.rounded_rectangle((0, h * 0.42, w - 1, h * 0.84), h * 0.14, fill=body)
        draw.polygon([(w * 0.18, h * 0.45), (w * 0.3, h * 0.08), (w * 0.66, h * 0.08), (w * 0.82, h * 0.45)], fill=body)
        draw.polygon(
            [(w * 0.24, h * 0.43), (w * 0.33, h * 0.16), (w * 0.47, h * 0.16), (w * 0.47, h * 0.43)], fill=glass
        )
        draw.polygon([(w * 0.5, h * 0.43), (w * 0.5, h * 0.16), (w * 0.64, h * 0.16), (w * 0.75, h * 0.43)], fill=glass)
    elif kind == "angkot":
        draw.rounded_rectangle((0, h * 0.06, w - 1, h * 0.86), h * 0.1, fill=body)
        for left in (0.08, 0.32, 0.56, 0.78):
            draw.rectangle((w * left, h * 0.16, w * (left + 0.18), h * 0.42), fill=glass)
        draw.rectangle((0, h * 0.56, w, h * 0.62), fill=(240, 240, 236, 255))
    else:
        draw.rectangle((0, 0, w * 0.7, h * 0.82), fill=(206, 200, 184, 255))
        draw.rectangle((0, h * 0.36, w * 0.7, h * 0.48), fill=body)
        draw.rounded_rectangle((w * 0.72, h * 0.24, w - 1, h * 0.84), h * 0.06, fill=body)
        draw.rectangle((w * 0.84, h * 0.3, w * 0.97, h * 0.52), fill=glass)
    if lamps:
        draw.ellipse((w * 0.94, h * 0.56, w - 1, h * 0.7), fill=(255, 250, 220, 255))
    for left in (0.14, 0.7):
        draw.ellipse((w * left, h * 0.68, w * left + h * 0.32, h - 1), fill=tyre)
    return image


def _person(color: RGB) -> Image.Image:
    image = Image.new("RGBA", (round(_MASTER_PX * 0.4), _MASTER_PX))
    draw = ImageDraw.Draw(image)
    w, h = image.size
    draw.ellipse((w * 0.3, 0, w * 0.7, h * 0.17), fill=(150, 104, 78, 255))
    draw.rounded_rectangle((w * 0.15, h * 0.17, w * 0.85, h * 0.56), w * 0.2, fill=(*color, 255))
    draw.polygon([(w * 0.22, h * 0.55), (w * 0.78, h * 0.55), (w * 0.95, h), (w * 0.6, h), (w * 0.5, h * 0.7),
                  (w * 0.4, h), (w * 0.05, h)], fill=(44, 48, 66, 255))  # fmt: skip
    return image


def _end(kind: Kind, color: RGB, lamp: RGB, lamps: bool) -> Image.Image:
    """Seen from in front or from behind."""
    if kind == "person":
        return _person(color)
    breadth = {"car": 1.25, "truck": 0.85, "angkot": 0.95, "motorbike": 0.5}[kind]
    image = Image.new("RGBA", (round(_MASTER_PX * breadth), _MASTER_PX))
    draw = ImageDraw.Draw(image)
    w, h = image.size
    if kind == "motorbike":
        draw.ellipse((w * 0.32, 0, w * 0.68, h * 0.24), fill=(*color, 255))
        draw.rounded_rectangle((w * 0.15, h * 0.24, w * 0.85, h * 0.66), w * 0.2, fill=(60, 66, 84, 255))
        draw.rectangle((w * 0.38, h * 0.6, w * 0.62, h), fill=(24, 24, 26, 255))
    else:
        for left in (0.06, 0.76):
            draw.rectangle((w * left, h * 0.8, w * (left + 0.18), h), fill=(20, 20, 22, 255))
        draw.rounded_rectangle((0, h * 0.4, w - 1, h * 0.9), h * 0.08, fill=(*color, 255))
        draw.rounded_rectangle((w * 0.08, h * 0.02, w * 0.92, h * 0.6), h * 0.1, fill=(*color, 255))
        draw.rectangle((w * 0.16, h * 0.1, w * 0.84, h * 0.4), fill=(54, 76, 98, 255))
        draw.rectangle((w * 0.34, h * 0.66, w * 0.66, h * 0.76), fill=(230, 230, 224, 255))
    bright = lamp if lamps else tuple(round(part * 0.8) for part in lamp)
    for left in (0.06, 0.8) if kind != "motorbike" else (0.4,):
        draw.ellipse((w * left, h * 0.52, w * left + h * 0.14, h * 0.66), fill=(*bright, 255))
    return image


def _rear(kind: Kind, color: RGB, lamps: bool) -> Image.Image:
    return _end(kind, color, (244, 40, 30), lamps)


def _front(kind: Kind, color: RGB, lamps: bool) -> Image.Image:
    return _end(kind, color, (255, 250, 220), lamps)


def _above(kind: Kind, color: RGB, lamps: bool) -> Image.Image:
    """Seen from above, driving to the right."""
    length = {"car": 2.1, "truck": 3.0, "angkot": 2.0, "motorbike": 2.2, "person": 1.0}[kind]
    image = Image.new("RGBA", (round(_MASTER_PX * length), _MASTER_PX))
    draw = ImageDraw.Draw(image)
    w, h = image.size
    if kind == "person":
        draw.ellipse((w * 0.1, h * 0.25, w * 0.9, h * 0.75), fill=(*color, 255))
        draw.ellipse((w * 0.32, h * 0.32, w * 0.68, h * 0.68), fill=(40, 30, 28, 255))
        return image
    draw.rounded_rectangle((0, h * 0.08, w - 1, h * 0.92), h * 0.2, fill=(*color, 255))
    draw.rectangle((w * 0.66, h * 0.18, w * 0.78, h * 0.82), fill=(50, 70, 92, 255))
    draw.rectangle((w * 0.12, h * 0.2, w * 0.2, h * 0.8), fill=(50, 70, 92, 255))
    if lamps:
        for top in (0.12, 0.72):
            draw.ellipse((w * 0.94, h * top, w - 1, h * (top + 0.16)), fill=(255, 250, 220, 255))
    return image


_DRAW: Final = {"side": _side, "rear": _rear, "front": _front, "above": _above}
