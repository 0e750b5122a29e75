"""The engine: sockets are read in one call, and what the kernel leaves is looked at."""

import asyncio
import errno
import socket

import pytest

from services.ingest.kernel.engine import MAX_MESSAGE_BYTES, KernelEngine
from services.ingest.kernel.library import Connection
from tests.ingest.kernel.built import kernel
from tests.wall.relay.kernel.built import needs_compiler

pytestmark = needs_compiler


class Taker:
    """Takes what stands in the buffer."""

    def __init__(self, engine: KernelEngine, wire: socket.socket) -> None:
        self.buffer = bytearray(160 * 1024)
        self.came = bytearray()
        self.is_over = self.has_failed = self.is_broken = False
        self.told = asyncio.Event()
        self.connection: Connection = engine.connect(wire.fileno(), self.buffer, self)

    def take_usual(self, *_: object) -> None:
        raise AssertionError("nothing was lent")

    def look(self) -> None:
        if self.is_broken:
            raise ValueError("a mistake")
        begin, end = self.connection.begin, self.connection.end
        self.came += self.buffer[begin:end]
        self.connection.begin = self.connection.end = 0
        self.told.set()

    def failed(self) -> None:
        self.has_failed = True
        self.told.set()

    def ended(self) -> None:
        self.is_over = True
        self.told.set()

    async def next(self) -> None:
        """Until something was told."""
        await self.told.wait()
        self.told.clear()


def make() -> KernelEngine:
    def publish(_lines: bytes, _count: int, _size_bytes: int) -> None:
        raise AssertionError("nothing was lent")

    return KernelEngine(kernel(), publish, lambda: MAX_MESSAGE_BYTES)


async def test_what_comes_is_looked_at_and_the_end_is_told() -> None:
    engine = make()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        taker = Taker(engine, ours)
        theirs.send(b"RTSP/1.0 200 OK\r\n\r\n")
        await taker.next()
        assert taker.came == b"RTSP/1.0 200 OK\r\n\r\n"
        assert taker.connection.heard_us > 0
        theirs.close()
        await taker.next()
        assert taker.is_over
        engine.disconnect(taker.connection)
    engine.close()


async def test_one_that_is_disconnected_is_read_no_more_and_others_are() -> None:
    engine = make()
    (ours, theirs), (other, its) = socket.socketpair(), socket.socketpair()
    with ours, theirs, other, its:
        first, second = Taker(engine, ours), Taker(engine, other)
        engine.disconnect(first.connection)
        theirs.send(b"one")
        its.send(b"two")
        await second.next()
        assert (bytes(first.came), bytes(second.came)) == (b"", b"two")
        assert ours.recv(10) == b"one"
        engine.disconnect(second.connection)
    engine.close()


async def test_a_socket_that_cannot_be_watched_is_an_error() -> None:
    engine = make()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        taker = Taker(engine, ours)
        with pytest.raises(OSError, match="exists") as told:
            engine.connect(ours.fileno(), taker.buffer, taker)
        assert told.value.errno == errno.EEXIST
        engine.disconnect(taker.connection)
    engine.close()


async def test_an_error_of_one_connection_is_told_to_it_and_the_others_are_looked_at() -> None:
    engine = make()
    (ours, theirs), (other, its) = socket.socketpair(), socket.socketpair()
    with ours, theirs, other, its:
        first, second = Taker(engine, ours), Taker(engine, other)
        first.is_broken = True
        theirs.send(b"one")
        its.send(b"two")
        await first.next()
        await second.next()
        assert first.has_failed
        assert (second.has_failed, bytes(second.came)) == (False, b"two")
        for taker in (first, second):
            engine.disconnect(taker.connection)
    engine.close()


async def test_an_error_with_a_picture_is_told_and_the_picture_is_published() -> None:
    published: list[tuple[bytes, int, int]] = []
    engine = KernelEngine(kernel(), lambda *lines: published.append(lines), lambda: MAX_MESSAGE_BYTES)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        taker = Taker(engine, ours)
        inner = engine._engine
        line = b"PUB a 3\r\none\r\n"
        inner.arena[0 : len(line)] = line
        inner.used, inner.count = len(line), 1
        inner.frames[0].connection = taker.connection.number
        inner.frames[0].message_at, inner.frames[0].bytes = 9, 3
        engine._hand_on()
        assert published == [(line, 1, 3)]
        assert taker.has_failed
        engine.disconnect(taker.connection)
    engine.close()
