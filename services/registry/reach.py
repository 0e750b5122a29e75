"""Whether this registry reaches JetStream. A leader that does not tells nobody of what it sees: it may be cut off."""

import asyncio
from typing import Final

from services.mesh.bus import Bus
from services.mesh.clock import Clock

ASK_SECONDS: Final = 1.0
UNREACHED_SECONDS: Final = 3.0
ELECTION_SECONDS: Final = 12.0
"""An election of JetStream's takes up to eleven seconds. Who gets no answer for longer tries another node."""


class StoreReach:
    """Asks while it runs."""

    def __init__(self, bus: Bus, clock: Clock) -> None:
        self._bus = bus
        self._clock = clock
        self._answered_at = clock.monotonic()

    @property
    def reached(self) -> bool:
        """Whether it answered lately."""
        return self._clock.monotonic() - self._answered_at < UNREACHED_SECONDS

    async def run(self) -> None:
        """Asks until it is cancelled."""
        while True:
            if await self._bus.store_answers(ASK_SECONDS):
                self._answered_at = self._clock.monotonic()
            elif self._clock.monotonic() - self._answered_at >= ELECTION_SECONDS:
                await self._bus.try_other_node("JetStream does not answer")
            await asyncio.sleep(ASK_SECONDS)
