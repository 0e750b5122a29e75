"""What a source may be connected to is held against the address, of redirects and name servers too."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from services.contracts.models import Reason
from services.ingest.readers.direct import DirectReader
from services.ingest.readers.libav import LibavProcesses
from services.ingest.readers.networks import NotAllowedError, require_allowed, require_allowed_url, resolve
from services.ingest.readers.source import Packet, ReaderEnd, Source
from services.ingest.settings import IngestSettings


class Nothing:
    """Takes nothing."""

    def opened(self, tracks: object, **_: object) -> None:
        raise AssertionError(f"it was opened: {tracks}")

    def packet(self, packet: Packet) -> None:
        raise AssertionError(packet)

    def heard(self) -> None:
        """Answers are no stream."""


@asynccontextmanager
async def answering(host: str, answer: str) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server that gives each connection one answer: its port, and the first lines that it was sent."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readline())
        number = b"1"
        while (line := await reader.readline()).strip():
            if line.lower().startswith(b"cseq:"):
                number = line.partition(b":")[2].strip()
        writer.write(answer.replace("\n", "\r\n").encode().replace(b"NUMBER", number))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, host, 0)
    try:
        yield server.sockets[0].getsockname()[1], heard
    finally:
        server.close()


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "fe80::1%eth0", "::ffff:169.254.1.1", "0.0.0.0", "::", "10.2.0.1", "::ffff:10.2.0.1"]
)
def test_addresses_outside_the_networks_and_link_local_ones_are_refused(address: str) -> None:
    with pytest.raises(NotAllowedError):
        require_allowed(address, ("10.1.0.0/16", "2001:db8::/32", "169.254.0.0/16"))


def test_addresses_of_the_networks_are_allowed_and_without_networks_all() -> None:
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "2001:db8::5"):
        require_allowed(address, ("10.1.0.0/16", "2001:db8::/32"))
    require_allowed("203.0.113.1", ())


async def test_every_answer_of_a_name_server_is_held_against_the_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    def lookup(_host: object, _port: object, *_args: object, **_kwargs: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, 1)) for host in ("10.1.0.1", "169.254.169.254")]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    with pytest.raises(NotAllowedError, match="link-local"):
        await asyncio.to_thread(require_allowed_url, "http://camera.example/", ())
    with pytest.raises(NotAllowedError, match="listen"):
        require_allowed_url("http://camera.example/?listen=1", ())


async def test_the_direct_reader_connects_to_those_addresses_of_a_name_that_are_allowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def lookup(_host: object, port: int, *_args: object, **_kwargs: object) -> list[Any]:
        hosts = ("fe80::1", "10.1.0.1", "10.1.0.1", "10.2.0.1")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in hosts]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    assert await resolve("camera.local", 554, ()) == ["10.1.0.1", "10.2.0.1"]
    assert await resolve("camera.local", 554, ("10.1.0.0/16",)) == ["10.1.0.1"]
    with pytest.raises(NotAllowedError, match="PANTAU_INGEST_NETWORKS"):
        await resolve("camera.local", 554, ("10.3.0.0/16",))


async def test_decimal_addresses_are_what_they_resolve_to() -> None:
    with pytest.raises(NotAllowedError, match="link-local"):
        await resolve("2852039166", 80, ())  # 169.254.169.254, as inet_aton reads it


async def test_the_direct_reader_follows_no_redirect_out_of_the_networks() -> None:
    async with answering("127.0.0.2", "RTSP/1.0 200 OK\nCSeq: NUMBER\n\n") as (there, heard):
        moved = f"RTSP/1.0 302 Moved\nCSeq: NUMBER\nLocation: rtsp://127.0.0.2:{there}/\n\n"
        async with answering("127.0.0.1", moved) as (here, _):
            source = Source(f"rtsp://127.0.0.1:{here}/", networks=("127.0.0.1/32",))
            end = await DirectReader().run(source, Nothing())
    assert (end.reason, "127.0.0.2" in end.detail) == (Reason.BAD_ADDRESS, True), end
    assert heard == []


async def ended(processes: LibavProcesses, source: Source, heard: list[bytes] | None = None) -> ReaderEnd:
    """How reading ends; again where libav's process had no turn for so long that it was taken for hung."""
    while True:
        end = await processes.reader().run(source, Nothing())
        if end.reason is not Reason.READER_FAILED:
            return end
        if heard is not None:
            heard.clear()


@pytest.mark.integration
async def test_libav_follows_no_redirect_out_of_the_networks_and_each_within_them() -> None:
    processes = LibavProcesses()
    try:
        async with answering("127.0.0.2", "HTTP/1.1 404 Gone\nContent-Length: 0\n\n") as (there, heard):
            moved = f"HTTP/1.1 302 Moved\nLocation: http://127.0.0.2:{there}/x\nContent-Length: 0\n\n"
            async with answering("127.0.0.1", moved) as (here, _):
                url = f"http://127.0.0.1:{here}/"
                end = await ended(processes, Source(url, networks=("127.0.0.1/32",)))
                assert (end.reason, "127.0.0.2" in end.detail) == (Reason.BAD_ADDRESS, True), end
                assert heard == []
                end = await ended(processes, Source(url), heard)
                assert end.reason is Reason.NOT_FOUND, end
                assert heard == [b"GET /x HTTP/1.1\r\n"]
        async with answering("127.0.0.2", "RTSP/1.0 200 OK\nCSeq: NUMBER\n\n") as (there, heard):
            moved = f"RTSP/1.0 302 Moved\nCSeq: NUMBER\nLocation: rtsp://127.0.0.2:{there}/\n\n"
            async with answering("127.0.0.1", moved) as (here, _):
                source = Source(f"rtsp://127.0.0.1:{here}/", networks=("127.0.0.1/32",))
                end = await ended(processes, source)
            assert (end.reason, "127.0.0.2" in end.detail) == (Reason.BAD_ADDRESS, True), end
            assert heard == []
        end = await ended(processes, Source("http://169.254.169.254/"))
        assert end.reason is Reason.BAD_ADDRESS, end
        async with answering("127.0.0.1", "HTTP/1.1 302 Moved\nLocation: /\nContent-Length: 0\n\n") as (here, heard):
            end = await ended(processes, Source(f"http://127.0.0.1:{here}/"), heard)
            assert (end.reason, len(heard)) == (Reason.REDIRECT_LOOP, 11), end
        for elsewhere in (f"file://{__file__}", "rtsp://127.0.0.1:1/"):
            moved = f"HTTP/1.1 302 Moved\nLocation: {elsewhere}\nContent-Length: 0\n\n"
            async with answering("127.0.0.1", moved) as (here, _):
                end = await ended(processes, Source(f"http://127.0.0.1:{here}/"))
            assert (end.reason, "other than HTTP" in end.detail) == (Reason.BAD_ADDRESS, True), end
    finally:
        await processes.stop()


def test_networks_are_a_setting() -> None:
    assert IngestSettings(networks=("10.20.0.1/16",)).networks == ("10.20.0.0/16",)
    with pytest.raises(ValueError, match="is not a network"):
        IngestSettings(networks=("10.20",))
