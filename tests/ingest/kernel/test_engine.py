"""The engine: sockets are read in one call, pictures are written to NATS, and what the kernel leaves is looked at."""

import asyncio
import errno
import select
import socket
import threading
import time
from typing import Any, cast

import pytest
import uvloop

from services.ingest.kernel import engine as engine_module
from services.ingest.kernel.engine import MAX_MESSAGE_BYTES, KernelEngine
from services.ingest.kernel.library import Connection, ffi
from services.ingest.kernel.store import PICTURES, PictureStore
from services.ingest.readers import short_way
from services.media.rtsp.framing import RtspFramer
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
        self.store = PictureStore(self.connection)
        self.messages: list[bytes] = []

    def fetch(self) -> None:
        pictures = self.store.fetch()
        self.messages += [] if pictures is None else pictures.messages

    def look(self) -> None:
        if self.is_broken:
            raise ValueError("a mistake")
        begin, end = self.connection.begin, self.connection.end
        self.came += self.buffer[begin:end]
        self.connection.begin = self.connection.end = 0
        self.told.set()

    def lend_again(self) -> None:
        self.connection.lent = 1

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


async def test_a_connection_without_memory_for_its_pictures_is_not_read_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(_connection: Connection) -> PictureStore:
        raise OSError(errno.ENOMEM, "no memory")

    monkeypatch.setattr(short_way, "PictureStore", no_memory)
    engine, nobody = make(), cast("Any", None)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        way = short_way.ShortWay(nobody, engine, RtspFramer(lambda _message: None), nobody, nobody, 0)
        with pytest.raises(OSError, match="no memory"):
            way.begin(ours.fileno())
        assert way.connection is None
        taker = Taker(engine, ours)  # refused where it is watched already
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


# pictures, which C writes to NATS


class LentTaker(Taker):
    """Has lent what usual pictures need."""

    def __init__(self, engine: KernelEngine, wire: socket.socket) -> None:
        super().__init__(engine, wire)
        connection = self.connection
        connection.payload_type = 96
        connection.subject[0:1] = b"a"
        connection.subject_bytes = connection.lent = 1
        connection.bucket.at = connection.bucket.delay = time.monotonic_ns() // 1000
        connection.frames_count, connection.slack = 1, 1 << 50  # pictures came before; the source's clock is believed


class BusEnd:
    """The publisher: lends a socket, whose other end is NATS's."""

    def __init__(self, *, held_seconds: float = 3600.0) -> None:
        self.ours, self.nats = socket.socketpair()
        self.ours.setblocking(False)
        self.held_until_us = round((time.monotonic() + held_seconds) * 1e6)
        self.published: list[tuple[bytes, int, int]] = []
        self.wrote: list[tuple[int, int, bytes]] = []
        self.dropped: list[int] = []
        self.told = asyncio.Event()

    async def next(self) -> None:
        """Until something was written, or was to be published."""
        await self.told.wait()
        self.told.clear()

    def lend_socket(self) -> tuple[int, int]:
        return self.ours.fileno(), self.held_until_us

    def wrote_lines(self, count: int, size_bytes: int, rest: bytes) -> None:
        self.wrote.append((count, size_bytes, rest))
        self.told.set()

    def dropped_lines(self, count: int) -> None:
        self.dropped.append(count)
        self.told.set()

    def publish(self, *lines: object) -> None:
        self.published.append(lines)  # type: ignore[arg-type]  # as `KernelEngine` calls it
        self.told.set()

    def engine(self) -> KernelEngine:
        """One that writes to it."""
        return KernelEngine(kernel(), self.publish, lambda: MAX_MESSAGE_BYTES, socket=self, rest_seconds=0.001)

    def close(self) -> None:
        self.ours.close()
        self.nats.close()


def picture(number: int, size_bytes: int = 100) -> bytes:
    """The interleaved packets of a picture of one slice."""
    data = b"\x41\xe0" + b"\x05" * size_bytes
    rtp = b"\x80\xe0" + number.to_bytes(2, "big") + (3000 * (number + 1)).to_bytes(4, "big") + bytes(4) + data
    return b"$\0" + len(rtp).to_bytes(2, "big") + rtp


