"""``/api/v1/events``: the bus's events as server-sent events, as far as the signed-in person may see them."""

from collections.abc import Callable
from typing import Final

from aiohttp import hdrs, web
from pydantic import BaseModel, Field

from services.contracts.errors import UnavailableError
from services.contracts.events import EVENTS
from services.contracts.permissions import Actor, Role
from services.mesh.clock import timeout
from services.wall.front.context import FrontRequest
from services.wall.front.event_feed import MAX_CATCH_UP, FeedEvent, sse_block
from services.wall.front.http.errors import FieldError, FieldsError

BEAT_SECONDS: Final = 10.0
RETRY_MS: Final = 2000
KINDS: Final = tuple(dict.fromkeys(event.kind for event in EVENTS))
AUDIT_PERMISSION: Final = Role.SUPERVISOR
"""Audit events say what other people did."""


class EventsQuery(BaseModel):
    """Which events."""

    types: str = Field(
        default="",
        description="Kinds or types with commas, as in camera,incident.opened; default: all that one may see.",
    )
    last_event_id: int | None = Field(
        default=None, ge=0, description="Go on behind this event; the header Last-Event-ID goes before it."
    )


def event_filter(types: str, actor: Actor) -> Callable[[FeedEvent], bool]:
    """A test whether an event is one of ``types`` and ``actor`` may see it; raises `FieldsError`."""
    wanted = {part.strip() for part in types.split(",") if part.strip()}
    if unknown := sorted(part for part in wanted if part.partition(".")[0] not in KINDS):
        raise FieldsError([FieldError("types", f"{', '.join(unknown)}: a type begins with one of {', '.join(KINDS)}")])
    audit = actor.may(AUDIT_PERMISSION)

    def accepts(event: FeedEvent) -> bool:
        if event.kind not in KINDS or (event.kind == "audit" and not audit):
            return False
        return not wanted or event.kind in wanted or event.type in wanted

    return accepts


async def events(request: FrontRequest) -> web.StreamResponse:
    """Streams until the client leaves, its account is removed, the front stops, or the client is too slow."""
    query = request.query(EventsQuery)
    after = _last_event_id(request.raw.headers.get("Last-Event-ID"), query.last_event_id)
    accepts = event_filter(query.types, request.actor)
    feed = request.front.feed
    response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: "text/event-stream", "X-Accel-Buffering": "no"})
    follower = feed.add_follower(accepts)
    try:
        await response.prepare(request.raw)
        await response.write(f"retry: {RETRY_MS}\n\n".encode())
        sent = await _catch_up(request, response, after, accepts) if after is not None else 0
        while sent is not None:
            try:
                async with timeout(request.front.clock, BEAT_SECONDS):
                    waiting = await follower.next_events()
            except TimeoutError:
                if not await request.front.still_signed_in(request.raw, request.actor):
                    break
                await response.write(b": beat\n\n")
                continue
            if waiting is None:
                break
            if blocks := [event.block for event in waiting if event.sequence > sent]:
                await response.write(b"".join(blocks))
    except ConnectionError:
        pass  # the client has gone
    finally:
        feed.remove_follower(follower)
    return response


async def _catch_up(
    request: FrontRequest, response: web.StreamResponse, after: int, accepts: Callable[[FeedEvent], bool]
) -> int | None:
    """Sends what the client missed; returns the number up to which it has everything, None where the bus is away."""
    feed = request.front.feed
    try:
        last = await feed.last_sequence()
    except UnavailableError:
        return None
    if after > last:
        return 0  # its number is of another stream
    if last - after > MAX_CATCH_UP:
        skipped = last - MAX_CATCH_UP - after
        await response.write(sse_block("events.skipped", f'{{"skipped":{skipped}}}'))
        after += skipped
    try:
        async for event in feed.events_between(after, last):
            if accepts(event):
                await response.write(event.block)
    except UnavailableError:
        return None  # the client comes back with the last number that it has seen
    return last


def _last_event_id(header: str | None, query: int | None) -> int | None:
    return int(header) if header is not None and header.strip().isdecimal() else query
