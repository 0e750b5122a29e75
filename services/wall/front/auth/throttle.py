"""Slows down the guessing of passwords: `FREE_ATTEMPTS` wrong ones, then one each `SECONDS_PER_ATTEMPT`."""

from collections import OrderedDict
from typing import Final, NamedTuple

from services.mesh.clock import Clock
from services.wall.front.http.errors import TooManyAttemptsError

FREE_ATTEMPTS: Final = 10
SECONDS_PER_ATTEMPT: Final = 6.0
MAX_KEYS: Final = 10_000


class _Bucket(NamedTuple):
    failures: float
    at: float


class SignInThrottle:
    """Counts failures by key (address and name); one expires each `SECONDS_PER_ATTEMPT` (a leaky bucket)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def check_allowed(self, key: str) -> None:
        """Raises `TooManyAttemptsError` while ``key`` has to wait."""
        over = self._failures(key) - (FREE_ATTEMPTS - 1)
        if over > 0:
            wait = max(1, round(over * SECONDS_PER_ATTEMPT + 0.5))
            raise TooManyAttemptsError(f"too many wrong attempts; wait {wait} s", retry_after_seconds=wait)

    def note_failure(self, key: str) -> None:
        """Counts a wrong attempt."""
        failures = self._failures(key) + 1
        self._buckets[key] = _Bucket(failures, self._clock.monotonic())
        self._buckets.move_to_end(key)
        while len(self._buckets) > MAX_KEYS:
            self._buckets.popitem(last=False)

    def forget_failures(self, key: str) -> None:
        """Forgets the failures of ``key``."""
        self._buckets.pop(key, None)

    def _failures(self, key: str) -> float:
        bucket = self._buckets.get(key)
        if bucket is None:
            return 0.0
        left = bucket.failures - (self._clock.monotonic() - bucket.at) / SECONDS_PER_ATTEMPT
        if left <= 0:
            del self._buckets[key]
            return 0.0
        return left
