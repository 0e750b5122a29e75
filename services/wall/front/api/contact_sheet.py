"""``…/contact-sheet.jpg``: evenly spaced keyframes of a recording in one picture."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, tzinfo
from typing import Final

from aiohttp import hdrs, web
from pydantic import Field

from services.contracts.errors import PantauError
from services.contracts.permissions import Right
from services.contracts.recordings import GapCause, TimelineQuestion
from services.footage.owners import Owner
from services.wall.front.api.recorded_picture import no_footage
from services.wall.front.api.recordings import MAX_TIMELINE_US, RangeQuery, question_of
from services.wall.front.context import FrontRequest
from services.wall.front.http.errors import FieldError, FieldsError
from services.wall.front.http.times import rfc3339
from services.wall.front.pictures.sheet import MissingCell, SheetCell, ShownCell, plan_sheet
from services.wall.front.pictures.snapshot_cache import Decoding

MAX_CELLS: Final = 120
MAX_WIDTH_PX: Final = 4096
AT_ONCE: Final = 3
"""Pictures of one sheet that are fetched and decoded at the same time."""
FINISHED_SECONDS: Final = 60
NOTHING: Final = "tidak ada rekaman · no footage"
UNREADABLE: Final = "tidak terbaca · unreadable"


class SheetQuery(RangeQuery):
    """A stretch of time, and how it is laid out. The times on the sheet are written in the offset of ``from``."""

    columns: int = Field(default=4, ge=1, le=12)
    rows: int = Field(default=6, ge=1, le=40, description=f"columns × rows is at most {MAX_CELLS}.")
    width: int = Field(
        default=320, ge=120, le=960, description=f"Of one picture, in pixels; × columns at most {MAX_WIDTH_PX}."
    )


async def contact_sheet(request: FrontRequest) -> web.Response:
    """One JPEG of evenly spaced keyframes, the time of each under it; what was not recorded is hatched."""
    query = request.query(SheetQuery)
    front = request.front
    question = question_of(request, query, MAX_TIMELINE_US)
    until_us = min(question.to_us, front.clock.now_us())
    if until_us <= question.from_us:
        raise FieldsError([FieldError("from", "is in the future")])
    question = question.model_copy(update={"to_us": until_us})
    if query.columns * query.rows > MAX_CELLS:
        raise FieldsError([FieldError("rows", f"columns × rows must be at most {MAX_CELLS}")])
    if query.columns * query.width > MAX_WIDTH_PX:
        raise FieldsError([FieldError("width", f"columns × width must be at most {MAX_WIDTH_PX} pixels")])
    owner = request.footage_owner(question.camera, Right.PLAYBACK)
    timeline = await request.timeline(question, owner)
    if not timeline.ranges:
        middle_us = (question.from_us + question.to_us) // 2
        raise await no_footage(request, question.camera, question.profile, middle_us, owner)
    planned = plan_sheet(timeline, query.columns * query.rows)
    async with front.shares.sheet(request.actor.name):
        cells = await _fill(request, question, planned, query.width, owner)
    camera = front.cameras.get(question.camera)
    jpeg = await asyncio.to_thread(
        _draw,
        f"{camera.name} ({camera.id})" if camera else question.camera,
        question.from_us,
        question.to_us,
        cells,
        columns=query.columns,
        width_px=query.width,
        zone=query.from_.tzinfo or UTC,
    )
    span = {"from": rfc3339(question.from_us), "to": rfc3339(question.to_us)}
    request.audit("exported", question.camera, {**span, "as": "contact-sheet.jpg"})
    finished = question.to_us < front.clock.now_us() - FINISHED_SECONDS * 1_000_000
    return web.Response(
        body=jpeg,
        content_type="image/jpeg",
        headers={hdrs.CACHE_CONTROL: "private, max-age=300" if finished else "private, no-cache"},
    )


def _draw(
    title: str,
    from_us: int,
    to_us: int,
    cells: Sequence[ShownCell | MissingCell],
    *,
    columns: int,
    width_px: int,
    zone: tzinfo,
) -> bytes:
    """`draw_sheet`, imported by the first call: a front that draws none needs no PIL."""
    from services.wall.front.pictures.sheet_drawing import draw_sheet

    return draw_sheet(title, from_us, to_us, cells, columns=columns, width_px=width_px, zone=zone)


async def _fill(
    request: FrontRequest, question: TimelineQuestion, cells: list[SheetCell], width_px: int, owner: Owner | None
) -> list[ShownCell | MissingCell]:
    """The content of each cell. A failed picture becomes a text in its cell; raises only where all fail."""
    few = asyncio.Semaphore(AT_ONCE)
    failures: list[PantauError] = []
    masks = request.masks(question.camera, question.site)

    async def fill(cell: SheetCell) -> ShownCell | MissingCell:
        if cell.footage is None:
            return MissingCell(cell.from_us, (NOTHING,) if cell.cause == GapCause.UNKNOWN else (NOTHING, cell.cause))
        async with few:
            try:
                picture = await request.front.thumbnails.keyframe_picture(
                    question.camera, question.profile, cell.footage, cell.at_us, width_px, request.actor,
                    masks, Decoding.SHEET, owner,
                )  # fmt: skip
            except PantauError as error:
                failures.append(error)
                return MissingCell(cell.at_us, (UNREADABLE,))
        if picture is None:
            return MissingCell(cell.at_us, (NOTHING, GapCause.EXPIRED))
        return ShownCell(picture.jpeg, picture.capture_us, cell.footage.tier == "keyframes")

    async with asyncio.TaskGroup() as tasks:
        filling = [tasks.create_task(fill(cell)) for cell in cells]
    filled = [task.result() for task in filling]
    if failures and not any(isinstance(item, ShownCell) for item in filled):
        raise failures[0]
    return filled
