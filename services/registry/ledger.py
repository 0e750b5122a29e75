"""A bucket as this process knows it: what its mirror has seen, and what this process itself has written since."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, Generic, TypeVar

from services.contracts.errors import UnavailableError
from services.contracts.models import Model
from services.mesh.buckets import Bucket, Mirror

M = TypeVar("M", bound=Model)

WRITE_SECONDS: Final = 1.5
"""A request that was lost with a connection must not hold up what comes after it. It may have been carried out: the
mirror tells, and a repetition is refused by its revision."""


class Ledger(Generic[M]):
    """Reads its own writes, and writes by compare-and-set: a registry that is no longer leader overwrites nothing."""

    def __init__(self, bucket: Bucket[M], on_change: Callable[[str, M | None], None] | None = None) -> None:
        """``on_change(key, value or None)`` is called for what others did and for what this process did, alike."""
        self.entries: dict[str, tuple[M, int]] = {}
        """Key → value and revision."""
        self._bucket = bucket
        self._on_change = on_change
        self._mirror = Mirror(bucket, self._seen)

    @property
    def ready(self) -> asyncio.Event:
        """Set when all that was there at the beginning is known."""
        return self._mirror.ready

    def get(self, key: str) -> M | None:
        """The value as known."""
        entry = self.entries.get(key)
        return entry[0] if entry else None

    async def run(self) -> None:
        """Follows the bucket for ever; cancel to stop."""
        await self._mirror.run()

    async def fetch(self, key: str) -> tuple[M, int] | None:
        """The value and its revision as the bucket has them now, whatever the mirror has seen so far."""
        entry = await self._bucket.get(key)
        if entry is not None:
            self._keep(key, *entry)
        return entry

    async def create(self, key: str, value: M) -> int:
        """See `Bucket.create`."""
        async with _in_time(key):
            revision = await self._bucket.create(key, value)
        self._keep(key, value, revision)
        return revision

    async def update(self, key: str, value: M, revision: int) -> int:
        """See `Bucket.update`."""
        async with _in_time(key):
            revision = await self._bucket.update(key, value, revision)
        self._keep(key, value, revision)
        return revision

    async def put(self, key: str, value: M) -> int:
        """See `Bucket.put`."""
        async with _in_time(key):
            revision = await self._bucket.put(key, value)
        self._keep(key, value, revision)
        return revision

    async def delete(self, key: str, revision: int) -> None:
        """See `Bucket.delete`."""
        async with _in_time(key):
            await self._bucket.delete(key, revision)
        self._drop(key, revision)

    def _seen(self, key: str, value: M | None, revision: int) -> None:
        if value is None:
            self._drop(key, revision)
        else:
            self._keep(key, value, revision)

    def _keep(self, key: str, value: M, revision: int) -> None:
        known = self.entries.get(key)
        if known is None or known[1] < revision:
            self.entries[key] = (value, revision)
            if self._on_change:
                self._on_change(key, value)

    def _drop(self, key: str, revision: int) -> None:
        known = self.entries.get(key)
        if known is not None and (revision == 0 or known[1] <= revision):
            del self.entries[key]
            if self._on_change:
                self._on_change(key, None)


@asynccontextmanager
async def _in_time(key: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(WRITE_SECONDS):
            yield
    except TimeoutError as error:
        raise UnavailableError(
            f"{key} was not written within {WRITE_SECONDS:g} s; look whether it was, then try again"
        ) from error
