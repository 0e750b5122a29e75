"""A bound on bytes per second. Pure: the caller sleeps."""


class RateLimit:
    """Spreads bytes over time: a piece may go when those before it have had their time."""

    def __init__(self, bytes_per_second: float) -> None:
        self._rate = bytes_per_second
        """0: no bound."""
        self._free_at = float("-inf")

    def take(self, size_bytes: int, now: float) -> float:
        """Seconds from ``now`` (monotonic) after which ``size_bytes`` may go."""
        if not self._rate:
            return 0.0
        begin = max(self._free_at, now)
        self._free_at = begin + size_bytes / self._rate
        return begin - now
