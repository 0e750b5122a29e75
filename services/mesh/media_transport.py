"""nats-py's connection to a server, with a short way in for media.

nats-py reads into a stream, copies chunks out of it, finds messages with regular expressions, makes an object of each
and queues it. A frame needs only its payload. So what is received lies in one buffer; the payloads of media
subscriptions are taken out of it as they come, and all else goes to nats-py. Usual pictures that somebody looks at
later, together, C takes out of it (`services.mesh.kernel`).
"""

import asyncio
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple, Protocol, cast
from urllib.parse import ParseResult

from nats.aio.transport import Transport

from services.mesh.log import get_logger

log = get_logger()

BUFFER_BYTES: Final = 512 * 1024
"""What is received at once at most. Pages that no data reaches cost no memory."""
LEAST_ROOM_BYTES: Final = 64 * 1024
MAX_LINE_BYTES: Final = 256 * 1024
"""The longest line is INFO, which lists every server of a cluster. A longer one is nats-py's to refuse."""
MAX_OTHER_BYTES: Final = 1024 * 1024
"""With so much that nats-py has not taken, nothing more is read."""
_CRLF: Final = b"\r\n"
_MESSAGES: Final = (b"MSG ", b"HMSG ")

Take = Callable[[bytes], None]


class ReadRest(NamedTuple):
    """After media was read, and no more was there, reading rests, and what comes meanwhile is read together.

    Each wake-up finds cold caches, which cost more than handling a frame; fewer wake-ups cost less.
    """

    seconds: float = 0.003
    within_seconds: float = 0.003
    """It rests only where the read of media before was no longer ago. Where this is as long as the rest, every second
    read is at once: the first after a rest."""


READ_REST: Final = ReadRest()


def give(take: Take, payload: bytes) -> None:
    """Calls ``take``; logs an error that it raises."""
    try:
        take(payload)
    except Exception as error:  # a supervisor, as nats-py's own task is: the other subscriptions are read on
        log.exception("bus.handler_failed", error=error)


class BufferSplitter(Protocol):
    """What C takes out of one buffer: `services.mesh.kernel.inbox.KernelSplitter`."""

    def split(self, begin: int, end: int) -> int:
        """Takes messages that lie in ``begin`` to ``end``; returns where the first begins that it leaves."""


class Inboxes(Protocol):
    """Subscriptions whose pictures C takes: `services.mesh.kernel.inbox.KernelInboxes`."""

    def splitter(self, buffer: bytearray) -> BufferSplitter:
        """For one connection's buffer."""


