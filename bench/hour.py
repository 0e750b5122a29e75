"""An hour with servers that nobody here wrote: is a frame lost, a picture damaged, or a camera opened again?

The cameras are shared out over GStreamer's gst-rtsp-server, MediaMTX and go2rtc (FFmpeg's RTSP muxer fills the last
two), as far as they are there. All play one film, whose frames carry a number each (`services.sim.pictures.stamp`):
what follows on another number than its own plus one, on the bus or on disk, is a loss.
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

import aiohttp

from bench.peer_processes import missing
from bench.report import table
from bench.stack import Stack, running
from services.contracts import subjects
from services.contracts.models import CameraState, Status
from services.media import h264
from services.media.nal import join_annex_b, split_annex_b
from services.mesh import log
from services.mesh.bus import Bus, BusMessage
from services.sim.pictures import stamp
from tests.integration.recorded import files, stamps
from tests.support.ports import free_port

RATE: Final = 10
"""Frames a second."""
GOP: Final = 20
SECONDS_TO_SPARE: Final = 240
"""The film is so much longer: the cameras begin before the hour does."""
SCENE_SECONDS: Final = 40
START_SECONDS: Final = 3.0
"""Of a server, and of those who fill it."""
SETTLE_SECONDS: Final = 10.0
PATIENCE_SECONDS: Final = 120.0
_GST_PYTHON: Final = "/usr/bin/python3"
"""Which has python3-gi."""
_GST_CAMERA: Final = Path(__file__).parents[1] / "tests/integration/gst_camera.py"

_MEDIAMTX: Final = """logLevel: warn
api: no
rtmp: no
hls: no
webrtc: no
srt: no
playback: no
rtspAddress: 127.0.0.1:{port}
rtspTransports: [tcp]
paths:
  all_others:
"""
_GO2RTC: Final = """log: {{level: warn}}
api: {{listen: ""}}
webrtc: {{listen: ""}}
rtsp: {{listen: "127.0.0.1:{port}"}}
streams:
"""


class Camera(NamedTuple):
    """One source."""

    name: str
    server: str
    url: str


class Seen:
    """The numbers of one camera's frames on the bus."""

    def __init__(self) -> None:
        self.first = self.last = -1
        self.frames = self.missing = self.disordered = 0

    def take(self, number: int) -> None:
        """The next frame."""
        if self.first < 0:
            self.first = number
        elif number <= self.last:
            self.disordered += 1
            return
        else:
            self.missing += number - self.last - 1
        self.last = number
        self.frames += 1


async def run(*, quick: bool, minutes: float, cameras: int = 0) -> bool:
    """Prints the table; false where a frame is missing, damaged, or a camera was not online all the time."""
    log.configure("bench", level="error")
    minutes, cameras = (min(minutes, 2), cameras or 6) if quick else (minutes, cameras or 32)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pantau-bench-")))
        film = await asyncio.to_thread(_film, folder, round(minutes * 60) + SECONDS_TO_SPARE)
        sources = await stack.enter_async_context(_serving(film, folder, cameras))
        pantau = await stack.enter_async_context(running(0))
        return await _watch(pantau, sources, minutes)


