"""What every depacketizer gives its units to."""

from collections.abc import Sequence
from typing import Protocol


class ArrivalClock:
    """When the bytes came that are being looked at; set by who receives them."""

    __slots__ = ("arrival_us",)

    def __init__(self) -> None:
        self.arrival_us = 0


class UnitSink(Protocol):
    """Takes access units and audio frames as they become complete."""

    def __call__(
        self, data: bytes | Sequence[bytes], timestamp: int, arrival_us: int, damaged: bool, after_hole: bool, /
    ) -> None:
        """One unit: a frame's bytes, or the NAL units of a picture.

        ``arrival_us`` is when its last byte came. ``damaged``: a part of it is missing or wrong. ``after_hole``:
        packets are missing between the unit before it and its end, so what it refers to may be.
        """
