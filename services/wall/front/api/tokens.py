"""``/api/v1/tokens``: API tokens for programs, each with its rights and its end."""

from typing import Final, Self

from aiohttp import web
from pydantic import BaseModel, Field

from services.contracts.accounts import SignIn, SignInKind
from services.contracts.errors import NotFoundError
from services.contracts.models import Id
from services.contracts.permissions import Right, Role
from services.wall.front.auth.identity import API_TOKEN
from services.wall.front.context import FrontRequest
from services.wall.front.http.errors import FieldError, FieldsError
from services.wall.front.http.route import json_response
from services.wall.front.http.times import Moment, TimedView, TimeUs, to_us

MAX_SECONDS: Final = 366 * 86400
MAX_OF_ACCOUNT: Final = 50


class NewToken(BaseModel):
    """A token to be made."""

    name: str = Field(min_length=1, max_length=80, description="Which program it is for.")
    rights: frozenset[Right] | None = Field(
        default=None, description="What it is for, as far as the account has it; default: all that the account may."
    )
    expires: Moment = Field(description="At most 366 days from now.")


class TokenView(TimedView):
    """A token, without its secret."""

    id: Id
    name: str
    rights: list[Right] | None
    created_us: TimeUs
    expires_us: TimeUs

    @classmethod
    def of(cls, sign_in: SignIn) -> Self:
        """A token as an answer shows it."""
        return cls(
            id=sign_in.id,
            name=sign_in.agent,
            rights=None if sign_in.rights is None else sorted(sign_in.rights),
            created_us=sign_in.created_us,
            expires_us=sign_in.expires_us,
        )


class TokensView(BaseModel):
    """One's own tokens, the newest first."""

    tokens: list[TokenView]


class NewTokenView(BaseModel):
    """A token that was made just now."""

    id: Id
    token: str = Field(description="For 'Authorization: Bearer …'. It is shown this once.")


async def list_tokens(request: FrontRequest) -> web.Response:
    """One's own, the newest first."""
    request.require_person()
    found = sorted(_own(request), key=lambda sign_in: -sign_in.created_us)
    return json_response(TokensView(tokens=[TokenView.of(sign_in) for sign_in in found]))


async def add_token(request: FrontRequest) -> web.Response:
    """Makes one. It ends at its time, when it is taken back, and with all of the account's sign-ins."""
    request.require_person()
    given = await request.json(NewToken)
    front = request.front
    account = front.identity.accounts.by_name(request.actor.name) if request.actor.session else None
    if account is None:
        raise NotFoundError("without accounts there are no tokens: every client on this machine is the administrator")
    left_us = to_us(given.expires) - front.clock.now_us()
    if not 0 < left_us <= MAX_SECONDS * 1_000_000:
        raise FieldsError([FieldError("expires", "must be in the future, by at most 366 days")])
    if len(_own(request)) >= MAX_OF_ACCOUNT:
        raise FieldsError([FieldError("name", f"an account has at most {MAX_OF_ACCOUNT} tokens; take one back")])
    token = await front.identity.sign_ins.open_api(
        account, name=given.name, rights=given.rights, expires_us=to_us(given.expires)
    )
    return json_response(NewTokenView(id=token.id, token=f"{API_TOKEN}{token.value}"), status=201)


async def remove_token(request: FrontRequest) -> web.Response:
    """Takes one back, for an administrator anybody's."""
    request.require_person()
    sign_ins = request.front.identity.sign_ins
    found = sign_ins.get(request.path_id("token"))
    whose = found is not None and (found.account == request.actor.name or request.actor.may(Role.ADMIN))
    if found is None or found.kind is not SignInKind.API or not whose:
        raise NotFoundError("you have no such token")
    await sign_ins.end(found.id)
    return web.Response(status=204)


def _own(request: FrontRequest) -> list[SignIn]:
    found = request.front.identity.sign_ins.of_account(request.actor.name)
    return [sign_in for sign_in in found if sign_in.kind is SignInKind.API]
