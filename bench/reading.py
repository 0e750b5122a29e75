"""The two readers side by side: CPU per camera of reading alone and of making messages of it, and how long a reader
holds an access unit back.

Simulated cameras (main profile, 2 Mbit/s) in a process of their own; each reader takes its turn over the same cameras.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Literal

from bench.report import percentile, table
from bench.stack import cpu_seconds, descendants
from services.ingest.pipeline import Pipeline
from services.ingest.readers.direct import DirectReader
from services.ingest.readers.libav import LibavProcesses
from services.ingest.readers.source import Packet, Reader, Source, Track
from services.mesh.clock import SystemClock
from services.sim.pictures.stamp import parse

PORT = 18554


class _Counting:
    """Counts packets; with a pipeline makes messages of them."""

    def __init__(self, delays_ms: list[float], *, pipeline: bool) -> None:
        self.packets = 0
        self._delays_ms = delays_ms
        self._pipeline = Pipeline(SystemClock(), gop_bytes=1 << 24) if pipeline else None

    def opened(
        self, tracks: Sequence[Track], *, transport: Literal["", "tcp", "udp"] = "", bursts: bool = False
    ) -> None:
        if self._pipeline is not None:
            self._pipeline.begin(tracks[0])

    def heard(self) -> None:
        pass

    def packet(self, packet: Packet) -> None:
        self.packets += 1
        if self._pipeline is not None:
            self._pipeline.feed(packet, 1)
        elif self.packets % 8 == 0:
            stamp = parse(packet.data if isinstance(packet.data, bytes) else b"".join(packet.data[:4]))
            if stamp is not None:
                self._delays_ms.append(time.time() * 1000 - stamp.sent_us / 1000)


@asynccontextmanager
async def _cameras(count: int) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.cli", "sim", "--cameras", str(count), "--port", str(PORT), "--scenes", "4",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await asyncio.sleep(8)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


async def _measure(name: str, cameras: int, seconds: float, *, pipeline: bool) -> list[object]:
    processes = LibavProcesses()
    delays_ms: list[float] = []
    outlets = [_Counting(delays_ms, pipeline=pipeline) for _ in range(cameras)]
    tasks = []
    for number, outlet in enumerate(outlets, 1):
        reader: Reader = DirectReader() if name == "direct" else processes.reader()
        source = Source(f"rtsp://127.0.0.1:{PORT}/cam-{number:03}/main", transport="tcp")
        tasks.append(asyncio.create_task(reader.run(source, outlet)))
    await asyncio.sleep(5)
    delays_ms.clear()
    before = [outlet.packets for outlet in outlets]
    children = set(descendants(os.getpid()))
    began, cpu = time.monotonic(), _cpu(children)
    await asyncio.sleep(seconds)
    passed, used = time.monotonic() - began, _cpu(children) - cpu
    rate = sum(outlet.packets - was for outlet, was in zip(outlets, before, strict=True)) / passed / cameras
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await processes.stop()
    return [
        name, "messages" if pipeline else "reading alone", cameras, 100 * used / passed / cameras, rate,
        percentile(delays_ms, 0.5), percentile(delays_ms, 0.99),
    ]  # fmt: skip


def _cpu(children: set[int]) -> float:
    """Of this process and of those that libav reads in; the simulator's is no child's of the readers."""
    reading = [pid for pid in children if _reads(pid)]
    return time.process_time() + sum(cpu_seconds(pid) for pid in reading)


def _reads(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:  # noqa: PTH123 (one read of a few bytes)
            return b"libav_process" in file.read()
    except OSError:
        return False


async def run(*, quick: bool) -> None:
    """Prints the table."""
    rows = []
    for cameras in (16,) if quick else (16, 64):
        async with _cameras(cameras):
            for pipeline in (False, True):
                for name in ("direct", "libav"):
                    rows.append(await _measure(name, cameras, 10 if quick else 20, pipeline=pipeline))
    print(
        table(
            "Readers",
            ["reader", "makes", "cameras", "CPU %", "frames/s", "p50 ms", "p99 ms"],
            rows,
            "CPU of one core, for each camera, with its processes. ms: from a camera's send to its access unit.",
        )
    )
