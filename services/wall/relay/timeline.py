"""RTP timestamps of a slot: continuous over every change of what it shows.

The recipe (measured with Chromium): live frames keep the camera's own spacing; cached frames stand one tick apart and
end where the live ones go on; no timestamp is ever before an earlier one.
"""

from collections.abc import Sequence
from typing import Final

CLOCK_HZ: Final = 90_000
RESET_TICKS: Final = 3600 * CLOCK_HZ
"""Without playout-delay a browser catches up only when the timestamps jump far: an hour."""


class Timeline:
    """Maps a source's decoding times to RTP timestamps. All values are unwrapped; put 32 bits on the wire."""

    __slots__ = ("_last", "_last_at", "_offset", "_started")

    def __init__(self, first: int) -> None:
        self._last = first
        self._last_at = 0.0
        self._offset: int | None = None
        self._started = False

    @property
    def last(self) -> int:
        """The newest timestamp given out."""
        return self._last

    def live(self, dts_90k: int, now: float, *, anew: bool = False) -> int:
        """The timestamp of the next live frame. ``anew``: its decoding times have nothing to do with the last ones."""
        if self._offset is None or anew:
            self._offset = self._natural(now, 1) - dts_90k
        stamp = dts_90k + self._offset
        if stamp <= self._last and self._started:  # the source stepped back without saying so
            stamp = self._natural(now, 1)
            self._offset = stamp - dts_90k
        self._last, self._last_at, self._started = stamp, now, True
        return stamp

    def replay(self, dts_90k: Sequence[int], now: float, *, compressed: bool) -> list[int]:
        """Timestamps for cached frames, the newest of which is as old as ``now``; live frames follow with `live`.

        ``compressed``: one tick apart, for receivers that were told to play at once. Otherwise with their own spacing,
        and behind a jump where something was sent before.
        """
        count = len(dts_90k)
        if compressed:
            end = self._natural(now, count)
            stamps = list(range(end - count + 1, end + 1))
        else:
            begin = self._last + RESET_TICKS if self._started else self._last
            stamps = [begin + dts - dts_90k[0] for dts in dts_90k]
        self._offset = stamps[-1] - dts_90k[-1]
        self._last, self._last_at, self._started = stamps[-1], now, True
        return stamps

    def at(self, now: float) -> int:
        """The timestamp that belongs to the moment ``now``, for sender reports."""
        return self._last + round((now - self._last_at) * CLOCK_HZ)

    def _natural(self, now: float, at_least: int) -> int:
        """Where the clock has come to since the last frame, leaving room for ``at_least`` frames."""
        if not self._started:
            return self._last + at_least
        elapsed = max(0.0, now - self._last_at)
        return self._last + max(at_least, round(elapsed * CLOCK_HZ))