async def _watch(pantau: Stack, cameras: Sequence[Camera], minutes: float) -> bool:
    bus = await Bus.connect(pantau.mesh(), "bench-hour")
    states: dict[str, CameraState] = {}
    troubles: dict[str, list[str]] = {camera.name: [] for camera in cameras}
    seen = {camera.name: Seen() for camera in cameras}
    watching = False

    async def on_state(message: BusMessage) -> None:
        state = CameraState.unpack(message.data)
        states[state.camera] = state
        if watching and state.status is not Status.ONLINE and state.camera in troubles:
            troubles[state.camera].append(f"{state.status} ({state.reason}: {state.detail})")
            print(f"{time.strftime('%H:%M:%S')} {state.camera} {troubles[state.camera][-1]}", file=sys.stderr)

    async def on_frame(message: BusMessage) -> None:
        found = stamp.parse(message.data)
        name = message.subject.rpartition(".")[2]
        if found is not None and watching:
            seen[name].take(found.frame)

    await bus.subscribe(subjects.state("*", "*"), on_state)
    await bus.subscribe(subjects.media("*", "main", "*"), on_frame)
    async with aiohttp.ClientSession(pantau.url, headers={"Origin": pantau.url}) as client:
        for camera in cameras:
            body = {"id": camera.name, "name": camera.name, "profiles": {"main": {"url": camera.url}}}
            async with client.post("/api/v1/cameras", json=body) as answer:
                answer.raise_for_status()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while sum(state["status"] == "online" for state in (await _states(client)).values()) < len(cameras):
                await asyncio.sleep(0.5)
        await asyncio.sleep(SETTLE_SECONDS)
        before = await _states(client)
        watching = True
        began = time.monotonic()
        for minute in range(1, round(minutes) + 1):
            await asyncio.sleep(max(0.0, began + min(minute, minutes) * 60 - time.monotonic()))
            lost = sum(each.missing + each.disordered for each in seen.values())
            frames = sum(each.frames for each in seen.values())
            print(
                f"{time.strftime('%H:%M:%S')} minute {minute}: {frames} frames, {lost} lost or disordered on the bus, "
                f"{sum(map(len, troubles.values()))} changes of state",
                file=sys.stderr, flush=True,
            )  # fmt: skip
        seconds = time.monotonic() - began
        watching = False
        after = await _states(client)
    await bus.close()
    await asyncio.sleep(SETTLE_SECONDS)  # the recorder writes fragments of 2 s
    rows, well = [], True
    for server in dict.fromkeys(camera.server for camera in cameras):
        own = [each for each in cameras if each.server == server]
        row, whole = _row(server, own, pantau, seen, before, after, troubles)
        rows.append(row)
        well &= whole
    columns = [
        "server", "cameras", "sent", "on the bus", "on disk", "missing on the bus", "missing on disk", "disordered",
        "packets lost", "damaged", "reconnects", "bad times", "changes of state",
    ]  # fmt: skip
    print(table(f"{seconds / 60:.1f} minutes", columns, rows, f"{RATE} frames a second, a GOP of {GOP}."))
    return well


async def _states(client: aiohttp.ClientSession) -> dict[str, dict[str, Any]]:
    async with client.get("/api/v1/cameras", params={"limit": "1000"}) as answer:
        return {camera["id"]: camera["state"] or {"status": "none"} for camera in (await answer.json())["cameras"]}


def _row(
    server: str,
    cameras: Sequence[Camera],
    pantau: Stack,
    seen: dict[str, Seen],
    before: dict[str, dict[str, Any]],
    after: dict[str, dict[str, Any]],
    troubles: dict[str, list[str]],
) -> tuple[list[object], bool]:
    """What became of the cameras of one server, and whether nothing did."""
    sent = on_bus = on_disk = missing_on_disk = disordered = 0
    for camera in cameras:
        own = seen[camera.name]
        sent += own.last - own.first + 1
        on_bus += own.frames
        numbers = [each.frame for path in files(pantau.data, camera.name) for each in stamps(path.read_bytes())]
        wanted = range(own.first, own.last + 1)
        found = [number for number in numbers if number in wanted]
        on_disk += len(set(found))
        missing_on_disk += len(wanted) - len(set(found))
        disordered += own.disordered + sum(after <= before for before, after in pairwise(numbers))
    missing_on_bus = sum(seen[camera.name].missing for camera in cameras)
    grown = [
        sum(
            after[camera.name]["profiles"]["main"][name] - before[camera.name]["profiles"]["main"][name]
            for camera in cameras
        )
        for name in ("frames_lost", "frames_damaged", "reconnects", "bad_timestamps")
    ]
    changes = sum(len(troubles[camera.name]) for camera in cameras)
    wrong = (missing_on_bus, missing_on_disk, disordered, *grown, changes)
    return [server, len(cameras), sent, on_bus, on_disk, *wrong], sent > 0 and not any(wrong)


