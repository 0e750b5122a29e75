"""Contact sheets: what stands in which cell. Pure; `services.wall.front.pictures.sheet_drawing` draws them."""

from itertools import pairwise
from typing import NamedTuple

from services.contracts.recordings import FootageRange, FootageTimeline, GapCause


class SheetCell(NamedTuple):
    """One cell of a sheet: a part of the range."""

    from_us: int
    to_us: int
    at_us: int
    """The first moment of the cell with footage, else ``from_us``."""
    footage: FootageRange | None
    cause: str = ""
    """Why there is no footage."""


class ShownCell(NamedTuple):
    """A cell with a picture."""

    jpeg: bytes
    capture_us: int
    thinned: bool = False


class MissingCell(NamedTuple):
    """A cell without a picture, and why."""

    from_us: int
    lines: tuple[str, ...]


def plan_sheet(timeline: FootageTimeline, count: int) -> list[SheetCell]:
    """Divides the range into ``count`` equal cells, and finds the footage of each."""
    step = (timeline.to_us - timeline.from_us) / count
    bounds = [timeline.from_us + round(number * step) for number in range(count + 1)]
    cells = []
    for from_us, to_us in pairwise(bounds):
        footage = next((item for item in timeline.ranges if item.to_us > from_us and item.from_us < to_us), None)
        if footage is not None:
            cells.append(SheetCell(from_us, to_us, max(from_us, footage.from_us), footage))
        else:
            cells.append(SheetCell(from_us, to_us, from_us, None, _cause(timeline, from_us, to_us)))
    return cells


def _cause(timeline: FootageTimeline, from_us: int, to_us: int) -> str:
    """The cause of the gap that covers most of a cell."""
    shared = [
        (min(to_us, to_us if gap.to_us is None else gap.to_us) - max(from_us, gap.from_us), gap.cause)
        for gap in timeline.gaps
    ]
    longest = max(shared, default=(0, ""))
    return longest[1] if longest[0] > 0 else GapCause.UNKNOWN
