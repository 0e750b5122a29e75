"""``/api/v1/grants``: who may do what with which cameras. The registry keeps them."""

import asyncio
from typing import Final

from aiohttp import web
from pydantic import BaseModel, Field, ValidationError

from services.contracts import subjects
from services.contracts.accounts import AccountName
from services.contracts.models import Id
from services.contracts.permissions import Right, Role
from services.contracts.requests import RequestId
from services.contracts.rights import GrantEntry, GrantInput, GrantKey, Purpose
from services.mesh.rpc import call as ask
from services.wall.front.context import FrontRequest
from services.wall.front.http.route import fields_error, json_response
from services.wall.front.http.times import Moment, TimedView, TimeUs, to_us

SEEN_SECONDS: Final = 1.0


class NewGrant(BaseModel):
    """A grant to be given to a role or to an account; of cameras that match all of site, tag and camera."""

    role: Role | None = None
    account: AccountName | None = None
    rights: frozenset[Right] = Field(min_length=1)
    site: Id | None = None
    tag: str | None = Field(default=None, min_length=1, max_length=120)
    camera: Id | None = None
    purpose: Purpose = Field(description="Why: it is shown with the grant.")
    from_: Moment | None = Field(default=None, alias="from")
    until: Moment | None = None
    request_id: RequestId | None = Field(
        default=None, description="Chosen by the asker, anew for each grant. Asked again it is the one of the first."
    )


class GrantView(TimedView):
    """A grant."""

    id: Id
    role: Role | None
    account: str | None
    rights: list[Right] = Field(description="Empty: the role's own grant, taken away.")
    site: Id | None
    tag: str | None
    camera: Id | None
    purpose: str
    from_us: TimeUs | None
    until_us: TimeUs | None
    granted_by: str = Field(description="Empty: the role's own.")
    granted_us: TimeUs


class GrantsView(BaseModel):
    """All grants."""

    grants: list[GrantView]


async def list_grants(request: FrontRequest) -> web.Response:
    """All grants, the roles' own first."""
    found = sorted(request.front.rights.grants.values(), key=lambda grant: (grant.granted_us, grant.id))
    return json_response(GrantsView(grants=[GrantView.model_validate(grant) for grant in found]))


async def add_grant(request: FrontRequest) -> web.Response:
    """Gives one; it counts at once, on every front and relay."""
    given = await request.json(NewGrant)
    fields = given.model_dump(exclude={"from_", "until"})
    times = {"from_us": given.from_ and to_us(given.from_), "until_us": given.until and to_us(given.until)}
    try:
        question = GrantInput.model_validate(fields | times)
    except ValidationError as error:
        raise fields_error(error) from error
    entry = await ask(request.front.bus, _endpoint(request, "add"), question, GrantEntry, actor=request.actor)
    await _seen(request, entry)
    return json_response(GrantView.model_validate(entry.grant), status=201)


async def remove_grant(request: FrontRequest) -> web.Response:
    """Takes one away, at once. Of a role's own one a mark stays; removing that gives the role its own back."""
    question = GrantKey(id=request.path_id("grant"))
    entry = await ask(request.front.bus, _endpoint(request, "remove"), question, GrantEntry, actor=request.actor)
    await _seen(request, entry)
    return web.Response(status=204)


def _endpoint(request: FrontRequest, verb: str) -> str:
    return subjects.rpc(request.front.home, "registry", f"grants-{verb}")


async def _seen(request: FrontRequest, entry: GrantEntry) -> None:
    """Returns when this front has the change, or after a second."""
    entries = request.front.grants.entries
    deadline = request.front.clock.monotonic() + SEEN_SECONDS
    while request.front.clock.monotonic() < deadline:
        known = entries.get(entry.grant.id)
        if known is None if entry.revision == 0 else known is not None and known[1] >= entry.revision:
            return
        await asyncio.sleep(0.005)
