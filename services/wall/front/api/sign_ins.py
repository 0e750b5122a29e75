"""``/api/v1/sessions``: where an account is signed in. (Viewing sessions are below ``/api/v1/wall``.)"""

from typing import Self

from aiohttp import web
from pydantic import BaseModel, Field

from services.contracts.accounts import SignIn, SignInKind
from services.contracts.errors import NotFoundError
from services.contracts.models import Id
from services.contracts.permissions import Role
from services.wall.front.auth import cookies
from services.wall.front.context import FrontRequest
from services.wall.front.http.route import json_response
from services.wall.front.http.times import TimedView, TimeUs


class SignInsQuery(BaseModel):
    """Whose."""

    account: str | None = Field(default=None, description="Of this account; of others than one's own for an admin.")
    everybody: bool = Field(default=False, description="Of all accounts; for an admin.")


class SignInView(TimedView):
    """One sign-in."""

    id: Id
    account: str
    role: Role
    kind: SignInKind
    created_us: TimeUs
    used_us: TimeUs = Field(description="Exact to some hours.")
    expires_us: TimeUs
    address: str
    agent: str
    current: bool = Field(description="This request's own.")

    @classmethod
    def of(cls, sign_in: SignIn, current: str) -> Self:
        """A sign-in as an answer shows it."""
        return cls(**sign_in.model_dump(include=set(cls.model_fields)), current=sign_in.id == current)


class SignInsView(BaseModel):
    """Sign-ins, of each account the one used last first."""

    sessions: list[SignInView]


async def list_sign_ins(request: FrontRequest) -> web.Response:
    """One's own; an administrator sees anybody's."""
    request.require_person()
    query, actor = request.query(SignInsQuery), request.actor
    sign_ins = request.front.identity.sign_ins
    if query.everybody or query.account not in (None, actor.name):
        actor.require(Role.ADMIN)
    name = query.account or actor.name
    found = sign_ins.everybody() if query.everybody else sign_ins.of_account(name)
    found.sort(key=lambda sign_in: (sign_in.account.casefold(), -sign_in.used_us))
    return json_response(SignInsView(sessions=[SignInView.of(each, actor.session) for each in found]))


async def end_sign_in(request: FrontRequest) -> web.Response:
    """Ends one: its cookie, streams, sockets and video, on every front and relay."""
    request.require_person()
    actor = request.actor
    wanted = request.path_id("session")
    sign_ins = request.front.identity.sign_ins
    found = sign_ins.get(actor.session if wanted == "current" else wanted)
    if found is None or (found.account != actor.name and not actor.may(Role.ADMIN)):
        raise NotFoundError(f"there is no session {wanted!r} of yours")
    await sign_ins.end(found.id)
    response = web.Response(status=204)
    if found.id == actor.session:
        cookies.forget_session(response)
    return response
