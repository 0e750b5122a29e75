"""SIGSTOP of a process of a running Pantau with three cameras, and how long the states say what frames do not show.

Shared by the chaos test (it happens) and `bench check` (how soon).
"""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

import aiohttp

from tests.chaos.watched import LOOK_SECONDS, PATIENCE_SECONDS, Watched, watching
from tests.integration.up_process import Up, running
from tests.processes import children, command_line, runs

CAMERAS: Final = ("cam-001", "cam-002", "cam-003")
LIBAV_CAMERA: Final = "cam-003"


def found(up: Up, text: str) -> int:
    """The process of this Pantau with ``text`` on its command line; the first, where there are several."""
    pids = sorted(int(path.name) for path in Path("/proc").glob("[0-9]*"))
    for pid in pids:
        with suppress(OSError):
            if str(up.data).encode() in Path(f"/proc/{pid}/environ").read_bytes() and text in command_line(pid):
                return pid
    raise AssertionError(f"no process runs with {text}")


VICTIMS: Final[dict[str, Callable[[Up], int]]] = {
    "registry": lambda up: up.children()["registry"],
    "ingest parent": lambda up: up.children()["ingest"],
    "ingest worker": lambda up: found(up, "--worker-of"),
    "libav server": lambda up: found(up, "libav_process"),
    "libav reader": lambda up: children(found(up, "libav_process"))[0],
    "recorder": lambda up: up.children()["recorder"],
    "front": lambda up: up.children()["wall"],
    "relay": lambda up: up.children()["wall relay 0"],
    "nats": lambda up: up.children()["nats"],
}


class Freeze(NamedTuple):
    """What a frozen process cost, in seconds since it was stopped."""

    victim: str
    pid: int
    noticed_seconds: float
    """Until it was killed."""
    well_seconds: float
    """Until all cameras were online and sent."""
    disagreed_seconds: float
    """The longest time that a state said what frames did not show."""

    def __str__(self) -> str:
        return (
            f"killed after {self.noticed_seconds:.2f} s, well after {self.well_seconds:.2f} s, "
            f"state and frames disagreed for {self.disagreed_seconds:.2f} s"
        )


@asynccontextmanager
async def freezable(data: Path) -> AsyncIterator[Watched]:
    """A Pantau of three cameras, one of them read by libav, until the end of the block."""
    async with running(data, f"--demo={len(CAMERAS)}", PANTAU_INGEST_WORKERS="1") as up:
        await up.online(*CAMERAS)
        async with aiohttp.ClientSession(headers={"Origin": up.url}) as client:
            camera = await up.get(f"/cameras/{LIBAV_CAMERA}")
            profiles = {name: {**profile, "reader": "libav"} for name, profile in camera["profiles"].items()}
            async with client.patch(f"{up.url}/api/v1/cameras/{LIBAV_CAMERA}", json={"profiles": profiles}) as answer:
                assert answer.status == 200, await answer.text()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (await up.get(f"/cameras/{LIBAV_CAMERA}"))["state"]["profiles"]["main"]["reader"] != "libav":
                await asyncio.sleep(LOOK_SECONDS)
        async with watching(up, CAMERAS) as watched:
            yield watched


async def freeze(victim: str, watched: Watched) -> Freeze:
    """Stops the process and returns when it has been killed and all is well again."""
    await watched.well()
    pid = VICTIMS[victim](watched.up)
    frozen_at = time.monotonic()
    os.kill(pid, signal.SIGSTOP)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while runs(pid):
            await asyncio.sleep(0.02)
    noticed_seconds = time.monotonic() - frozen_at
    await asyncio.sleep(1)
    await watched.well()
    well_seconds = time.monotonic() - frozen_at
    return Freeze(victim, pid, noticed_seconds, well_seconds, watched.disagreed_seconds(frozen_at))
