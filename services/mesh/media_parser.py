"""Reads media payloads from the NATS protocol without nats-py's objects, regular expressions and queues.

A frame needs only its payload. So this parser finds where each message begins and ends, hands over the payloads of
media subscriptions, and gives everything else to nats-py's parser.
"""

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from nats.errors import ProtocolError
from nats.protocol.parser import Parser

from services.mesh.log import get_logger

if TYPE_CHECKING:
    from nats.aio.client import Client

log = get_logger()

PAUSE_SECONDS: Final = 0.003
"""After media was read, reading pauses for so long, and what came meanwhile is read together. Each wake-up finds cold
caches, which cost more than handling a frame; fewer wake-ups cost less."""
MAX_LINE_BYTES: Final = 1 << 20
"""The longest line is INFO, which lists every server of a cluster."""
_CRLF: Final = b"\r\n"

Take = Callable[[bytes], None]


class MediaParser(Parser):
    """Replaces a client's parser."""

    def __init__(self, client: "Client", read_transport: Callable[[], asyncio.ReadTransport | None]) -> None:
        """``read_transport`` says where the client reads from; None where that cannot be paused."""
        self._read_transport = read_transport
        self.reads = 0
        """Grows whenever something was read."""
        self._direct: dict[bytes, Take] = {}
        """By subscription id as the wire has it."""
        self._read_at = float("-inf")
        self._cut = b""
        """The beginning of a line whose end has not been read."""
        self._missing = 0
        """Bytes of a payload that have not been read, with the line's end behind it."""
        self._take: Take | None = None
        """The function that takes that payload; None where nats-py's parser has its beginning."""
        self._parts: list[bytes] = []
        """Its beginning."""
        super().__init__(client)

    def direct(self, subscription: int, take: Take) -> None:
        """Calls ``take`` with each payload of this subscription. Messages with headers still go to nats-py."""
        self._direct[b"%d" % subscription] = take

    def forget(self, subscription: int) -> None:
        """Gives later messages of this subscription to nats-py again."""
        self._direct.pop(b"%d" % subscription, None)

    def reset(self) -> None:
        """See `Parser.reset`: a new connection begins."""
        super().reset()
        self._cut, self._missing, self._take, self._parts = b"", 0, None, []

    async def parse(self, data: bytes = b"") -> None:
        """See `Parser.parse`. Raises nats-py's ``ProtocolError``, after which it connects anew."""
        self.reads += 1
        if self._cut:
            data, self._cut = self._cut + data, b""
        at, end, media = 0, len(data), False
        if self._missing:
            at = min(self._missing, end)
            self._missing -= at
            if self._take is None:
                await super().parse(data[:at])
            else:
                media = True
                self._parts.append(data[:at])
                if not self._missing:
                    payload, self._parts = b"".join(self._parts), []
                    give(self._take, payload[:-2])
        direct = self._direct
        while at < end:
            line_end = data.find(_CRLF, at)
            if line_end < 0:
                self._cut = data[at:]
                if len(self._cut) > MAX_LINE_BYTES:
                    raise ProtocolError("a line has no end")
                break
            stop = begin = line_end + 2
            take = None
            if data.startswith((b"MSG ", b"HMSG "), at):
                fields = data[at:line_end].split()  # MSG subject sid [reply] size
                try:
                    stop = begin + int(fields[-1]) + 2
                    take = direct.get(fields[2]) if fields[0] == b"MSG" else None
                except (ValueError, IndexError) as error:
                    raise ProtocolError("not a message") from error
            if take is None:
                await super().parse(data[at : min(stop, end)])
            else:
                media = True
                if stop <= end:
                    give(take, data[begin : stop - 2])
                else:
                    self._parts = [data[begin:]]
            if stop > end:
                self._take, self._missing = take, stop - end
            at = stop
        if media:
            self._pause()

    def _pause(self) -> None:
        now, before = time.monotonic(), self._read_at
        self._read_at = now
        if now - before > PAUSE_SECONDS:
            return
        transport = self._read_transport()
        if transport is not None:
            transport.pause_reading()
            asyncio.get_running_loop().call_later(PAUSE_SECONDS, _resume, transport)


def give(take: Take, payload: bytes) -> None:
    """Calls ``take``; logs an error that it raises."""
    try:
        take(payload)
    except Exception as error:  # a supervisor, as nats-py's own task is: the other subscriptions are read on
        log.exception("bus.handler_failed", error=error)


def _resume(transport: asyncio.ReadTransport) -> None:
    if not transport.is_closing():
        transport.resume_reading()
