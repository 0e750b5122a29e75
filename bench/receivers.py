"""Receivers that decode nothing: they count packets and holes, and note when each frame's last packet came.

What loopback does for receivers is on the sender's account, and they shall cost it no more than those on other machines
do. So they are not woken by what comes but look for it from time to time, for which reason the kernel notes when it
came; and they take what a sender handed over in one call as one buffer (udp(7), UDP_GRO), as a network card would.
"""

import asyncio
import socket
import struct
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from services.media.rtp import sequence_delta
from tests.wall.relay.running import Front
from tests.wall.relay.viewer import Viewer

POLL_SECONDS = 0.005
BUFFER_BYTES = 4 * 1024 * 1024
_SOL_UDP, _UDP_GRO = 17, 104
_SO_TIMESTAMPNS = 35
_SIZE = struct.Struct("=i")
_TIMESPEC = struct.Struct("@ll")
_CONTROL_BYTES = socket.CMSG_SPACE(_SIZE.size) + socket.CMSG_SPACE(_TIMESPEC.size)


def datagrams(sock: socket.socket) -> Iterator[tuple[bytes, float]]:
    """All that have come to a non-blocking socket, each by itself, and when it came: Unix seconds."""
    while True:
        try:
            data, control, _, _ = sock.recvmsg(65536, _CONTROL_BYTES)
        except BlockingIOError:
            return
        size, at = len(data), 0.0
        for level, kind, value in control:
            if (level, kind) == (_SOL_UDP, _UDP_GRO):
                (size,) = _SIZE.unpack(value)
            elif (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
                seconds, nanoseconds = _TIMESPEC.unpack(value)
                at = seconds + nanoseconds / 1e9
        for begin in range(0, len(data), size):
            yield data[begin : begin + size], at or time.time()


@dataclass
class Tally:
    """Of one stream."""

    packets: int = 0
    first: int = 0
    last: int = 0
    ends: list[float] = field(default_factory=list)
    """Arrival of each frame's last packet, Unix seconds."""

    def count(self, sequence: int, marker: bool, at: float) -> None:
        """Takes a packet; ``sequence`` is the header's."""
        if not self.packets:
            self.first = self.last = sequence
        else:
            self.last += sequence_delta(sequence, self.last & 0xFFFF)
        self.packets += 1
        if marker:
            self.ends.append(at)

    @property
    def lost(self) -> int:
        """Packets that should have come and did not; repeated ones hide as many."""
        return max(0, self.last - self.first + 1 - self.packets) if self.packets else 0


class Counters:
    """Counts the RTP packets that come to sockets, by socket and SSRC: the header is readable without any key."""

    def __init__(self) -> None:
        self.tallies: dict[tuple[int, int], Tally] = {}
        """By the socket's place in the order of `add`, and SSRC."""
        self._sockets: list[socket.socket] = []

    def add(self, sock: socket.socket) -> None:
        """Counts what comes to a UDP socket, which nobody else may read; it stays the caller's to close."""
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        sock.setsockopt(_SOL_UDP, _UDP_GRO, 1)
        self._sockets.append(sock)

    def look(self) -> None:
        """Takes what has come."""
        for number, sock in enumerate(self._sockets):
            for data, at in datagrams(sock):
                if data[0] >> 6 == 2 and not 192 <= data[1] < 224:  # RTP, RFC 7983 and 5761
                    tally = self.tallies.setdefault((number, int.from_bytes(data[8:12], "big")), Tally())
                    tally.count(data[2] << 8 | data[3], bool(data[1] & 0x80), at)

    @asynccontextmanager
    async def counting(self) -> AsyncIterator[None]:
        """Looks every `POLL_SECONDS`."""

        async def look() -> None:
            while True:
                self.look()
                await asyncio.sleep(POLL_SECONDS)

        task = asyncio.create_task(look())
        try:
            yield
        finally:
            task.cancel()

    async def seen(self, streams: int) -> None:
        """Until packets of so many streams came."""
        async with asyncio.timeout(60):
            while len(self.tallies) < streams:
                await asyncio.sleep(0.1)


class Watcher(Viewer):
    """A viewer of the relay whose packets are counted, once it is connected."""

    def __init__(self, front: Front) -> None:
        super().__init__(front)
        self.keep = False

    def count_in(self, counters: Counters) -> None:
        """Leaves the socket to be counted."""
        self._loop.remove_reader(self.sock)
        counters.add(self.sock)


def added_ms(published: list[float], ends: list[float]) -> list[float]:
    """How long after its publishing each frame was there whole, of a stream without losses.

    Streams name no frame, so the one assumption: the first of ``ends`` is the newest frame for which nothing arrives
    before it was sent.
    """
    for first in range(len(published) - len(ends), -1, -1):
        sent = published[first : first + len(ends)]
        delays = [1000 * (end - begin) for begin, end in zip(sent, ends, strict=True)]
        if min(delays, default=0.0) >= 0:
            return delays
    return []
