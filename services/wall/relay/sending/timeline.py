"""RTP timestamps of a slot: growing over every change of what it shows (R4).

Measured with Chromium: live frames keep the camera's spacing; cached frames are one tick apart and end where the live
ones go on; no frame is stamped before those of an earlier source.
"""

from collections.abc import Sequence
from typing import Final

CLOCK_HZ: Final = 90_000
RESET_TICKS: Final = 3600 * CLOCK_HZ
"""Without playout-delay a browser catches up only when the timestamps jump far: an hour."""


class RtpTimeline:
    """Maps a source's times to RTP timestamps. All values are unwrapped; put 32 bits on the wire.

    An RTP timestamp is of presentation (RFC 6184, section 5.1; RFC 7798, section 4.1), so that among frames in decoding
    order those of B-pictures step back. ``composition``: how much later than decoded a frame is shown.
    """

    __slots__ = ("_decode", "_last", "_last_at", "_offset", "_started")

    def __init__(self, first: int) -> None:
        self._last = first
        self._last_at = 0.0
        self._offset: int | None = None
        self._decode = first
        """The newest decoding time, as a timestamp."""
        self._started = False

    @property
    def last(self) -> int:
        """The latest timestamp given out."""
        return self._last

    def stamp_live(self, dts_90k: int, now: float, composition_90k: int = 0, *, anew: bool = False) -> int:
        """The timestamp of the next live frame. ``anew``: its times have nothing to do with the last ones."""
        offset = self._offset
        # Where the source stepped back without saying so, it begins anew, too.
        if offset is None or anew or (dts_90k + offset <= self._decode and self._started):
            offset = self._offset = self._natural(now, 1) - dts_90k - composition_90k
        self._decode = dts_90k + offset
        stamp = self._decode + composition_90k
        if stamp > self._last or not self._started:
            self._last, self._last_at, self._started = stamp, now, True
        return stamp

    def stamp_replay(
        self, dts_90k: Sequence[int], now: float, composition_90k: Sequence[int] = (), *, compressed: bool
    ) -> list[int]:
        """Timestamps for cached frames, the newest of which is as old as ``now``; live frames follow with `stamp_live`.

        ``compressed``: one tick apart, for receivers that were told to play at once; but frames that are shown after
        the newest was decoded keep their spacing, since frames to come are shown between them. Otherwise with their
        own spacing, and behind a jump where something was sent before.
        """
        shown = [dts + shift for dts, shift in zip(dts_90k, composition_90k or [0] * len(dts_90k), strict=True)]
        newest = dts_90k[-1]
        if compressed:
            end = self._natural(now, len(shown))
            self._offset = end - newest
            stamps = [pts + self._offset for pts in shown]
            due = sorted((n for n, pts in enumerate(shown) if pts <= newest), key=shown.__getitem__, reverse=True)
            for back, n in enumerate(due):
                stamps[n] = end - back
        else:
            self._offset = (self._last + RESET_TICKS if self._started else self._last) - shown[0]
            stamps = [pts + self._offset for pts in shown]
        self._decode = newest + self._offset
        self._last, self._last_at, self._started = max(stamps), now, True
        return stamps

    def stamp_at(self, now: float) -> int:
        """The timestamp that belongs to the moment ``now``, for sender reports."""
        return self._last + round((now - self._last_at) * CLOCK_HZ)

    def _natural(self, now: float, at_least: int) -> int:
        """Where the clock has come to since the last frame, leaving room for ``at_least`` frames."""
        if not self._started:
            return self._last + at_least
        elapsed = max(0.0, now - self._last_at)
        return self._last + max(at_least, round(elapsed * CLOCK_HZ))
