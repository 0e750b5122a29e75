"""``/api/v1/wall/sessions``: opening and closing a viewing session. `control` steers it."""

from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, Field

from services.contracts.sessions import MAX_SLOTS, Aim, Size
from services.wall.front.api.offers import SDP, check_offer
from services.wall.front.http.answers import json_response
from services.wall.front.http.request import Call
from services.wall.front.http.route import JSON

PATH = "/api/v1/wall/sessions"


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


async def open_session(call: Call) -> web.Response:
    """Places the session on a relay and answers with that relay's SDP, in the form that the offer had."""
    aims: tuple[Aim, ...] = ()
    sizes: tuple[Size, ...] = ()
    is_json = call.body_type() == JSON
    if is_json:
        question = await call.json(SessionRequest)
        offer = question.sdp
        aims = question.slots if isinstance(question.slots, tuple) else ()
        sizes = question.sizes
    else:
        offer = await call.text()
    check_offer(offer)
    opened = await call.front.relays.open(offer, kind="wall", aims=aims, sizes=sizes, actor=call.actor)
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


async def close_session(call: Call) -> web.Response:
    """Ends it."""
    await call.front.relays.close(call.part("session"), call.actor)
    return web.Response(status=204)
