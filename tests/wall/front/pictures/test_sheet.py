"""Contact sheets: which moment stands in which cell, and what is drawn."""

from datetime import UTC, datetime, timedelta, timezone
from io import BytesIO
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops

from services.contracts.recordings import FootageGap, FootageRange, FootageTimeline
from services.wall.front.pictures.sheet import MissingCell, ShownCell, plan_sheet
from services.wall.front.pictures.sheet_drawing import draw_sheet

S = 1_000_000
ZONE = timezone(timedelta(hours=7))


def timeline(ranges: list[tuple[int, int]], gaps: tuple[FootageGap, ...] = (), to_us: int = 100 * S) -> FootageTimeline:
    return FootageTimeline(
        camera="cam-1",
        profile="main",
        from_us=0,
        to_us=to_us,
        ranges=tuple(FootageRange(from_us=a, to_us=b, recorder="rec-1") for a, b in ranges),
        gaps=gaps,
        recorders=1,
    )


def jpeg(size: tuple[int, int] = (320, 180), colour: tuple[int, int, int] = (200, 40, 40)) -> bytes:
    out = BytesIO()
    Image.new("RGB", size, colour).save(out, "JPEG", quality=95)
    return out.getvalue()


def opened(data: bytes) -> Image.Image:
    return Image.open(BytesIO(data)).convert("RGB")


def test_a_cell_shows_the_first_moment_of_its_stretch_that_there_is_footage_of() -> None:
    gap = FootageGap(from_us=30 * S, to_us=65 * S, cause="recorder-down")
    cells = plan_sheet(timeline([(0, 30 * S), (65 * S, 100 * S)], (gap,)), 10)
    assert [cell.at_us // S for cell in cells] == [0, 10, 20, 30, 40, 50, 65, 70, 80, 90]
    assert [cell.cause for cell in cells] == ["", "", "", *["recorder-down"] * 3, "", "", "", ""]
    assert [cell.footage is None for cell in cells] == [False] * 3 + [True] * 3 + [False] * 4


def test_a_cell_without_footage_names_the_cause_of_most_of_it() -> None:
    gaps = (
        FootageGap(from_us=0, to_us=2 * S, cause="timeout"),
        FootageGap(from_us=2 * S, to_us=None, cause="disk-full"),
    )
    assert [cell.cause for cell in plan_sheet(timeline([], gaps), 2)] == ["disk-full", "disk-full"]
    assert plan_sheet(timeline([]), 1)[0].cause == "unknown"


@given(
    st.lists(st.tuples(st.integers(0, 100), st.integers(1, 30)), max_size=6),
    st.integers(1, 120),
    st.integers(1, 10_000_000),
)
def test_cells_follow_each_other_and_show_what_is_recorded(
    pieces: list[tuple[int, int]], count: int, to_us: int
) -> None:
    ranges, at = [], 0
    for pause, length in pieces:
        ranges.append((at + pause, at + pause + length))
        at += pause + length
    cells = plan_sheet(timeline(ranges, to_us=to_us), count)
    assert (cells[0].from_us, cells[-1].to_us) == (0, to_us)
    assert all(a.to_us == b.from_us for a, b in pairwise(cells))
    for cell in cells:
        if cell.footage is None:
            assert not any(b > cell.from_us and a < cell.to_us for a, b in ranges)
        else:
            assert cell.footage.from_us <= cell.at_us < cell.footage.to_us
            assert cell.at_us < max(cell.to_us, cell.from_us + 1)


def test_a_sheet_has_each_picture_in_its_place_its_time_under_it_and_gaps_hatched() -> None:
    cells: list[ShownCell | MissingCell] = [
        ShownCell(jpeg(), 5 * S),
        MissingCell(10 * S, ("no footage", "disk-full")),
        ShownCell(jpeg(colour=(0, 0, 250)), 20 * S),
    ]
    sheet = np.asarray(opened(draw_sheet("Alun-alun (cam-1)", 0, 30 * S, cells, columns=2, width_px=320, zone=UTC)))
    assert sheet.shape == (34 + 2 * (180 + 22 + 6) + 6, 2 * 326 + 6, 3)
    first, label, hatched = sheet[34:214, 6:326], sheet[214:236, 6:326], sheet[34:214, 332:652]
    second_row, behind = sheet[242:422, 6:326], sheet[242:450, 332:652]
    assert first[..., 0].mean() > 180
    assert second_row[..., 2].mean() > 220
    assert label.max() > 200, "a time is written"
    assert hatched.std() > 3, "a gap is no even surface"
    assert behind.max() < 40, "nothing is drawn behind the last cell"


def test_times_are_written_in_the_zone_that_was_asked_for() -> None:
    cells = [ShownCell(jpeg(), int(datetime(2026, 3, 1, 7, tzinfo=UTC).timestamp()) * S)]

    def label(zone: timezone) -> Image.Image:
        return opened(draw_sheet("cam", 0, S, cells, columns=1, width_px=320, zone=zone)).crop((0, 214, 320, 240))

    same = ImageChops.difference(label(UTC), label(timezone(timedelta(0))))
    other = ImageChops.difference(label(UTC), label(ZONE))
    assert same.getbbox() is None
    assert other.getbbox() is not None


def test_pictures_of_another_shape_are_fitted_and_a_long_name_is_cut() -> None:
    cells = [ShownCell(jpeg((160, 90)), 0), ShownCell(jpeg((120, 160)), S, thinned=True)]
    sheet = opened(draw_sheet("kamera " * 80, 0, 2 * S, cells, columns=1, width_px=160, zone=ZONE))
    assert sheet.width == 172


def test_what_is_no_picture_is_an_error() -> None:
    with pytest.raises(OSError, match="identify"):
        draw_sheet("cam", 0, S, [ShownCell(b"no picture", 0)], columns=1, width_px=160, zone=UTC)
