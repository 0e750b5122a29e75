"""Draws contact sheets. Blocking: run it in a thread. Import it there too: few fronts ever draw one."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, tzinfo
from io import BytesIO
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from services.wall.front.pictures.sheet import MissingCell, ShownCell

QUALITY: Final = 85
THINNED: Final = "ditipiskan · thinned"
_MARGIN_PX: Final = 6
_LABEL_PX: Final = 22
_HEADER_PX: Final = 34
_GROUND, _EMPTY, _HATCH = (16, 19, 22), (30, 34, 39), (43, 48, 54)
_TEXT, _SOFT = (235, 238, 241), (160, 168, 176)
_SMALL, _LARGE = 13, 17


def draw_sheet(
    title: str,
    from_us: int,
    to_us: int,
    cells: Sequence[ShownCell | MissingCell],
    *,
    columns: int,
    width_px: int,
    zone: tzinfo,
) -> bytes:
    """The sheet as JPEG: a header with camera and range, then the cells, each ``width_px`` wide with its time below.

    Times are written in ``zone``. Raises ``OSError`` for what is no picture.
    """
    small, large = ImageFont.load_default(_SMALL), ImageFont.load_default(_LARGE)
    pictures = [_open(cell.jpeg) if isinstance(cell, ShownCell) else None for cell in cells]
    first = next((picture for picture in pictures if picture is not None), None)
    height_px = round(width_px * (first.height / first.width if first else 9 / 16))
    rows = -(-len(cells) // columns)
    sheet = Image.new(
        "RGB",
        (
            columns * (width_px + _MARGIN_PX) + _MARGIN_PX,
            _HEADER_PX + rows * (height_px + _LABEL_PX + _MARGIN_PX) + _MARGIN_PX,
        ),
        _GROUND,
    )
    pen = ImageDraw.Draw(sheet)
    when = f"{_moment(from_us, zone)} - {_moment(to_us, zone)} {_offset(from_us, zone)}"
    room = sheet.width - 3 * _MARGIN_PX - pen.textlength(when, small)
    pen.text((_MARGIN_PX, 8), _fit(title, room, lambda text: pen.textlength(text, large)), _TEXT, large)
    pen.text((sheet.width - _MARGIN_PX, 12), when, _SOFT, small, anchor="ra")
    for number, (cell, picture) in enumerate(zip(cells, pictures, strict=True)):
        row, column = divmod(number, columns)
        left = _MARGIN_PX + column * (width_px + _MARGIN_PX)
        top = _HEADER_PX + row * (height_px + _LABEL_PX + _MARGIN_PX)
        if isinstance(cell, ShownCell) and picture is not None:
            picture.thumbnail((width_px, height_px))
            place = (left + (width_px - picture.width) // 2, top + (height_px - picture.height) // 2)
            sheet.paste(picture, place)
            label, colour = _moment(cell.capture_us, zone, milliseconds=True), _TEXT
            if cell.thinned:  # thinned footage has one picture for many seconds: the label says so
                pen.text((left + width_px, top + height_px + 4), THINNED, _SOFT, small, anchor="ra")
        elif isinstance(cell, MissingCell):
            _hatch(sheet, (left, top, left + width_px, top + height_px))
            for line, text in enumerate(cell.lines):
                middle = top + height_px / 2 + (line - (len(cell.lines) - 1) / 2) * 18
                pen.text((left + width_px / 2, middle), text, _SOFT, small, anchor="mm")
            label, colour = _moment(cell.from_us, zone), _SOFT
        pen.text((left, top + height_px + 4), label, colour, small)
    out = BytesIO()
    sheet.save(out, "JPEG", quality=QUALITY)
    return out.getvalue()


def _open(jpeg: bytes) -> Image.Image:
    picture = Image.open(BytesIO(jpeg), formats=("JPEG",))
    picture.load()
    return picture.convert("RGB")


def _hatch(sheet: Image.Image, box: tuple[int, int, int, int]) -> None:
    """Stripes, so that a gap is not mistaken for a dark picture."""
    width, height = box[2] - box[0], box[3] - box[1]
    patch = Image.new("RGB", (width, height), _EMPTY)
    pen = ImageDraw.Draw(patch)
    for at in range(-height, width, 14):
        pen.line((at, height, at + height, 0), _HATCH, 3)
    sheet.paste(patch, box[:2])


def _fit(text: str, room_px: float, length: Callable[[str], float]) -> str:
    if length(text) <= room_px:
        return text
    while text and length(text + "...") > room_px:
        text = text[:-1]
    return text + "..."


def _moment(us: int, zone: tzinfo, *, milliseconds: bool = False) -> str:
    moment = datetime.fromtimestamp(us // 1_000_000, UTC).astimezone(zone)
    fraction = f".{us % 1_000_000 // 1000:03d}" if milliseconds else ""
    return f"{moment:%Y-%m-%d %H:%M:%S}{fraction}"


def _offset(us: int, zone: tzinfo) -> str:
    offset = f"{datetime.fromtimestamp(us // 1_000_000, UTC).astimezone(zone):%z}"
    return "UTC" if offset == "+0000" else f"UTC{offset[:3]}:{offset[3:5]}"
