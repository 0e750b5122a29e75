"""What waits in a worker's connections to be read."""

import fcntl
import socket
import termios
from asyncio import BaseTransport
from struct import Struct
from typing import Final

_INT: Final = Struct("i")
_SO_MEMINFO: Final = 55
"""Linux, asm-generic/socket.h: of a socket's memory, first what has come and is not read (SK_MEMINFO_RMEM_ALLOC)."""


class SourceBacklog:
    """The connections over which cameras send just now."""

    def __init__(self) -> None:
        self._open: set[BaseTransport | socket.socket] = set()

    def add(self, source: BaseTransport | socket.socket) -> None:
        """It is read from now on. A socket is one of UDP."""
        self._open.add(source)

    def discard(self, source: BaseTransport | socket.socket) -> None:
        """It is not read any more."""
        self._open.discard(source)

    def waiting_bytes(self) -> int:
        """What the system has received and nobody has read (FIONREAD of tcp(7), of all connections).

        Of UDP, where FIONREAD tells of one datagram alone, it is the memory that they take, which is somewhat more.
        """
        return sum(map(_waiting_bytes, self._open))


def _waiting_bytes(source: BaseTransport | socket.socket) -> int:
    if isinstance(source, socket.socket):
        return _waiting_memory_bytes(source)
    opened = source.get_extra_info("socket")
    if opened is None:  # uvloop's, where it has closed and is about to be told so
        return 0
    try:
        answer = fcntl.ioctl(opened.fileno(), termios.FIONREAD, bytes(_INT.size))
    except (OSError, ValueError):  # asyncio's
        return 0
    return int(_INT.unpack(answer)[0])


def _waiting_memory_bytes(source: socket.socket) -> int:
    try:
        return int(_INT.unpack(source.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _INT.size))[0])
    except OSError:  # it is closed, or this is no Linux
        return 0
