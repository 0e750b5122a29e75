"""The reader that takes every source: what it says of sources that end before they begin, and of its own processes."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import pytest

from services.contracts.models import Reason
from services.ingest.readers import libav
from services.ingest.readers.libav import LibavProcesses
from services.ingest.readers.source import Packet, ReaderEnd, RtpTransport, Source, Track
from services.sim.settings import SimSettings
from services.sim.simulator import Simulator
from tests.processes import children, command_line, runs


class Collected:
    """An outlet that keeps count."""

    def __init__(self) -> None:
        self.tracks: Sequence[Track] = ()
        self.packets: list[Packet] = []

    def opened(self, tracks: Sequence[Track], *, transport: RtpTransport = "", bursts: bool = False) -> None:
        """See `Outlet.opened`."""
        self.tracks = tracks

    def packet(self, packet: Packet) -> None:
        """See `Outlet.packet`."""
        self.packets.append(packet)


@pytest.fixture
async def processes() -> AsyncIterator[LibavProcesses]:
    processes = LibavProcesses()
    yield processes
    await processes.stop()


async def end_of_a_source_that_answers(processes: LibavProcesses, answer: bytes | None) -> ReaderEnd:
    """How a source ends that sends ``answer`` to a request, and hangs up; None: it hangs up unasked."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if answer is not None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        return await processes.reader().run(Source(f"rtsp://127.0.0.1:{port}/1"), Collected())


@pytest.mark.parametrize("answer", [b"\x00\xff\x13rubbish\r\n" * 200, b"HTTP/1.1 400 Bad Request\r\n\r\n"])
async def test_a_source_that_sends_something_else_is_damaged(processes: LibavProcesses, answer: bytes) -> None:
    assert (await end_of_a_source_that_answers(processes, answer)).reason is Reason.BAD_STREAM


@asynccontextmanager
async def reading(processes: LibavProcesses, url: str) -> AsyncIterator[tuple[Collected, "asyncio.Task[ReaderEnd]"]]:
    collected = Collected()
    task = asyncio.create_task(processes.reader().run(Source(url), collected))
    try:
        yield collected, task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def more(collected: Collected) -> None:
    count = len(collected.packets)
    async with asyncio.timeout(30):
        while len(collected.packets) < count + 3:
            await asyncio.sleep(0.01)


def sources() -> list[int]:
    """The processes that read, of the one server that this test's process has."""
    servers = [pid for pid in children(os.getpid()) if "libav_process" in command_line(pid)]
    return [pid for server in servers for pid in children(server)]


@pytest.mark.integration
async def test_a_source_whose_process_dies_or_hangs_harms_no_other(
    processes: LibavProcesses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libav, "HANG_SECONDS", 1.5)  # of processes on the machine's clock
    async with Simulator(SimSettings(cameras=3, port=0, scenes=1)) as sim:
        await sim.ready()
        async with reading(processes, sim.url("cam-001")) as (sound, other):
            await more(sound)
            before = set(sources())
            async with reading(processes, sim.url("cam-002")) as (crashing, crashed):
                await more(crashing)
                (pid,) = set(sources()) - before
                os.kill(pid, signal.SIGSEGV)
                assert (await crashed).reason is Reason.READER_FAILED
            async with reading(processes, sim.url("cam-003")) as (hanging, hung):
                await more(hanging)
                (pid,) = set(sources()) - before
                os.kill(pid, signal.SIGSTOP)
                assert (await hung).reason is Reason.READER_FAILED
                async with asyncio.timeout(30):
                    while runs(pid):
                        await asyncio.sleep(0.05)
            await more(sound)
            assert not other.done()
            async with asyncio.timeout(30):
                while set(sources()) != before:
                    await asyncio.sleep(0.05)


@pytest.mark.integration
async def test_a_server_that_is_killed_is_started_again_and_takes_its_processes_along(
    processes: LibavProcesses,
) -> None:
    async with Simulator(SimSettings(cameras=1, port=0, scenes=1)) as sim:
        await sim.ready()
        async with reading(processes, sim.url("cam-001")) as (collected, task):
            await more(collected)
            (pid,) = sources()
            (server,) = [pid for pid in children(os.getpid()) if "libav_process" in command_line(pid)]
            os.kill(server, signal.SIGKILL)
            assert (await task).reason is Reason.READER_FAILED
            async with asyncio.timeout(30):
                while runs(pid):
                    await asyncio.sleep(0.05)
        async with reading(processes, sim.url("cam-001")) as (collected, _):
            await more(collected)
