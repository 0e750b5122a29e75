"""Media straight to the wire: PUB lines written to the connection, past nats-py's pending list and its flusher task.

nats-py makes a command of each message, counts it, and wakes a task that joins and writes. Of a frame nothing is wanted
but that it goes out: what is published in one turn of the event loop goes in one write, without a copy.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

MAX_UNSENT_BYTES: Final = 16 * 1024 * 1024
"""What may wait for a server that reads too slowly; past it messages are refused."""


class MediaWriter:
    """Publishes over a client's connection."""

    def __init__(self, transport: Callable[[], asyncio.WriteTransport | None]) -> None:
        """``transport()`` is the one to write to; None while there is none."""
        self.rest_seconds = 0.0
        """After a write the process sleeps so long, and what came meanwhile is read, handled and written together.

        It is the whole process that sleeps, and not a timer that waits: the loop would still wake for each frame, and
        waking is what costs. Not more than a frame may be late by.
        """
        self._transport = transport
        self._parts: list[bytes] = []
        self._bytes = 0
        self._rests = False
        """Whether `_rest` is to be called."""
        self._sent = False
        """Whether lines went out that `rest` is to follow."""

    def publish(self, subject: str, payload: bytes) -> bool:
        """Publishes at most once; False where the connection is away or too far behind.

        Order is kept among what goes this way, and not against what nats-py publishes.
        """
        transport = self._transport()
        if transport is None or transport.get_write_buffer_size() + self._bytes > MAX_UNSENT_BYTES:
            return False
        if not self._parts:
            asyncio.get_running_loop().call_soon(self._flush)
        self._parts += (b"PUB %b %d\r\n" % (subject.encode(), len(payload)), payload, b"\r\n")
        self._bytes += len(payload)
        return True

    def publish_lines(self, lines: bytes) -> bool:
        """As `publish`, at once, of messages that stand behind their PUB lines already. `rest` is to follow."""
        transport = self._transport()
        if transport is None or transport.get_write_buffer_size() + self._bytes > MAX_UNSENT_BYTES:
            return False
        if self._parts:
            self._parts.append(lines)
            self._bytes += len(lines)
        else:
            transport.write(lines)
            self._sent = True
        return True

    def lend_socket(self) -> int:
        """The number of the connection's socket, for whole lines that are written before the loop turns; -1: none.

        There is none over TLS, nor while something waits to be sent: lines would overtake it.
        """
        transport = self._transport()
        if transport is None or self._parts or transport.is_closing() or transport.get_write_buffer_size():
            return -1
        if transport.get_extra_info("ssl_object") is not None:
            return -1
        number: int = transport.get_extra_info("socket").fileno()
        return number

    def finish_line(self, rest: bytes) -> None:
        """The ``rest`` of a line whose beginning the lent socket took."""
        transport = self._transport()
        if transport is not None:
            transport.write(rest)

    def rest(self) -> None:
        """All of a turn is done: rests behind the lines that were written in it.

        At once where the kernel has taken them all: to come back for it would cost a turn of the loop.
        """
        sent, self._sent = self._sent, False
        if not sent or not self.rest_seconds or self._rests or self._parts:
            return
        if (transport := self._transport()) is None:
            return
        if transport.get_write_buffer_size():
            self._rest_soon()
        else:
            time.sleep(self.rest_seconds)

    def _flush(self) -> None:
        parts, self._parts, self._bytes = self._parts, [], 0
        transport = self._transport()
        if transport is None:
            return
        transport.writelines(parts)
        self._rest_soon()

    def _rest_soon(self) -> None:
        if self.rest_seconds and not self._rests:
            self._rests = True
            asyncio.get_running_loop().call_soon(self._rest)

    def _rest(self) -> None:
        """Sleeps, with nothing left unsent: the loop hands what was written to the kernel before it calls this."""
        self._rests = False
        if self._parts:
            return  # read since; the next flush rests behind it
        time.sleep(self.rest_seconds)