def lines(messages: list[bytes]) -> bytes:
    """As NATS gets them."""
    return b"".join(b"PUB a %d\r\n%b\r\n" % (len(message), message) for message in messages)


async def test_pictures_are_written_to_nats_and_fetched_later() -> None:
    bus = BusEnd()
    engine = bus.engine()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        taker = LentTaker(engine, ours)
        theirs.send(picture(0) + picture(1))
        await bus.next()
        engine.fetch()
        assert len(taker.messages) == 2
        assert bus.nats.recv(65536) == lines(taker.messages)
        assert bus.wrote == [(2, sum(map(len, taker.messages)), b"")]
        assert bus.published == []
        engine.disconnect(taker.connection)
    engine.close()
    bus.close()


@pytest.mark.parametrize("socket_too", [True, False])
async def test_without_a_lease_pictures_are_dropped_in_c_and_counted_and_kept(
    socket_too: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus = BusEnd(held_seconds=-1.0)
    if not socket_too:
        monkeypatch.setattr(bus, "lend_socket", lambda: (-1, 0))
    engine = bus.engine()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        taker = LentTaker(engine, ours)
        theirs.send(picture(0) + picture(1))
        await bus.next()
        theirs.send(picture(2))
        await bus.next()
        engine.fetch()
        assert len(taker.messages) == sum(bus.dropped) == 3
        assert (bus.wrote, bus.published) == ([], [])
        bus.nats.setblocking(False)
        with pytest.raises(BlockingIOError):
            bus.nats.recv(1)
        engine.disconnect(taker.connection)
    engine.close()
    bus.close()


async def test_what_c_has_no_socket_for_is_published_by_python(monkeypatch: pytest.MonkeyPatch) -> None:
    bus = BusEnd()
    monkeypatch.setattr(bus, "lend_socket", lambda: (-1, bus.held_until_us))
    engine = bus.engine()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        taker = LentTaker(engine, ours)
        theirs.send(picture(0))
        await bus.next()
        engine.fetch()
        assert bus.published == [(lines(taker.messages), 1, len(taker.messages[0]))]
        assert bus.wrote == []
        engine.disconnect(taker.connection)
    engine.close()
    bus.close()


async def test_a_message_that_nats_takes_in_part_is_finished_and_the_next_is_published_behind_it() -> None:
    bus = BusEnd()
    bus.ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    engine = bus.engine()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        taker = LentTaker(engine, ours)
        theirs.send(picture(0, 60_000) + picture(1, 60_000))
        await bus.next()
        engine.fetch()
        ((count, size_bytes, rest),) = bus.wrote
        ((published, more, more_bytes),) = bus.published
        assert (count, more) == (1, 1)
        assert [size_bytes, more_bytes] == [len(message) for message in taker.messages]
        assert rest
        assert bus.nats.recv(65536) + rest + published == lines(taker.messages)
        engine.disconnect(taker.connection)
    engine.close()
    bus.close()


async def test_more_pictures_than_a_store_holds_are_all_taken_and_written() -> None:
    bus = BusEnd()
    engine = bus.engine()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        taker = LentTaker(engine, ours)
        size_bytes = sum(len(picture(number)) for number in range(PICTURES + 5))
        taker.buffer[:size_bytes] = b"".join(picture(number) for number in range(PICTURES + 5))
        taker.connection.end = size_bytes
        assert engine.take(taker.connection, taker.connection.heard_us)
        assert len(taker.messages) == PICTURES + 5
        assert b"".join(published for published, _, _ in bus.published) == lines(taker.messages)
        engine.disconnect(taker.connection)
    engine.close()
    bus.close()


async def test_who_looked_lends_again_before_the_next_picture_is_read() -> None:
    bus = BusEnd()
    engine = bus.engine()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        taker = LentTaker(engine, ours)
        taker.connection.lent = 0
        engine.lend_later(taker)
        theirs.send(picture(0))
        await bus.next()
        engine.fetch()
        assert (len(taker.messages), bytes(taker.came)) == (1, b"")
        engine.disconnect(taker.connection)
    engine.close()
    bus.close()


@pytest.mark.parametrize("held_seconds", [3600.0, -1.0], ids=["with a lease", "without one"])
def test_a_call_that_stays_reads_on_and_ends_when_the_event_loop_is_wanted(
    held_seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "STAY_US", 60_000_000)

    async def stay() -> None:
        bus = BusEnd(held_seconds=held_seconds)
        if held_seconds < 0:
            monkeypatch.setattr(bus, "lend_socket", lambda: (-1, 0))
        engine = bus.engine()
        (ours, theirs), (other, its) = socket.socketpair(), socket.socketpair()
        asked = asyncio.Event()
        asyncio.get_running_loop().add_reader(other.fileno(), asked.set)

        def drive() -> None:
            """The call holds the event loop: another thread is the cameras and NATS."""
            for number in range(3):
                theirs.send(picture(number))
                if held_seconds > 0:
                    assert bus.nats.recv(65536).startswith(b"PUB a ")
                while taker.connection.taken <= number:
                    time.sleep(0)
            its.send(b"now")

        with ours, theirs, other, its:
            taker = LentTaker(engine, ours)
            await asyncio.sleep(0)
            thread = threading.Thread(target=drive)
            thread.start()
            await asked.wait()
            thread.join()
            engine.fetch()
            assert len(taker.messages) == 3
            assert len(bus.wrote) + len(bus.dropped) + len(bus.published) < 3, "Python was called for each picture"
            asyncio.get_running_loop().remove_reader(other.fileno())
            engine.disconnect(taker.connection)
        engine.close()
        bus.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(stay())


@pytest.mark.parametrize(
    ("data", "urgent"),
    [
        pytest.param(b"$\x01\0\x04sound"[:8], 0, id="one packet of another channel waits"),
        pytest.param(b"$\x01\0\x04some" + picture(0), 1, id="what stands behind it does not"),
        pytest.param(picture(7), 1, id="a picture does not"),
        pytest.param(b"RTSP/1.0 200 OK\r\n\r\n", 1, id="an answer does not"),
    ],
)
def test_what_is_no_picture_may_wait_for_others_pictures(data: bytes, urgent: int) -> None:
    inner, connection = ffi.new("pi_engine *"), ffi.new("pi_connection *")
    buffer = bytearray(1024)
    ours, theirs = socket.socketpair()
    with ours, theirs, select.epoll() as epoll:
        inner.epoll, inner.loop, inner.bus = epoll.fileno(), -1, -1
        connection.buffer, connection.size, connection.fd = ffi.from_buffer("uint8_t[]", buffer), 1024, ours.fileno()
        connection.payload_type, connection.lent, connection.number = 96, 1, 5
        assert kernel().pi_watch(inner, connection) == 0
        theirs.send(data)
        assert kernel().pi_turn(inner) == 1
        assert (inner.looks, inner.look[0], inner.urgent) == (1, 5, urgent)


def test_a_call_that_stays_ends_for_others_although_cameras_always_have_something() -> None:
    inner, connection = ffi.new("pi_engine *"), ffi.new("pi_connection *")
    buffer = bytearray(100)
    (ours, theirs), (other, its) = socket.socketpair(), socket.socketpair()
    with ours, theirs, other, its, select.epoll() as epoll, select.epoll() as loop:
        inner.epoll, inner.loop, inner.bus, inner.stay_us = epoll.fileno(), loop.fileno(), -1, 2_000_000
        connection.buffer, connection.size, connection.fd = ffi.from_buffer("uint8_t[]", buffer), 100, ours.fileno()
        connection.payload_type, connection.lent = 96, 1
        assert kernel().pi_watch(inner, connection) == 0
        theirs.send(picture(0, 1000))  # its rest has no room, and stays in the socket
        loop.register(epoll.fileno(), select.EPOLLIN)
        loop.register(other.fileno(), select.EPOLLIN)
        its.send(b"now")
        assert kernel().pi_turn(inner) == 1
        assert inner.others == 1
