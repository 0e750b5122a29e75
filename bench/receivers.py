"""Receivers that decode nothing: they count packets and holes, and note when each frame's last packet came.

They take what a sender handed over in one call as one buffer (udp(7), UDP_GRO), as a network card would: what loopback
does for receivers is on the sender's account, and they shall cost it no more than those on other machines.
"""

import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from services.media.rtp import sequence_delta
from tests.wall.relay.running import Front
from tests.wall.relay.viewer import Viewer

_SOL_UDP, _UDP_GRO = 17, 104
_SIZE = struct.Struct("=i")


def take_coalesced(sock: socket.socket) -> None:
    """From now on a UDP socket gives equal datagrams of one sender as one; see `datagrams`."""
    sock.setsockopt(_SOL_UDP, _UDP_GRO, 1)


def datagrams(sock: socket.socket) -> Iterator[bytes]:
    """All that have come to a non-blocking socket, each by itself."""
    for _ in range(64):
        try:
            data, control, _, _ = sock.recvmsg(65536, socket.CMSG_SPACE(_SIZE.size))
        except BlockingIOError:
            return
        size = len(data)
        for level, kind, value in control:
            if (level, kind) == (_SOL_UDP, _UDP_GRO):
                (size,) = _SIZE.unpack(value)
        for at in range(0, len(data), size):
            yield data[at : at + size]


@dataclass
class Tally:
    """Of one stream."""

    packets: int = 0
    first: int = 0
    last: int = 0
    ends: list[float] = field(default_factory=list)
    """Arrival of each frame's last packet, monotonic seconds."""

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


class Counter(Viewer):
    """A viewer of the relay that leaves packets as they are: the RTP header is readable without any key."""

    def __init__(self, front: Front) -> None:
        super().__init__(front)
        self.tallies: dict[bytes, Tally] = {}

        take_coalesced(self.sock)

    def _datagrams(self) -> Iterator[bytes]:
        return datagrams(self.sock)

    def _on_srtp(self, data: bytes) -> None:
        if not 192 <= data[1] < 224:
            tally = self.tallies.setdefault(data[8:12], Tally())
            tally.count(data[2] << 8 | data[3], bool(data[1] & 0x80), time.monotonic())


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
