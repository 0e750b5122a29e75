"""`pantau up` as a person runs it."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import aiohttp

from tests.support.refusals import refusals

START_SECONDS = 90.0
STOP_SECONDS = 60.0


@dataclass
class Up:
    """A running one."""

    process: asyncio.subprocess.Process
    url: str
    data: Path

    async def get(self, path: str) -> Any:
        """An answer of the API."""
        async with aiohttp.ClientSession() as client, client.get(f"{self.url}/api/v1{path}") as response:
            assert response.status == 200, await response.text()
            return await response.json()

    async def cameras(self) -> dict[str, str]:
        """Each camera's state."""
        listed = (await self.get("/cameras"))["cameras"]
        return {camera["id"]: (camera["state"] or {}).get("status", "") for camera in listed}

    def log(self) -> list[dict[str, Any]]:
        """What it and its children have logged, without lines that a full disk cut."""
        found = []
        for line in (self.data / "log").read_text(errors="replace").splitlines():
            with suppress(json.JSONDecodeError):
                found.append(json.loads(line) if line.startswith("{") else {})
        return [line for line in found if "event" in line]

    def children(self) -> dict[str, int]:
        """Name → process that was started last, of what it supervises."""
        started = [line for line in self.log() if line["event"] in ("child.started", "nats.started")]
        return {line.get("child", "nats"): line["pid"] for line in started}

    async def kill_child(self, name: str) -> float:
        """kill -9; returns how many seconds it took until it was started again."""
        old = self.children()[name]
        started = time.monotonic()
        os.kill(old, signal.SIGKILL)
        while self.children()[name] == old:
            assert time.monotonic() - started < STOP_SECONDS, f"{name} is not back"
            await asyncio.sleep(0.01)
        return time.monotonic() - started

    async def online(self, *cameras: str) -> None:
        """Returns when these cameras, and no others, are there and online."""
        told: dict[str, str] = {}
        deadline = time.monotonic() + START_SECONDS
        while told != dict.fromkeys(cameras, "online"):
            assert time.monotonic() < deadline, told
            await asyncio.sleep(0.1)
            with suppress(AssertionError, OSError, aiohttp.ClientError):  # the wall itself is on its way back
                told = await self.cameras()

    async def stop(self) -> float:
        """SIGTERM; returns how many seconds it took to end."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(self.process.wait(), STOP_SECONDS)
        return time.monotonic() - started


def environment(**environ: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PANTAU_")}
    return {
        **clean,
        "PANTAU_WALL_UDP_PORT": "0",
        "PANTAU_SIM_PORT": "0",
        "PANTAU_WALL_RELAYS": "1",
        "PANTAU_UP_DEMO_STORY": "false",
        **environ,
    }


def command(data: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "services.cli", "up", "--data", str(data), "--http", "127.0.0.1:0", *arguments]


def log_file(data: Path) -> IO[bytes]:
    data.mkdir(parents=True, exist_ok=True)
    return (data / "log").open("ab")


@asynccontextmanager
async def running(data: Path, *arguments: str, **environ: str) -> AsyncIterator[Up]:
    with log_file(data) as log:
        process = await asyncio.create_subprocess_exec(
            *command(data, *arguments), env=environment(**environ), stdout=subprocess.PIPE, stderr=log
        )
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), START_SECONDS)
        assert re.fullmatch(rb"http://127\.0\.0\.1:\d+\n", line), (line, (data / "log").read_text()[-2000:])
        yield Up(process, line.decode().strip(), data)
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        assert await process.stdout.read() == b""  # one line and nothing more
        assert refusals(data) == [], "enter it in services/contracts/bus_rights.py"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def running_with(text: str, where: tuple[str, ...] = ("environ", "cmdline")) -> list[str]:
    """Command lines of the processes that have ``text`` in their environment or on their command line."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(text.encode() in (process / name).read_bytes() for name in where):
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue  # it has ended
    return found
