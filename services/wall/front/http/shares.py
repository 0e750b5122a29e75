"""How much of a front one account may use at a time, so that others still get their part."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final
from weakref import WeakValueDictionary

from services.contracts.errors import TooManyRequestsError
from services.mesh.metrics import counter

REQUESTS: Final = 512
"""Open requests, streams and sockets among them: a desk has about ten, a wall screen four."""
STILLS: Final = 64
SHEETS: Final = 32
SHEETS_AT_ONCE: Final = 2
"""Of one account; its others wait."""

_refused = counter("front_shares_refused", "Requests refused because their account had too many under way", "what")


class Shares:
    """Counts what is under way by account."""

    def __init__(self, what: str, each: int, retry_after_seconds: int = 2) -> None:
        """``what`` (plural) is told to who has too many."""
        self._what = what
        self._each = each
        self._retry_after_seconds = retry_after_seconds
        self._under_way: Counter[str] = Counter()

    @contextmanager
    def one(self, account: str) -> Iterator[None]:
        """One more is under way; raises `TooManyRequestsError` where the account has as many as it may."""
        if self._under_way[account] >= self._each:
            _refused.labels(self._what).inc()
            raise TooManyRequestsError(
                f"{account} has {self._each} {self._what} under way, the most of one account; try again shortly",
                retry_after_seconds=self._retry_after_seconds,
            )
        self._under_way[account] += 1
        try:
            yield
        finally:
            self._under_way[account] -= 1
            if not self._under_way[account]:
                del self._under_way[account]


class FrontShares:
    """The shares of one front."""

    def __init__(self) -> None:
        self.requests = Shares("requests", REQUESTS)
        self.stills = Shares("stills", STILLS)
        self._sheets = Shares("contact sheets", SHEETS, retry_after_seconds=5)
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def sheet(self, account: str) -> AsyncIterator[None]:
        """A turn at making a contact sheet; raises `TooManyRequestsError`."""
        with self._sheets.one(account):
            turns = self._turns.setdefault(account, asyncio.Semaphore(SHEETS_AT_ONCE))
            async with turns:
                yield
