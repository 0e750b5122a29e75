"""A frame's packets, laid out once for all viewers: room for header and tag around each payload.

A viewer's copy differs in the header alone, so that fan-out is: copy, write headers, encrypt in place, send. Packets of
equal size stand behind one another in runs; a run is one message for a kernel with UDP segmentation offload.
"""

import struct
from collections.abc import Sequence
from typing import Final

from services.media.rtp import HEADER_BYTES

MAX_PAYLOAD_BYTES: Final = 1192
"""With header, extensions, tag, UDP and IPv6 this makes 1280, the least MTU that IPv6 guarantees."""
MAX_RUN_PACKETS: Final = 24
"""The kernel takes 64 segments and 65,084 bytes a call; bursts must be shorter, or they overflow receive buffers."""
MAX_RUN_BYTES: Final = MAX_RUN_PACKETS * 1300
MIN_PACKET_COST_BYTES: Final = 1024
"""What even a small datagram takes of a receiver's socket buffer, as the kernel counts it."""
PACKETS_AT: Final = 128
"""Where the packets begin in `RtpRun.image`: behind as many C integers as there may be packets."""
_LENGTHS: Final = tuple(struct.Struct(f"@{count}i") for count in range(MAX_RUN_PACKETS + 1))


class RtpRun:
    """Packets of one size, only the last of which may be shorter, laid out behind one another."""

    __slots__ = (
        "cost_bytes",
        "count",
        "ends_frame",
        "image",
        "last_plain_bytes",
        "payload_at",
        "places",
        "plain_bytes",
        "span",
        "stride",
        "wire_bytes",
    )  # fmt: skip

    def __init__(self, payloads: Sequence[bytes], extension_bytes: int, tag_bytes: int, ends_frame: bool) -> None:
        room = HEADER_BYTES + extension_bytes
        count = self.count = len(payloads)
        self.plain_bytes = room + len(payloads[0])
        self.last_plain_bytes = room + len(payloads[-1])
        # The room behind one packet and before the next is one piece.
        between = bytes(tag_bytes + room)
        lengths = _LENGTHS[count].pack(*[self.plain_bytes] * (count - 1), self.last_plain_bytes)
        self.image = b"".join((lengths.ljust(PACKETS_AT + room, b"\0"), between.join(payloads), between[:tag_bytes]))
        """What protection begins with: the packets' lengths before it, as libsrtp wants to be told them; the packets.
        """
        self.span = slice(0, len(self.image))
        """Of all that. A slice is made once, since making one takes as long as copying a small packet."""
        self.payload_at = PACKETS_AT + room
        self.stride = self.plain_bytes + tag_bytes
        self.wire_bytes = len(self.image) - PACKETS_AT
        self.places = self.stride if count > 1 else 0
        """The same for all runs whose packets begin at the same places: the distance between them."""
        self.cost_bytes = max(self.wire_bytes, count * MIN_PACKET_COST_BYTES)
        """For pacing."""
        self.ends_frame = ends_frame

    def payload(self, packet: int) -> bytes:
        """The plain payload of the run's ``packet``-th packet, for a retransmission."""
        begin = packet * self.stride
        plain = self.plain_bytes if packet < self.count - 1 else self.last_plain_bytes
        return self.image[self.payload_at + begin : PACKETS_AT + begin + plain]


class PacketLayout:
    """A frame's runs, and what they come to."""

    __slots__ = ("cost_bytes", "runs")

    def __init__(self, runs: tuple[RtpRun, ...]) -> None:
        self.runs = runs
        self.cost_bytes = sum([run.cost_bytes for run in runs])
        """For pacing."""


def lay_out(payloads: Sequence[bytes], extension_bytes: int, tag_bytes: int) -> tuple[RtpRun, ...]:
    """The runs of an access unit's payloads. A payload larger than `MAX_PAYLOAD_BYTES` is not accepted."""
    sizes = [len(payload) for payload in payloads]
    runs: list[RtpRun] = []
    begin, count = 0, len(sizes)
    while begin < count:
        size, end, limit = sizes[begin], begin + 1, min(count, begin + MAX_RUN_PACKETS)
        assert size <= MAX_PAYLOAD_BYTES
        while end < limit and sizes[end] == size:
            end += 1
        if end < limit and sizes[end] < size:
            end += 1
        runs.append(RtpRun(payloads[begin:end], extension_bytes, tag_bytes, end == count))
        begin = end
    return tuple(runs)
