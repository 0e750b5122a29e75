"""Sign-ins, kept in a bucket that all fronts share and relays read.

A front judges a sign-in by its entry and by its account, both of which it follows. An entry whose account was removed,
disabled or given another role or password is deleted by the first front that sees it, and relays end its video then.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, NamedTuple

from services.contracts.accounts import SignIn, SignInKind
from services.contracts.errors import ConflictError, PantauError, UnavailableError
from services.contracts.permissions import Actor, Right
from services.mesh.buckets import Bucket, Mirror
from services.mesh.clock import Clock, sleep
from services.mesh.log import get_logger
from services.wall.front.auth.cookies import SessionCookie
from services.wall.front.auth.directory import AccountDirectory, KnownAccount

log = get_logger()

LIFETIME_SECONDS: Final = 12 * 3600
"""A shift. It is renewed in its second half by each use, so a wall in use stays signed in."""
LOOK_SECONDS: Final = 1.0
MAX_OF_ACCOUNT: Final = 100
"""Browsers signed in to one account; one more ends the one that was used longest ago."""
_FRESH_SECONDS: Final = 3.0
_FETCHES_A_SECOND: Final = 50
"""Unknown cookies that are looked up in the bucket. Others wait for the mirror."""


class _Fresh(NamedTuple):
    """Written or fetched a moment ago; the mirror may not have it yet."""

    sign_in: SignIn
    at: float


class SignIns:
    """The sign-ins of all fronts, as this one sees them."""

    def __init__(self, bucket: Bucket[SignIn], accounts: AccountDirectory, clock: Clock) -> None:
        self.mirror = Mirror(bucket, self._on_change)
        """Run it, and `keep`."""
        self._bucket = bucket
        self._accounts = accounts
        self._clock = clock
        self._fresh: dict[str, _Fresh] = {}
        self._ended: dict[str, float] = {}
        """Deleted a moment ago by this front; the mirror may still have it."""
        self._followers: dict[str, set[Callable[[], None]]] = {}
        self._fetched_at = float("-inf")
        self._fetches = 0

    def get(self, sign_in_id: str) -> SignIn | None:
        """A sign-in that holds; None where there is none, or none any more."""
        if sign_in_id in self._ended:
            return None
        found = self.mirror.get(sign_in_id)
        if found is None and (fresh := self._fresh.get(sign_in_id)):
            found = fresh.sign_in if self._clock.monotonic() - fresh.at < _FRESH_SECONDS else None
        if found is None or found.expires_us <= self._clock.now_us():
            return None
        return found if self._agrees(found, self._accounts.by_name(found.account)) else None

    def holds(self, actor: Actor) -> bool:
        """Whether ``actor`` is still signed in as before."""
        found = self.get(actor.session)
        return found is not None and (found.account, found.role) == (actor.name, actor.role)

    def of_account(self, name: str) -> list[SignIn]:
        """The account's sign-ins, the one used last first."""
        found = [sign_in for sign_in in self.everybody() if sign_in.account == name]
        return sorted(found, key=lambda sign_in: -sign_in.used_us)

    def everybody(self) -> list[SignIn]:
        """All that hold."""
        return [found for key in self.mirror.entries if (found := self.get(key))]

    async def find(self, cookie: SessionCookie, kind: SignInKind = SignInKind.BROWSER) -> SignIn | None:
        """The sign-in of a cookie, or of an API token, which has its form; looks into the bucket where another front
        may have made it just now."""
        found = self.get(cookie.id) or await self._fetch(cookie.id)
        if found is None or found.kind is not kind or found.secret != cookie.digest:
            return None
        return found

    async def open_browser(
        self, account: KnownAccount, *, address: str, agent: str, by_provider: bool = False
    ) -> SessionCookie:
        """A new sign-in of a browser. Raises `UnavailableError`."""
        cookie = SessionCookie.new()
        made = self._made(cookie.id, account, SignInKind.BROWSER, address, agent, cookie.digest)
        await self._create(made.model_copy(update={"by_provider": by_provider}))
        browsers = [each for each in self.of_account(account.name) if each.kind is SignInKind.BROWSER]
        for oldest in browsers[MAX_OF_ACCOUNT - 1 :]:
            await self.end(oldest.id)
        return cookie

    async def open_api(
        self, account: KnownAccount, *, name: str, rights: frozenset[Right] | None, expires_us: int
    ) -> SessionCookie:
        """A token for a program, good until ``expires_us``. Raises `UnavailableError`."""
        token = SessionCookie.new()
        made = self._made(token.id, account, SignInKind.API, "", name, token.digest)
        await self._create(made.model_copy(update={"rights": rights, "expires_us": expires_us}))
        return token

    async def open_shared(self, account: KnownAccount, kind: SignInKind, address: str) -> SignIn:
        """The one sign-in of an account's clients that show ``kind`` with each request. Raises `UnavailableError`."""
        mark = hashlib.sha256(f"{account.source} {account.name} {account.stamp}".encode()).hexdigest()[:24]
        key = f"{kind}-{mark}"
        if found := self.get(key):
            return found
        made = self._made(key, account, kind, address)
        self._ended.pop(key, None)
        with suppress(ConflictError):
            await self._create(made)
        return made

    async def end(self, sign_in_id: str) -> None:
        """Ends one, on every front and relay. Raises `UnavailableError`."""
        self._ended[sign_in_id] = self._clock.monotonic()
        self._fresh.pop(sign_in_id, None)
        self._tell(sign_in_id)
        await self._bucket.delete(sign_in_id)

    async def let_stay(self, sign_in_id: str, stamp: str, next_stamp: str) -> None:
        """The sign-in outlives the account's change from ``stamp``, which it has now, to ``next_stamp``.

        Raises `UnavailableError`, `ConflictError`.
        """
        entry = await self._bucket.get(sign_in_id)
        if entry is None:
            return
        kept = entry[0].model_copy(update={"stamp": stamp, "next_stamp": next_stamp})
        await self._bucket.update(sign_in_id, kept, entry[1])
        self._fresh[sign_in_id] = _Fresh(kept, self._clock.monotonic())

    async def renew(self, found: SignIn) -> None:
        """Puts off the end of one whose life is half over."""
        now_us = self._clock.now_us()
        if found.kind is SignInKind.API or found.expires_us - now_us > LIFETIME_SECONDS * 500_000:
            return
        with suppress(ConflictError, UnavailableError):  # another front was faster, or it is tried again
            entry = await self._bucket.get(found.id)
            if entry is not None and entry[0].expires_us - now_us <= LIFETIME_SECONDS * 500_000:
                times = {"used_us": now_us, "expires_us": now_us + LIFETIME_SECONDS * 1_000_000}
                await self._bucket.update(found.id, entry[0].model_copy(update=times), entry[1])

    @contextmanager
    def ending(self, actor: Actor, call: Callable[[], None]) -> Iterator[None]:
        """While the block lasts ``call`` is called when ``actor``'s sign-in has ended, more than once perhaps."""
        if not actor.session:
            yield
            return
        followers = self._followers.setdefault(actor.session, set())
        followers.add(call)
        try:
            yield
        finally:
            followers.discard(call)
            if not followers:
                self._followers.pop(actor.session, None)

    async def keep(self) -> None:
        """Deletes sign-ins that have ended, tells those who follow one, renews those; for ever."""
        while True:
            await sleep(self._clock, LOOK_SECONDS)
            now = self._clock.monotonic()
            self._fresh = {key: fresh for key, fresh in self._fresh.items() if now - fresh.at < _FRESH_SECONDS}
            self._ended = {key: at for key, at in self._ended.items() if key in self.mirror.entries or now - at < 60}
            for sign_in in self.mirror.values():
                if self._is_over(sign_in, self._accounts.by_name(sign_in.account)):
                    await self._remove_where_over(sign_in.id)
            for followed in list(self._followers):
                if (found := self.get(followed)) is None:
                    self._tell(followed)
                else:
                    await self.renew(found)

    def _agrees(self, sign_in: SignIn, account: KnownAccount | None) -> bool:
        if account is None or account.source != sign_in.source or account.role is not sign_in.role:
            return False
        return account.stamp in (sign_in.stamp, sign_in.next_stamp)

    def _is_over(self, sign_in: SignIn, account: KnownAccount | None) -> bool:
        """Whether nobody may use it any more. A front without an accounts file cannot say so of the file's."""
        if sign_in.expires_us <= self._clock.now_us():
            return True
        judged = sign_in.source == "registry" or self._accounts.has_file
        return judged and not self._agrees(sign_in, account)

    async def _remove_where_over(self, sign_in_id: str) -> None:
        """Deletes it where it is over by what is kept at this moment: the two mirrors may be apart."""
        try:
            entry = await self._bucket.get(sign_in_id)
            if entry is not None and self._is_over(entry[0], await self._accounts.fetch(entry[0].account)):
                await self._bucket.delete(sign_in_id, entry[1])
                log.info("front.sign_in_over", sign_in=sign_in_id, account=entry[0].account)
        except PantauError as error:
            log.debug("front.sign_in_stays", sign_in=sign_in_id, error=error)

    def _made(
        self, key: str, account: KnownAccount, kind: SignInKind, address: str, agent: str = "", secret: str = ""
    ) -> SignIn:
        now_us = self._clock.now_us()
        return SignIn(
            id=key,
            account=account.name,
            role=account.role,
            stamp=account.stamp,
            kind=kind,
            source=account.source,
            secret=secret,
            created_us=now_us,
            used_us=now_us,
            expires_us=now_us + LIFETIME_SECONDS * 1_000_000,
            address=address,
            agent=agent[:200],
        )

    async def _create(self, sign_in: SignIn) -> None:
        await self._bucket.create(sign_in.id, sign_in)
        self._fresh[sign_in.id] = _Fresh(sign_in, self._clock.monotonic())

    async def _fetch(self, sign_in_id: str) -> SignIn | None:
        """As kept at this moment; None also where too many unknown ones were asked for, or the bus is away."""
        now = self._clock.monotonic()
        if now - self._fetched_at >= 1.0:
            self._fetched_at, self._fetches = now, 0
        self._fetches += 1
        if self._fetches > _FETCHES_A_SECOND or sign_in_id in self._ended:
            return None
        try:
            entry = await self._bucket.get(sign_in_id)
        except UnavailableError:
            return None
        if entry is None:
            return None
        self._fresh[sign_in_id] = _Fresh(entry[0], self._clock.monotonic())
        return self.get(sign_in_id)

    def _on_change(self, key: str, value: SignIn | None, _revision: int) -> None:
        self._fresh.pop(key, None)
        if value is None:
            self._tell(key)

    def _tell(self, sign_in_id: str) -> None:
        for call in list(self._followers.get(sign_in_id, ())):
            call()
