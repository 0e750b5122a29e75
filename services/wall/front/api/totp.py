"""``/api/v1/me/totp``: one's own second factor."""

from aiohttp import web
from pydantic import BaseModel, Field

from services.contracts.accounts import AccountEntry, TotpChange
from services.contracts.errors import ConflictError, NotFoundError
from services.contracts.totp import (
    Totp,
    matching_step,
    new_recovery_codes,
    new_secret,
    recovery_digest,
    totp_uri,
)
from services.mesh.rpc import call as ask
from services.wall.front.api.accounts import endpoint
from services.wall.front.auth.directory import KnownAccount
from services.wall.front.auth.passwords import MAX_PASSWORD_BYTES
from services.wall.front.context import FrontRequest
from services.wall.front.http.errors import FieldError, FieldsError, UnauthorizedError
from services.wall.front.http.route import json_response


class TotpOffer(BaseModel):
    """A secret for an authenticator; nothing is kept of it yet."""

    secret: str
    uri: str = Field(description="For a QR code.")


class TotpConfirmation(BaseModel):
    """The secret, and the code that the authenticator makes of it."""

    secret: str = Field(min_length=16, max_length=64, pattern="^[A-Z2-7]+$")
    code: str = Field(max_length=16)
    password: str = Field(max_length=MAX_PASSWORD_BYTES, repr=False)


class TotpRemoval(BaseModel):
    """One's password."""

    password: str = Field(max_length=MAX_PASSWORD_BYTES, repr=False)


class RecoveryCodes(BaseModel):
    """Codes for the day on which the phone is lost; shown this once, each counts once."""

    recovery_codes: list[str]


async def offer_totp(request: FrontRequest) -> web.Response:
    """Makes a secret."""
    secret = new_secret()
    return json_response(TotpOffer(secret=secret, uri=totp_uri(secret, _account(request).name)))


async def confirm_totp(request: FrontRequest) -> web.Response:
    """Switches it on; from now on a sign-in takes a code, and Basic is refused."""
    given = await request.json(TotpConfirmation)
    account = _account(request)
    await _check_password(request, account, given.password)
    try:
        step = matching_step(given.secret, given.code, request.front.clock.now_us() / 1e6)
    except ValueError as error:
        raise FieldsError([FieldError("secret", "is no base32 (RFC 4648)")]) from error
    if step is None:
        raise FieldsError([FieldError("code", "is not the authenticator's code; is the phone's clock right?")])
    codes = new_recovery_codes()
    totp = Totp(secret=given.secret, last_step=step, recovery=frozenset(map(recovery_digest, codes)))
    await ask(request.front.bus, endpoint(request, "totp"), TotpChange(totp=totp), AccountEntry, actor=request.actor)
    return json_response(RecoveryCodes(recovery_codes=codes))


async def remove_totp(request: FrontRequest) -> web.Response:
    """Switches it off."""
    given = await request.json(TotpRemoval)
    await _check_password(request, _account(request), given.password)
    await ask(request.front.bus, endpoint(request, "totp"), TotpChange(totp=None), AccountEntry, actor=request.actor)
    return web.Response(status=204)


def _account(request: FrontRequest) -> KnownAccount:
    request.require_person()
    account = request.front.identity.accounts.by_name(request.actor.name) if request.actor.session else None
    if account is None or not account.password:
        raise NotFoundError("there is no password to put a code beside")
    if account.source == "file":
        raise ConflictError("this account stands in the accounts file, which has no codes")
    return account


async def _check_password(request: FrontRequest, account: KnownAccount, password: str) -> None:
    try:
        await request.front.identity.check_password(request.raw, account.name, password)
    except UnauthorizedError as error:
        raise FieldsError([FieldError("password", "is not your password")]) from error
