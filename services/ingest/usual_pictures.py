"""Pictures of one source that the receive kernel made messages of."""

from collections.abc import Sequence
from typing import NamedTuple


class UsualPictures(NamedTuple):
    """Some that follow each other, one at least; each of the sequences has an entry for each."""

    messages: list[bytes]
    arrivals_us: Sequence[int]
    """By `time.monotonic_ns`, in microseconds."""
    dts_90k: Sequence[int]
    payload_bytes: Sequence[int]
    keyframes: Sequence[int]
    """1 or 0."""
