"""``…/timeline`` and ``…/clip.mp4``: the recorders' footage as one history."""

import asyncio
from contextlib import AsyncExitStack
from typing import Final, Literal, Self

from aiohttp import hdrs, web
from pydantic import BaseModel, Field

from services.contracts.activity import ActivityAnswer, ActivityQuestion
from services.contracts.clips import MAX_CLIP_US
from services.contracts.errors import ForbiddenError
from services.contracts.models import Id
from services.contracts.permissions import Right
from services.contracts.recordings import FootageDamage, FootageGap, TierName, TimelineQuestion
from services.footage.activity import ask_activity
from services.footage.clips import Clip, clip_name
from services.wall.front.context import FrontRequest
from services.wall.front.http.downloads import send_chunks
from services.wall.front.http.errors import FieldError, FieldsError
from services.wall.front.http.route import json_response
from services.wall.front.http.times import Moment, TimedView, TimeUs, rfc3339, to_us

MAX_TIMELINE_US: Final = 366 * 86_400 * 1_000_000
_LEVELS: Final = 20
"""Levels are rounded to twentieths: the timeline shows no finer steps, and the answer is shorter."""


class RangeQuery(BaseModel):
    """A stretch of time."""

    from_: Moment = Field(alias="from")
    to: Moment
    profile: Literal["main", "sub"] = Field(default="main", description="Which stream.")
    site: Id | None = Field(
        default=None, description="Whose camera, where its id had another owner before; default: the present one's."
    )


class RangeView(TimedView):
    """Footage without a hole."""

    from_us: TimeUs
    to_us: TimeUs
    tier: TierName = Field(description="full, or keyframes (thinned by the retention ladder).")
    archived: bool = Field(description="The disks have it no more; it is read from the archive.")


class GapView(TimedView):
    """No footage, and why."""

    from_us: TimeUs
    to_us: TimeUs
    cause: str
    detail: str
    open: bool = Field(description="It still goes on; 'to' is then the end of what was asked for, or now.")

    @classmethod
    def of(cls, gap: FootageGap, until_us: int) -> Self:
        """The gap, an open one up to ``until_us``."""
        to_us = max(gap.from_us, until_us) if gap.to_us is None else gap.to_us
        return cls(from_us=gap.from_us, to_us=to_us, cause=gap.cause, detail=gap.detail, open=gap.to_us is None)


class DamageView(TimedView):
    """Recorded, with pictures that are marked as damaged: something of them was lost on the way from the camera."""

    from_us: TimeUs
    to_us: TimeUs
    damaged_seconds: float = Field(description="How long the damaged pictures in it last.")

    @classmethod
    def of(cls, damage: FootageDamage) -> Self:
        """The stretch."""
        return cls(from_us=damage.from_us, to_us=damage.to_us, damaged_seconds=damage.damaged_us / 1e6)


class ActivityView(TimedView):
    """How much moved. Known about a minute after the footage: it is measured in the compressed stream."""

    from_us: TimeUs
    to_us: TimeUs
    level: float = Field(ge=0, le=1, description="Measured by what this camera usually sees, in twentieths.")


class TimelineView(TimedView):
    """One history out of all recorders'."""

    camera: Id
    from_us: TimeUs
    to_us: TimeUs
    ranges: list[RangeView]
    gaps: list[GapView]
    damage: list[DamageView]
    activity: list[ActivityView]


def question_of(request: FrontRequest, query: RangeQuery, longest_us: int) -> TimelineQuestion:
    """The recorders' question; raises `FieldsError` where the stretch is empty or longer than ``longest_us``.

    The camera need not be in the catalogue any more: recordings outlive their camera's entry.
    """
    from_us, until_us = to_us(query.from_), to_us(query.to)
    if not 0 <= from_us < until_us:
        raise FieldsError([FieldError("to", "must be later than 'from', and both after 1970")])
    if until_us - from_us > longest_us:
        raise FieldsError([FieldError("to", f"at most {longest_us // 3_600_000_000} hours after 'from'")])
    camera_id = request.path_id("camera")
    if query.site is not None and isinstance(request.route.permission, Right):
        request.require(request.route.permission, camera_id, query.site)
    camera = request.front.cameras.get(camera_id)
    return TimelineQuestion(
        camera=camera_id,
        site=query.site or (camera.site if camera else None),
        profile=query.profile,
        from_us=from_us,
        to_us=until_us,
    )


