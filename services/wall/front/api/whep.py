"""WHEP (draft-ietf-wish-whep): one camera for any client that speaks it.

What the draft leaves to RFC 9725 (WHIP) follows that: ``Link`` for ICE servers (4.6), ``ETag`` and trickle (4.3). A
relay is ICE-lite: it finds the client by its checks and needs no candidates, so a trickled fragment is accepted and
forgotten, the one ICE session's ETag can be made from the session's id, and ICE restarts are refused.
"""

import hashlib
from typing import Literal

from aiohttp import hdrs, web
from pydantic import BaseModel, Field

from services.contracts.errors import NotFoundError
from services.contracts.sessions import Aim, SessionControl
from services.wall.front.api.sessions import SDP, SDP_FRAGMENT, check_offer
from services.wall.front.context import FrontRequest
from services.wall.front.http.errors import (
    BadRequestError,
    IceRestartError,
    NotAcceptableError,
    PreconditionFailedError,
)


class WhepQuery(BaseModel):
    """Which stream of the camera."""

    profile: Literal["main", "sub", "auto"] = Field(
        default="auto",
        description="auto: main, stepping down to sub for as long as loss or the player's bandwidth estimate says so.",
    )


def etag_of(session: str) -> str:
    """The entity tag of a session's one ICE session."""
    return f'"{hashlib.sha256(session.encode()).hexdigest()[:16]}"'


async def play(request: FrontRequest) -> web.Response:
    """Opens a session with one slot that shows the camera."""
    request.body_type()
    profile = request.query(WhepQuery).profile
    camera = request.camera()
    _require_sdp_accepted(request.raw)
    offer = await request.text()
    check_offer(offer)
    if profile != "auto" and profile not in camera.profiles:
        raise NotFoundError(f"{camera.name} has no profile {profile!r}; it has {', '.join(sorted(camera.profiles))}")
    request.front.require_live(camera)
    aim = Aim(slot=0, camera=camera.id, profile=profile)
    opened = await request.front.relays.open_session(offer, kind="whep", aims=(aim,), actor=request.actor)
    response = web.Response(status=201, body=opened.answer.encode(), content_type=SDP)
    response.headers[hdrs.LOCATION] = f"/whep/{camera.id}/{opened.session}"
    response.headers[hdrs.ETAG] = etag_of(opened.session)
    response.headers["Accept-Patch"] = SDP_FRAGMENT
    for link in request.front.ice.links(request.actor.name):
        response.headers.add("Link", link)
    return response


async def endpoint_options(_request: FrontRequest) -> web.Response:
    """What the endpoint takes; a browser's preflight gets its CORS headers on the way out."""
    return web.Response(status=200, headers={"Accept-Post": SDP, hdrs.ALLOW: "OPTIONS, POST"})


async def trickle(request: FrontRequest) -> web.Response:
    """Accepts a fragment of candidates (RFC 8840)."""
    session = request.path_id("session")
    request.body_type()
    fragment = await request.text()
    if hdrs.IF_MATCH in request.raw.headers:
        given = request.raw.headers[hdrs.IF_MATCH].strip()
        if given == "*":
            raise IceRestartError("this server is ICE-lite and does not restart ICE; open a new session")
        if etag_of(session) not in [tag.strip() for tag in given.split(",")]:
            raise PreconditionFailedError(
                "If-Match names another ICE session than this one", headers={hdrs.ETAG: etag_of(session)}
            )
    if "a=ice-ufrag:" not in fragment and "a=candidate:" not in fragment and "a=end-of-candidates" not in fragment:
        raise BadRequestError("the body is no fragment of candidates (RFC 8840): it has no a=candidate or a=ice-ufrag")
    await request.front.relays.control_session(SessionControl(session=session), request.actor)
    return web.Response(status=204, headers={hdrs.ETAG: etag_of(session)})


async def stop(request: FrontRequest) -> web.Response:
    """Ends the session."""
    await request.front.relays.close_session(request.path_id("session"), request.actor)
    return web.Response(status=200)


async def session_options(_request: FrontRequest) -> web.Response:
    """What a session takes."""
    return web.Response(status=200, headers={"Accept-Patch": SDP_FRAGMENT, hdrs.ALLOW: "DELETE, OPTIONS, PATCH"})


def _require_sdp_accepted(request: web.Request) -> None:
    accepted = [part.partition(";")[0].strip().lower() for part in request.headers.get(hdrs.ACCEPT, "*/*").split(",")]
    if not {SDP, "application/*", "*/*", ""} & set(accepted):
        raise NotAcceptableError(f"the answer is {SDP}, which the Accept header does not allow")
