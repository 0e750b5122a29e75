"""Slows down the guessing of passwords and tokens.

Wrong attempts count for the address with the name, for the address, and for the name. Some are free, then one each
`SECONDS_PER_ATTEMPT`. A browser that has signed in to the account before counts for itself alone, so a stranger's
guesses do not keep it out, wherever they come from. An address runs out of attempts before it can use up a name's.
"""

from collections import OrderedDict
from typing import Final, NamedTuple

from services.mesh.clock import Clock
from services.wall.front.http.client import network_key
from services.wall.front.http.errors import TooManyAttemptsError

FREE_ATTEMPTS: Final = 10
"""Of one address for one name, and of one known browser."""
FREE_OF_ADDRESS: Final = 40
FREE_OF_NAME: Final = 60
SECONDS_PER_ATTEMPT: Final = 6.0
MAX_KEYS: Final = 10_000


class _Bucket(NamedTuple):
    failures: float
    at: float


Limits = tuple[tuple[str, int], ...]


def limits_of(address: str, name: str, device: str | None) -> Limits:
    """The counters of an attempt, each with how many wrong attempts are free. ``device``: of a known browser."""
    if device is not None:
        return ((f"device {device} {name}", FREE_ATTEMPTS),)
    network = network_key(address)
    return (
        (f"both {network} {name}", FREE_ATTEMPTS),
        (f"address {network}", FREE_OF_ADDRESS),
        (f"name {name}", FREE_OF_NAME),
    )


class SignInThrottle:
    """Counts failures by key; one expires each `SECONDS_PER_ATTEMPT` (a leaky bucket)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take_attempt(self, limits: Limits) -> None:
        """Counts an attempt as wrong until `forgive_attempt`, so that many at once are no more than many in a row.

        Raises `TooManyAttemptsError`, and counts nothing, while one of the counters has to wait.
        """
        over = max((self._failures(key) - (free - 1) for key, free in limits), default=0.0)
        if over > 0:
            wait = max(1, round(over * SECONDS_PER_ATTEMPT + 0.5))
            raise TooManyAttemptsError(f"too many wrong attempts; wait {wait} s", retry_after_seconds=wait)
        for key, _ in limits:
            self._buckets[key] = _Bucket(self._failures(key) + 1, self._clock.monotonic())
            self._buckets.move_to_end(key)
        while len(self._buckets) > MAX_KEYS:
            self._buckets.popitem(last=False)

    def forgive_attempt(self, limits: Limits, *, right: bool) -> None:
        """The attempt does not count: it was not made, or it was ``right``, which also forgives those of its first
        counter."""
        for number, (key, _) in enumerate(limits):
            left = self._failures(key) - 1
            if left > 0 and not (right and number == 0):
                self._buckets[key] = _Bucket(left, self._clock.monotonic())
            else:
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
