"""Signing in and out with a browser."""

from urllib.parse import parse_qs

from aiohttp import hdrs, web

from services.contracts.errors import NotFoundError
from services.mesh.log import get_logger
from services.wall.front.api import pages
from services.wall.front.auth import cookies
from services.wall.front.auth.identity import AccountsIdentity
from services.wall.front.context import FrontRequest
from services.wall.front.http.errors import TooManyAttemptsError, UnauthorizedError

log = get_logger()
FORM = "application/x-www-form-urlencoded"


async def sign_in(request: FrontRequest) -> web.StreamResponse:
    """Takes the sign-in page's form: a cookie and the app, or the page again."""
    request.body_type()
    identity = request.front.identity
    if not isinstance(identity, AccountsIdentity):
        raise NotFoundError("there is nothing to sign in to: this wall has no accounts")
    form = parse_qs(await request.text(), keep_blank_values=True, max_num_fields=10)
    name, password = form.get("name", [""])[0].strip(), form.get("password", [""])[0]
    try:
        account = await identity.sign_in(request.raw, name, password)
    except UnauthorizedError:
        log.warning("front.sign_in_refused", peer=request.raw.remote)
        return pages.sign_in(request.raw, refused="wrong", given=name, status=401)
    except TooManyAttemptsError as error:
        response = pages.sign_in(request.raw, refused="wait", given=name, status=429)
        response.headers[hdrs.RETRY_AFTER] = str(error.retry_after_seconds)
        return response
    response = web.Response(status=303, headers={hdrs.LOCATION: "/"})
    cookies.set_cookie(request.raw, response, identity.cookie_for(account))
    return response


async def sign_out(request: FrontRequest) -> web.StreamResponse:
    """Forgets the browser's cookie."""
    response = web.Response(status=303, headers={hdrs.LOCATION: "/"})
    response.del_cookie(cookies.NAME, path="/")
    return response


async def style(_request: FrontRequest) -> web.StreamResponse:
    """The style of the sign-in page."""
    return web.Response(text=pages.STYLE, content_type="text/css", headers={hdrs.CACHE_CONTROL: "no-cache"})
