"""How a relay and a converter's process talk: messages, each behind its length.

The first one is a `Task`: a process may be started before there is anything to convert. For live pictures and sound
access-unit messages go in, others come out. Footage is answered request by request: a request is `SHOW` or `HIDE` and
an access-unit message; an empty one drains the decoder. An empty message ends each answer.

A converter is started while a viewer waits: it imports this, and nothing of `services.mesh`.
"""

import json
from struct import Struct
from typing import Final, NamedTuple, Self

from services.wall.masking import Rectangle

LENGTH: Final = Struct(">I")
SHOW: Final = b"\1"
HIDE: Final = b"\0"
"""The picture is decoded for the sake of those after it, and not sent."""


class Task(NamedTuple):
    """What a converter is to do until its input ends."""

    kind: str
    """picture, sound or footage."""
    epoch: int
    """Of the access units that come out."""
    max_height_px: int
    masks: tuple[Rectangle, ...] = ()
    """Are drawn in every picture."""

    def pack(self) -> bytes:
        """As the first message."""
        return json.dumps(self).encode()

    @classmethod
    def unpack(cls, message: bytes) -> Self:
        """The inverse."""
        kind, epoch, max_height_px, masks = json.loads(message)
        return cls(kind, epoch, max_height_px, tuple(Rectangle(*mask) for mask in masks))
