"""How fast a replay's bulk is sent to one viewer, by what it asks for again. Pure: times are handed in.

A browser that starts sixteen decoders reads its socket late, and what the socket cannot hold is lost. First pictures
and live frames go out at the full pace. What leads on from a first picture is sent more slowly at first; the pace
doubles for as long as nothing is asked for again, and is halved when something is. What was lost at is remembered, and
the next bulk stays below it.
"""

from typing import Final

BEGIN_SHARE: Final = 0.5
"""Of the full pace, or of what is remembered."""
DOUBLE_SECONDS: Final = 0.15
REACT_SECONDS: Final = 0.1
"""Requests for what was lost at one time come within a round trip and the receiver's jitter: they count once."""
CUT: Final = 0.5
LEAST_BPS: Final = 8_000_000.0
MOST_DOUBLINGS: Final = 20.0
FORGET_SECONDS: Final = 30.0
"""After so long without a loss what is remembered doubles."""


class BulkPace:
    """One connection's."""

    __slots__ = ("_begun", "_begun_at", "_cut_at", "_limit", "full_bps", "least_bps")

    def __init__(self, full_bps: float) -> None:
        self.full_bps = full_bps
        """The pace of all else: first pictures and live frames."""
        self.least_bps = LEAST_BPS
        """What is always sent: more than live frames take, which wait behind the bulk."""
        self._limit: float | None = None
        """The pace at which something was lost, less the cut; None where nothing ever was."""
        self._cut_at = float("-inf")
        self._begun = 0.0
        """The pace at ``_begun_at``; 0 while there is no bulk."""
        self._begun_at = 0.0

    def rate_bps(self, now: float) -> float:
        """The pace now, while there is bulk to send."""
        full = self.full_bps if self._limit is None else min(self.full_bps, self._remembered(now))
        if not self._begun:
            self._begun, self._begun_at = BEGIN_SHARE * full, now
        grown = self._begun * 2 ** min(MOST_DOUBLINGS, (now - self._begun_at) / DOUBLE_SECONDS)
        return max(min(self.least_bps, self.full_bps), min(full, grown))

    def end(self) -> None:
        """All is sent."""
        self._begun = 0.0

    def note_loss(self, now: float) -> None:
        """The receiver asks for something again."""
        if not self._begun or now - self._cut_at < REACT_SECONDS:
            return
        self._limit = CUT * self.rate_bps(now)
        self._cut_at = self._begun_at = now
        self._begun = self._limit

    def _remembered(self, now: float) -> float:
        assert self._limit is not None
        quiet = (now - self._cut_at) // FORGET_SECONDS
        return float(self._limit * 2 ** min(quiet, 8))
