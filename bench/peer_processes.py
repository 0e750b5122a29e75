"""Peers that read, record or show the cameras of a running stack: ffmpeg, MediaMTX and go2rtc, where their binaries are
on PATH."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from bench.stack import cpu_seconds
from tests.support.ports import free_port

SETTLE_SECONDS: Final = 8.0
_MEDIAMTX: Final = """logLevel: warn
api: no
rtsp: no
rtmp: no
hls: no
srt: no
webrtc: no
playback: no
paths:
"""


_MEDIAMTX_WHEP: Final = """logLevel: warn
api: no
rtsp: no
rtmp: no
hls: no
srt: no
playback: no
webrtc: yes
webrtcAddress: 127.0.0.1:{http}
webrtcLocalUDPAddress: 127.0.0.1:{udp}
webrtcIPsFromInterfaces: no
webrtcAdditionalHosts: [127.0.0.1]
paths:
"""
_GO2RTC: Final = """log: {{level: warn}}
api: {{listen: "127.0.0.1:{http}"}}
rtsp: {{listen: ""}}
webrtc:
  listen: "127.0.0.1:{udp}/udp"
  candidates: ["127.0.0.1:{udp}"]
  ice_servers: []
  filters: {{loopback: true, networks: [udp4]}}
streams:
"""


class Peers:
    """Processes of a peer."""

    def __init__(self, processes: Sequence[asyncio.subprocess.Process]) -> None:
        self._processes = processes

    @property
    def alive(self) -> int:
        """How many still run."""
        return sum(process.returncode is None for process in self._processes)

    @property
    def cpu_seconds(self) -> float:
        """User and system time so far."""
        return sum(cpu_seconds(process.pid) for process in self._processes)


def missing(*names: str) -> list[str]:
    """Those that are not on PATH."""
    return [name for name in names or ("ffmpeg", "mediamtx") if shutil.which(name) is None]


@asynccontextmanager
async def whep_server(name: str, urls: Sequence[str]) -> AsyncIterator[tuple[Peers, str]]:
    """``mediamtx`` or ``go2rtc``, which keeps all URLs open, and its WHEP address with ``{}`` for a camera's number."""
    http, udp = free_port(socket.SOCK_STREAM), free_port(socket.SOCK_DGRAM)
    ports = {"http": http, "udp": udp}
    with TemporaryDirectory(prefix="pantau-bench-") as folder:
        settings = Path(folder) / f"{name}.yml"
        if name == "mediamtx":
            paths = "".join(
                f"  cam{number}:\n    source: {url}\n    rtspTransport: tcp\n    sourceOnDemand: no\n"
                for number, url in enumerate(urls)
            )
            settings.write_text(_MEDIAMTX_WHEP.format(**ports) + paths)
            command, whep = ["mediamtx", str(settings)], f"http://127.0.0.1:{http}/cam{{}}/whep"
        else:
            streams = "".join(f"  cam{number}: {url}\n" for number, url in enumerate(urls))
            preload = "preload:\n" + "".join(f'  cam{number}: "video"\n' for number in range(len(urls)))
            settings.write_text(_GO2RTC.format(**ports) + streams + preload)
            command, whep = ["go2rtc", "-config", str(settings)], f"http://127.0.0.1:{http}/api/webrtc?src=cam{{}}"
        async with _running([command], folder) as peers:
            yield peers, whep


@asynccontextmanager
async def ffmpeg(urls: Sequence[str]) -> AsyncIterator[Peers]:
    """One ``ffmpeg -c copy -f segment`` for each URL."""
    with TemporaryDirectory(prefix="pantau-bench-") as folder:
        commands = [
            [
                "ffmpeg", "-nostdin", "-loglevel", "error", "-rtsp_transport", "tcp", "-i", url, "-an", "-c", "copy",
                "-f", "segment", "-segment_time", "60", str(Path(folder) / f"{number}-%d.mp4"),
            ]
            for number, url in enumerate(urls)
        ]  # fmt: skip
        async with _running(commands, folder) as peers:
            yield peers


@asynccontextmanager
async def mediamtx(urls: Sequence[str], *, record: bool) -> AsyncIterator[Peers]:
    """One MediaMTX that reads all URLs, and records them in fragments or not."""
    with TemporaryDirectory(prefix="pantau-bench-") as folder:
        paths = []
        for number, url in enumerate(urls):
            paths.append(f"  cam{number}:\n    source: {url}\n    rtspTransport: tcp\n    sourceOnDemand: no\n")
            if record:
                paths.append(
                    "    record: yes\n    recordFormat: fmp4\n    recordSegmentDuration: 60s\n"
                    f"    recordPath: {folder}/%path/%Y-%m-%d_%H-%M-%S-%f\n"
                )
        settings = Path(folder) / "mediamtx.yml"
        settings.write_text(_MEDIAMTX + "".join(paths))
        async with _running([["mediamtx", str(settings)]], folder) as peers:
            yield peers


@asynccontextmanager
async def _running(commands: Sequence[Sequence[str]], folder: str) -> AsyncIterator[Peers]:
    """In ``folder``: MediaMTX leaves a key where it is started."""
    processes: list[asyncio.subprocess.Process] = []
    try:
        for command in commands:
            silent = asyncio.subprocess.DEVNULL
            processes.append(await asyncio.create_subprocess_exec(*command, cwd=folder, stdout=silent, stderr=silent))
        await asyncio.sleep(SETTLE_SECONDS)
        yield Peers(processes)
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
            await process.wait()
