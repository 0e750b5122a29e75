"""``/api/v1/events/recent``: what happened lately, with who has seen it; and saying that one has seen it."""

from datetime import UTC, datetime
from typing import Any, Final

import msgpack
from aiohttp import web
from pydantic import BaseModel, Field

from services.contracts import subjects
from services.contracts.acknowledgements import AcknowledgementList, AcknowledgeOrder
from services.contracts.models import Id
from services.mesh.event_stream import StreamEvent, recent_events
from services.mesh.rpc import call as ask
from services.wall.front.context import FrontRequest
from services.wall.front.event_feed import cameras_of
from services.wall.front.http.route import json_response
from services.wall.front.http.times import TimedView, TimeUs

TYPES: Final = (
    "camera.offline",
    "camera.degraded",
    "camera.recovered",
    "recording.gap",
    "recording.storage_low",
    "recording.archive_failed",
    "recording.archive_damaged",
    "incident.opened",
    "incident.closed",
    "incident.exported",
    "worker.overloaded",
    "worker.recovered",
)
"""What an operator wants to hear of."""
_FILTERS: Final = tuple(f"{subjects.ROOT}.*.{event_type}.>" for event_type in TYPES)


class RecentQuery(BaseModel):
    """How far back."""

    hours: float = Field(default=12, gt=0, le=720)
    limit: int = Field(default=300, ge=1, le=2000)


class SeenView(TimedView):
    """Who acknowledged an event."""

    by: str
    at_us: TimeUs


class EventView(TimedView):
    """An event as the feed shows it."""

    id: int = Field(description="Its number in the stream.")
    type: str
    site: Id
    at_us: TimeUs
    subject: str = Field(description="The camera, incident, recorder or worker that it is about.")
    title: str = Field(description="Of an incident.")
    reason: str = Field(description="Why a camera is offline or degraded, or nothing was recorded; empty: not said.")
    detail: str
    actor: str
    seen: SeenView | None = Field(description="null: nobody has acknowledged it.")


class RecentView(BaseModel):
    """Events, newest first."""

    events: list[EventView]


async def list_recent(request: FrontRequest) -> web.Response:
    """The newest events that an operator wants to hear of."""
    query = request.query(RecentQuery)
    front = request.front
    since = datetime.fromtimestamp(front.clock.now_us() / 1e6 - query.hours * 3600, UTC)
    found = await recent_events(front.bus, _FILTERS, since, at_most=query.limit)
    views = [view for event in reversed(found) if (view := _view(request, event)) is not None]
    return json_response(RecentView(events=views))


async def acknowledge(request: FrontRequest) -> web.Response:
    """Says in the signed-in person's name that the events were seen."""
    order = await request.json(AcknowledgeOrder)
    where = subjects.rpc(request.front.home, "registry", "events-acknowledge")
    await ask(request.front.bus, where, order, AcknowledgementList, actor=request.actor)
    return web.Response(status=204)


def _view(request: FrontRequest, stored: StreamEvent) -> EventView | None:
    """None where the message is no event that can be read, or tells of a camera that is not for the asker."""
    site, kind, name, subject = stored.message.subject.removeprefix(f"{subjects.ROOT}.").split(".", 3)
    try:
        body: dict[str, Any] = msgpack.unpackb(stored.message.data)
        at_us = int(body["at_us"])
    except (ValueError, TypeError, KeyError):
        return None
    if not all(request.may_hear_of(kind, camera, site) for camera in cameras_of(body)):
        return None
    known = request.front.acknowledged.get(str(stored.sequence))
    seen = SeenView(by=known.by, at_us=known.at_us) if known is not None and known.event_us == at_us else None
    return EventView(
        id=stored.sequence,
        type=f"{kind}.{name}",
        site=site,
        at_us=at_us,
        subject=subject,
        title=str(body.get("title", "")),
        reason=str(body.get("reason") or body.get("cause") or ""),
        detail=str(body.get("detail", "")),
        actor=str(body.get("actor", "")),
        seen=seen,
    )
