"""A frame's packets, laid out once for all viewers: room for header and tag around each payload.

A viewer's copy differs in the header alone, so that fan-out is: copy, write headers, encrypt in place, send. Packets of
equal size stand behind one another in runs; a run is one system call with UDP segmentation offload.
"""

import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from services.media.packetize import Payload
from services.media.rtp import HEADER_BYTES

MAX_PAYLOAD_BYTES: Final = 1192
"""With header, extensions, tag, UDP and IPv6 this makes 1280, the least MTU that IPv6 guarantees."""
MAX_RUN_PACKETS: Final = 24
"""The kernel takes 64 segments and 65,084 bytes a call; bursts must be shorter, or they overflow receive buffers."""
MAX_RUN_BYTES: Final = MAX_RUN_PACKETS * 1300
MIN_PACKET_COST_BYTES: Final = 1024
"""What even a small datagram takes of a receiver's socket buffer, as the kernel counts it."""
UDP_SEGMENT: Final = 103
SOL_UDP: Final = 17


@lru_cache(maxsize=2048)
def _segmented(stride: int) -> tuple[tuple[int, int, bytes], ...]:
    """Ancillary data that makes ``sendmsg`` cut what it is given into packets of this size."""
    return ((SOL_UDP, UDP_SEGMENT, struct.pack("=H", stride)),)


class Run:
    """Packets of one size, only the last of which may be shorter, laid out behind one another."""

    __slots__ = (
        "control",
        "cost_bytes",
        "count",
        "data",
        "ends_frame",
        "last_plain_bytes",
        "payload_at",
        "plain_bytes",
        "stride",
        "wire_bytes",
    )  # fmt: skip

    def __init__(
        self, unit: bytes, payloads: Sequence[Payload], extension_bytes: int, tag_bytes: int, ends_frame: bool
    ) -> None:
        room = HEADER_BYTES + extension_bytes
        # The room behind one packet and before the next is one piece.
        between = bytes(tag_bytes + room)
        packets = between.join([payload.assemble(unit) for payload in payloads])
        self.data = b"".join((between[:room], packets, between[:tag_bytes]))
        self.count = len(payloads)
        self.payload_at = room
        self.plain_bytes = room + payloads[0].size_bytes
        self.last_plain_bytes = room + payloads[-1].size_bytes
        self.stride = self.plain_bytes + tag_bytes
        self.wire_bytes = len(self.data)
        self.cost_bytes = max(self.wire_bytes, self.count * MIN_PACKET_COST_BYTES)
        """For pacing."""
        self.ends_frame = ends_frame
        self.control = _segmented(self.stride)
        """For ``sendmsg``, where the run has more than one packet."""

    def payload(self, packet: int) -> bytes:
        """The plain payload of the run's ``packet``-th packet, for a retransmission."""
        begin = packet * self.stride
        plain = self.plain_bytes if packet < self.count - 1 else self.last_plain_bytes
        return self.data[begin + self.payload_at : begin + plain]


class Layout:
    """A frame's runs, and what they come to."""

    __slots__ = ("cost_bytes", "packets", "runs", "wire_bytes")

    def __init__(self, runs: tuple[Run, ...]) -> None:
        self.runs = runs
        self.packets = sum(run.count for run in runs)
        self.wire_bytes = sum(run.wire_bytes for run in runs)
        self.cost_bytes = sum(run.cost_bytes for run in runs)
        """For pacing."""


def lay_out(unit: bytes, payloads: Sequence[Payload], extension_bytes: int, tag_bytes: int) -> tuple[Run, ...]:
    """The runs of an access unit's payloads. A payload larger than `MAX_PAYLOAD_BYTES` is not accepted."""
    groups: list[list[Payload]] = []
    size = closed = 0
    for payload in payloads:
        this = payload.size_bytes
        assert this <= MAX_PAYLOAD_BYTES
        if groups and not closed and this <= size and len(groups[-1]) < MAX_RUN_PACKETS:
            groups[-1].append(payload)
            closed = this < size
        else:
            groups.append([payload])
            size, closed = this, False
    last = len(groups) - 1
    return tuple(Run(unit, group, extension_bytes, tag_bytes, number == last) for number, group in enumerate(groups))
