"""A viewer that C is lent a feed's frames for, and what Python says of a message."""

from typing import Final

from services.contracts.frames import AccessUnit, Codec, FrameError, decode
from services.media.nal import BitstreamError
from services.media.rtp import HEADER_BYTES
from services.wall.relay.engine.kernel_feed import KernelFeed, TakingCall
from services.wall.relay.sending.frame import Frame
from tests.wall.relay.kernel.twins import Twin, access_unit, unit_of

ROOM: Final = 1 << 20


class Lent:
    """A viewer that is sent a feed's frames by C."""

    def __init__(self, twin: Twin, codec: Codec = Codec.H264, room_bytes: int = ROOM) -> None:
        assert twin.kernel_batch is not None
        self.twin, self.codec, self.number, self.now = twin, codec, 7, 1.0
        twin.peer.burst_bytes = twin.peer.tokens = 1e9
        twin.show(Frame(access_unit([unit_of(500, 0x41, 1)], 0, key=True, codec=codec)), self.now, 0)
        self.loan = KernelFeed(twin.sent_layouts.serials)
        extension_bytes = int(twin.track.stream.ext_bytes[0])
        self.calls = (TakingCall(twin.kernel_batch, twin.array, HEADER_BYTES + extension_bytes, twin.tag_bytes),)
        self.lend(room_bytes)

    def lend(self, room_bytes: int = ROOM) -> None:
        self.loan.lend(self.calls, self.codec, (1, self.number), room_bytes)

    def next_unit(self, size: int = 3000) -> AccessUnit:
        unit = access_unit([unit_of(size, 0x41, self.number & 0xFF)], 3600 * (self.number - 6), codec=self.codec)
        return unit._replace(sequence=self.number + 1)

    def take(self, message: bytes) -> int:
        self.now += 0.04
        taken = self.loan.take(message, self.now)
        if taken:
            self.number += 1
            self.twin.sent_layouts.add_taken(message, self.now)
        return taken


def is_usual(message: bytes, lent: Lent) -> bool:
    """What Python says."""
    try:
        frame = Frame(decode(message))
    except (FrameError, BitstreamError):
        return False
    unit = frame.unit
    return (
        not (frame.keyframe or frame.damaged or unit.discontinuity or unit.extradata)
        and unit.codec is lent.codec
        and unit.order == (1, lent.number + 1)
    )
