"""Signing in and out, and one's own password."""

from contextlib import suppress
from typing import Final
from urllib.parse import parse_qs

from aiohttp import hdrs, web
from pydantic import BaseModel, Field

from services.contracts.accounts import MAX_CODE, AccountEntry, PasswordChange, SignInKind, TotpUse
from services.contracts.errors import ConflictError, NotFoundError
from services.contracts.events import WALL_TARGET
from services.contracts.permissions import Actor, Role
from services.mesh.log import get_logger
from services.mesh.rpc import call as ask
from services.wall.front.api import pages
from services.wall.front.api.accounts import endpoint, new_stamp
from services.wall.front.auth import cookies
from services.wall.front.auth.directory import KnownAccount
from services.wall.front.auth.passwords import MAX_PASSWORD_BYTES, MIN_PASSWORD_CHARACTERS
from services.wall.front.context import FrontRequest
from services.wall.front.http.client import network_key
from services.wall.front.http.errors import (
    BadRequestError,
    BusyError,
    CodeNeededError,
    FieldError,
    FieldsError,
    TooManyAttemptsError,
    UnauthorizedError,
)

log = get_logger()
FORM: Final = "application/x-www-form-urlencoded"


class SignInRequest(BaseModel):
    """A name and its password."""

    name: str = Field(max_length=256)
    password: str = Field(max_length=MAX_PASSWORD_BYTES, repr=False)
    code: str = Field(
        default="", max_length=MAX_CODE, description="Of an account with a second factor, or a recovery code."
    )


class PasswordRequest(BaseModel):
    """One's own password, and the next one."""

    old: str = Field(max_length=MAX_PASSWORD_BYTES, repr=False)
    new: str = Field(min_length=MIN_PASSWORD_CHARACTERS, max_length=MAX_PASSWORD_BYTES, repr=False)


def sign_in_page(
    request: FrontRequest, *, refused: str = "", given: str = "", status: int = 401, code: bool = False
) -> web.Response:
    """The sign-in page, as `pages.sign_in` makes it, for this front."""
    exposed = request.front.identity.clients.is_exposed(request.raw)
    provider = request.front.settings.oidc_label if request.front.provider is not None else ""
    return pages.sign_in(
        request.raw, refused=refused, given=given, exposed=exposed, status=status, code=code, provider=provider
    )


def origin_of(request: FrontRequest) -> str:
    """The wall's own address, as the browser came by it."""
    scheme = "https" if request.front.identity.clients.is_secure(request.raw) else "http"
    return f"{scheme}://{request.raw.host}"


async def sign_in(request: FrontRequest) -> web.StreamResponse:
    """Takes the sign-in page's form: a cookie and the app, or the page again."""
    request.body_type()
    try:
        form = parse_qs(await request.text(), keep_blank_values=True, max_num_fields=10)
    except ValueError as error:
        raise BadRequestError("the form has more fields than the page's") from error
    name, password = form.get("name", [""])[0].strip(), form.get("password", [""])[0]
    try:
        account = await _check(request, name, password, form.get("code", [""])[0])
    except CodeNeededError:
        return sign_in_page(request, refused="code", given=name, code=True)
    except UnauthorizedError:
        return sign_in_page(request, refused="wrong", given=name, status=401)
    except (TooManyAttemptsError, BusyError) as error:
        refused = "wait" if isinstance(error, TooManyAttemptsError) else "busy"
        response = sign_in_page(request, refused=refused, given=name, status=error.status)
        response.headers[hdrs.RETRY_AFTER] = str(error.retry_after_seconds)
        return response
    return await let_in(request, account, web.Response(status=303, headers={hdrs.LOCATION: "/"}))


async def sign_in_json(request: FrontRequest) -> web.StreamResponse:
    """The same for a page's script: cookies, or a problem. The browser's former sign-in ends."""
    given = await request.json(SignInRequest)
    account = await _check(request, given.name, given.password, given.code)
    return await let_in(request, account, web.Response(status=204))


async def sign_out(request: FrontRequest) -> web.StreamResponse:
    """Ends the sign-in of the browser's cookie, on every front and relay."""
    actor = None
    with suppress(UnauthorizedError, TooManyAttemptsError):
        actor = await request.front.identity.identify(request.raw)
    if actor is not None:
        FrontRequest(request.raw, actor, request.route, request.front).audit("signed-out", WALL_TARGET, {})
    ended = await request.front.identity.sign_out(request.raw)
    provider = request.front.provider
    target = await provider.end_url(origin_of(request)) if provider and ended and ended.by_provider else None
    response = web.Response(status=303, headers={hdrs.LOCATION: "/"})
    if target is not None:
        response = pages.going_on(request.raw, "left", target)
    cookies.forget_session(response)
    return response


