"""The screens as the registry keeps them, for pages that wait for a change of theirs."""

import asyncio

from services.contracts.screens import Screen
from services.mesh.buckets import Bucket, Mirror


class ScreenFeed:
    """Follows the bucket of screens."""

    def __init__(self, bucket: Bucket[Screen]) -> None:
        self._mirror = Mirror(bucket, self._changed)
        self._waiting: dict[str, set[asyncio.Event]] = {}

    async def run(self) -> None:
        """Follows until it is cancelled."""
        await self._mirror.run()

    def get(self, screen: str) -> Screen | None:
        """What the screen is to show; None where nobody has heard of it."""
        return self._mirror.get(screen)

    def follow(self, screen: str) -> asyncio.Event:
        """An event that is set at each change of the screen. Give it back to `leave`."""
        event = asyncio.Event()
        self._waiting.setdefault(screen, set()).add(event)
        return event

    def leave(self, screen: str, event: asyncio.Event) -> None:
        """Ends what `follow` began."""
        waiting = self._waiting.get(screen, set())
        waiting.discard(event)
        if not waiting:
            self._waiting.pop(screen, None)

    def end_followers(self) -> None:
        """Wakes all: the front stops."""
        for waiting in self._waiting.values():
            for event in waiting:
                event.set()

    def _changed(self, key: str, _value: Screen | None, _revision: int) -> None:
        for event in self._waiting.get(key, ()):
            event.set()
