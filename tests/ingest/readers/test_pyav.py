"""The reader that takes every source: what it says of sources that end before they begin."""

import asyncio
from collections.abc import Sequence
from typing import Literal

import pytest

from services.contracts.models import Reason
from services.ingest.readers.pyav import PyavReader
from services.ingest.readers.source import Packet, ReaderEnd, Source, Track


class Nowhere:
    """An outlet that wants nothing."""

    def opened(
        self, tracks: Sequence[Track], *, transport: Literal["", "tcp", "udp"] = "", bursts: bool = False
    ) -> None:
        """See `Outlet.opened`."""

    def packet(self, packet: Packet) -> None:
        """See `Outlet.packet`."""


async def end_of_a_source_that_answers(answer: bytes | None) -> ReaderEnd:
    """How a source ends that sends ``answer`` to a request, and hangs up; None: it hangs up unasked."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if answer is not None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        source = Source(f"rtsp://127.0.0.1:{port}/1")
        return await PyavReader(open_seconds=5, stall_seconds=5).run(source, Nowhere())


@pytest.mark.parametrize("answer", [None, b"", b"RTSP/1.0 20"])
async def test_a_source_that_hangs_up_is_not_called_damaged(answer: bytes | None) -> None:
    end = await end_of_a_source_that_answers(answer)
    assert end == ReaderEnd(Reason.CLOSED, "127.0.0.1 closes the connection before the stream is open")


@pytest.mark.parametrize("answer", [b"\x00\xff\x13rubbish\r\n" * 200, b"HTTP/1.1 400 Bad Request\r\n\r\n"])
async def test_a_source_that_sends_something_else_is(answer: bytes) -> None:
    assert (await end_of_a_source_that_answers(answer)).reason is Reason.BAD_STREAM