async def timeline(request: FrontRequest) -> web.Response:
    """What is recorded, what is not and why."""
    question = question_of(request, request.query(RangeQuery), MAX_TIMELINE_US)
    front = request.front
    owner = request.footage_owner(question.camera, Right.PLAYBACK)
    answer, activity = await asyncio.gather(
        request.timeline(question, owner),
        _ask_activity(request, question) if owner is None else _no_activity(),
    )
    if not answer.ranges and not answer.gaps:
        request.camera()  # 404 for an unknown camera; a removed one may have footage
    open_until_us = min(question.to_us, front.clock.now_us())
    return json_response(
        TimelineView(
            camera=answer.camera,
            from_us=answer.from_us,
            to_us=answer.to_us,
            ranges=[RangeView.model_validate(item) for item in answer.ranges],
            gaps=[GapView.of(gap, open_until_us) for gap in answer.gaps],
            damage=[DamageView.of(damage) for damage in answer.damage],
            activity=activity,
        )
    )


async def _ask_activity(request: FrontRequest, question: TimelineQuestion) -> list[ActivityView]:
    front = request.front
    moved = await ask_activity(
        front.bus,
        front.home,
        ActivityQuestion(**question.model_dump()),
        recorders=len(front.recorders()),
        actor=request.actor,
    )
    return _activity(moved, question)


async def _no_activity() -> list[ActivityView]:
    """Joined sites do not tell of it."""
    return []


def _activity(answer: ActivityAnswer, question: TimelineQuestion) -> list[ActivityView]:
    """Equal levels in a row become one span, and level 0 is left out, which keeps quiet nights short."""
    spans: list[tuple[int, int, int]] = []
    for step, percent in enumerate(answer.levels):
        level = round(percent * _LEVELS / 100)
        from_us = max(answer.from_us + step * answer.step_us, question.from_us)
        until_us = min(answer.from_us + (step + 1) * answer.step_us, question.to_us)
        if level and spans and spans[-1][1:] == (from_us, level):
            spans[-1] = (spans[-1][0], until_us, level)
        elif level:
            spans.append((from_us, until_us, level))
    return [ActivityView(from_us=begin, to_us=end, level=level / _LEVELS) for begin, end, level in spans]


async def clip(request: FrontRequest) -> web.StreamResponse:
    """One MP4 of the stretch, remuxed as it is sent; as fast as the client takes it."""
    question = question_of(request, request.query(RangeQuery), MAX_CLIP_US)
    if request.masks(question.camera, question.site):
        raise ForbiddenError(
            f"{question.camera} has privacy masks, and this address hands out footage as it was recorded; an export "
            f"(POST /api/v1/exports, kind clip) has them drawn"
        )
    owner = request.footage_owner(question.camera, Right.CLIP)
    async with AsyncExitStack() as stack:
        opened = await request.open_clip(question, owner, stack)
        detail = {"from": rfc3339(question.from_us), "to": rfc3339(question.to_us), "as": "clip.mp4"}
        if not request.is_head:
            request.audit("exported", question.camera, detail)
        return await _send(request, question, opened)


async def _send(request: FrontRequest, question: TimelineQuestion, opened: Clip) -> web.StreamResponse:
    name = clip_name(question.camera, question.from_us)
    response = web.StreamResponse(
        headers={
            hdrs.CONTENT_TYPE: "video/mp4",
            hdrs.CONTENT_LENGTH: str(opened.size_bytes),
            hdrs.CONTENT_DISPOSITION: f'attachment; filename="{name}"',
            hdrs.ACCEPT_RANGES: "none",
            "Pantau-Clip-Start": rfc3339(opened.layout.start_us),
            "Pantau-Thinned": "true" if opened.layout.thinned else "false",
            "Pantau-Made-Up": "true" if opened.layout.made_up else "false",
        }
    )
    with request.cut_at_sign_out():
        return await send_chunks(request.raw, response, opened.chunks())
