"""From the readers' threads to the one task that publishes: a queue that wakes the loop once for many packets."""

import asyncio
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Inbox(Generic[T]):
    """Items in the order in which they were put, from any thread.

    It has no bound of its own: each producer bounds what it has under way (`services.ingest.feed.Run`).
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._items: deque[T] = deque()
        self._filled = asyncio.Event()
        self._waking = False

    def put(self, item: T) -> None:
        """Adds an item. After the loop's end nothing happens."""
        self._items.append(item)
        if not self._waking:
            self._waking = True
            try:
                self._loop.call_soon_threadsafe(self._filled.set)
            except RuntimeError:
                return  # the loop is closed

    async def take(self) -> list[T]:
        """All that is there, waiting for at least one."""
        while not self._items:
            self._filled.clear()
            # In this order: whoever puts an item from here on wakes us.
            self._waking = False
            if not self._items:
                await self._filled.wait()
        # Item by item: a thread may be adding meanwhile, which the deque allows and a swap would not.
        return [self._items.popleft() for _ in range(len(self._items))]
