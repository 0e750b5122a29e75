"""The whole product as a user starts it, and what each part of it costs."""

import asyncio
import json
import os
import re
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from services.mesh.settings import MeshSettings

_TICKS = os.sysconf("SC_CLK_TCK")
_PARTS = (
    ("nats", re.compile(r"nats-server")),
    ("template", re.compile(r"services\.mesh\.forker")),
    ("relay", re.compile(r"wall .*--role relay")),
    ("ingest", re.compile(r"services\.ingest|pantau ingest|cli ingest")),
    ("recorder", re.compile(r"services\.recorder|pantau recorder|cli recorder")),
    ("registry", re.compile(r"pantau registry|cli registry")),
    ("front", re.compile(r"pantau wall|cli wall")),
    ("sim", re.compile(r"pantau sim|cli sim|services\.sim")),
)


def descendants(root: int) -> list[int]:
    """All processes below ``root``, by /proc."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found, pending = [], [root]
    while pending:
        children = parents.get(pending.pop(), [])
        found += children
        pending += children
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time that a process has used; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS


def parts(root: int) -> Iterator[tuple[int, str]]:
    """The processes below ``root``, and which part of the product each is."""
    for pid in descendants(root):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        yield pid, next((name for name, pattern in _PARTS if pattern.search(command)), "other")


def cpu_by_part(root: int) -> dict[str, float]:
    """CPU seconds so far of each part of the product below ``root``."""
    sums: dict[str, float] = {}
    for pid, part in parts(root):
        sums[part] = sums.get(part, 0.0) + cpu_seconds(pid)
    return sums


@dataclass(frozen=True)
class Memory:
    """What the processes of a part hold together, MiB (proc(5))."""

    processes: int
    shared_once: float
    """``Pss``: what processes share is divided among them."""
    resident: float
    """``Rss``: what processes share is counted in each."""


@dataclass(frozen=True)
class Stack:
    """A running `pantau up`."""

    url: str
    pid: int
    data: Path

    @property
    def urls(self) -> list[str]:
        """The RTSP URLs of the cameras' main profiles."""
        entries = json.loads((self.data / "demo" / "cameras.json").read_text())
        return [entry["profiles"]["main"]["url"] for entry in entries]

    def mesh(self) -> MeshSettings:
        """The settings with which the services reach the bus."""
        for pid in descendants(self.pid):
            try:
                environ = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
            except OSError:
                continue
            settings = dict(entry.split("=", 1) for entry in environ.split("\0") if entry.startswith("PANTAU_NATS_"))
            if "PANTAU_NATS_CREDS" in settings:
                creds = Path(settings["PANTAU_NATS_CREDS"]).with_name("admin.creds")
                return MeshSettings.load(settings | {"PANTAU_NATS_CREDS": str(creds)})
        raise RuntimeError("no service of this stack runs")

    def memory(self) -> dict[str, Memory]:
        """Memory of each part, and of `pantau up` itself."""
        sums: dict[str, Memory] = {}
        for pid, part in [(self.pid, "up"), *parts(self.pid)]:
            with suppress(OSError):
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
                found = {
                    key: int(value) / 1024 for key, value in re.findall(r"^(Pss|Rss): +(\d+)", rollup, re.MULTILINE)
                }
                old = sums.get(part, Memory(0, 0.0, 0.0))
                sums[part] = Memory(old.processes + 1, old.shared_once + found["Pss"], old.resident + found["Rss"])
        return sums

    async def cost(self, seconds: float) -> dict[str, float]:
        """Share of one core that each part uses, over the next ``seconds``."""
        before = cpu_by_part(self.pid)
        await asyncio.sleep(seconds)
        after = cpu_by_part(self.pid)
        return {part: (after[part] - before.get(part, 0.0)) / seconds for part in after}


async def _cameras_online(url: str, count: int) -> None:
    async with aiohttp.ClientSession() as client, asyncio.timeout(300):
        while True:
            async with client.get(f"{url}/api/v1/cameras") as response:
                online = (await response.json())["counts"].get("online", 0)  # of all pages
            if online >= count:
                return
            await asyncio.sleep(0.2)


@asynccontextmanager
async def running(cameras: int, **environment: str) -> AsyncIterator[Stack]:
    """`pantau up --demo=N` on free ports in a folder of its own; ends with the context."""
    with tempfile.TemporaryDirectory(prefix="pantau-bench-") as folder:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.cli", "up", f"--demo={cameras}", "--data", folder, "--http", "127.0.0.1:0",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={**os.environ, "PANTAU_LOG_LEVEL": "warning", "PANTAU_SIM_MARKER": "true",
                 "PANTAU_UP_DEMO_STORY": "false", "PANTAU_WALL_UDP_PORT": "0", **environment},
        )  # fmt: skip
        try:
            assert process.stdout is not None
            async with asyncio.timeout(300):
                url = (await process.stdout.readline()).decode().strip()
            if not url:
                raise RuntimeError("pantau up ended before the wall answered; run it by hand to see why")
            await _cameras_online(url, cameras)
            yield Stack(url, process.pid, Path(folder))
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
                await process.wait()
