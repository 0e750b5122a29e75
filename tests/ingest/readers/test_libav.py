"""The reader that takes every source: what it says of sources that end before they begin, and of its own processes."""

import asyncio
import ctypes
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import av
import pytest
import pytest_asyncio

from services.contracts.frames import Codec
from services.contracts.models import SOURCE_SCHEMES, Reason
from services.ingest.readers import libav
from services.ingest.readers.libav import LibavProcesses
from services.ingest.readers.libav_trace import MAX_REDIRECTS
from services.ingest.readers.source import Packet, ReaderEnd, RtpTransport, Source, Track
from services.ingest.timing.assemble import assembler
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
from tests.media.encoded import video
from tests.processes import children, command_line, runs

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Collected:
    """An outlet that keeps count."""

    def __init__(self) -> None:
        self.tracks: Sequence[Track] = ()
        self.packets: list[Packet] = []

    def opened(self, tracks: Sequence[Track], *, transport: RtpTransport = "", bursts: bool = False) -> None:
        self.tracks = tracks

    def heard(self) -> None:
        pass

    def packet(self, packet: Packet) -> None:
        self.packets.append(packet)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def processes() -> AsyncIterator[LibavProcesses]:
    """One server for all tests: loading libav takes longer than they."""
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
    "has sound alone": ({"DESCRIBE": described(AUDIO)}, Reason.BAD_STREAM, "no video"),
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
        assert server.connections == (1 if reason is not Reason.REDIRECT_LOOP else 1 + MAX_REDIRECTS)


async def test_a_wrong_password_is_told_and_never_named(processes: LibavProcesses) -> None:
    async with scripted({"DESCRIBE": '401 Unauthorized\nWWW-Authenticate: Digest realm="x", nonce="n"'}) as server:
        end = await processes.reader().run(Source(server.url, username="admin", password="hunter2"), Collected())
        assert end.reason is Reason.UNAUTHORIZED
        assert "does not accept" in end.detail
        assert "hunter2" not in end.detail


def protocols() -> set[str]:
    """What the libav at hand speaks. RTSP is a demuxer, which opens its addresses itself."""
    names = {"rtsp", "rtsps"}
    (path,) = Path(av.__file__).parents[1].glob("av.libs/libavformat-*.so*")
    library = ctypes.CDLL(str(path))
    library.avio_enum_protocols.restype = ctypes.c_char_p
    state = ctypes.c_void_p()
    while (name := library.avio_enum_protocols(ctypes.byref(state), 0)) is not None:
        names.add(name.decode())
    return names


@pytest.mark.parametrize("scheme", SOURCE_SCHEMES)
async def test_every_scheme_that_a_camera_may_have_is_read_or_told_as_unsupported(
    processes: LibavProcesses, scheme: str
) -> None:
    """srt:// is told so with PyAV's wheels, and plays where libav was built with libsrt (docs/ingest.md)."""
    end = await processes.reader().run(Source(f"{scheme}://127.0.0.1:9/1", open_seconds=2.0), Collected())
    assert (end.reason is Reason.UNSUPPORTED_SCHEME) == (scheme not in protocols()), end


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
    # Of processes on the machine's clock. One that lives sends something every second, and later on a busy machine.
    monkeypatch.setattr(libav, "HANG_SECONDS", 5.0)
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


PICTURE = video(codec="mjpeg", frames=1, size=(160, 96), pixel_format="yuvj420p").packets[0].data
PARTS: dict[str, tuple[bytes, bytes]] = {
    # Of devices that browsers play: what stands before all parts, and the head of each.
    "as the standard has it": (b"", b"--b\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"),
    "image/jpg": (b"", b"--b\r\nContent-Type: image/jpg\r\nContent-Length: %d\r\n\r\n"),
    "with a parameter": (b"", b"--b\r\nContent-Type: image/jpeg; charset=utf-8\r\nContent-Length: %d\r\n\r\n"),
    "without a type": (b"", b"--b\r\nContent-Length: %d\r\n\r\n"),
    "with a preamble": (b"hello\r\n", b"--b\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"),
}


@asynccontextmanager
async def http_camera(content_type: bytes, before: bytes, head: bytes, *, single: bool = False) -> AsyncIterator[str]:
    """A camera that sends pictures over HTTP, 20 a second; yields its address."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.0 200 OK\r\nContent-Type: " + content_type + b"\r\n\r\n" + before)
            while True:
                writer.write((head % len(PICTURE) if b"%d" in head else head) + PICTURE + (b"" if single else b"\r\n"))
                await writer.drain()
                if single:
                    break
                await asyncio.sleep(0.05)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v"
    finally:
        server.close()


@pytest.mark.parametrize("kind", PARTS)
async def test_motion_jpeg_plays_with_the_parts_of_devices(processes: LibavProcesses, kind: str) -> None:
    before, head = PARTS[kind]
    async with (
        http_camera(b"multipart/x-mixed-replace;boundary=b", before, head) as url,
        reading(processes, url) as (collected, _),
    ):
        await more(collected)
        assembled = assembler(Track("video", Codec.MJPEG, b"")).assemble(collected.packets[0].data)
        assert [unit.payload for unit in assembled] == [PICTURE]


async def test_an_address_that_gives_one_picture_is_told_so(processes: LibavProcesses) -> None:
    async with http_camera(b"image/jpeg", b"", b"", single=True) as url:
        end = await asyncio.wait_for(processes.reader().run(Source(url), Collected()), 30)
        assert end.reason is Reason.SINGLE_PICTURE
