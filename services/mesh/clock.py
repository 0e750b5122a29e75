"""Time is injected: what needs it takes a `Clock`, and tests turn its hands.

`sleep` and `timeout` are asyncio's, by a clock. Do not mix them with asyncio's own where a test turns the clock.
"""

import asyncio
import heapq
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Protocol


class ClockTimer(Protocol):
    """What `Clock.call_later` returns."""

    def cancel(self) -> None:
        """The callback is not called any more. May be called at any time, and twice."""


class Clock(Protocol):
    """Where time comes from."""

    def now_us(self) -> int:
        """Unix time, UTC, microseconds. May step."""

    def monotonic(self) -> float:
        """Seconds that never go back; for intervals."""

    def call_later(self, seconds: float, callback: Callable[[], None]) -> ClockTimer:
        """Calls ``callback`` in the event loop when ``seconds`` of `monotonic` have passed."""


async def sleep(clock: Clock, seconds: float) -> None:
    """Returns when ``seconds`` have passed on ``clock``."""
    passed = asyncio.Event()
    timer = clock.call_later(seconds, passed.set)
    try:
        await passed.wait()
    finally:
        timer.cancel()


@asynccontextmanager
async def timeout(clock: Clock, seconds: float) -> AsyncIterator[None]:
    """Raises `TimeoutError` where the block lasts longer than ``seconds`` on ``clock``."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(None) as scope:
        timer = clock.call_later(seconds, lambda: scope.reschedule(loop.time()))
        try:
            yield
        finally:
            timer.cancel()


class SystemClock:
    """The machine's clock."""

    monotonic = staticmethod(time.monotonic)
    """See `Clock.monotonic`. The function itself: the relay asks it for every frame of every viewer."""

    def now_us(self) -> int:
        return time.time_ns() // 1000

    def call_later(self, seconds: float, callback: Callable[[], None]) -> ClockTimer:
        return asyncio.get_running_loop().call_later(seconds, callback)


class ManualClock:
    """A clock that goes only when told; for tests."""

    def __init__(self, now_us: int = 1_700_000_000_000_000) -> None:
        self._now_us = now_us
        self._monotonic = 1000.0
        self._timers: list[tuple[float, int, _Callback]] = []
        self._numbers = count()

    def now_us(self) -> int:
        return self._now_us

    def monotonic(self) -> float:
        return self._monotonic

    def call_later(self, seconds: float, callback: Callable[[], None]) -> ClockTimer:
        """See `Clock.call_later`. `advance` calls it, without any event loop."""
        timer = _Callback(callback)
        heapq.heappush(self._timers, (self._monotonic + seconds, next(self._numbers), timer))
        return timer

    def advance(self, seconds: float) -> None:
        """Lets ``seconds`` pass on both hands; calls what is due, each at its own time."""
        end = self._monotonic + seconds
        self._now_us += round(seconds * 1_000_000)
        while self._timers and self._timers[0][0] <= end:
            due, _, timer = heapq.heappop(self._timers)
            self._monotonic = max(self._monotonic, due)
            timer.fire()
        self._monotonic = end

    def step(self, seconds: float) -> None:
        """Steps the wall clock alone, as NTP or an administrator does."""
        self._now_us += round(seconds * 1_000_000)


class TurnedClock:
    """The machine's clock, which a test turns ahead; for tests with real sockets and servers."""

    def __init__(self) -> None:
        self._ahead_seconds = 0.0
        self._timers: set[_TurnedTimer] = set()

    def now_us(self) -> int:
        return time.time_ns() // 1000 + round(self._ahead_seconds * 1_000_000)

    def monotonic(self) -> float:
        return time.monotonic() + self._ahead_seconds

    def call_later(self, seconds: float, callback: Callable[[], None]) -> ClockTimer:
        return _TurnedTimer(self._timers, seconds, callback)

    def advance(self, seconds: float) -> None:
        """Lets ``seconds`` pass at once on both hands; what is due is called at the next turn of the event loop."""
        self._ahead_seconds += seconds
        for timer in tuple(self._timers):
            timer.bring_forward(seconds)


class _Callback:
    """Called once, unless it is cancelled."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self._callback = None

    def fire(self) -> None:
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()


class _TurnedTimer(_Callback):
    """A timer of the event loop that can be brought forward."""

    def __init__(self, timers: "set[_TurnedTimer]", seconds: float, callback: Callable[[], None]) -> None:
        super().__init__(callback)
        self._timers = timers
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time() + seconds
        self._handle = self._loop.call_at(self._due, self.fire)
        timers.add(self)

    def bring_forward(self, seconds: float) -> None:
        self._due -= seconds
        self._handle.cancel()
        self._handle = self._loop.call_at(self._due, self.fire)

    def cancel(self) -> None:
        super().cancel()
        self._handle.cancel()
        self._timers.discard(self)

    def fire(self) -> None:
        self._timers.discard(self)
        super().fire()
