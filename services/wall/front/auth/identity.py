"""Authenticates requests: the only place where a request becomes an `Actor`."""

import asyncio
import hashlib
import hmac
import secrets
from base64 import b64decode
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from weakref import WeakValueDictionary

from aiohttp import hdrs, web

from services.contracts.accounts import MAX_NAME, SignIn, SignInKind
from services.contracts.errors import UnavailableError
from services.contracts.permissions import Actor, Role
from services.mesh.clock import Clock
from services.wall.front.auth import cookies
from services.wall.front.auth.cookies import SessionCookie
from services.wall.front.auth.directory import AccountDirectory, KnownAccount
from services.wall.front.auth.passwords import (
    MAX_PASSWORD_BYTES,
    NOBODY,
    HashingQueue,
    hash_password,
    password_matches,
)
from services.wall.front.auth.sign_ins import SignIns
from services.wall.front.auth.throttle import Limits, SignInThrottle, limits_of
from services.wall.front.http.client import Clients
from services.wall.front.http.connections import keep_connection
from services.wall.front.http.errors import BusyError, UnauthorizedError
from services.wall.front.http.guard import is_loopback

LOCAL: Final = Actor("local", Role.ADMIN)
"""Every client on this machine, while there are no accounts."""

API_TOKEN: Final = "pantau_"  # noqa: S105 (how tokens begin)
"""Begins each API token, so that one that was lost is found by its looks."""
VERIFIED_SECONDS: Final = 300.0
"""A verified password is not hashed again for so long: Basic sends it with every request."""
_MAX_VERIFIED: Final = 1000
FREE_CODES: Final = 5


