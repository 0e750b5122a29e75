"""Media time: ticks of a clock rate, and microseconds.

Video counts in ticks of 90 kHz (RFC 6184, 8.1), as RTP and our files do; capture times are microseconds. All functions
are exact integer arithmetic and round down (towards the past), negative values too. So they are monotonic: what was in
order stays in order.
"""

from typing import Final

SECOND_90K: Final = 90_000
"""A second of video time; also the clock rate in Hz."""
SECOND_US: Final = 1_000_000


def us_from_90k(ticks_90k: int) -> int:
    """Microseconds of ``ticks_90k``, less than 1 µs too few."""
    return ticks_90k * 100 // 9


def us_to_90k(us: int) -> int:
    """Ticks of 90 kHz in ``us``, less than one tick (11.1 µs) too few. Of `us_from_90k` it gives back t or t - 1."""
    return us * 9 // 100


def rescale(ticks: int, from_hz: int, to_hz: int) -> int:
    """``ticks`` of one clock rate in ticks of another, less than one too few. Microseconds are ticks of 1 MHz."""
    return ticks * to_hz // from_hz
