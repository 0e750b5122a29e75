"""``/api/v1/wall/sessions``: opening and closing a viewing session. `control` steers it."""

from typing import Annotated, Final

from aiohttp import web
from pydantic import BaseModel, Field

from services.contracts.errors import BadOfferError
from services.contracts.sessions import MAX_SLOTS, Aim, Size
from services.wall.front.context import FrontRequest
from services.wall.front.http.route import JSON, json_response

PATH: Final = "/api/v1/wall/sessions"
SDP: Final = "application/sdp"
SDP_FRAGMENT: Final = "application/trickle-ice-sdpfrag"
MAX_OFFER_BYTES: Final = 512 * 1024
"""Chromium's untrimmed offer for 36 slots has 175 kB."""


class SessionRequest(BaseModel):
    """A viewer's offer: N ``recvonly`` video sections, in order the slots 0 to N − 1."""

    sdp: str = Field(description="SDP offer (RFC 8866); its candidates are not needed.")
    slots: tuple[Aim, ...] | Annotated[int, Field(ge=0, le=MAX_SLOTS)] = Field(
        default=(), description="What the slots show from the beginning; a number alone is accepted and means nothing."
    )
    sizes: tuple[Size, ...] = Field(
        default=(), description="How large the tiles are: `auto` begins with the profile that fits."
    )


class SessionView(BaseModel):
    """An open session."""

    id: str
    sdp: str = Field(description="SDP answer, with all the relay's candidates.")
    relay: str
    slots: int = Field(description="How many video sections were accepted.")
    control: str = Field(description="Path of the WebSocket that steers it.")


def check_offer(offer: str) -> None:
    """Raises `BadOfferError` where no relay could answer ``offer``: that need not cost a placement."""
    if not offer.startswith("v=0"):
        raise BadOfferError("the body is no SDP offer: it must begin with v=0")
    lines = offer.splitlines()
    if not any(line.startswith("m=video ") for line in lines):
        raise BadOfferError("the offer asks for no video: it has no m=video section")
    for attribute in ("a=ice-ufrag:", "a=ice-pwd:", "a=fingerprint:"):
        if not any(line.startswith(attribute) for line in lines):
            raise BadOfferError(f"the offer has no {attribute.rstrip(':')}: it cannot be a WebRTC offer")


async def open_session(request: FrontRequest) -> web.Response:
    """Places the session on a relay and answers with that relay's SDP, in the form that the offer had."""
    aims: tuple[Aim, ...] = ()
    sizes: tuple[Size, ...] = ()
    is_json = request.body_type() == JSON
    if is_json:
        question = await request.json(SessionRequest)
        offer = question.sdp
        aims = question.slots if isinstance(question.slots, tuple) else ()
        sizes = question.sizes
    else:
        offer = await request.text()
    check_offer(offer)
    opened = await request.front.relays.open_session(offer, kind="wall", aims=aims, sizes=sizes, actor=request.actor)
    path = f"{PATH}/{opened.session}"
    headers = {"Location": path}
    if is_json:
        view = SessionView(
            id=opened.session,
            sdp=opened.answer,
            relay=opened.relay,
            slots=opened.slots,
            control=f"{path}/control",
        )
        return json_response(view, status=201, headers=headers)
    return web.Response(status=201, body=opened.answer.encode(), content_type=SDP, headers=headers)


async def close_session(request: FrontRequest) -> web.Response:
    """Ends it."""
    await request.front.relays.close_session(request.path_id("session"), request.actor)
    return web.Response(status=204)
