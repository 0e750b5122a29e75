"""What ``pantau up`` asks of this machine's services, and of what is none."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.contracts.errors import UnavailableError
from services.mesh.certificates import issue
from services.up.fetch import Fetched, fetch

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def _says(answer: bytes, heard: list[bytes] | None = None) -> Answer:
    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        if heard is not None:
            heard.append(request + (await reader.readexactly(2) if request.startswith(b"POST") else b""))
        writer.write(answer)
        writer.close()

    return take


@asynccontextmanager
async def _server(answer: Answer, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}"


async def test_a_request_ends_with_the_connection_and_posts_json() -> None:
    heard: list[bytes] = []
    async with _server(_says(b"HTTP/1.1 503 Busy\r\nX: 1\r\n\r\ntwo\r\n\r\nlines", heard)) as url:
        assert await fetch(f"{url}/a?b=c", timeout_seconds=30) == Fetched(503, b"two\r\n\r\nlines")
        assert not (await fetch(url, timeout_seconds=30, posted=b"{}")).ok
    assert heard[0].startswith(b"GET /a?b=c HTTP/1.0\r\nHost: 127.0.0.1:")
    assert heard[1].startswith(b"POST / HTTP/1.0\r\n")
    assert heard[1].endswith(b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")


async def test_a_certificate_need_not_be_known_here(tmp_path: Path) -> None:
    made = issue(tmp_path, [])
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(made.certificate, made.key)
    async with _server(_says(b"HTTP/1.0 200 OK\r\n\r\nwell"), tls) as url:
        assert await fetch(url, timeout_seconds=30) == Fetched(200, b"well")


async def test_what_answers_nothing_or_no_http_is_unavailable() -> None:
    async with _server(_says(b"INFO {}\r\n")) as url:
        with pytest.raises(UnavailableError, match="does not speak HTTP"):
            await fetch(url, timeout_seconds=30)
    with pytest.raises(UnavailableError, match="does not answer"):
        await fetch(url, timeout_seconds=30)
    with pytest.raises(UnavailableError, match="names no server"):
        await fetch("", timeout_seconds=30)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n[1, 2"])
async def test_what_ends_within_its_answer_is_unavailable(answer: bytes) -> None:
    async with _server(_says(answer)) as url:
        with pytest.raises(UnavailableError, match="ended within its answer"):
            await fetch(url, timeout_seconds=30)


async def test_what_does_not_end_its_answer_is_unavailable_in_time() -> None:
    over = asyncio.Event()

    async def never(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    async with _server(never) as url:
        with pytest.raises(UnavailableError, match="does not answer"):
            await fetch(url, timeout_seconds=0.05)
        over.set()