class Identity:
    """Without accounts: a loopback peer is the local administrator. With accounts: HTTP Basic, a bearer token, or the
    sign-in page's cookie."""

    def __init__(
        self, accounts: AccountDirectory, sign_ins: SignIns, clients: Clients, clock: Clock, *, local: bool
    ) -> None:
        """``local``: without accounts this machine's users are the administrator, since nobody else can reach it."""
        self.accounts = accounts
        self.sign_ins = sign_ins
        self.clients = clients
        self._clock = clock
        self._local = local
        self._throttle = SignInThrottle(clock)
        self._strangers = HashingQueue(at_once=2, waiting=8)
        self._known = HashingQueue(at_once=1, waiting=4)
        """Known browsers do not wait behind strangers."""
        self._verified: OrderedDict[bytes, float] = OrderedDict()
        self._checking: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()
        """The same name and password are tried one after the other: a program's first requests come all at once."""
        self._key = secrets.token_bytes(32)

    @property
    def is_local(self) -> bool:
        """Whether there are no accounts, so that this machine's users are the administrator."""
        return self._local and self.accounts.is_empty

    def locale(self, actor: Actor) -> str | None:
        """The language that the account asks for; None leaves it to the browser."""
        account = self.accounts.by_name(actor.name) if actor.session else None
        return account.locale if account else None

    async def identify(self, request: web.BaseRequest) -> Actor | None:
        """The person or program; None where the request has no credentials.

        Raises `UnauthorizedError` on wrong credentials, `TooManyAttemptsError` after too many of them, `BusyError`.
        """
        address = self.clients.address_of(request)
        if self.is_local:
            if not is_loopback(request.remote or ""):
                return None
            keep_connection(request)
            return LOCAL._replace(address=address)
        found = await self._sign_in_of(request, address)
        if found is None:
            return None
        keep_connection(request)
        await self.sign_ins.renew(found)
        return found.actor._replace(address=address)

    def holds(self, actor: Actor) -> bool:
        """Whether a long-lived request of ``actor`` may go on."""
        return self.sign_ins.holds(actor) if actor.session else self.is_local

    async def check_password(self, request: web.BaseRequest, name: str, password: str) -> KnownAccount:
        """The account with that name and password.

        Raises `UnauthorizedError`, `TooManyAttemptsError`, or `BusyError` where too many wait already.
        """
        account = self.accounts.by_name(name)
        kept = account.password if account else None
        given = password.encode("utf-8", "surrogatepass")
        seen = hmac.new(
            self._key, f"{kept}\0{name}\0".encode("utf-8", "surrogatepass") + given, hashlib.sha256
        ).digest()
        async with self._checking.setdefault(seen, asyncio.Lock()):
            verified = self._clock.monotonic() - self._verified.get(seen, float("-inf")) < VERIFIED_SECONDS
            if account and kept and verified:
                return account
            return await self._hash_and_compare(request, name, password, account, seen)

    async def _hash_and_compare(
        self, request: web.BaseRequest, name: str, password: str, account: KnownAccount | None, seen: bytes
    ) -> KnownAccount:
        """As `check_password`, which has not seen them before; remembers them as ``seen``."""
        kept = account.password if account else None
        device = _device_of(request, account)
        if device is not None:
            keep_connection(request)
        limits = limits_of(self.clients.address_of(request), name[: MAX_NAME + 1], device)
        self._throttle.take_attempt(limits)
        right = False
        if len(password.encode("utf-8", "surrogatepass")) <= MAX_PASSWORD_BYTES:
            queue = self._known if device else self._strangers
            try:
                right = await queue.run(password_matches, password, kept or NOBODY)
            except BusyError:
                self._throttle.forgive_attempt(limits, right=False)
                raise
        if not account or not kept or not right:
            raise UnauthorizedError("the name or the password is wrong")
        self._throttle.forgive_attempt(limits, right=True)
        self._verified[seen] = self._clock.monotonic()
        self._verified.move_to_end(seen)
        while len(self._verified) > _MAX_VERIFIED:
            self._verified.popitem(last=False)
        return account

    @contextmanager
    def code_attempt(self, request: web.BaseRequest, account: KnownAccount) -> Iterator[None]:
        """A code for the account that the block has checked; one that is refused counts as a wrong attempt.

        Raises `TooManyAttemptsError`.
        """
        device = _device_of(request, account)
        with self._attempt(((f"code {device or ''} {account.name}", FREE_CODES),)):
            yield

    @contextmanager
    def provider_attempt(self, request: web.BaseRequest) -> Iterator[None]:
        """An answer of the identity provider that the block redeems; one that cannot be counts as a wrong attempt of
        its address, or of the known browser. Raises `TooManyAttemptsError`."""
        claimed = cookies.device_account(request.cookies.get(cookies.DEVICE, ""))
        device = _device_of(request, self.accounts.by_name(claimed))
        with self._attempt(limits_of(self.clients.address_of(request), "the identity provider", device)[:2]):
            yield

    async def open_browser(
        self, request: web.BaseRequest, account: KnownAccount, *, by_provider: bool = False
    ) -> SessionCookie:
        """A sign-in for somebody who was found to be right just now; ends the one that the browser had."""
        agent = request.headers.get(hdrs.USER_AGENT, "")
        address = self.clients.address_of(request)
        cookie = await self.sign_ins.open_browser(account, address=address, agent=agent, by_provider=by_provider)
        await self.sign_out(request)
        return cookie

    async def sign_out(self, request: web.BaseRequest) -> SignIn | None:
        """Ends the sign-in of the request's cookie, and returns it; None where there was none."""
        given = SessionCookie.parse(request.cookies.get(cookies.NAME, ""))
        found = await self.sign_ins.find(given) if given else None
        if found is not None:
            await self.sign_ins.end(found.id)
        return found

    async def hash_password(self, password: str) -> str:
        """What is to be kept of a password. Raises `BusyError`."""
        return await self._known.run(hash_password, password)

    def close(self) -> None:
        """Ends the threads."""
        self._strangers.close()
        self._known.close()

    @contextmanager
    def _attempt(self, limits: Limits) -> Iterator[None]:
        self._throttle.take_attempt(limits)
        try:
            yield
        except UnavailableError:
            self._throttle.forgive_attempt(limits, right=False)
            raise
        self._throttle.forgive_attempt(limits, right=True)

    async def _sign_in_of(self, request: web.BaseRequest, address: str) -> SignIn | None:
        authorization = request.headers.get(hdrs.AUTHORIZATION)
        if authorization is None:
            given = SessionCookie.parse(request.cookies.get(cookies.NAME, ""))
            return await self.sign_ins.find(given) if given else None
        scheme, _, value = authorization.partition(" ")
        if scheme.lower() == "bearer":
            token = value.strip()
            if token.startswith(API_TOKEN):
                return await self._by_api_token(address, token)
            account = self._by_token(address, token)
            return await self.sign_ins.open_shared(account, SignInKind.TOKEN, address)
        if scheme.lower() == "basic":
            try:
                name, colon, password = b64decode(value.strip(), validate=True).decode().partition(":")
            except ValueError:
                colon = ""
            if not colon:
                raise UnauthorizedError("the Authorization header is not a Basic one (RFC 7617)")
            account = await self.check_password(request, name, password)
            if account.totp is not None:
                raise UnauthorizedError("this account signs in with a code: use an API token instead of its password")
            return await self.sign_ins.open_shared(account, SignInKind.PASSWORD, address)
        raise UnauthorizedError(f"sign in with Basic or Bearer, not {scheme!r}")

    async def _by_api_token(self, address: str, token: str) -> SignIn:
        given = SessionCookie.parse(token.removeprefix(API_TOKEN))
        found = await self.sign_ins.find(given, SignInKind.API) if given else None
        if found is None:
            self._throttle.take_attempt(limits_of(address, "a token", None)[:2])
            raise UnauthorizedError("the token is wrong, has expired or was taken back")
        return found

    def _by_token(self, address: str, token: str) -> KnownAccount:
        account = self.accounts.by_file_token(token) if token.isascii() else None
        if account is None:
            limits = limits_of(address, "a token", None)[:2]
            self._throttle.take_attempt(limits)
            raise UnauthorizedError("the token is wrong")
        return account


def _device_of(request: web.BaseRequest, account: KnownAccount | None) -> str | None:
    """What names the request's browser for limits; None where nobody has signed in to ``account`` with it."""
    if account is None:
        return None
    kept = account.password or account.stamp
    return cookies.known_device(request.cookies.get(cookies.DEVICE, ""), account.name, kept)
