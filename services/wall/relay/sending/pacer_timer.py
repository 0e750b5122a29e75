"""One timer for the pacers of all connections on which something waits: about once a millisecond."""

from typing import Final, Protocol

from services.mesh.clock import Clock, ClockTimer

TICK_SECONDS: Final = 0.001


class PacedConnection(Protocol):
    """A connection with a pacer."""

    def serve_pacer(self, now: float) -> bool:
        """Sends what may be sent now; whether anything still waits."""


class PacerTimer:
    """It stands still while nothing waits."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._busy: set[PacedConnection] = set()
        self._timer: ClockTimer | None = None

    def wake(self, connection: PacedConnection) -> None:
        """Something waits on the connection: serves it from the next tick on."""
        self._busy.add(connection)
        if self._timer is None:
            self._timer = self._clock.call_later(TICK_SECONDS, self._tick)

    def _tick(self) -> None:
        self._timer = None
        now = self._clock.monotonic()
        for connection in tuple(self._busy):
            if not connection.serve_pacer(now):
                self._busy.discard(connection)
        if self._busy and self._timer is None:
            self._timer = self._clock.call_later(TICK_SECONDS, self._tick)

    def close(self) -> None:
        """Stops the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._busy.clear()
