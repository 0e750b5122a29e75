"""``/oidc``: signing in at the identity provider. The browser goes there and comes back with a code."""

from typing import Final

from aiohttp import hdrs, web
from pydantic import BaseModel, Field, ValidationError

from services.contracts.accounts import AccountEntry, ProviderSignIn
from services.contracts.errors import ConflictError, NotFoundError, UnavailableError
from services.mesh.log import get_logger
from services.mesh.rpc import call as ask
from services.wall.front.api import pages
from services.wall.front.api.accounts import account_seen, endpoint
from services.wall.front.api.signin import let_in, origin_of, sign_in_page, tell_refused
from services.wall.front.auth import cookies
from services.wall.front.auth.directory import KnownAccount, known_account
from services.wall.front.auth.oidc import OidcAttempt, OidcPerson, OidcProvider
from services.wall.front.context import FrontRequest
from services.wall.front.http.errors import TooManyAttemptsError, UnauthorizedError

log = get_logger()

BEGIN: Final = "/oidc/sign-in"
CALLBACK: Final = "/oidc/callback"


class _NoRoleError(UnauthorizedError):
    """None of the person's groups has a role."""


class _AccountError(UnauthorizedError):
    """The account is disabled, another's, or has a name that none can have."""


_SAID: Final[dict[type[Exception], str]] = {_NoRoleError: "provider-role", _AccountError: "provider-account"}
"""Keys of the page's texts."""


class BeginQuery(BaseModel):
    """How."""

    again: bool = Field(default=False, description="Ask for the password also where the provider knows the browser.")


class CallbackQuery(BaseModel):
    """What the provider says (OpenID Connect Core, 3.1.2.5 and 3.1.2.6; RFC 9207)."""

    state: str = Field(default="", max_length=200)
    code: str = Field(default="", max_length=4096)
    error: str = Field(default="", max_length=200)
    iss: str | None = Field(default=None, max_length=1000)


async def begin(request: FrontRequest) -> web.StreamResponse:
    """Sends the browser to the provider."""
    provider, attempt = _provider(request), OidcAttempt.new()
    try:
        url = await provider.begin_url(attempt, _redirect_url(request), again=request.query(BeginQuery).again)
    except UnavailableError:
        return sign_in_page(request, refused="provider-away", status=503)
    response = web.Response(status=303, headers={hdrs.LOCATION: url})
    cookies.set_attempt(request.raw, response, request.front.identity.clients, attempt.value)
    return response


async def finish(request: FrontRequest) -> web.StreamResponse:
    """Takes the provider's answer: a cookie and the app, or the sign-in page, which says why not."""
    provider, query = _provider(request), request.query(CallbackQuery)
    if request.is_head:
        return web.Response()
    person: OidcPerson | None = None
    try:
        with request.front.identity.provider_attempt(request.raw):
            person = await _answered(request, provider, query)
            account = await _account_of(request, person)
        response = pages.going_on(request.raw, "arrived", "/")
        await let_in(request, account, response, by_provider=True)
    except UnavailableError:
        response = sign_in_page(request, refused="provider-away", status=503)
    except TooManyAttemptsError as error:
        response = sign_in_page(request, refused="wait", status=error.status)
        response.headers[hdrs.RETRY_AFTER] = str(error.retry_after_seconds)
    except UnauthorizedError as error:
        log.warning("front.provider_refused", why=error.message)
        name = person.name if person is not None else ""
        tell_refused(request, name, "identity-provider", tried=name)
        response = sign_in_page(request, refused=_SAID.get(type(error), "provider-refused"))
    cookies.forget_attempt(response)
    return response


async def _answered(request: FrontRequest, provider: OidcProvider, query: CallbackQuery) -> OidcPerson:
    """Who has signed in; raises `UnauthorizedError` and `UnavailableError`."""
    attempt = OidcAttempt.parse(request.raw.cookies.get(cookies.ATTEMPT, ""))
    if attempt is None or not attempt.is_answered_by(query.state):
        raise UnauthorizedError("the answer is for another browser, or came too late")
    if query.iss not in (None, provider.issuer):
        raise UnauthorizedError("the answer is of another identity provider")
    if not query.code:
        raise UnauthorizedError(f"the identity provider says {query.error or 'nothing'}")
    return await provider.redeem(query.code, attempt, _redirect_url(request))


async def _account_of(request: FrontRequest, person: OidcPerson) -> KnownAccount:
    """The registry's account of a person, made or brought up to date; raises `UnauthorizedError`."""
    if person.role is None:
        raise _NoRoleError(f"none of the groups of {person.name!r} has a role")
    locale = person.locale if person.locale in ("id", "en") else None
    try:
        question = ProviderSignIn.model_validate(person._asdict() | {"locale": locale})
        entry = await ask(request.front.bus, endpoint(request, "provider"), question, AccountEntry)
    except (ValidationError, ConflictError) as error:
        raise _AccountError(f"{person.name!r} can have no account: {error}") from error
    found = known_account(entry.account)
    of_file = {account.name for account in request.front.identity.accounts.of_file()}
    if found is None or found.name in of_file:
        raise _AccountError(f"the account {entry.account.name!r} is disabled, or stands in the accounts file")
    await account_seen(request, found.name, entry.revision)
    return found


def _provider(request: FrontRequest) -> OidcProvider:
    if request.front.provider is None:
        raise NotFoundError("there is no identity provider; PANTAU_WALL_OIDC_ISSUER names one")
    return request.front.provider


def _redirect_url(request: FrontRequest) -> str:
    return request.front.settings.oidc_redirect_url or f"{origin_of(request)}{CALLBACK}"
