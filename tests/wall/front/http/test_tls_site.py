"""Sockets that never say hello hold places of their own address alone, for a while, and make room for others."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import uvloop
from aiohttp import web

from services.mesh.admin import PortTakenError
from services.mesh.certificates import issue
from services.mesh.http_site import listen
from services.wall.front.http.connections import BoundedRunner, ConnectionLimits
from services.wall.front.http.tls import ServedCertificate
from services.wall.front.http.tls_site import TlsSite
from tests.eventually import eventually

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@asynccontextmanager
async def running(
    folder: Path, handshakes: ConnectionLimits, *, handshake_seconds: float = 600
) -> AsyncIterator[tuple[int, ssl.SSLContext]]:
    """The port of a site, and what its clients trust."""

    async def hello(_request: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application()
    app.add_routes([web.get("/", hello)])
    runner = BoundedRunner(app, ConnectionLimits(8), access_log=None, shutdown_timeout=0.1)
    made = issue(folder / "tls", [])
    tls = ServedCertificate(made.certificate, made.key).context

    def make_site(runner: web.BaseRunner, host: str, port: int) -> TlsSite:
        return TlsSite(runner, host, port, tls=tls, handshakes=handshakes, handshake_seconds=handshake_seconds)

    await runner.setup()
    try:
        port = await listen(runner, "127.0.0.1", 0, what="the wall", setting="X", make_site=make_site)
        yield port, ssl.create_default_context(cafile=str(made.ca))
    finally:
        await runner.cleanup()


async def ask(port: int, tls: ssl.SSLContext, address: str) -> bytes:
    """The answer to a client at ``address``."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls, local_addr=(address, 0))
    writer.write(REQUEST)
    answer = await reader.read()
    writer.close()
    return answer


async def crowd(folder: Path) -> None:
    """One address takes all the places that it may have."""
    handshakes = ConnectionLimits(2)
    async with running(folder, handshakes) as (port, tls):
        idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        await eventually(lambda: handshakes.held["127.0.0.1"] == 2)
        assert (await ask(port, tls, "127.0.0.2")).startswith(b"HTTP/1.1 200 ")
        assert handshakes.held["127.0.0.1"] == 2
        assert (await ask(port, tls, "127.0.0.1")).startswith(b"HTTP/1.1 200 ")
        await eventually(lambda: handshakes.held["127.0.0.1"] == 1)
        with suppress(ConnectionError):
            assert await idle[0][0].read() == b"", "the oldest socket does not make room"
        for _, writer in idle:
            writer.close()


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_sockets_that_never_say_hello_shut_nobody_out(
    tmp_path: Path, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(crowd(tmp_path))


async def test_a_handshake_that_does_not_end_is_cut_off(tmp_path: Path) -> None:
    handshakes = ConnectionLimits(2)
    async with running(tmp_path, handshakes, handshake_seconds=0.05) as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"\x16\x03\x01\x02\x00\x01")  # a hello that has begun
        assert await reader.read() == b""
        await eventually(lambda: handshakes.taken == 1 and not handshakes.held)
        writer.close()


async def test_what_is_no_tls_is_cut_off_and_gives_its_place_back(tmp_path: Path) -> None:
    handshakes = ConnectionLimits(2)
    async with running(tmp_path, handshakes) as (port, tls):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST)
        await eventually(lambda: handshakes.taken == 1 and not handshakes.held)
        writer.close()
        assert (await ask(port, tls, "127.0.0.1")).startswith(b"HTTP/1.1 200 ")


async def test_at_its_end_it_listens_no_more_and_leaves_no_handshake(tmp_path: Path) -> None:
    handshakes = ConnectionLimits(2)
    async with running(tmp_path, handshakes) as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await eventually(lambda: handshakes.held.total() == 1)
    assert await reader.read() == b""
    await eventually(lambda: not handshakes.held)
    writer.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    async with running(tmp_path, ConnectionLimits(2)) as (port, _):
        runner = BoundedRunner(web.Application(), ConnectionLimits(8))
        await runner.setup()

        def make_site(runner: web.BaseRunner, host: str, port: int) -> TlsSite:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            return TlsSite(runner, host, port, tls=context, handshakes=ConnectionLimits(2))

        with pytest.raises(PortTakenError, match="X"):
            await listen(runner, "127.0.0.1", port, what="the wall", setting="X", make_site=make_site)
        await runner.cleanup()
