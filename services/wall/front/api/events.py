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
from services.wall.front.event_feed import (
    CAUGHT_UP,
    FEED,
    MAX_CATCH_UP,
    PLACE_PATTERN,
    EventFollower,
    EventPlace,
    FeedEvent,
    sse_block,
)
from services.wall.front.http.errors import FieldError, FieldsError

BEAT_SECONDS: Final = 10.0
RETRY_MS: Final = 2000
KINDS: Final = (*dict.fromkeys(event.kind for event in EVENTS), FEED)
AUDIT_PERMISSION: Final = Role.SUPERVISOR
"""Audit events say what other people did."""


class EventsQuery(BaseModel):
    """Which events."""

    types: str = Field(
        default="",
        description="Kinds or types with commas, as in camera,incident.opened; default: all that one may see.",
    )
    last_event_id: str | None = Field(
        default=None,
        pattern=PLACE_PATTERN,
        description="Go on behind the event with this id; the header Last-Event-ID goes before it.",
    )


def event_filter(
    types: str, actor: Actor, may: Callable[[str, str, str], bool] = lambda _kind, _camera, _site: True
) -> Callable[[FeedEvent], bool]:
    """A test whether an event is one of ``types`` and ``actor`` may see it; raises `FieldsError`.

    ``may`` tells whether an event of a kind about a camera of a site may be told; one of several cameras takes it for
    each.
    """
    wanted = {part.strip() for part in types.split(",") if part.strip()}
    if unknown := sorted(part for part in wanted if part.partition(".")[0] not in KINDS):
        raise FieldsError([FieldError("types", f"{', '.join(unknown)}: a type begins with one of {', '.join(KINDS)}")])
    audit = actor.may(AUDIT_PERMISSION)

    def accepts(event: FeedEvent) -> bool:
        if event.kind not in KINDS or (event.kind == "audit" and not audit):
            return False
        if not event.cameras and not actor.may(Role.VIEWER):
            return False  # of recorders and people, not of a camera that a partner was granted
        if not all(may(event.kind, camera, event.site) for camera in event.cameras):
            return False
        return not wanted or event.kind in wanted or event.type in wanted

    return accepts


async def events(request: FrontRequest) -> web.StreamResponse:
    """Streams until the client leaves, its account is removed, the front stops, or the client is too slow."""
    query = request.query(EventsQuery)
    after = _last_event_id(request.raw.headers.get("Last-Event-ID"), query.last_event_id)
    accepts = event_filter(query.types, request.actor, request.may_hear_of)
    feed = request.front.feed
    response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: "text/event-stream", "X-Accel-Buffering": "no"})
    follower = feed.add_follower(accepts)
    try:
        with request.front.identity.sign_ins.ending(request.actor, follower.end_following):
            await response.prepare(request.raw)
            await response.write(f"retry: {RETRY_MS}\n\n".encode())
            sent = await _catch_up(request, response, after, accepts) if after is not None else {}
            if sent is not None:
                await _follow(request, response, follower, sent)
    except ConnectionError:
        pass  # the client has gone
    finally:
        feed.remove_follower(follower)
    return response


async def _follow(
    request: FrontRequest, response: web.StreamResponse, follower: EventFollower, sent: dict[str, int]
) -> None:
    """Sends what comes, behind the numbers ``sent`` by stream, until the follower is ended or the sign-in is."""
    while request.front.identity.holds(request.actor):
        try:
            async with timeout(request.front.clock, BEAT_SECONDS):
                waiting = await follower.next_events()
        except TimeoutError:
            await response.write(b": beat\n\n")
            continue
        if waiting is None:
            return
        if blocks := [
            event.block for event in waiting if event.sequence is None or event.sequence > sent.get(event.stream, 0)
        ]:
            await response.write(b"".join(blocks))


async def _catch_up(
    request: FrontRequest, response: web.StreamResponse, after: EventPlace, accepts: Callable[[FeedEvent], bool]
) -> dict[str, int] | None:
    """Sends what the client missed.

    Returns, by stream, the number up to which it has everything; None where the bus is away: the client comes back
    with the last id that it has seen.
    """
    feed = request.front.feed
    try:
        newest = await feed.newest()
        sent: dict[str, int] = {}
        skipped = 0
        for stream in CAUGHT_UP:
            last, number = newest.of(stream) or 0, after.of(stream)
            if number is None or number > last:  # from now on; or its number is of another stream
                number = last
            else:
                sent[stream] = last
            skipped += max(0, last - MAX_CATCH_UP - number)
            after = after.at(stream, max(number, last - MAX_CATCH_UP))
        if skipped:
            await response.write(sse_block("events.skipped", f'{{"skipped":{skipped}}}'))
        for stream in CAUGHT_UP:
            async for event in feed.events_between(stream, after, newest.of(stream) or 0):
                if accepts(event):
                    await response.write(event.block)
            after = after.at(stream, newest.of(stream) or 0)
    except UnavailableError:
        return None
    return sent


def _last_event_id(header: str | None, query: str | None) -> EventPlace | None:
    named = EventPlace.parse(header) if header is not None else None
    return named or (EventPlace.parse(query) if query is not None else None)
