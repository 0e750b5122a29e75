import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from services.wall.front.http.connections import BoundedRunner, ConnectionLimits, keep_connection
from tests.eventually import eventually

POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
Opened = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def running(limits: ConnectionLimits) -> AsyncIterator[int]:
    async def hello(request: web.Request) -> web.Response:
        body = await request.read()
        keep_connection(request)
        return web.Response(body=body)

    async def large(_request: web.Request) -> web.Response:
        return web.Response(body=bytes(64 * 1024 * 1024))

    app = web.Application()
    app.add_routes([web.post("/", hello), web.get("/large", large)])
    runner = BoundedRunner(app, limits, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


async def ask(port: int, data: bytes) -> Opened:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    return reader, writer


async def ended(connection: Opened) -> bool:
    """Whether the other side closes it without an answer."""
    try:
        return await connection[0].read() == b""
    except ConnectionError:
        return True


async def test_a_head_that_does_not_end_is_answered_408_and_cut_off() -> None:
    async with running(ConnectionLimits(8, head_seconds=0.05)) as port:
        reader, writer = await ask(port, b"POST / HTTP/1.1\r\nHost: a\r\nX: ")
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 408 ")
        writer.close()


async def test_the_second_head_of_a_connection_must_end_too() -> None:
    async with running(ConnectionLimits(8, head_seconds=0.5)) as port:
        reader, writer = await ask(port, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
        assert (await reader.readuntil(b"hi")).startswith(b"HTTP/1.1 200 ")
        writer.write(b"POST / ")
        assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
        writer.close()


async def test_a_body_that_comes_slowly_is_no_late_head() -> None:
    async with running(ConnectionLimits(8, head_seconds=0.2)) as port:
        reader, writer = await ask(port, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n")
        for byte in (b"a", b"b", b"c"):
            await asyncio.sleep(0.3)
            writer.write(byte)
        assert (await reader.readuntil(b"abc")).startswith(b"HTTP/1.1 200 ")
        writer.close()


async def test_a_client_that_reads_nothing_is_cut_off() -> None:
    limits = ConnectionLimits(8, stall_seconds=0.05)
    async with running(limits) as port:
        _, writer = await ask(port, b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport of sockets
        await eventually(lambda: limits.taken == 1 and not limits.held)
        writer.close()


async def test_a_connection_that_asks_nothing_is_closed() -> None:
    limits = ConnectionLimits(8, idle_seconds=1.0)
    async with running(limits) as port:
        asking = await ask(port, POST[:-2])
        await eventually(lambda: limits.taken == 1)
        idle = await ask(port, b"")
        assert await idle[0].read() == b""
        asking[1].write(b"hi")
        assert (await asking[0].readuntil(b"hi")).startswith(b"HTTP/1.1 200 "), "one that asks is closed"
        asking[1].close()
        idle[1].close()


async def test_an_address_holds_as_many_connections_as_it_may() -> None:
    limits = ConnectionLimits(2)
    async with running(limits) as port:
        opened = [await ask(port, POST), await ask(port, POST)]
        for reader, _ in opened:
            await reader.readuntil(b"hi")
        reader, third = await ask(port, b"")
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"PANTAU_WALL_TRUSTED_PROXIES" in answer
        third.close()
        opened[0][1].close()
        await eventually(lambda: limits.held.total() == 1)
        reader, fourth = await ask(port, POST)
        assert (await reader.readuntil(b"hi")).startswith(b"HTTP/1.1 200 ")
        fourth.close()
        opened[1][1].close()


async def test_a_stranger_behind_the_same_address_cannot_hold_all_connections() -> None:
    limits = ConnectionLimits(3)
    async with running(limits) as port:
        known = await ask(port, POST)
        await known[0].readuntil(b"hi")
        slow_head, slow_body = await ask(port, b"POST / HTTP/1.1\r\nX: "), await ask(port, POST[:-1])
        await eventually(lambda: limits.taken == 3)
        another = await ask(port, POST)
        assert (await another[0].readuntil(b"hi")).startswith(b"HTTP/1.1 200 ")
        assert await ended(slow_head), "the oldest stranger does not make room"
        slow_body[1].write(b"i")
        assert (await slow_body[0].readuntil(b"hi")).startswith(b"HTTP/1.1 200 ")
        known[1].write(POST)
        assert (await known[0].readuntil(b"hi")).startswith(b"HTTP/1.1 200 "), "who has signed in is thrown out"
        for _, writer in (known, slow_head, slow_body, another):
            writer.close()


class Held:
    """A place; whether it was dropped."""

    dropped = False

    def drop(self) -> None:
        self.dropped = True


def test_a_host_with_a_network_of_its_own_does_not_take_all() -> None:
    limits = ConnectionLimits(2, is_proxy=lambda address: address == "2001:db8::ffff")

    def take(address: str) -> Held | None:
        held = Held()
        if not limits.take(address, held):
            return None
        limits.keep(held)
        return held

    taken = [take(f"2001:db8::{host:x}") for host in range(9)]
    assert [each is not None for each in taken] == [True] * 8 + [False]
    proxy = take("2001:db8::ffff")  # a trusted proxy
    assert proxy
    assert take("2001:db8:0:1::1")
    assert all(take(f"192.0.2.{host}") for host in range(9))  # each may be another's
    for each in (*taken, proxy):
        if each is not None:
            limits.give_back(each)
            limits.give_back(each)
    assert take("2001:db8::1")
    assert set(limits.by_network) == {"2001:db8::/64", "2001:db8:0:1::/64", *(f"192.0.2.{host}" for host in range(9))}


def test_a_full_wall_takes_places_of_the_network_that_holds_most() -> None:
    limits = ConnectionLimits(2, is_proxy=lambda address: address == "192.0.2.9", total=6)
    places = {address: Held() for address in ("192.0.2.1", "2001:db8::1", "2001:db8::2", "2001:db8::3")}
    for address, place in places.items():
        assert limits.take(address, place)
    for _ in range(2):
        assert limits.take("192.0.2.9", Held())
    new = Held()
    assert limits.take("192.0.2.2", new)
    assert [address for address, place in places.items() if place.dropped] == ["2001:db8::1"]
    for place in (*places.values(), new):
        limits.keep(place)
    assert not limits.take("192.0.2.3", Held()), "those who have signed in make room"
    assert limits.held.total() == 6


def test_a_full_wall_takes_places_of_strangers_where_those_who_have_signed_in_hold_most() -> None:
    limits = ConnectionLimits(4, total=4)
    for _ in range(3):
        place = Held()
        assert limits.take("192.0.2.1", place)
        limits.keep(place)
    stranger = Held()
    assert limits.take("192.0.2.2", stranger)
    assert limits.take("192.0.2.3", Held()), "a stranger keeps others out"
    assert stranger.dropped


async def test_what_is_no_http_is_answered_with_problem_details() -> None:
    async with running(ConnectionLimits(8)) as port:
        for request in (b"\0\xff\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 9000 + b"\r\n\r\n"):
            reader, writer = await ask(port, request)
            answer = await reader.read()
            assert answer.split()[1] == b"400"
            assert b"application/problem+json" in answer
            writer.close()
