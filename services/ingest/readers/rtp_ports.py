"""Pairs of UDP ports that RTP and RTCP come to."""

import asyncio
import socket
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

from services.media.rtp import VERSION_BITS

RECEIVE_BUFFER_BYTES: Final = 1024 * 1024
"""A keyframe of 4 Mbit/s is a burst of 300 KB."""
_TRIES: Final = 50
_DATAGRAMS_A_TURN: Final = 128
"""More in one go would make the other cameras of the loop wait."""
_MOST_TURNS: Final = 64
"""Of datagrams that wait when the session is over: more than the buffer holds, of the usual size."""
_LARGEST_DATAGRAM_BYTES: Final = 65_536
_EMPTY_RECEIVER_REPORT: Final = bytes((VERSION_BITS, 201, 0, 1, 0, 0, 0, 0))
_EMPTY_PACKET: Final = bytes((VERSION_BITS, 0, *(0,) * 10))

# One for all sources: it is used from `recvfrom_into` to the return of the receiver only.
_buffer = bytearray(_LARGEST_DATAGRAM_BYTES)


SocketAddress = tuple[str, int] | tuple[str, int, int, int]
"""Of IPv4 and of IPv6."""


class DatagramReceiver(Protocol):
    """Takes datagrams; see `services.media.rtsp.framing.ChannelReceiver`."""

    def receive(self, buffer: bytearray, start: int, end: int) -> bool:
        """Takes a packet that is certainly its own."""

    def receive_unknown(self, buffer: bytearray, start: int, end: int) -> None:
        """Takes or drops any other."""

    def knows(self, buffer: bytearray, start: int, end: int) -> bool:
        """Whether it looks like one of its own."""


class RtpPorts:
    """An even port for RTP and the odd one above it for RTCP (RFC 3550, 11)."""

    def __init__(self, local_address: SocketAddress) -> None:
        """``local_address`` is that of the RTSP connection. Raises OSError where no pair is free."""
        self._loop = asyncio.get_running_loop()
        self._rtp, self._rtcp = _bound_pair(local_address)
        self._reading: list[socket.socket] = []
        self._reads: list[Callable[[], int]] = []
        self._server: tuple[str, int] | None = None
        self._heard = False

    @property
    def rtp(self) -> socket.socket:
        """What RTP comes to."""
        return self._rtp

    @property
    def ports(self) -> tuple[int, int]:
        """Those of RTP and RTCP."""
        return self._rtp.getsockname()[1], self._rtcp.getsockname()[1]

    def receive(
        self,
        rtp: DatagramReceiver,
        rtcp: DatagramReceiver,
        *,
        hosts: frozenset[str],
        server_ports: tuple[int, int] | None,
        before: Callable[[], None],
        after: Callable[[], None],
    ) -> None:
        """Hands on what comes from ``hosts``; ``before`` and ``after`` are called around each turn's datagrams.

        Until one of them has sent, the first other that sends what ``rtp`` knows counts among them: some cameras have
        two addresses, and answer from the one and send from the other.

        A first datagram to ``server_ports`` opens the way through what translates addresses in between.
        """
        known = set(hosts)
        for source, receiver in ((self._rtp, rtp), (self._rtcp, rtcp)):
            read = partial(self._read, source, receiver, known, before, after)
            self._loop.add_reader(source.fileno(), read)
            self._reading.append(source)
            self._reads.append(read)
        if server_ports is not None:
            host = next(iter(hosts))
            self._server = host, server_ports[1]
            _send(self._rtp, _EMPTY_PACKET, (host, server_ports[0]))
            self.send_rtcp(_EMPTY_RECEIVER_REPORT)

    def send_rtcp(self, packet: bytes) -> None:
        """To the server, if it said where to."""
        if self._server is not None:
            _send(self._rtcp, packet, self._server)

    def read_waiting(self) -> None:
        """Hands on what has come and waits: who ends the RTSP connection has sent all of it before."""
        for read in self._reads:
            for _ in range(_MOST_TURNS):
                if read() < _DATAGRAMS_A_TURN:
                    break

    def close(self) -> None:
        """Frees the ports."""
        for source in self._reading:
            self._loop.remove_reader(source.fileno())
        self._reading.clear()
        self._rtp.close()
        self._rtcp.close()

    def _read(
        self,
        source: socket.socket,
        receiver: DatagramReceiver,
        hosts: set[str],
        before: Callable[[], None],
        after: Callable[[], None],
    ) -> int:
        before()
        read = 0
        while read < _DATAGRAMS_A_TURN:
            try:
                size, sender = source.recvfrom_into(_buffer)
            except OSError:  # nothing more, or an ICMP message about something sent
                break
            read += 1
            if sender[0] not in hosts:
                if self._heard or source is not self._rtp or not receiver.knows(_buffer, 0, size):
                    continue
                hosts.add(sender[0])
            self._heard = True
            if not receiver.receive(_buffer, 0, size):
                receiver.receive_unknown(_buffer, 0, size)
        after()
        return read


def _send(source: socket.socket, packet: bytes, to: tuple[str, int]) -> None:
    try:
        source.sendto(packet, to)
    except OSError:
        return  # as if it were lost


def _bound_pair(local: SocketAddress) -> tuple[socket.socket, socket.socket]:
    error = OSError("no pair of free UDP ports")
    for _ in range(_TRIES):
        rtp = _bound(local, 0)
        port = rtp.getsockname()[1]
        if port % 2 == 0:
            try:
                return rtp, _bound(local, port + 1)
            except OSError as in_use:
                error = in_use
        rtp.close()
    raise error


def _bound(local: SocketAddress, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in local[0] else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        bound.setblocking(False)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        bound.bind((local[0], port, *local[2:]))
    except OSError:
        bound.close()
        raise
    return bound
