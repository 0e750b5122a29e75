"""Time is injected: whoever needs it takes a `Clock`, so that tests turn its hands."""

import time
from typing import Protocol


class Clock(Protocol):
    """Where time comes from."""

    def now_us(self) -> int:
        """Unix time, UTC, microseconds. May step."""

    def monotonic(self) -> float:
        """Seconds that never go back; for intervals."""


class SystemClock:
    """The machine's clock."""

    def now_us(self) -> int:
        """See `Clock.now_us`."""
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return time.monotonic()


class ManualClock:
    """A clock that goes only when told; for tests."""

    def __init__(self, now_us: int = 1_700_000_000_000_000) -> None:
        self._now_us = now_us
        self._monotonic = 1000.0

    def now_us(self) -> int:
        """See `Clock.now_us`."""
        return self._now_us

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Lets ``seconds`` pass on both hands."""
        self._now_us += round(seconds * 1_000_000)
        self._monotonic += seconds

    def step(self, seconds: float) -> None:
        """Steps the wall clock alone, as NTP or an administrator does."""
        self._now_us += round(seconds * 1_000_000)
