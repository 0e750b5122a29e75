"""What assembling yields: access units that lack nothing but their times."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Shape(NamedTuple):
    """What the parameter sets or headers say of the pictures."""

    width_px: int = 0
    height_px: int = 0
    frame_rate: float | None = None
    reorder: int | None = 0
    """Pictures that may precede an earlier one when shown; None: unsaid."""


class Unit(NamedTuple):
    """One access unit, ready for the bus but for its times."""

    payload: bytes
    keyframe: bool
    disposable: bool = False
    new_parameters: bool = False
    """The parameters differ from those of the keyframe before: a new run begins."""
    extradata: bytes = b""
    slice: bytes = b""
    """The first slice of what is no keyframe, for `Assembler.is_b_picture`."""


class Assembler(Protocol):
    """Assembles one track of one run."""

    shape: Shape

    def assemble(self, data: bytes | Sequence[bytes]) -> Sequence[Unit]:
        """The access units in a packet's data (see `Packet.data`): none while holding back.

        Raises `BitstreamError` for a broken packet.
        """

    def is_b_picture(self, unit: Unit) -> bool:
        """Whether ``unit`` may by right be shown before one that came earlier."""
