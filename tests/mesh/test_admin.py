"""The admin port as probes and Prometheus ask it, and as nobody should."""

import asyncio
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


async def test_a_head_without_end_is_not_collected(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /livez HTTP/1.1\r\nX: " + b"x" * 100_000)
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await reader.readexactly(1)
    writer.close()


async def test_clients_beyond_its_bound_are_closed_and_the_others_answered(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.mesh.admin._MAX_CLIENTS", 1)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /livez HTTP/1.1\r\n\r\n")
    assert (await reader.readline()) == b"HTTP/1.1 200 OK\r\n"
    beyond, beyond_writer = await asyncio.open_connection("127.0.0.1", port)
    assert await beyond.read() == b""
    beyond_writer.close()
    writer.close()
