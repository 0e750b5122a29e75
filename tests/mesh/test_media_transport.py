"""The short way in for media: told from the rest however it is cut, bounded, and honest about the connection's end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlparse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.mesh.media_transport import (
    BUFFER_BYTES,
    MAX_LINE_BYTES,
    MAX_OTHER_BYTES,
    READ_REST,
    MediaSplitter,
    MediaTransport,
    ReadRest,
    Take,
)
from tests.eventually import eventually

PAYLOADS = st.binary(max_size=60) | st.sampled_from([b"MSG media 1 3\r\n", b"\r\n", b"", b"PING\r\n"])


def feed(splitter: MediaSplitter, data: bytes) -> None:
    """Writes ``data`` as a socket would."""
    at = 0
    while at < len(data):
        room = splitter.room()
        piece = data[at : at + len(room)]
        room[: len(piece)] = piece
        splitter.wrote(len(piece))
        at += len(piece)


def message(sid: int, payload: bytes, reply: str = "") -> bytes:
    return f"MSG media.{sid} {sid} {reply}{len(payload)}\r\n".encode() + payload + b"\r\n"


@given(
    st.lists(st.tuples(st.integers(1, 3), PAYLOADS, st.sampled_from(["", "inbox.7 ", None])), max_size=12), st.data()
)
def test_however_the_stream_is_cut_media_goes_the_short_way_and_all_else_to_nats_py(
    messages: list[tuple[int, bytes, str | None]], data: st.DataObject
) -> None:
    stream, others = b"", b""
    for sid, payload, reply in messages:
        ping = b"PING\r\n" if reply is None else b""
        whole = message(sid, payload, reply or "")
        stream += ping + whole
        others += ping + (whole if sid == 3 else b"")
    told: list[bytes] = []
    taken: list[tuple[int, bytes]] = []
    takes: dict[bytes, Take] = {
        b"1": lambda payload: taken.append((1, payload)),
        b"2": lambda payload: taken.append((2, payload)),
    }
    splitter = MediaSplitter(takes, told.append)
    at = 0
    while at < len(stream):
        size = data.draw(st.integers(1, 80))
        feed(splitter, stream[at : at + size])
        at += size
    assert taken == [(sid, payload) for sid, payload, _ in messages if sid != 3]
    assert b"".join(told) == others


def test_messages_larger_than_the_buffer_pass_whole() -> None:
    told: list[bytes] = []
    taken: list[bytes] = []
    splitter = MediaSplitter({b"1": taken.append}, told.append)
    large = bytes(range(256)) * (BUFFER_BYTES // 100)
    feed(splitter, b"PING\r\n" + message(1, large) + message(3, large) + message(1, b"next"))
    assert taken == [large, b"next"]
    assert b"".join(told) == b"PING\r\n" + message(3, large)


def test_a_buffer_that_is_nearly_full_keeps_the_beginning_of_a_line() -> None:
    taken: list[bytes] = []
    splitter = MediaSplitter({b"1": taken.append}, lambda _: None)
    whole = message(1, bytes(1000))
    count = BUFFER_BYTES // len(whole) * 3
    stream = whole * count
    for at in range(0, len(stream), 7001):
        feed(splitter, stream[at : at + 7001])
    assert len(taken) == count


@pytest.mark.parametrize(
    "stream", [b"MSG media.1 1 many\r\n", b"MSG 3\r\n", b"MSG media.1 1 -3\r\n", b"x" * (MAX_LINE_BYTES + 1)]
)
def test_what_no_server_says_goes_to_nats_py_with_all_behind_it(stream: bytes) -> None:
    told: list[bytes] = []
    taken: list[bytes] = []
    splitter = MediaSplitter({b"1": taken.append}, told.append)
    feed(splitter, stream)
    feed(splitter, message(1, b"media"))
    assert b"".join(told) == stream + message(1, b"media")
    assert taken == []


def test_an_error_of_one_taker_stops_no_other() -> None:
    def fail(payload: bytes) -> None:
        raise ValueError(payload)

    taken: list[bytes] = []
    splitter = MediaSplitter({b"1": fail, b"2": taken.append}, lambda _: None)
    feed(splitter, message(1, b"a") + message(2, b"b"))
    assert taken == [b"b"]


@asynccontextmanager
async def connected(
    takes: dict[bytes, Take], rest: ReadRest = READ_REST
) -> AsyncIterator[tuple[MediaTransport, asyncio.StreamWriter]]:
    """A transport, and the server's side of its connection, which has said ``INFO {}`` as soon as it was there."""
    accepted: asyncio.Future[asyncio.StreamWriter] = asyncio.get_running_loop().create_future()

    def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"INFO {}\r\n")
        accepted.set_result(writer)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    transport = MediaTransport(takes, rest)
    assert not transport
    port = server.sockets[0].getsockname()[1]
    await transport.connect(urlparse(f"nats://127.0.0.1:{port}"), 0, 60)
    assert transport
    writer = await accepted
    assert await transport.readline() == b"INFO {}\r\n"
    try:
        yield transport, writer
    finally:
        transport.close()
        writer.close()
        server.close()


