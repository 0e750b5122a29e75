import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from services.wall.front.http.connections import BoundedRunner, ConnectionLimits
from tests.eventually import eventually

Opened = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def running(limits: ConnectionLimits) -> AsyncIterator[int]:
    async def hello(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

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


async def test_an_address_holds_as_many_connections_as_it_may() -> None:
    limits = ConnectionLimits(2)
    async with running(limits) as port:
        first, second = await ask(port, b""), await ask(port, b"")
        await eventually(lambda: limits.held.total() == 2)
        reader, third = await ask(port, b"")
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"PANTAU_WALL_TRUSTED_PROXIES" in answer
        third.close()
        first[1].close()
        await eventually(lambda: limits.held.total() == 1)
        reader, fourth = await ask(port, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
        assert (await reader.readuntil(b"hi")).startswith(b"HTTP/1.1 200 ")
        fourth.close()
        second[1].close()


def test_a_host_with_a_network_of_its_own_does_not_take_all() -> None:
    limits = ConnectionLimits(2, is_proxy=lambda address: address == "2001:db8::ffff")
    taken = [limits.take(f"2001:db8::{host:x}") for host in range(9)]
    assert taken == [True] * 8 + [False]
    assert limits.take("2001:db8::ffff")  # a trusted proxy
    assert limits.take("2001:db8:0:1::1")
    assert all(limits.take(f"192.0.2.{host}") for host in range(9))  # each may be another's
    for host in range(8):
        limits.give_back(f"2001:db8::{host:x}")
    limits.give_back("2001:db8::ffff")
    assert limits.take("2001:db8::1")
    assert set(limits.by_network) == {"2001:db8::/64", "2001:db8:0:1::/64", *(f"192.0.2.{host}" for host in range(9))}


async def test_what_is_no_http_is_answered_with_problem_details() -> None:
    async with running(ConnectionLimits(8)) as port:
        for request in (b"\0\xff\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 9000 + b"\r\n\r\n"):
            reader, writer = await ask(port, request)
            answer = await reader.read()
            assert answer.split()[1] == b"400"
            assert b"application/problem+json" in answer
            writer.close()