async def change_password(request: FrontRequest) -> web.StreamResponse:
    """Changes one's own password. All other sign-ins of the account end; this browser's stays."""
    request.require_person()
    given = await request.json(PasswordRequest)
    front, actor = request.front, request.actor
    identity = front.identity
    account = identity.accounts.by_name(actor.name) if actor.session else None
    if account is None or not account.password:
        raise NotFoundError("there is no password to change")
    if account.source == "file":
        raise ConflictError("this account stands in the accounts file, where the page cannot change it")
    try:
        await identity.check_password(request.raw, actor.name, given.old)
    except UnauthorizedError as error:
        raise FieldsError([FieldError("old", "is not your password")]) from error
    change = PasswordChange(password=await identity.hash_password(given.new), stamp=new_stamp())
    sign_in_now = identity.sign_ins.get(actor.session)
    if sign_in_now is not None and sign_in_now.kind is SignInKind.BROWSER:
        await identity.sign_ins.let_stay(actor.session, account.stamp, change.stamp)
    entry = await ask(front.bus, endpoint(request, "password"), change, AccountEntry, actor=actor)
    response = web.Response(status=204)
    kept = entry.account.password or ""
    cookies.set_device(request.raw, response, identity.clients, cookies.issue_device(actor.name, kept))
    return response


async def style(_request: FrontRequest) -> web.StreamResponse:
    """The style of the sign-in page."""
    return web.Response(text=pages.STYLE, content_type="text/css", headers={hdrs.CACHE_CONTROL: "no-cache"})


async def _check(request: FrontRequest, name: str, password: str, code: str) -> KnownAccount:
    """The account; raises as `Identity.check_password` does, and `NotFoundError` where there are no accounts."""
    identity = request.front.identity
    if identity.is_local:
        raise NotFoundError("there is nothing to sign in to: this wall has no accounts")
    if identity.clients.is_exposed(request.raw):
        log.warning("front.password_in_the_clear", peer=identity.clients.address_of(request.raw), remedy="HTTPS")
    try:
        account = await identity.check_password(request.raw, name, password)
        if account.totp is not None:
            await _use_code(request, account, code)
        return account
    except CodeNeededError:
        raise
    except (UnauthorizedError, TooManyAttemptsError) as error:
        # Once it has to wait, a stranger may still claim ever other names: those count as one.
        tell_refused(request, name, error.code, tried="" if isinstance(error, TooManyAttemptsError) else name)
        raise


def tell_refused(request: FrontRequest, name: str, why: str, *, tried: str) -> None:
    """Has the audit know that somebody who called themselves ``name`` was not let in; once a minute for each address
    and ``tried``."""
    address = request.front.identity.clients.address_of(request.raw)
    log.warning("front.sign_in_refused", peer=address)
    held = request.front.audit_gate.take("sign-in-refused", network_key(address), tried[:64])
    if held is not None:
        claimed = Actor(name[:64], Role.VIEWER, address=address)
        detail = {"why": why} | ({"more": str(held)} if held else {})
        FrontRequest(request.raw, claimed, request.route, request.front).audit("sign-in-refused", WALL_TARGET, detail)


async def _use_code(request: FrontRequest, account: KnownAccount, code: str) -> None:
    """Has the registry, which has the secret, check the code."""
    if not code.strip():
        raise CodeNeededError("this account signs in with a code of its authenticator, too")
    with request.front.identity.code_attempt(request.raw, account):
        if len(code) > MAX_CODE:
            raise UnauthorizedError("the code is wrong, or was used before")
        use = TotpUse(name=account.name, code=code)
        try:
            await ask(request.front.bus, endpoint(request, "totp-use"), use, AccountEntry)
        except ConflictError as error:
            raise UnauthorizedError("the code is wrong, or was used before") from error


async def let_in(
    request: FrontRequest, account: KnownAccount, response: web.Response, *, by_provider: bool = False
) -> web.Response:
    """Opens a sign-in of the browser for ``account``: ``response`` carries its cookies."""
    identity = request.front.identity
    cookie = await identity.open_browser(request.raw, account, by_provider=by_provider)
    cookies.set_session(request.raw, response, identity.clients, cookie)
    who = Actor(account.name, account.role, cookie.id, identity.clients.address_of(request.raw))
    FrontRequest(request.raw, who, request.route, request.front).audit(
        "signed-in", WALL_TARGET, {"by": "identity provider"} if by_provider else {}
    )
    device = cookies.issue_device(account.name, account.password or account.stamp)
    cookies.set_device(request.raw, response, identity.clients, device)
    return response
