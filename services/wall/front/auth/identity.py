"""Authenticates requests: the only place where a request becomes an `Actor`."""

import asyncio
import hashlib
import hmac
import secrets
from base64 import b64decode
from collections import OrderedDict
from typing import Final, Protocol

from aiohttp import hdrs, web

from services.contracts.permissions import Actor, Role
from services.mesh.clock import Clock
from services.mesh.settings import SettingsError
from services.wall.front.auth import cookies
from services.wall.front.auth.accounts import Account, AccountsFile, password_matches
from services.wall.front.auth.throttle import SignInThrottle
from services.wall.front.http.errors import UnauthorizedError
from services.wall.front.http.guard import is_loopback
from services.wall.settings import WallSettings

LOCAL: Final = Actor("local", Role.ADMIN)
"""Every client on this machine, while there are no accounts."""

VERIFIED_SECONDS: Final = 300.0
"""A verified password is not hashed again for so long: Basic sends it with every request."""
_MAX_VERIFIED: Final = 1000
_CONCURRENT_HASHES: Final = 2


class Identity(Protocol):
    """Authenticates a request."""

    async def identify(self, request: web.BaseRequest, *, going_on: bool = False) -> Actor | None:
        """The person or program; None where the request has no credentials.

        ``going_on``: this is a long-lived request that was let in before. Its cookie counts after it has expired too:
        the page has been given a fresh one, which an open request cannot send.

        Raises `UnauthorizedError` on wrong credentials, `TooManyAttemptsError` after too many of them.
        """

    def locale(self, actor: Actor) -> str | None:
        """The language that the account asks for."""


class LocalIdentity:
    """Without accounts: a loopback peer is the local administrator."""

    async def identify(self, request: web.BaseRequest, *, going_on: bool = False) -> Actor | None:
        """The administrator on loopback; nobody elsewhere, since the front then serves no other address."""
        return LOCAL if is_loopback(request.remote or "") else None

    def locale(self, actor: Actor) -> str | None:
        """The browser's own."""
        del actor
        return None


class AccountsIdentity:
    """With accounts: HTTP Basic, a bearer token, or the sign-in page's cookie."""

    def __init__(self, file: AccountsFile, clock: Clock) -> None:
        self._file = file
        self._clock = clock
        self._throttle = SignInThrottle(clock)
        self._hashing = asyncio.Semaphore(_CONCURRENT_HASHES)
        self._verified: OrderedDict[bytes, float] = OrderedDict()
        self._key = secrets.token_bytes(32)

    def locale(self, actor: Actor) -> str | None:
        """The language in the accounts file; None leaves it to the browser."""
        account = self._file.by_name(actor.name)
        return account.locale if account else None

    async def identify(self, request: web.BaseRequest, *, going_on: bool = False) -> Actor | None:
        """The account of the ``Authorization`` header, else of the cookie."""
        account = await self._account(request, going_on)
        return Actor(account.name, account.role) if account else None

    async def _account(self, request: web.BaseRequest, going_on: bool) -> Account | None:
        authorization = request.headers.get(hdrs.AUTHORIZATION)
        if authorization is None:
            return self._signed_in(request, 0 if going_on else self._clock.now_us() // 1_000_000)
        scheme, _, value = authorization.partition(" ")
        if scheme.lower() == "bearer":
            return self._by_token(request, value.strip())
        if scheme.lower() == "basic":
            try:
                name, colon, password = b64decode(value.strip(), validate=True).decode().partition(":")
            except ValueError:
                colon = ""
            if not colon:
                raise UnauthorizedError("the Authorization header is not a Basic one (RFC 7617)")
            return await self.sign_in(request, name, password)
        raise UnauthorizedError(f"sign in with Basic or Bearer, not {scheme!r}")

    def _signed_in(self, request: web.BaseRequest, now_seconds: int) -> Account | None:
        """The account of the request's cookie, at the time ``now_seconds``."""
        value = request.cookies.get(cookies.NAME)
        account = self._file.by_name(cookies.claimed_name(value) or "") if value else None
        if value and account and cookies.expiry(value, account, now_seconds) is not None:
            return account
        return None

    def renewal(self, request: web.BaseRequest) -> str | None:
        """A fresh cookie for a browser whose present one has less than half its life left."""
        now_seconds = self._clock.now_us() // 1_000_000
        value, account = request.cookies.get(cookies.NAME), self._signed_in(request, now_seconds)
        if not value or not account:
            return None
        until = cookies.expiry(value, account, now_seconds)
        if until is None or until - now_seconds > cookies.LIFETIME_SECONDS // 2:
            return None
        return cookies.issue_cookie(account, now_seconds)

    async def sign_in(self, request: web.BaseRequest, name: str, password: str) -> Account:
        """The account with that name and password; raises `UnauthorizedError` or `TooManyAttemptsError`."""
        key = f"{request.remote} {name}"
        account = self._file.by_name(name)
        kept = account.password if account else None
        seen = hmac.new(self._key, f"{kept}\0{name}\0{password}".encode(), hashlib.sha256).digest()
        now = self._clock.monotonic()
        if account and kept and now - self._verified.get(seen, float("-inf")) < VERIFIED_SECONDS:
            return account
        self._throttle.check_allowed(key)
        async with self._hashing:
            # An unknown name is hashed too: it takes as long as a wrong password, so names cannot be probed.
            right = await asyncio.to_thread(password_matches, password, kept or _NOBODY)
        if not account or not kept or not right:
            self._throttle.note_failure(key)
            raise UnauthorizedError("the name or the password is wrong")
        self._throttle.forget_failures(key)
        self._verified[seen] = now
        self._verified.move_to_end(seen)
        while len(self._verified) > _MAX_VERIFIED:
            self._verified.popitem(last=False)
        return account

    def cookie_for(self, account: Account) -> str:
        """A cookie's value for somebody who has just signed in."""
        return cookies.issue_cookie(account, self._clock.now_us() // 1_000_000)

    def _by_token(self, request: web.BaseRequest, token: str) -> Account:
        key = f"{request.remote} token"
        account = self._file.by_token(token)
        if account is None:
            self._throttle.check_allowed(key)
            self._throttle.note_failure(key)
            raise UnauthorizedError("the token is wrong")
        return account


_NOBODY: Final = "scrypt$15$8$1$AAAAAAAAAAAAAAAAAAAAAA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="


def choose_identity(settings: WallSettings, clock: Clock) -> LocalIdentity | AccountsIdentity:
    """What the settings ask for; raises `SettingsError` where strangers could reach a wall without accounts."""
    if settings.accounts_file is not None:
        return AccountsIdentity(AccountsFile(settings.accounts_file, clock), clock)
    if not is_loopback(settings.listen.host):
        raise SettingsError(
            f"wall.http (PANTAU_WALL_HTTP) is {settings.http}, which others can reach, and there are no accounts: "
            "anybody could watch and administer. Make accounts with 'pantau accounts add' and name their file in "
            "PANTAU_WALL_ACCOUNTS_FILE, or listen on 127.0.0.1"
        )
    return LocalIdentity()
