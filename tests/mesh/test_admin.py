"""The admin port as probes and Prometheus ask it, and as nobody should."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from services.mesh.admin import AdminServer, Health


@pytest_asyncio.fixture
async def port() -> AsyncIterator[int]:
    health = Health()
    health.add("relay", lambda: "no relay runs")
    health.note("troubles", lambda: "a disk is full")
    server = AdminServer(health)
    yield await server.listen("127.0.0.1", 0)
    await server.close()


async def _ask(port: int, *requests: bytes) -> bytes:
    """All that comes until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"".join(requests))
    answer = await reader.read()
    writer.close()
    return answer


async def test_a_connection_takes_one_request_after_the_other_until_it_is_asked_to_close(port: int) -> None:
    answer = await _ask(
        port,
        b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n",
        b"HEAD /livez?verbose HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    )
    first, second, third = answer.split(b"HTTP/1.1 ")[1:]
    assert first.startswith(b"200 OK\r\n")
    assert first.endswith(b"Content-Length: 3\r\nConnection: keep-alive\r\n\r\nok\n")
    assert second.endswith(b"Content-Length: 3\r\nConnection: keep-alive\r\n\r\n")
    assert third.startswith(b"503 Service Unavailable\r\n")
    assert third.endswith(b"Connection: close\r\n\r\nrelay: no relay runs\ntroubles: a disk is full\n")


async def test_metrics_are_in_the_format_that_prometheus_reads(port: int) -> None:
    answer = await _ask(port, b"GET /metrics HTTP/1.0\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"Content-Type: text/plain; version=" in head
    assert b"# TYPE pantau_" in body


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (b"GET / HTTP/1.0\r\n\r\n", b"404 Not Found"),
        (b"POST /livez HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", b"405 Method Not Allowed"),
        (b"GET /livez HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", b"200 OK"),
        (b"GET http://[::1 HTTP/1.0\r\n\r\n", b"404 Not Found"),
        (b"\x16\x03\x01\r\n\r\n", b"400 Bad Request"),
        (b"GET /livez HTTP/2\r\n\r\n", b"400 Bad Request"),
    ],
)
async def test_what_it_does_not_serve_is_answered_and_the_connection_closed(
    port: int, request_head: bytes, status: bytes
) -> None:
    answer = await _ask(port, request_head)
    assert answer.startswith(b"HTTP/1.1 " + status + b"\r\n")
    assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize(
    "request_head",
    [
        b"\r\nGET /livez HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"GET http://[::1]:9181/livez?verbose HTTP/1.0\r\n\r\n",
    ],
)
async def test_an_empty_line_before_a_request_and_a_whole_address_are_taken(port: int, request_head: bytes) -> None:
    answer = await _ask(port, request_head)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\nok\n")


async def test_a_client_that_has_said_all_is_still_answered_whole(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /metrics HTTP/1.1\r\n\r\n")
    writer.write_eof()
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}\r\n".encode() in head
    writer.close()


async def test_a_head_without_end_is_not_collected(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /livez HTTP/1.1\r\nX: " + b"x" * 100_000)
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await reader.readexactly(1)
    writer.close()


async def test_those_who_hold_connections_keep_no_probe_out(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.mesh.admin._MAX_CLIENTS", 1)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /livez HTTP/1.1\r\n\r\n")
    assert (await reader.readline()) == b"HTTP/1.1 200 OK\r\n"
    assert (await _ask(port, b"GET /livez HTTP/1.0\r\n\r\n")).endswith(b"ok\n")
    assert (await reader.read()).endswith(b"ok\n"), "the oldest connection is still open"
    writer.close()


async def test_an_answer_that_nobody_reads_is_let_go_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.mesh.admin._SILENCE_SECONDS", 0.1)
    served: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()

    class Watched(AdminServer):
        def _on_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            super()._on_client(reader, writer)
            served.put_nowait(writer)

    server = Watched(Health())
    port = await server.listen("127.0.0.1", 0)
    with socket.socket() as silent:
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        silent.connect(("127.0.0.1", port))
        silent.sendall(b"GET /metrics HTTP/1.1\r\n\r\n" * 100)
        writer = await served.get()
        async with asyncio.timeout(60):
            while not writer.transport.is_closing() or writer.transport.get_write_buffer_size():
                await asyncio.sleep(0.05)
    await server.close()
