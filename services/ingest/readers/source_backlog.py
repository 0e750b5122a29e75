"""What waits in a worker's connections to be read."""

import fcntl
import termios
from asyncio import BaseTransport
from struct import Struct
from typing import Final

_INT: Final = Struct("i")


class SourceBacklog:
    """The connections over which cameras send just now."""

    def __init__(self) -> None:
        self._open: set[BaseTransport] = set()

    def add(self, transport: BaseTransport) -> None:
        """It is read from now on."""
        self._open.add(transport)

    def discard(self, transport: BaseTransport) -> None:
        """It is not read any more."""
        self._open.discard(transport)

    def waiting_bytes(self) -> int:
        """What the system has received and nobody has read (FIONREAD of tcp(7), of all connections)."""
        return sum(map(_waiting_bytes, self._open))


def _waiting_bytes(transport: BaseTransport) -> int:
    opened = transport.get_extra_info("socket")
    if opened is None:  # uvloop's, where it has closed and is about to be told so
        return 0
    try:
        answer = fcntl.ioctl(opened.fileno(), termios.FIONREAD, bytes(_INT.size))
    except (OSError, ValueError):  # asyncio's
        return 0
    return int(_INT.unpack(answer)[0])
