"""Media straight to the wire: PUB lines written to the connection, past nats-py's pending list and its flusher task.

nats-py makes a command of each message, counts it, and wakes a task that joins and writes. Of a frame nothing is wanted
but that it goes out: what is published in one turn of the event loop goes in one write.
"""

import asyncio
from collections.abc import Callable
from typing import Final

MAX_UNSENT_BYTES: Final = 16 * 1024 * 1024
"""What may wait for a server that reads too slowly; past it messages are refused."""


class MediaWriter:
    """Publishes over a client's connection."""

    def __init__(self, transport: Callable[[], asyncio.WriteTransport | None]) -> None:
        """``transport()`` is the one to write to; None while there is none."""
        self._transport = transport
        self._parts: list[bytes] = []
        self._bytes = 0

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

    def _flush(self) -> None:
        parts, self._parts, self._bytes = self._parts, [], 0
        transport = self._transport()
        if transport is not None:
            transport.write(b"".join(parts))
