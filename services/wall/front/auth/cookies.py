"""The signed-in browser's cookie: ``<name>.<expiry>.<signature>``, good at every front that reads the same accounts.

It is signed with a key made of the account's kept password, so no front has to remember it, and changing the password
or removing the account ends it.
"""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

from aiohttp import web

from services.wall.front.auth.accounts import Account

NAME: Final = "pantau_session"
LIFETIME_SECONDS: Final = 12 * 3600
"""A shift. A request renews a cookie in its second half, so a wall in use stays signed in."""


def issue_cookie(account: Account, now_seconds: int) -> str:
    """A cookie's value for ``account``, which has a password."""
    body = f"{urlsafe_b64encode(account.name.encode()).decode().rstrip('=')}.{now_seconds + LIFETIME_SECONDS}"
    return f"{body}.{_sign(account, body)}"


def claimed_name(value: str) -> str | None:
    """The account name that the cookie claims, unverified; None where it cannot be a cookie."""
    encoded = value.partition(".")[0]
    try:
        return urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    except ValueError:
        return None


def expiry(value: str, account: Account, now_seconds: int) -> int | None:
    """When the cookie expires (Unix seconds); None where it is not valid for ``account`` or has expired."""
    body, _, signature = value.rpartition(".")
    if not account.password or not hmac.compare_digest(signature.encode(), _sign(account, body).encode()):
        return None
    until = body.rpartition(".")[2]
    return int(until) if until.isdecimal() and int(until) > now_seconds else None


def set_cookie(request: web.BaseRequest, response: web.StreamResponse, value: str) -> None:
    """Sets the cookie: no script reads it, no other site's page sends it, and over TLS it stays on TLS."""
    secure = request.secure or request.headers.get("X-Forwarded-Proto", "").lower() == "https"
    response.set_cookie(
        NAME, value, max_age=LIFETIME_SECONDS, path="/", httponly=True, samesite="Strict", secure=secure
    )


def _sign(account: Account, body: str) -> str:
    key = hashlib.sha256(f"pantau cookie {account.name} {account.password}".encode()).digest()
    return hmac.new(key, body.encode(), hashlib.sha256).hexdigest()
