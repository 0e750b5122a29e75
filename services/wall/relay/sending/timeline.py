"""RTP timestamps of a slot: growing over every change of what it shows (R4).

Measured with Chromium: live frames keep the camera's spacing; cached frames are one tick apart and end where the live
ones go on; no frame is stamped before those of an earlier source.
"""

from collections.abc import Sequence
from typing import Final

from services.wall.relay.kernel.structs import LIMITS, Stream

CLOCK_HZ: Final = 90_000
RESET_TICKS: Final = 3600 * CLOCK_HZ
"""Without playout-delay a browser catches up only when the timestamps jump far: an hour."""
MAX_JUMP_TICKS: Final = 1 << LIMITS["PK_JUMP_BITS"]
"""A source's clock that jumps further (140 days) begins anew, so that no sum needs more than 64 bits."""


class RtpTimeline:
    """Maps a source's times to RTP timestamps. All values are unwrapped; put 32 bits on the wire.

    An RTP timestamp is of presentation (RFC 6184, section 5.1; RFC 7798, section 4.1), so that among frames in decoding
    order those of B-pictures step back. ``composition``: how much later than decoded a frame is shown.
    """

    __slots__ = ("_stream",)

    def __init__(self, stream: Stream, first: int) -> None:
        """``stream`` holds its values, where the send kernel finds them."""
        self._stream = stream
        stream.last = stream.decode = first
        stream.has_offset = stream.started = False

    @property
    def last(self) -> int:
        """The latest timestamp given out."""
        return int(self._stream.last)

    def stamp_live(self, dts_90k: int, now: float, composition_90k: int = 0, *, anew: bool = False) -> int:
        """The timestamp of the next live frame. ``anew``: its times have nothing to do with the last ones."""
        stream = self._stream
        offset, decode = stream.offset, stream.decode
        # Where the source stepped back without saying so, it begins anew, too.
        follows = stream.has_offset and not anew
        if not follows or (stream.started and not decode < dts_90k + offset <= decode + MAX_JUMP_TICKS):
            offset = self._natural(now, 1) - dts_90k - composition_90k
            stream.offset, stream.has_offset = offset, True
        stream.decode = decode = dts_90k + offset
        stamp = int(decode + composition_90k)
        if stamp > stream.last or not stream.started:
            stream.last, stream.last_at, stream.started = stamp, now, True
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
        stream = self._stream
        if compressed:
            end = self._natural(now, len(shown))
            offset = end - newest
            stamps = [pts + offset for pts in shown]
            due = sorted((n for n, pts in enumerate(shown) if pts <= newest), key=shown.__getitem__, reverse=True)
            for back, n in enumerate(due):
                stamps[n] = end - back
        else:
            last = int(stream.last)
            offset = (last + RESET_TICKS if stream.started else last) - shown[0]
            stamps = [pts + offset for pts in shown]
        stream.offset, stream.has_offset, stream.decode = offset, True, newest + offset
        stream.last, stream.last_at, stream.started = max(stamps), now, True
        return stamps

    def stamp_at(self, now: float) -> int:
        """The timestamp that belongs to the moment ``now``, for sender reports."""
        stream = self._stream
        return int(stream.last) + round((now - float(stream.last_at)) * CLOCK_HZ)

    def _natural(self, now: float, at_least: int) -> int:
        """Where the clock has come to since the last frame, leaving room for ``at_least`` frames."""
        stream = self._stream
        last = int(stream.last)
        if not stream.started:
            return last + at_least
        elapsed = max(0.0, now - float(stream.last_at))
        return last + max(at_least, round(elapsed * CLOCK_HZ))
