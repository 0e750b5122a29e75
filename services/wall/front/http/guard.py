"""Checks every request before its handler runs, and adds the security headers to every answer.

Three dangers: a page of another site that uses the operator's browser against the wall (checked by ``Origin`` and
``Sec-Fetch-Site``), a name of another site that resolves to this machine (DNS rebinding, checked by ``Host``), and a
proxy on this machine that makes the whole world look local (checked by its ``Forwarded`` headers). The last two matter
without accounts, where every client on this machine is the administrator.
"""

import ipaddress
from collections.abc import Callable, Iterable
from typing import Final
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from services.wall.front.http.errors import BadRequestError, ForeignOriginError, MisdirectedError

SAFE_METHODS: Final = frozenset({hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS})
_ANY_BYTES: Final = frozenset({"user-agent", "referer"})
"""Nobody here reads them, and they may hold what another site's page or address holds."""
_PROXY_HEADERS: Final = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP")

SECURITY_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # under no-referrer a form is sent with "Origin: null"
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
CORS_METHODS: Final = "POST, PATCH, DELETE, OPTIONS"
CORS_HEADERS: Final = "Authorization, Content-Type, If-Match"
CORS_EXPOSED: Final = "Location, Link, ETag, Accept-Patch, Retry-After"


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine. No name server is asked (RFC 6761, section 6.3)."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def host_of(authority: str) -> str:
    """The host in ``host[:port]``; empty where it cannot be read."""
    try:
        return urlsplit(f"//{authority}").hostname or ""
    except ValueError:
        return ""


def authority_of(origin: str) -> str:
    """The ``host[:port]`` of an origin; empty where it cannot be read."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


class Guard:
    """Lets a request in or refuses it."""

    def __init__(self, *, is_local: Callable[[], bool], allowed_origins: Iterable[str] = ()) -> None:
        """``is_local``: whether there are no accounts, so that every client on loopback is the administrator."""
        self._is_local = is_local
        self._allowed = frozenset(allowed_origins)

    def check_request(self, request: web.BaseRequest, *, cross_origin: bool) -> None:
        """Raises `BadRequestError`, `MisdirectedError` or `ForeignOriginError`.

        ``cross_origin``: the route is for players on other sites' pages, who show their own credentials.
        """
        self._check_text(request)
        if self._is_local():
            self._check_local(request)
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None:
            if request.headers.get("Sec-Fetch-Site") == "cross-site" and not self._harmless(request):
                raise ForeignOriginError("a page of another site may not ask this of the wall")
            return
        upgrade = request.headers.get(hdrs.UPGRADE, "").lower() == "websocket"
        if request.method in SAFE_METHODS and not upgrade:
            return  # without CORS headers in the answer the page cannot read it
        if not self.is_own_origin(request, origin) and not (cross_origin and self.shares_with(request, origin)):
            raise ForeignOriginError(
                f"pages of {origin!r} may not use this wall; PANTAU_WALL_ALLOWED_ORIGINS can name that origin"
            )

    def is_own_origin(self, request: web.BaseRequest, origin: str) -> bool:
        """Whether a page of ``origin`` may act for the signed-in person: our own, or one that a setting names."""
        return origin.lower() in self._allowed or authority_of(origin).lower() == (request.host or "").lower()

    def shares_with(self, request: web.BaseRequest, origin: str) -> bool:
        """Whether a page of ``origin`` may read answers of cross-origin routes.

        With accounts any may: it has to show a token, and the browser's cookie does not go with it (SameSite). Without
        accounts only pages that this machine itself serves.
        """
        if self.is_own_origin(request, origin):
            return True
        return is_loopback(host_of(authority_of(origin))) if self._is_local() else True

    def _check_local(self, request: web.BaseRequest) -> None:
        if not is_loopback(host_of(request.host or "")):
            raise MisdirectedError(
                f"{request.host!r} is not a name of this machine, and without accounts the wall serves no other; open"
                " http://localhost, or set up accounts: pantau accounts add --help"
            )
        if any(name in request.headers for name in _PROXY_HEADERS):
            raise MisdirectedError(
                "this came through a proxy, and without accounts the wall cannot tell who asks; "
                "set up accounts: pantau accounts add --help"
            )

    @staticmethod
    def _check_text(request: web.BaseRequest) -> None:
        """Headers that are read here are UTF-8; aiohttp gives bytes that are not as half surrogate pairs."""
        for name, value in request.headers.items():
            if not value.isascii() and name.lower() not in _ANY_BYTES and not _is_text(value):
                raise BadRequestError(f"the header {name} is not UTF-8")

    @staticmethod
    def _harmless(request: web.BaseRequest) -> bool:
        """A link to a page is harmless; a request of another site's page to the API is not."""
        return request.method in SAFE_METHODS and not request.path.startswith("/api/")


def add_headers(request: web.BaseRequest, response: web.StreamResponse, guard: Guard, *, cross_origin: bool) -> None:
    """Completes an answer; called as it is about to be sent."""
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    if "private" in response.headers.setdefault("Cache-Control", "no-store"):
        # What a browser keeps for one person is not for the next one at the same desk: rights and masks differ.
        response.headers.add("Vary", "Authorization, Cookie")
    response.headers["Server"] = "Pantau"
    response.headers.setdefault("Cross-Origin-Resource-Policy", "cross-origin" if cross_origin else "same-origin")
    origin = request.headers.get(hdrs.ORIGIN)
    if cross_origin:
        response.headers.add("Vary", "Origin")
        if origin is not None and guard.shares_with(request, origin):
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = CORS_EXPOSED
            if request.method == hdrs.METH_OPTIONS:
                response.headers["Access-Control-Allow-Methods"] = CORS_METHODS
                response.headers["Access-Control-Allow-Headers"] = CORS_HEADERS
                response.headers["Access-Control-Max-Age"] = "600"
