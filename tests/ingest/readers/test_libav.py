"""The reader that takes every source: what it says of sources that end before they begin, and of its own processes."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

import pytest

from services.contracts.models import Reason
from services.ingest.readers import libav
from services.ingest.readers.libav import LibavProcesses
from services.ingest.readers.source import Packet, ReaderEnd, RtpTransport, Source, Track
from services.sim.settings import SimSettings
from services.sim.simulator import Simulator
from tests.ingest.readers.scripted import (
    AUDIO,
    VIDEO,
    Answer,
    Writes,
    described,
    endless_body,
    endless_header,
    garbage,
    hang_up,
    redirect,
    scripted,
    silence,
)
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


REFUSALS: dict[str, tuple[Mapping[str, Answer] | Writes, Reason, str]] = {
    "hangs up": (hang_up, Reason.CLOSED, "before the stream is open"),
    "is silent after connect": (silence, Reason.NO_ANSWER, "does not answer"),
    "is silent after OPTIONS": ({"DESCRIBE": silence}, Reason.NO_ANSWER, "does not answer"),
    "sends garbage": (garbage, Reason.BAD_STREAM, ""),
    "has a header that never ends": ({"DESCRIBE": endless_header}, Reason.BAD_ANSWER, "does not end"),
    "has a body that never ends": ({"DESCRIBE": endless_body}, Reason.BAD_ANSWER, "does not end"),
    "redirects for ever": ({"DESCRIBE": redirect}, Reason.REDIRECT_LOOP, "10 times"),
    "asks for a password": (
        {"DESCRIBE": '401 Unauthorized\nWWW-Authenticate: Basic realm="x"'},
        Reason.UNAUTHORIZED,
        "asks for",
    ),
    "asks for SHA-256": (
        {"DESCRIBE": '401 Unauthorized\nWWW-Authenticate: Digest realm="x", nonce="n", algorithm=SHA-256'},
        Reason.UNSUPPORTED_AUTH,
        "Digest",
    ),
    "has no such stream": ({"DESCRIBE": "404 Not Found"}, Reason.NOT_FOUND, "404"),
    "has too many clients": ({"SETUP": "453 Not Enough Bandwidth"}, Reason.TOO_MANY_CLIENTS, "453"),
    "offers another transport": ({"SETUP": "461 Unsupported Transport"}, Reason.UNSUPPORTED_TRANSPORT, "461"),
    "cannot now": ({"DESCRIBE": "503 Service Unavailable"}, Reason.REJECTED, "503"),
    "has sound alone": ({"DESCRIBE": described(AUDIO)}, Reason.NO_VIDEO, "no video"),
    "sends VP8": ({"DESCRIBE": described(VIDEO.replace("H264", "VP8"))}, Reason.UNSUPPORTED_CODEC, ""),
    "sends what nobody knows": ({"DESCRIBE": described(VIDEO.replace("H264", "XYZ"))}, Reason.UNSUPPORTED_CODEC, ""),
}


@pytest.mark.parametrize("kind", REFUSALS)
@pytest.mark.parametrize("audio", [False, True])
async def test_a_refusal_has_its_own_reason_after_one_connection(
    processes: LibavProcesses, kind: str, audio: bool
) -> None:
    answers, reason, said = REFUSALS[kind]
    async with scripted(answers) as server:
        source = Source(server.url, audio=audio, open_seconds=2.0)
        end = await asyncio.wait_for(processes.reader().run(source, Collected()), 30)
        assert (end.reason, said in end.detail) == (reason, True), end
        assert server.connections <= (1 if reason is not Reason.REDIRECT_LOOP else 13)


async def test_a_wrong_password_is_told_and_never_named(processes: LibavProcesses) -> None:
    async with scripted({"DESCRIBE": '401 Unauthorized\nWWW-Authenticate: Digest realm="x", nonce="n"'}) as server:
        end = await processes.reader().run(Source(server.url, username="admin", password="hunter2"), Collected())
        assert end.reason is Reason.UNAUTHORIZED
        assert "does not accept" in end.detail
        assert "hunter2" not in end.detail


async def test_what_nothing_can_read_is_told_by_its_scheme(processes: LibavProcesses) -> None:
    end = await processes.reader().run(Source("nosuch://127.0.0.1/1"), Collected())
    assert end.reason is Reason.UNSUPPORTED_SCHEME


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
    async with asyncio.timeout(90):
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
                async with asyncio.timeout(90):
                    while runs(pid):
                        await asyncio.sleep(0.05)
            await more(sound)
            assert not other.done()
            async with asyncio.timeout(90):
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
            async with asyncio.timeout(90):
                while runs(pid):
                    await asyncio.sleep(0.05)
        async with reading(processes, sim.url("cam-001")) as (collected, _):
            await more(collected)