def _film(folder: Path, seconds: int) -> Path:
    """One scene over and over, with another number in each frame."""
    scene, numbered, film = folder / "scene.h264", folder / "film.h264", folder / "film.mkv"
    rate = ["-b:v", "350k", "-maxrate", "400k", "-bufsize", "400k"]
    lavfi = f"testsrc2=size=640x360:rate={RATE}:duration={SCENE_SECONDS}"
    _ffmpeg("-f", "lavfi", "-i", lavfi, "-c:v", "libx264", "-g", str(GOP), "-bf", "0", "-sc_threshold", "0", *rate,
            "-x264-params", "repeat-headers=1:slices=1", str(scene))  # fmt: skip
    pictures: list[list[bytes]] = [[]]
    for unit in split_annex_b(scene.read_bytes()):
        pictures[-1].append(unit)
        if h264.is_vcl(unit):
            pictures.append([])
    with numbered.open("wb") as file:
        for number in range(seconds * RATE):
            *before, picture = pictures[number % (SCENE_SECONDS * RATE)]
            sei = stamp.h264_sei()
            at = stamp.text_offset(sei)
            sei = sei[:at] + stamp.text(0, number, number * 1_000_000 // RATE) + sei[at + stamp.TEXT_BYTES :]
            file.write(join_annex_b([*before, sei, picture]))
    _ffmpeg("-f", "h264", "-framerate", str(RATE), "-i", str(numbered), "-c", "copy", str(film))
    numbered.unlink()
    return film


def _ffmpeg(*arguments: str) -> None:
    subprocess.run(["ffmpeg", "-nostdin", "-loglevel", "error", "-threads", "1", *arguments], check=True)


def _has_gstreamer() -> bool:
    return not subprocess.run([_GST_PYTHON, "-c", "import gi"], check=False, capture_output=True).returncode


@asynccontextmanager
async def _serving(film: Path, folder: Path, count: int) -> AsyncIterator[list[Camera]]:
    """The cameras, their servers started."""
    servers = {name: server for name, server in _SERVERS.items() if name == "gstreamer" or not missing(name)}
    if not await asyncio.to_thread(_has_gstreamer):
        del servers["gstreamer"]
    if not servers:
        raise RuntimeError("no RTSP server is here: python3-gi with gst-rtsp-server, mediamtx or go2rtc")
    shares = {name: len(range(at, count, len(servers))) for at, name in enumerate(servers)}
    async with AsyncExitStack() as stack:
        yield [
            camera
            for name, share in shares.items()
            for camera in await stack.enter_async_context(servers[name](film, folder, share))
        ]


@asynccontextmanager
async def _gstreamer(film: Path, _folder: Path, count: int) -> AsyncIterator[list[Camera]]:
    launch = f"filesrc location={film} ! matroskademux ! h264parse ! rtph264pay name=pay0 pt=96"
    mounts = [word for number in range(1, count + 1) for word in ("--mount", f"/{number}={launch}")]
    command = [_GST_PYTHON, str(_GST_CAMERA), "--apart", *mounts]
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        port = int(await process.stdout.readline())
        yield _cameras("gstreamer", f"rtsp://127.0.0.1:{port}/{{}}", count)
    finally:
        await _end(process)


@asynccontextmanager
async def _mediamtx(film: Path, folder: Path, count: int) -> AsyncIterator[list[Camera]]:
    port = free_port()
    settings = folder / "mediamtx.yml"
    settings.write_text(_MEDIAMTX.format(port=port))
    async with _fed(["mediamtx", str(settings)], film, folder, f"rtsp://127.0.0.1:{port}/mtx-{{}}", count):
        yield _cameras("mediamtx", f"rtsp://127.0.0.1:{port}/mtx-{{}}", count)


@asynccontextmanager
async def _go2rtc(film: Path, folder: Path, count: int) -> AsyncIterator[list[Camera]]:
    port = free_port()
    settings = folder / "go2rtc.yml"
    settings.write_text(_GO2RTC.format(port=port) + "".join(f"  go-{number}:\n" for number in range(1, count + 1)))
    async with _fed(["go2rtc", "-config", str(settings)], film, folder, f"rtsp://127.0.0.1:{port}/go-{{}}", count):
        yield _cameras("go2rtc", f"rtsp://127.0.0.1:{port}/go-{{}}", count)


@asynccontextmanager
async def _fed(server: Sequence[str], film: Path, folder: Path, url: str, count: int) -> AsyncIterator[None]:
    """A server that FFmpeg's RTSP muxer fills."""
    processes = [await _start(server, folder)]
    try:
        await asyncio.sleep(START_SECONDS)
        for number in range(1, count + 1):
            copy = ["-re", "-i", str(film), "-c", "copy", "-f", "rtsp", "-rtsp_transport", "tcp", url.format(number)]
            processes.append(await _start(["ffmpeg", "-nostdin", "-loglevel", "error", *copy], folder))
        await asyncio.sleep(START_SECONDS)
        yield
    finally:
        for process in reversed(processes):
            await _end(process)


async def _start(command: Sequence[str], folder: Path) -> asyncio.subprocess.Process:
    silent = asyncio.subprocess.DEVNULL
    return await asyncio.create_subprocess_exec(*command, cwd=folder, stdin=silent, stdout=silent, stderr=silent)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()


def _cameras(server: str, url: str, count: int) -> list[Camera]:
    return [Camera(f"{server}-{number:02}", server, url.format(number)) for number in range(1, count + 1)]


_SERVERS: Final = {"gstreamer": _gstreamer, "mediamtx": _mediamtx, "go2rtc": _go2rtc}
