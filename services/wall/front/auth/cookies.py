"""The browser's cookies.

``pantau_session`` is ``<id>.<secret>`` of a sign-in, which is kept on the server. ``pantau_device`` says which account
has signed in with this browser before: guesses by strangers then do not keep its owner out. It is signed with a key
made of the account's kept password, or of its stamp where the identity provider has the password. So every front can
check it, and it ends when the password changes.
``pantau_oidc`` holds what a browser has sent to the identity provider, until it comes back from there.
"""

import hashlib
import hmac
import secrets
from typing import Final, NamedTuple

from aiohttp import web

from services.contracts.subjects import is_id
from services.wall.front.http.client import Clients

NAME: Final = "pantau_session"
DEVICE: Final = "pantau_device"
ATTEMPT: Final = "pantau_oidc"
ATTEMPT_PATH: Final = "/oidc"
ATTEMPT_SECONDS: Final = 600
"""A second factor may take its time."""
MAX_AGE_SECONDS: Final = 400 * 86400
"""As long as browsers keep any cookie. The server says when a sign-in ends."""
_SECRET_BYTES: Final = 32


class SessionCookie(NamedTuple):
    """A session cookie's two halves."""

    id: str
    secret: str

    @classmethod
    def new(cls) -> "SessionCookie":
        """A cookie for a new sign-in."""
        return cls(secrets.token_hex(12), secrets.token_urlsafe(_SECRET_BYTES))

    @classmethod
    def parse(cls, value: str) -> "SessionCookie | None":
        """The halves of a cookie's value; None where it cannot be one."""
        sign_in, _, secret = value.partition(".")
        proper = is_id(sign_in) and 20 <= len(secret) <= 64 and secret.isascii()
        return cls(sign_in, secret) if proper else None

    @property
    def value(self) -> str:
        """As the browser keeps it."""
        return f"{self.id}.{self.secret}"

    @property
    def digest(self) -> str:
        """What the server keeps of the secret."""
        return hashlib.sha256(self.secret.encode()).hexdigest()


def issue_device(name: str, kept: str) -> str:
    """The value of a device cookie for the account ``name`` whose kept password (or stamp, where it has none) is
    ``kept``."""
    nonce = secrets.token_hex(8)
    return f"{nonce}.{_sign(name, kept, nonce)}.{name.encode().hex()}"


def device_account(value: str) -> str:
    """The account that a device cookie says it is of; empty where it says none."""
    try:
        return bytes.fromhex(value.rpartition(".")[2]).decode()
    except ValueError:
        return ""


def known_device(value: str, name: str, kept: str | None) -> str | None:
    """What names the device for limits; None where nobody has signed in to ``name`` with it."""
    nonce, _, rest = value.partition(".")
    signature = rest.partition(".")[0]
    if not kept or not nonce or not value.isascii():
        return None
    return nonce if hmac.compare_digest(signature, _sign(name, kept, nonce)) else None


def set_session(
    request: web.BaseRequest, response: web.StreamResponse, clients: Clients, cookie: SessionCookie
) -> None:
    """Sets the cookie: no script reads it, no other site's page sends it, and over TLS it stays on TLS."""
    _set(request, response, clients, NAME, cookie.value, "Strict")


def set_device(request: web.BaseRequest, response: web.StreamResponse, clients: Clients, value: str) -> None:
    """Sets the device cookie. It is sent as the identity provider leads the browser back, so it is Lax; it lets nobody
    in."""
    _set(request, response, clients, DEVICE, value, "Lax")


def set_attempt(request: web.BaseRequest, response: web.StreamResponse, clients: Clients, value: str) -> None:
    """Sets the cookie of a sign-in at the identity provider. It is sent as the provider leads the browser back, which
    is a request of another site's page, so it is Lax and not Strict."""
    secure = clients.is_secure(request)
    response.set_cookie(
        ATTEMPT, value, max_age=ATTEMPT_SECONDS, path=ATTEMPT_PATH, httponly=True, samesite="Lax", secure=secure
    )


def forget_attempt(response: web.StreamResponse) -> None:
    """An attempt is good for one answer."""
    response.del_cookie(ATTEMPT, path=ATTEMPT_PATH)


def forget_session(response: web.StreamResponse) -> None:
    """Has the browser forget the session; it stays a known device."""
    response.del_cookie(NAME, path="/")


def _set(
    request: web.BaseRequest, response: web.StreamResponse, clients: Clients, name: str, value: str, samesite: str
) -> None:
    secure = clients.is_secure(request)
    response.set_cookie(name, value, max_age=MAX_AGE_SECONDS, path="/", httponly=True, samesite=samesite, secure=secure)


def _sign(name: str, kept: str, nonce: str) -> str:
    key = hashlib.sha256(f"pantau device {name} {kept}".encode()).digest()
    return hmac.new(key, nonce.encode(), hashlib.sha256).hexdigest()