class MediaSplitter:
    """Tells media payloads from the rest of what a server says. Write into `room`, then call `wrote`."""

    def __init__(self, takes: Mapping[bytes, Take], other: Callable[[bytes], None]) -> None:
        """``takes``: by subscription id as the wire has it; may change at any time. Messages with headers are never
        taken. ``other`` gets all else, in order and cut anyhow."""
        self._takes = takes
        self._other = other
        self._buffer = bytearray(BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._begin = 0
        self._end = 0
        self._missing = 0
        """Bytes of a message that have not come, with the line's end behind them."""
        self._take: Take | None = None
        """The function that takes that message; None where it is nats-py's."""
        self._parts: list[bytes] = []
        """Its beginning."""
        self._lost = False
        """What came is not NATS's protocol: all goes to nats-py, which will say so."""
        self._short: BufferSplitter | None = None

    def use(self, inboxes: Inboxes) -> None:
        """Has C take what goes into ``inboxes``; all else is as before."""
        self._short = inboxes.splitter(self._buffer)

    def room(self) -> memoryview:
        """Where the next bytes are to be written; never empty."""
        return self._view[self._end :]

    def wrote(self, count: int) -> bool:
        """``count`` bytes were written into `room`. Returns whether media was among them."""
        self._end += count
        media = self._split()
        if self._begin == self._end:
            self._begin = self._end = 0
        elif BUFFER_BYTES - self._end < LEAST_ROOM_BYTES:
            rest = self._end - self._begin
            self._buffer[:rest] = self._buffer[self._begin : self._end]
            self._begin, self._end = 0, rest
        return media

    def _split(self) -> bool:
        """Gives away what is whole, and beginnings of messages."""
        buffer, view, takes, end, short = self._buffer, self._view, self._takes, self._end, self._short
        media = self._missing > 0 and self._go_on()
        at = other = self._begin
        while at < end and not self._lost:
            if short is not None and (after := short.split(at, end)) > at:
                if other < at:
                    self._other(bytes(view[other:at]))
                media = True
                at = other = after
                continue
            line_end = buffer.find(_CRLF, at, end)
            if line_end < 0:
                self._lost = end - at > MAX_LINE_BYTES
                break
            begin = stop = line_end + 2
            take = None
            if buffer.startswith(_MESSAGES, at):
                fields = bytes(view[at:line_end]).split()  # MSG subject sid [reply] size
                if len(fields) < 4 or not fields[-1].isdigit():
                    self._lost = True
                    break
                stop = begin + int(fields[-1]) + 2
                take = takes.get(fields[2]) if buffer[at] == ord("M") else None
            if take is not None:
                if other < at:
                    self._other(bytes(view[other:at]))
                media = True
                if stop <= end:
                    give(take, bytes(view[begin : stop - 2]))
                else:
                    self._parts = [bytes(view[begin:end])]
                other = min(stop, end)
            if stop > end:
                self._take, self._missing = take, stop - end
            at = stop
        at = end if self._lost else min(at, end)
        if other < at:
            self._other(bytes(view[other:at]))
        self._begin = at
        return media

    def _go_on(self) -> bool:
        """More of the message whose beginning is known; returns whether it is media."""
        stop = min(self._begin + self._missing, self._end)
        piece = bytes(self._view[self._begin : stop])
        self._missing -= len(piece)
        self._begin = stop
        if self._take is None:
            self._other(piece)
            return False
        self._parts.append(piece)
        if not self._missing:
            payload, self._parts = b"".join(self._parts), []
            give(self._take, payload[:-2])
        return True


class MediaTransport(Transport):
    """One connection over TCP, with TLS or without. A new one is made for each attempt to connect."""

    def __init__(self, takes: Mapping[bytes, Take], rest: ReadRest = READ_REST, inboxes: Inboxes | None = None) -> None:
        """``takes`` as for `MediaSplitter`; ``inboxes`` as for `use`."""
        self.reads = 0
        """Grows whenever something was read."""
        self.wire: asyncio.Transport | None = None
        """None before it is connected."""
        self.rest = rest
        self._splitter = MediaSplitter(takes, self._take_other)
        if inboxes is not None:
            self.use(inboxes)
        self._protocol = _Protocol(self)
        self._others: list[bytes] = []
        self._others_bytes = 0
        self._arrived = asyncio.Event()
        """Something is there for nats-py, or the end."""
        self._eof = False
        self._error: Exception | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._closed = asyncio.Event()
        self._room_bytes = 0
        self._read_at = float("-inf")
        self._resting: asyncio.TimerHandle | None = None

    def use(self, inboxes: Inboxes) -> None:
        """As `MediaSplitter.use`."""
        self._splitter.use(inboxes)

    # nats-py's transport

    async def connect(self, uri: ParseResult, buffer_size: int, connect_timeout: int) -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(connect_timeout):
            await loop.create_connection(lambda: self._protocol, uri.hostname or "", uri.port or 0)

    async def connect_tls(
        self, uri: str | ParseResult, ssl_context: ssl.SSLContext, buffer_size: int, connect_timeout: int
    ) -> None:
        assert self.wire is not None
        name = uri if isinstance(uri, str) else uri.hostname
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(connect_timeout):
            wire = await loop.start_tls(self.wire, self._protocol, ssl_context, server_hostname=name)
        assert wire is not None
        self.wire = wire

    def write(self, payload: bytes) -> None:
        if (wire := self.open_wire) is not None:
            wire.write(payload)

    def writelines(self, payload: Iterable[bytes]) -> None:
        if (wire := self.open_wire) is not None:
            wire.writelines(payload)

    @property
    def open_wire(self) -> asyncio.Transport | None:
        """What takes writes; None where the connection is lost or about to be. What was written is lost then, and
        `drain` and `read` tell.

        uvloop's transports raise ``RuntimeError`` once they are closed, where asyncio's ignore writes. nats-py takes
        that for the end of the event loop: its flusher, its reading or its reconnecting ends without a word, and the
        next to publish gets the error.
        """
        return None if self.wire is None or self.wire.is_closing() else self.wire

    async def read(self, buffer_size: int) -> bytes:
        """All that has come for nats-py, however much that is; empty at the end. Raises what ended the connection."""
        await self._some()
        data = b"".join(self._others)
        self._keep_others(b"")
        return data

    async def readline(self) -> bytes:
        while True:
            await self._some()
            line, newline, rest = b"".join(self._others).partition(b"\n")
            if newline or self._eof:
                self._keep_others(rest)
                return line + newline
            self._arrived.clear()

    async def drain(self) -> None:
        await self._writable.wait()
        if self._closed.is_set():
            raise self._error or ConnectionResetError("the connection is lost")

    async def wait_closed(self) -> None:
        if self.wire is not None:
            await self._closed.wait()

    def close(self) -> None:
        if self.wire is not None:
            self.wire.close()

    def at_eof(self) -> bool:
        return self._eof and not self._others

    def __bool__(self) -> bool:
        return self.wire is not None

    async def _some(self) -> None:
        await self._arrived.wait()
        if self._error is not None and not self._others:
            raise self._error

    def _take_other(self, data: bytes) -> None:
        self._others.append(data)
        self._others_bytes += len(data)
        self._arrived.set()

    def _keep_others(self, data: bytes) -> None:
        self._others, self._others_bytes = ([data] if data else []), len(data)
        if not data and not self._eof:
            self._arrived.clear()
        if self._resting is None:
            self._resume()

    # its protocol

    def made(self, wire: asyncio.Transport) -> None:
        """The connection is there; the server speaks first, so bytes may come at once."""
        self.wire = wire

    def room(self) -> memoryview:
        """Where the next bytes are to be written."""
        room = self._splitter.room()
        self._room_bytes = len(room)
        return room

    def received(self, count: int) -> None:
        """So many bytes were written into `room`. More is read in the next turn of the loop at the earliest."""
        self.reads += 1
        media = self._splitter.wrote(count)
        filled = count == self._room_bytes
        assert self.wire is not None
        if media:
            now, before = time.monotonic(), self._read_at
            self._read_at = now
            if now - before <= self.rest.within_seconds and not filled:
                self.wire.pause_reading()
                self._resting = asyncio.get_running_loop().call_later(self.rest.seconds, self._rested)
        if self._others_bytes > MAX_OTHER_BYTES:
            self.wire.pause_reading()
        elif filled and self._resting is None:
            self.wire.pause_reading()  # libuv would read on while a read fills the buffer, and nothing else would run
            asyncio.get_running_loop().call_soon(self._read_on)

    def _read_on(self) -> None:
        if self._resting is None:
            self._resume()

    def _rested(self) -> None:
        self._resting = None
        self._resume()

    def _resume(self) -> None:
        if self.wire is not None and not self.wire.is_closing() and self._others_bytes <= MAX_OTHER_BYTES:
            self.wire.resume_reading()

    def ended(self, error: Exception | None, *, closed: bool) -> None:
        """Nothing more comes; ``closed``: and nothing can be sent."""
        self._eof = True
        self._error = self._error or error
        self._arrived.set()
        if closed:
            self._closed.set()
            self._writable.set()

    def may_write(self, allowed: bool) -> None:
        """Whether more may be given to be sent."""
        if allowed:
            self._writable.set()
        else:
            self._writable.clear()


class _Protocol(asyncio.BufferedProtocol):
    """Calls a `MediaTransport`, which cannot be a protocol itself: the names of both kinds collide."""

    def __init__(self, owner: MediaTransport) -> None:
        self._owner = owner

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._owner.made(cast("asyncio.Transport", transport))  # uvloop's are no subclasses of asyncio's

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._owner.room()

    def buffer_updated(self, nbytes: int) -> None:
        self._owner.received(nbytes)

    def eof_received(self) -> bool:
        self._owner.ended(None, closed=False)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._owner.ended(exc, closed=True)

    def pause_writing(self) -> None:
        self._owner.may_write(False)

    def resume_writing(self) -> None:
        self._owner.may_write(True)
