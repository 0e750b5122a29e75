"""``/api/v1/activity/…``: when something moved, for several cameras at once."""

from collections.abc import Sequence
from typing import Annotated

from aiohttp import web
from pydantic import AfterValidator, BaseModel, Field

from services.contracts.activity import (
    MAX_CAMERAS,
    MAX_SEARCH_US,
    BusiestMinutesQuestion,
    NextActivityQuestion,
    SearchDirection,
)
from services.contracts.models import Id, ProfileName
from services.contracts.permissions import Right
from services.footage.activity import ask_busiest, ask_next
from services.wall.front.context import FrontRequest
from services.wall.front.http.errors import FieldError, FieldsError
from services.wall.front.http.route import json_response
from services.wall.front.http.times import Moment, TimedView, TimeUs, to_us

Cameras = Annotated[
    tuple[Id, ...], Field(min_length=1, max_length=MAX_CAMERAS, description="Given once for each camera.")
]


class NextActivityQuery(BaseModel):
    """From where on to look."""

    camera: Cameras
    at: Moment
    direction: SearchDirection = Field(default="forwards", description="Which way to look, at most 31 days far.")
    profile: ProfileName = Field(default="main", description="Which stream.")


class BusiestQuery(BaseModel):
    """Which minutes to compare."""

    camera: Cameras
    from_: Moment = Field(alias="from")
    to: Moment = Field(description="At most 31 days after 'from'.")
    most: int = Field(default=20, ge=1, le=500, description="How many minutes are wanted.")
    profile: ProfileName = Field(default="main", description="Which stream.")


class BusyView(TimedView):
    """A time of activity in front of a camera."""

    camera: Id
    from_us: TimeUs
    to_us: TimeUs
    level: Annotated[float, AfterValidator(lambda level: round(level, 2))] = Field(
        ge=0, le=1, description="How busy, measured by what this camera usually sees."
    )


class NextActivityView(BaseModel):
    """The nearest activity of any of the cameras."""

    activity: BusyView | None = Field(description="null: there is none.")


class BusiestView(BaseModel):
    """The busiest minutes."""

    minutes: list[BusyView]


async def next_activity(request: FrontRequest) -> web.Response:
    """Where the next activity begins."""
    query, front = request.query(NextActivityQuery), request.front
    _require_playback(request, query.camera)
    front.require_recorders()
    question = NextActivityQuestion(
        cameras=query.camera, profile=query.profile, at_us=to_us(query.at), direction=query.direction
    )
    found = await ask_next(front.bus, front.home, question, recorders=len(front.recorders()), actor=request.actor)
    return json_response(NextActivityView(activity=BusyView.model_validate(found) if found else None))


async def busiest(request: FrontRequest) -> web.Response:
    """The busiest minutes of a stretch of time."""
    query, front = request.query(BusiestQuery), request.front
    _require_playback(request, query.camera)
    from_us, until_us = to_us(query.from_), to_us(query.to)
    if not 0 <= from_us < until_us <= from_us + MAX_SEARCH_US:
        raise FieldsError([FieldError("to", "must be later than 'from', by at most 31 days")])
    front.require_recorders()
    question = BusiestMinutesQuestion(
        cameras=query.camera, profile=query.profile, from_us=from_us, to_us=until_us, most=query.most
    )
    found = await ask_busiest(front.bus, front.home, question, recorders=len(front.recorders()), actor=request.actor)
    return json_response(BusiestView(minutes=[BusyView.model_validate(busy) for busy in found]))


def _require_playback(request: FrontRequest, cameras: Sequence[Id]) -> None:
    for camera in cameras:
        request.require(Right.PLAYBACK, camera)
