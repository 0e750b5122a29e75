"""Where packets leave: interleaved in the RTSP connection, or as datagrams from one pair of UDP ports."""

import asyncio
import errno
import socket
from random import random
from typing import Final

from services.sim.faults import Fault, Faults
from services.sim.packetize import PacketRun

_TCP_BACKLOG_BYTES: Final = 4 * 1024 * 1024
_UDP_BUFFER_BYTES: Final = 4 * 1024 * 1024
_PORT_TRIES: Final = 50


class Counters:
    """Frames and datagrams that were not sent."""

    __slots__ = ("datagrams_lost", "frames_dropped")

    def __init__(self) -> None:
        self.frames_dropped = 0
        """Frames not written because a client over TCP did not read."""
        self.datagrams_lost = 0
        """Datagrams lost on purpose, or because the socket's buffer was full."""


class TcpSink:
    """Interleaved packets (RFC 2326 section 10.12)."""

    __slots__ = ("_counters", "_report_channel", "_transport", "channel")

    def __init__(self, transport: asyncio.Transport, channels: tuple[int, int], counters: Counters) -> None:
        self._transport = transport
        self._counters = counters
        self.channel, self._report_channel = channels

    def send_run(self, run: PacketRun, wire: bytearray) -> bool:
        del run
        if self._transport.get_write_buffer_size() > _TCP_BACKLOG_BYTES:
            self._counters.frames_dropped += 1
            return False
        self._transport.write(wire)
        return True

    def send_report(self, packet: bytes) -> None:
        self._transport.write(b"$" + bytes((self._report_channel,)) + len(packet).to_bytes(2, "big") + packet)

    def send_raw(self, data: bytes) -> None:
        self._transport.write(data)


class UdpPorts:
    """An even port for RTP and the odd one above it for RTCP, shared by all clients (RFC 3550 section 11)."""

    def __init__(self, host: str, counters: Counters) -> None:
        self.counters = counters
        self.rtp, self.rtcp = _pair(host)
        self.ports = self.rtp.getsockname()[1], self.rtcp.getsockname()[1]

    def close(self) -> None:
        self.rtp.close()
        self.rtcp.close()

    def send(self, to: socket.socket, packet: bytes | memoryview, address: tuple[str, int]) -> None:
        """Sends a datagram; counts it as lost where the kernel's buffer is full or nobody listens."""
        try:
            to.sendto(packet, address)
        except (BlockingIOError, ConnectionRefusedError):
            self.counters.datagrams_lost += 1


class UdpSink:
    """Datagrams to one client's pair of ports."""

    __slots__ = ("_address", "_faults", "_ports", "_report_address", "channel")

    def __init__(self, ports: UdpPorts, host: str, client_ports: tuple[int, int], faults: Faults) -> None:
        self.channel = 0
        self._ports = ports
        self._faults = faults
        self._address = host, client_ports[0]
        self._report_address = host, client_ports[1]

    def send_run(self, run: PacketRun, wire: bytearray) -> bool:
        loss = self._faults.value(Fault.LOSS) or 0.0
        ports = self._ports
        for packet in run.packets(wire):
            if loss and random() < loss:
                ports.counters.datagrams_lost += 1
            else:
                ports.send(ports.rtp, packet, self._address)
        return True

    def send_report(self, packet: bytes) -> None:
        self._ports.send(self._ports.rtcp, packet, self._report_address)

    def send_raw(self, data: bytes) -> None:
        self._ports.send(self._ports.rtp, data[:1400], self._address)


def _pair(host: str) -> tuple[socket.socket, socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for _ in range(_PORT_TRIES):
        rtp = _bound(family, host, 0)
        port = rtp.getsockname()[1]
        if port % 2 == 0:
            try:
                return rtp, _bound(family, host, port + 1)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
        rtp.close()
    raise OSError(errno.EADDRINUSE, "no pair of free UDP ports")


def _bound(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_DGRAM)
    bound.setblocking(False)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _UDP_BUFFER_BYTES)
    try:
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound
