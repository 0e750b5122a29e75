"""What leaves a socket in one system call: sendmmsg(2), with UDP segmentation offload for each run of packets.

What the frames of one turn of the event loop become for all their viewers is collected and handed over together; while
packets are made the processor stays with that, and then with sending them.
"""

import asyncio
import ctypes
import errno
import os
import socket
import struct
import sys
from typing import Final

from services.mesh.log import get_logger
from services.wall.relay.engine.ice import Address
from services.wall.relay.engine.kernel_batch import SEND_ERRORS, SENDS_DROPPED, KernelBatch
from services.wall.relay.engine.srtp import Scratch
from services.wall.relay.engine.template import RtpRun

log = get_logger()

SOL_UDP: Final = 17
UDP_SEGMENT: Final = 103
"""UDP generic segmentation offload (udp(7); Linux 4.18)."""
RUNS: Final = 16
"""So many go out together: enough to divide the price of a call by, and few enough for the second-level cache."""

# On Linux (bits/socket.h): struct mmsghdr, struct iovec, and struct cmsghdr with 16 bits of data, in native layout.
_HEADER: Final = struct.Struct("@PIPNPNi0PI0P")
_VECTOR: Final = struct.Struct("@PN")
_VECTOR_AND_CONTROL: Final = struct.Struct("@PNNiiH0N")


def probe_offload() -> str:
    """Empty where three datagrams sent by one call arrive as three; otherwise why they do not."""
    if sys.platform != "linux":
        return f"{sys.platform} has no UDP segmentation offload"
    try:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
        ):
            receiver.bind(("127.0.0.1", 0))
            receiver.settimeout(1.0)
            control = [(SOL_UDP, UDP_SEGMENT, struct.pack("=H", 100))]
            sender.sendmsg([bytes(250)], control, 0, receiver.getsockname())
            sizes = [len(receiver.recv(2000)) for _ in range(3)]
    except OSError as error:
        return f"the probe failed: {error}"
    return "" if sizes == [100, 100, 50] else f"the probe arrived as {sizes}"


class Destination:
    """Where a viewer's packets go. ``kernel_batch``: where the send kernel was built and is on."""

    __slots__ = ("_sockaddr", "address", "kernel_batch", "packed", "pointer", "send_batch", "size_bytes", "via")

    def __init__(
        self, address: Address, send_batch: "SendBatch", kernel_batch: KernelBatch | None, via: int = 0
    ) -> None:
        self.address = address
        self.via = via
        """The number of the socket that is sent by."""
        self.send_batch = send_batch
        self.kernel_batch = kernel_batch
        self.packed = packed = _sockaddr(address)
        self._sockaddr = ctypes.create_string_buffer(packed, len(packed))
        self.pointer = ctypes.addressof(self._sockaddr)
        self.size_bytes = len(packed)


def _sockaddr(address: Address) -> bytes:
    """``struct sockaddr_in`` or ``sockaddr_in6``."""
    if len(address) == 2:
        host, port = address
        return struct.pack("=H", socket.AF_INET) + struct.pack(">H4s8x", port, socket.inet_pton(socket.AF_INET, host))
    host, port, flow, scope = address
    there = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    return struct.pack("=H", socket.AF_INET6) + struct.pack(">HI16s", port, flow, there) + struct.pack("=I", scope)


class SendBatch:
    """One socket's. Make a run's packets in `scratch`, and `add_run` it for a destination.

    Where the kernel does not segment runs, packets leave one by one and at once.
    """

    def __init__(self, sock: socket.socket, *, offload: bool) -> None:
        self.offload = offload
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._scratches = [Scratch()]
        """As many as ever waited at once: there is a socket for each address of the machine, and most send nothing."""
        self.scratch = self._scratches[0]
        """Where the next run is to be made."""
        self._waiting: list[tuple[RtpRun, Destination]] = []
        self._headers = ctypes.create_string_buffer(_HEADER.size * RUNS)
        size = _VECTOR_AND_CONTROL.size
        self._vectors = ctypes.create_string_buffer(size * RUNS)
        begin = ctypes.addressof(self._vectors)
        self._places = tuple(
            (n * _HEADER.size, n * size, begin + n * size, begin + n * size + _VECTOR.size) for n in range(RUNS)
        )
        """Of each message: where its header and its vector stand in their buffers, and in memory its vector and its
        control data."""

    def add_run(self, run: RtpRun, destination: Destination) -> None:
        """Sends what was made in `scratch`, at the end of this turn of the event loop at the latest."""
        waiting = self._waiting
        number = len(waiting)
        if not self.offload:
            self._send_apart(self.scratch.packets(run), run, destination)
            return
        header_at, vector_at, vector, control = self._places[number]
        _HEADER.pack_into(
            self._headers, header_at, destination.pointer, destination.size_bytes, vector, 1,
            control, _CONTROL_BYTES if run.count > 1 else 0, 0, 0,
        )  # fmt: skip
        _VECTOR_AND_CONTROL.pack_into(
            self._vectors, vector_at, self.scratch.address, run.wire_bytes,
            _CONTROL_LENGTH, SOL_UDP, UDP_SEGMENT, run.stride,
        )  # fmt: skip
        waiting.append((run, destination))
        if number == RUNS - 1:
            self.flush()
            return
        if number + 1 == len(self._scratches):
            self._scratches.append(Scratch())
        self.scratch = self._scratches[number + 1]
        if not number:
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Sends all that waits. What finds the socket's buffer full is dropped: receivers ask for it again."""
        at, end = 0, len(self._waiting)
        while at < end:
            here = ctypes.byref(self._headers, at * _HEADER.size)
            sent = _sendmmsg(self._sock.fileno(), here, end - at, 0)
            if sent > 0:
                at += sent
                continue
            self._on_refused(ctypes.get_errno(), at)
            at += 1
        self._waiting.clear()
        self.scratch = self._scratches[0]

    def _on_refused(self, error: int, number: int) -> None:
        if error in (errno.EAGAIN, errno.EINTR):
            SENDS_DROPPED.inc()
        elif error in (errno.EIO, errno.EINVAL, errno.EMSGSIZE, errno.EOPNOTSUPP):
            if error == errno.EIO:  # udp(7): the device cannot segment after all
                self.offload = False
                log.warning("relay.gso_off", error=os.strerror(error))
            run, destination = self._waiting[number]
            self._send_apart(self._scratches[number].packets(run), run, destination)
        else:
            SEND_ERRORS.inc()

    def _send_apart(self, packets: memoryview, run: RtpRun, destination: Destination) -> None:
        for at in range(0, run.wire_bytes, run.stride):
            self.send(packets[at : at + run.stride], destination.address)

    def send(self, data: bytes | memoryview, address: Address) -> None:
        """One datagram, now, before all that waits."""
        try:
            self._sock.sendto(data, address)
        except (BlockingIOError, InterruptedError):
            SENDS_DROPPED.inc()
        except OSError:
            SEND_ERRORS.inc()

    def close(self) -> None:
        """Drops what waits."""
        self._waiting.clear()
        self.scratch = self._scratches[0]


if sys.platform == "linux":
    _CONTROL_LENGTH: Final = socket.CMSG_LEN(2)
    _CONTROL_BYTES: Final = socket.CMSG_SPACE(2)
    _sendmmsg: Final = ctypes.CDLL(None, use_errno=True).sendmmsg
