"""A frame's packets, laid out once for all viewers: room for header and tag around each payload.

A viewer's copy differs in the header alone, so that fan-out is: copy, write headers, encrypt in place, send. Packets of
equal size stand behind one another in runs; a run is one message for a kernel with UDP segmentation offload.
"""

import struct
from collections.abc import Sequence
from typing import Final

from services.media.rtp import HEADER_BYTES
from services.wall.relay.kernel.library import KernelLayout, next_serial

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
    """Packets of one size, only the last of which may be shorter, laid out behind one another.

    ``plain_bytes`` and ``last_plain_bytes`` are those of a packet before protection, header included. `run_of_payloads`
    makes one of payloads.
    """

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

    def __init__(
        self,
        image: bytes | memoryview,
        count: int,
        plain_bytes: int,
        last_plain_bytes: int,
        extension_bytes: int,
        tag_bytes: int,
        ends_frame: bool,
    ) -> None:
        self.image = image
        """What protection begins with: the packets' lengths before it, as libsrtp wants to be told them; the packets.
        """
        self.count = count
        self.plain_bytes = plain_bytes
        self.last_plain_bytes = last_plain_bytes
        self.span = slice(0, len(image))
        """Of all that. A slice is made once, since making one takes as long as copying a small packet."""
        self.payload_at = PACKETS_AT + HEADER_BYTES + extension_bytes
        self.stride = plain_bytes + tag_bytes
        self.wire_bytes = len(image) - PACKETS_AT
        self.places = self.stride if count > 1 else 0
        """The same for all runs whose packets begin at the same places: the distance between them."""
        self.cost_bytes = max(self.wire_bytes, count * MIN_PACKET_COST_BYTES)
        """For pacing."""
        self.ends_frame = ends_frame

    def payload(self, packet: int) -> bytes:
        """The plain payload of the run's ``packet``-th packet, for a retransmission."""
        begin = packet * self.stride
        plain = self.plain_bytes if packet < self.count - 1 else self.last_plain_bytes
        return bytes(self.image[self.payload_at + begin : PACKETS_AT + begin + plain])


def run_of_payloads(payloads: Sequence[bytes], extension_bytes: int, tag_bytes: int, ends_frame: bool) -> RtpRun:
    """Payloads of one size, only the last of which may be shorter, as a run."""
    room = HEADER_BYTES + extension_bytes
    count, plain, last = len(payloads), room + len(payloads[0]), room + len(payloads[-1])
    # The room behind one packet and before the next is one piece.
    between = bytes(tag_bytes + room)
    lengths = _LENGTHS[count].pack(*[plain] * (count - 1), last)
    image = b"".join((lengths.ljust(PACKETS_AT + room, b"\0"), between.join(payloads), between[:tag_bytes]))
    return RtpRun(image, count, plain, last, extension_bytes, tag_bytes, ends_frame)


class PacketLayout:
    """A frame's runs, and what they come to."""

    __slots__ = (
        "_extension_bytes",
        "_runs",
        "_tag_bytes",
        "cost_bytes",
        "held",
        "kernel",
        "last_cost_bytes",
        "sent_at",
        "serial",
    )

    def __init__(self, runs: tuple[RtpRun, ...]) -> None:
        self.serial = next_serial()
        self.sent_at = float("-inf")
        """When it was sent to somebody last."""
        self.held = False
        """Whether somebody counts on letting go of its packets (`release`)."""
        self.cost_bytes = sum([run.cost_bytes for run in runs])
        """For pacing."""
        self.last_cost_bytes = runs[-1].cost_bytes if runs else 0
        """Of the last run."""
        self.kernel: KernelLayout | None = None
        """Where C laid it out."""
        self._runs: tuple[RtpRun, ...] | None = runs
        self._extension_bytes = self._tag_bytes = 0

    @classmethod
    def of_kernel(cls, kernel: KernelLayout, extension_bytes: int, tag_bytes: int) -> "PacketLayout":
        """A layout that C made. Its runs are described to Python only where they are asked for."""
        layout = cls(())
        frame = kernel.frame
        layout.kernel, layout._runs, layout.serial, layout.cost_bytes = kernel, None, frame.serial, frame.cost
        layout.last_cost_bytes = frame.run[frame.runs - 1].cost if frame.runs else 0
        layout._extension_bytes, layout._tag_bytes = extension_bytes, tag_bytes
        return layout

    @property
    def run_count(self) -> int:
        """How many runs there are."""
        return self.kernel.frame.runs if self.kernel is not None else len(self.runs)

    def run_cost_bytes(self, number: int) -> int:
        """For pacing, of one run."""
        return self.kernel.frame.run[number].cost if self.kernel is not None else self.runs[number].cost_bytes

    @property
    def runs(self) -> tuple[RtpRun, ...]:
        """The runs, in order."""
        if self._runs is None:
            assert self.kernel is not None
            image, frame = self.kernel.image, self.kernel.frame
            self._runs = tuple(
                RtpRun(
                    image[run.at - PACKETS_AT : run.at + run.bytes], run.count, run.plain, run.last,
                    self._extension_bytes, self._tag_bytes, number == frame.runs - 1,
                )
                for number, run in ((number, frame.run[number]) for number in range(frame.runs))
            )  # fmt: skip
        return self._runs

    def release(self) -> None:
        """Lets go of packets that C made; where they are asked for again, it makes the same."""
        if self.kernel is not None:
            self.kernel.release()
            self._runs = None


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
        runs.append(run_of_payloads(payloads[begin:end], extension_bytes, tag_bytes, end == count))
        begin = end
    return tuple(runs)
