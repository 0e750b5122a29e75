"""Peers that read or record the cameras of a running stack: ffmpeg, and MediaMTX, where their binaries are on PATH."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from bench.stack import cpu_seconds

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


def missing() -> list[str]:
    """Those that are not on PATH."""
    return [name for name in ("ffmpeg", "mediamtx") if shutil.which(name) is None]


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
        async with _running(commands) as peers:
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
        async with _running([["mediamtx", str(settings)]]) as peers:
            yield peers


@asynccontextmanager
async def _running(commands: Sequence[Sequence[str]]) -> AsyncIterator[Peers]:
    processes: list[asyncio.subprocess.Process] = []
    try:
        for command in commands:
            silent = asyncio.subprocess.DEVNULL
            processes.append(await asyncio.create_subprocess_exec(*command, stdout=silent, stderr=silent))
        await asyncio.sleep(SETTLE_SECONDS)
        yield Peers(processes)
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
            await process.wait()
