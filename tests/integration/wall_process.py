"""`pantau wall` as a process, for tests of the front and its relays together."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from services.mesh.settings import MeshSettings
from tests.processes import command_line, descendants
from tests.support.ports import free_port

START_SECONDS = 90.0


class WallProcess:
    """A running one."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, log: Path) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{port}"
        self.log = log

    def relays(self) -> list[int]:
        """Process ids of its relays."""
        return [pid for pid in descendants(self.process.pid) if "--role relay" in command_line(pid)]

    async def until_relays(self, count: int, seconds: float = START_SECONDS) -> None:
        """Returns when so many relays have said that they listen, since the beginning of the log."""
        await until(lambda: self.log.read_text().count('"relay.listening"') >= count, seconds)


async def until(condition: object, seconds: float = 90.0) -> None:
    """Returns when ``condition()`` holds; fails after ``seconds``."""
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        await asyncio.sleep(0.02)


@asynccontextmanager
async def wall_process(
    mesh: MeshSettings, folder: Path, role: str = "all", *, relays: int = 1, **environ: str
) -> AsyncIterator[WallProcess]:
    """``pantau wall`` on free ports against the test's nats-server; it is killed at the end if it still runs."""
    port = free_port()
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    log = folder / f"wall-{port}.log"
    settings = {
        "PANTAU_NATS_URL": mesh.nats_url,
        "PANTAU_DATA": str(folder),
        "PANTAU_ADMIN_PORT": "0",
        "PANTAU_LOG_FORMAT": "json",
        "PANTAU_WALL_HTTP": f"127.0.0.1:{port}",
        "PANTAU_WALL_UDP_PORT": "0",
        "PANTAU_WALL_RELAYS": str(relays),
    }
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PANTAU_")}
    with log.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.cli", "wall", "--role", role, env=clean | settings | environ, stderr=file
        )
    wall = WallProcess(process, port, log)
    try:
        if role != "relay":
            await _until_answers(wall)
        # A front with relays of its own is ready when it sees one's lease.
        ready = 1 + relays if role == "all" else 1
        await until(lambda: log.read_text().count('"service.ready"') >= ready, START_SECONDS)
        yield wall
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _until_answers(wall: WallProcess) -> None:
    deadline = time.monotonic() + START_SECONDS
    async with aiohttp.ClientSession() as http:
        while True:
            try:
                async with http.get(f"{wall.url}/api/v1/me"):
                    return
            except aiohttp.ClientError:
                assert wall.process.returncode is None, wall.log.read_text()[-2000:]
                assert time.monotonic() < deadline, wall.log.read_text()[-2000:]
                await asyncio.sleep(0.05)
