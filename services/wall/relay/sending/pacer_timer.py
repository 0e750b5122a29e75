"""Serves the pacers of all connections that have something waiting, once a millisecond or so."""

import asyncio
import time
from typing import Final, Protocol

from services.wall.relay.sending.pacer import Pacer

TICK_SECONDS: Final = 0.001


class Paced(Protocol):
    """Who has a pacer."""

    pacer: Pacer


class PacerTimer:
    """One timer for all; it stands still while nothing waits."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._busy: set[Paced] = set()
        self._timer: asyncio.TimerHandle | None = None

    def wake(self, connection: Paced) -> None:
        """See `PacerWaker.wake`."""
        self._busy.add(connection)
        if self._timer is None:
            self._timer = self._loop.call_later(TICK_SECONDS, self._tick)

    def _tick(self) -> None:
        self._timer = None
        now = time.monotonic()
        for connection in tuple(self._busy):
            if not connection.pacer.serve(now):
                self._busy.discard(connection)
        if self._busy and self._timer is None:
            self._timer = self._loop.call_later(TICK_SECONDS, self._tick)

    def close(self) -> None:
        """Stops the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._busy.clear()