async def test_lines_are_read_one_by_one_and_what_follows_them_stays() -> None:
    async with connected({}) as (transport, writer):
        writer.write(b"PING\r\nPO")
        assert await transport.readline() == b"PING\r\n"
        waiting = asyncio.create_task(transport.readline())
        await asyncio.sleep(0.01)
        writer.write(b"NG\r\nPING\r\n")
        assert await waiting == b"PONG\r\n"
        assert await transport.read(1) == b"PING\r\n"


async def test_an_end_is_told_after_all_that_came_before_it() -> None:
    async with connected({}) as (transport, writer):
        writer.write(b"PING\r\n")
        writer.close()
        await transport.wait_closed()
        assert not transport.at_eof()
        assert await transport.read(1) == b"PING\r\n"
        assert transport.at_eof()
        assert await transport.read(1) == b""
        with pytest.raises(ConnectionResetError):
            await transport.drain()


async def test_a_broken_connection_raises_where_nats_py_reads() -> None:
    async with connected({}) as (transport, _writer):
        transport.ended(ConnectionResetError("reset"), closed=True)
        with pytest.raises(ConnectionResetError):
            await transport.read(1)


async def test_nothing_more_is_read_while_nats_py_takes_nothing() -> None:
    async with connected({}) as (transport, writer):
        flood = message(3, bytes(100_000)) * 200
        writer.write(flood)
        await eventually(lambda: transport.wire is not None and not transport.wire.is_reading())
        held = await transport.read(1)
        assert MAX_OTHER_BYTES < len(held) <= MAX_OTHER_BYTES + BUFFER_BYTES
        while len(held) < len(flood):
            held += await transport.read(1)
        assert held == flood


async def test_media_that_comes_quickly_is_read_together_and_none_is_lost() -> None:
    taken: list[bytes] = []
    async with connected({b"1": taken.append}, rest=ReadRest(0.3, 0.3)) as (transport, writer):
        for number in range(50):
            writer.write(message(1, b"%d" % number))
            await asyncio.sleep(0.0002)
        await eventually(lambda: len(taken) == 50)
        assert taken == [b"%d" % number for number in range(50)]
        assert transport.reads < 50


class Wire(asyncio.Transport):
    """A transport that tells whether it is read."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self.calls.append("pause")

    def resume_reading(self) -> None:
        self.calls.append("resume")


@pytest.mark.parametrize(("within_seconds", "then"), [(1000.0, "pause"), (0.0, "resume")])
async def test_it_rests_right_after_a_rest_where_media_came_not_long_ago(within_seconds: float, then: str) -> None:
    wire, transport = Wire(), MediaTransport({b"1": lambda _: None}, ReadRest(0.001, 1000.0))
    transport.made(wire)

    def read() -> None:
        data = message(1, b"x")
        transport.room()[: len(data)] = data
        transport.received(len(data))

    read()
    assert not wire.calls  # of media that comes seldom each is read at once
    read()
    assert wire.calls == ["pause"]
    await eventually(lambda: wire.calls == ["pause", "resume"])
    transport.rest = ReadRest(0.001, within_seconds)
    read()
    assert wire.calls[-1] == then


async def test_it_does_not_rest_while_more_has_come_than_a_read_holds() -> None:
    wire, transport = Wire(), MediaTransport({b"1": lambda _: None}, ReadRest(1000.0, 1000.0))
    transport.made(wire)
    stream = message(1, bytes(1000)) * 2000
    for _ in range(3):
        room = transport.room()
        room[:], stream = stream[: len(room)], stream[len(room) :]
        transport.received(len(room))
        await asyncio.sleep(0)
        assert wire.calls[-2:] == ["pause", "resume"]
    transport.room()[:100] = stream[:100]
    transport.received(100)
    await asyncio.sleep(0)
    assert wire.calls[-1] == "pause"


async def test_a_read_that_fills_the_buffer_lets_other_work_of_the_loop_in_before_the_next() -> None:
    wire, transport = Wire(), MediaTransport({})
    transport.made(wire)
    room = transport.room()
    pings = b"PING\r\n" * (len(room) // 6 + 1)
    room[:] = pings[: len(room)]
    transport.received(len(room))
    assert wire.calls == ["pause"]
    await asyncio.sleep(0)
    assert wire.calls == ["pause", "resume"]
    transport.room()[:6] = b"PING\r\n"
    transport.received(6)
    assert wire.calls == ["pause", "resume"]
