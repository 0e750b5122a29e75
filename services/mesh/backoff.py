"""Pauses between attempts, with jitter: clients that failed together do not come back together."""

import random
from collections.abc import Callable


class Backoff:
    """The next pause is drawn between half and the whole of a bound. The bound doubles from ``least`` to ``most``.

    Call `next_seconds` after each failure and `reset` after a success (or after one that lasted long enough).
    """

    def __init__(
        self,
        least_seconds: float,
        most_seconds: float | None = None,
        *,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        """Without ``most_seconds`` the bound does not grow. ``uniform(low, high)`` draws a pause."""
        self._least = least_seconds
        self._most = least_seconds if most_seconds is None else max(least_seconds, most_seconds)
        self._uniform = uniform
        self._bound = self._least

    def next_seconds(self) -> float:
        """The pause before the next attempt."""
        bound = self._bound
        self._bound = min(bound * 2, self._most)
        return self._uniform(bound / 2, bound)

    def reset(self) -> None:
        """Begins again at the shortest pause."""
        self._bound = self._least
