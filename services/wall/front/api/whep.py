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
from services.wall.front.api.liveness import require_live
from services.wall.front.api.offers import SDP, SDP_FRAGMENT, check_offer
from services.wall.front.http.errors import (
    BadRequestError,
    IceRestartError,
    NotAcceptableError,
    PreconditionFailedError,
)
from services.wall.front.http.request import Call


class WhepQuery(BaseModel):
    """Which stream of the camera."""

    profile: Literal["main", "sub", "auto"] = Field(
        default="auto", description="auto: main, stepping down to sub where the link is too slow."
    )


def etag_of(session: str) -> str:
    """The entity tag of a session's one ICE session."""
    return f'"{hashlib.sha256(session.encode()).hexdigest()[:16]}"'


async def play(call: Call) -> web.Response:
    """Opens a session with one slot that shows the camera."""
    call.body_type()
    profile = call.query(WhepQuery).profile
    camera = call.camera()
    _require_sdp_accepted(call.request)
    offer = await call.text()
    check_offer(offer)
    if profile != "auto" and profile not in camera.profiles:
        raise NotFoundError(f"{camera.name} has no profile {profile!r}; it has {', '.join(sorted(camera.profiles))}")
    require_live(call.front, camera)
    aim = Aim(slot=0, camera=camera.id, profile=profile)
    opened = await call.front.relays.open(offer, kind="whep", aims=(aim,), actor=call.actor)
    response = web.Response(status=201, body=opened.answer.encode(), content_type=SDP)
    response.headers[hdrs.LOCATION] = f"/whep/{camera.id}/{opened.session}"
    response.headers[hdrs.ETAG] = etag_of(opened.session)
    response.headers["Accept-Patch"] = SDP_FRAGMENT
    for link in call.front.ice.links(call.actor.name):
        response.headers.add("Link", link)
    return response


async def endpoint_options(_call: Call) -> web.Response:
    """What the endpoint takes; a browser's preflight gets its CORS headers on the way out."""
    return web.Response(status=200, headers={"Accept-Post": SDP, hdrs.ALLOW: "OPTIONS, POST"})


async def trickle(call: Call) -> web.Response:
    """Accepts a fragment of candidates (RFC 8840)."""
    session = call.part("session")
    call.body_type()
    fragment = await call.text()
    if hdrs.IF_MATCH in call.request.headers:
        given = call.request.headers[hdrs.IF_MATCH].strip()
        if given == "*":
            raise IceRestartError("this server is ICE-lite and does not restart ICE; open a new session")
        if etag_of(session) not in [tag.strip() for tag in given.split(",")]:
            raise PreconditionFailedError(
                "If-Match names another ICE session than this one", headers={hdrs.ETAG: etag_of(session)}
            )
    if "a=ice-ufrag:" not in fragment and "a=candidate:" not in fragment and "a=end-of-candidates" not in fragment:
        raise BadRequestError("the body is no fragment of candidates (RFC 8840): it has no a=candidate or a=ice-ufrag")
    await call.front.relays.control(SessionControl(session=session), call.actor)
    return web.Response(status=204, headers={hdrs.ETAG: etag_of(session)})


async def stop(call: Call) -> web.Response:
    """Ends the session."""
    await call.front.relays.close(call.part("session"), call.actor)
    return web.Response(status=200)


async def session_options(_call: Call) -> web.Response:
    """What a session takes."""
    return web.Response(status=200, headers={"Accept-Patch": SDP_FRAGMENT, hdrs.ALLOW: "DELETE, OPTIONS, PATCH"})


def _require_sdp_accepted(request: web.Request) -> None:
    accepted = [part.partition(";")[0].strip().lower() for part in request.headers.get(hdrs.ACCEPT, "*/*").split(",")]
    if not {SDP, "application/*", "*/*", ""} & set(accepted):
        raise NotAcceptableError(f"the answer is {SDP}, which the Accept header does not allow")
