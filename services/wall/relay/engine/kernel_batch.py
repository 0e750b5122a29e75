"""One socket's end of the send kernel: what C protects and sends for many viewers at once.

It does what `srtp.Scratch` and `send_batch.SendBatch` do together, where the kernel was built.
"""

import asyncio
import os
import socket
from collections.abc import Sequence
from errno import EIO
from typing import Any, Final

from services.mesh.log import get_logger
from services.mesh.metrics import counter
from services.wall.relay.engine.dtls import protect_address
from services.wall.relay.engine.template import (
    MAX_PAYLOAD_BYTES,
    MAX_RUN_BYTES,
    MAX_RUN_PACKETS,
    MIN_PACKET_COST_BYTES,
    PACKETS_AT,
    PacketLayout,
)
from services.wall.relay.kernel.library import SendKernel, find_kernel, limits_differ
from services.wall.relay.kernel.structs import LIMITS, Stream, ffi

log = get_logger()

_CALL_STREAMS: Final = LIMITS["PK_CALL_STREAMS"]
SENDS_DROPPED: Final = counter("relay_sends_dropped", "Sends given up because the socket's buffer was full")
SEND_ERRORS: Final = counter("relay_send_errors", "Sends that the system refused")


def usable_kernel() -> SendKernel | str:
    """The kernel, or why it cannot be used with the libraries that are installed."""
    kernel = find_kernel()
    if isinstance(kernel, str):
        return kernel
    if isinstance(address := protect_address(), str):
        return address
    wanted = {
        "PK_PAYLOAD_BYTES": MAX_PAYLOAD_BYTES, "PK_RUN_PACKETS": MAX_RUN_PACKETS, "PK_RUN_BYTES": MAX_RUN_BYTES,
        "PK_PACKETS_AT": PACKETS_AT, "PK_PACKET_COST_BYTES": MIN_PACKET_COST_BYTES,
    }  # fmt: skip
    return limits_differ(wanted) or kernel


class StreamArray:
    """Streams that C sends a frame to, as it wants to be given them; they are held for as long as this is."""

    __slots__ = ("_left", "_pieces", "streams")

    def __init__(self, streams: Sequence[Stream]) -> None:
        self.streams = tuple(streams)
        self._left = ffi.new("uint16_t[]", _CALL_STREAMS)
        self._pieces = tuple(
            (begin, ffi.new("pk_stream *[]", list(self.streams[begin : begin + _CALL_STREAMS])))
            for begin in range(0, len(self.streams), _CALL_STREAMS)
        )


class KernelBatch:
    """One socket's. Of its methods `put_run` waits for the end of this turn of the event loop; `send_frame` sends."""

    def __init__(self, sock: socket.socket, kernel: SendKernel, *, offload: bool) -> None:
        address = protect_address()
        assert not isinstance(address, str)
        self._lib: Final = kernel.lib
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._memory: Any = None
        """Half a megabyte, made at first use: each address of the machine has a socket, and most send nothing."""
        self._out = out = ffi.new("pk_out *")
        out.protect = ffi.cast("int (*)(void *, void *, int *)", address)
        out.fd, out.offload = sock.fileno(), offload
        self._offload = offload
        self._counted = (0, 0)

    def _make_room(self) -> None:
        self._memory = ffi.new("uint64_t[]", (self._lib.pk_batch_bytes() + 7) // 8)  # aligned as C wants it
        self._out.batch = self._memory

    def put_run(
        self, layout: PacketLayout, number: int, stream: Stream, now: float, stamp: int, sent24: int, *, keyframe: bool
    ) -> int:
        """Numbers and protects one run, and sends it at the end of this turn at the latest. Returns a ``pk_status``."""
        assert layout.kernel is not None
        if self._memory is None:
            self._make_room()
        out = self._out
        status: int = self._lib.pk_put(out, layout.kernel.frame, number, stream, now, stamp, sent24, keyframe)
        if out.waiting == 1:
            self._loop.call_soon(self.flush)
        return status

    def send_frame(
        self, layout: PacketLayout, array: StreamArray, now: float, dts: int, shift: int, sent24: int, *, keyframe: bool
    ) -> list[int]:
        """Sends a live frame to all of ``array``, behind what waits; the places of those with another status than sent.

        ``shift``: how much later than decoded the frame is shown, 90 kHz.
        """
        assert layout.kernel is not None
        if self._memory is None:
            self._make_room()
        others: list[int] = []
        left, send = array._left, self._lib.pk_send
        for begin, streams in array._pieces:
            count = send(
                self._out, layout.kernel.frame, streams, len(streams), now, dts, shift, sent24, keyframe, left
            )  # fmt: skip
            if count:
                others += [begin + left[n] for n in range(count)]
        self.count()
        return others

    @property
    def take(self) -> Any:
        """``pk_take``."""
        return self._lib.pk_take

    def calls(self, array: StreamArray) -> list[tuple[int, dict[str, Any]]]:
        """What a ``pk_call`` says of the socket and the streams, behind the first stream's place, for each call that
        ``array`` takes. It is good for as long as both are."""
        if self._memory is None:
            self._make_room()
        return [(begin, {"out": self._out, "streams": them, "n": len(them)}) for begin, them in array._pieces]

    def flush(self) -> None:
        """Sends all that waits. What finds the socket's buffer full is dropped: receivers ask for it again."""
        self._lib.pk_flush(self._out)
        self.count()

    def count(self) -> None:
        """Counts what the socket has refused."""
        out = self._out
        counted = out.full, out.failed
        if counted != self._counted:
            SENDS_DROPPED.inc((counted[0] - self._counted[0]) & 0xFFFFFFFF)
            SEND_ERRORS.inc((counted[1] - self._counted[1]) & 0xFFFFFFFF)
            self._counted = counted
        if self._offload and not out.offload:
            self._offload = False
            log.warning("relay.gso_off", error=os.strerror(EIO))

    def close(self) -> None:
        """Drops what waits."""
        self._out.waiting = 0
