"""Pauses between attempts: doubling, with jitter, so that a thousand cameras do not come back in step."""

import random
from collections.abc import Callable


class Backoff:
    """The next pause, between half and the whole of a bound that doubles from ``least`` to ``most`` seconds."""

    def __init__(
        self, least_seconds: float, most_seconds: float, uniform: Callable[[float, float], float] = random.uniform
    ) -> None:
        self._least = least_seconds
        self._most = max(least_seconds, most_seconds)
        self._uniform = uniform
        self._bound = self._least

    def next_seconds(self) -> float:
        """The pause before the next attempt."""
        bound = self._bound
        self._bound = min(bound * 2, self._most)
        return self._uniform(bound / 2, bound)

    def reset(self) -> None:
        """The last attempt was good for long enough: begin again at the shortest pause."""
        self._bound = self._least
