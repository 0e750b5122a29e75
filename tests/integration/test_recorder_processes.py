"""`pantau recorder --processes`: several processes over one directory, one recorder to everybody else."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.contracts import subjects
from services.contracts.recordings import TIMELINE, TimelineAnswer, TimelineQuestion
from services.mesh import rpc
from services.mesh.bus import Bus
from services.mesh.settings import MeshSettings
from services.recorder.storage.share import Share
from tests.integration.recorders import Ingest, assign, camera, until
from tests.processes import children, command_line, runs
from tests.recorder.units import pictures
from tests.support.leases import LeaseBook

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

PROCESSES = 3
CAMERAS = [f"cam-{number}" for number in range(1, 7)]


def number_of(pid: int) -> int:
    """Which of the processes this is."""
    return int(command_line(pid).partition("--process ")[2].partition("/")[0] or 0)


def processes(parent: int) -> dict[int, int]:
    """Number → pid."""
    return {number_of(pid): pid for pid in children(parent) if number_of(pid)}


@asynccontextmanager
async def recorder(mesh: MeshSettings, data: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    environ = {
        **os.environ, "PANTAU_NATS_URL": mesh.nats_url, "PANTAU_ADMIN_PORT": "0", "PANTAU_DATA": str(data),
        "PANTAU_WORKER": "rec-1", "PANTAU_RECORDER_FLOOR_GIGABYTES": "0", "PANTAU_RECORDER_CAPACITY": "100",
    }  # fmt: skip
    with (data / "log").open("ab") as log:
        running = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.cli", "recorder", "--processes", str(PROCESSES),
            env=environ, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield running
    finally:
        if running.returncode is None:
            running.terminate()
            await asyncio.wait_for(running.wait(), 90)


class Source:
    """Sends pictures of all cameras as time goes, until the end of the block."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.start_us = time.time_ns() // 1000

    async def send(self, first: int, count: int) -> None:
        """Pictures ``first``… of each camera, 25 a second."""
        for name in CAMERAS:
            units = pictures(count=first + count, start_us=self.start_us, gop=25)[first:]
            await Ingest(self._bus, name).send(units)

    async def flow(self) -> None:
        """For ever, a second at a time."""
        sent = 0
        while True:
            await self.send(sent, 25)
            sent += 25
            await asyncio.sleep(max(0.0, (self.start_us / 1e6 + sent / 25) - time.time()))


async def reaches(bus: Bus, name: str) -> int:
    """Where the footage of a camera ends, as the recorder answers."""
    now_us = time.time_ns() // 1000
    question = TimelineQuestion(camera=name, from_us=now_us - 600_000_000, to_us=now_us + 600_000_000)
    subject = subjects.rpc("city", "recorder", TIMELINE)
    answers = await rpc.gather(bus, subject, question, TimelineAnswer, expected=2, timeout_seconds=1)
    assert len(answers) <= 1, "several answer for one recorder"
    return max((found.to_us for answer in answers for found in answer.ranges), default=0)


async def all_reach(bus: Bus, at_us: int) -> None:
    async with asyncio.timeout(90):
        for name in CAMERAS:
            while await reaches(bus, name) < at_us:
                await asyncio.sleep(0.1)


def test_every_camera_is_one_processs() -> None:
    shares = [Share(number, PROCESSES) for number in range(1, PROCESSES + 1)]
    assert all(sum(share.has(name) for share in shares) == 1 for name in CAMERAS)
    assert all(any(share.has(name) for name in CAMERAS) for share in shares), "the cameras below leave one without work"
    assert Share.parse("2/3") == Share(2, 3)
    with pytest.raises(ValueError, match="no process"):
        Share.parse("4/3")


async def test_several_processes_record_into_one_directory_as_one_recorder_and_each_may_be_killed(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    data, book = tmp_path, LeaseBook(bus)
    await assign(bus, [camera(name) for name in CAMERAS], "rec-1")
    source = asyncio.create_task(Source(bus).flow())
    async with recorder(mesh_settings, data) as running:
        await all_reach(bus, time.time_ns() // 1000)
        expected = [("rec-1", 100 * PROCESSES, str(len(CAMERAS)))]
        await until(
            lambda: (
                [(each.worker, each.capacity, each.detail["cameras"]) for each in book.workers.alive("recorder")]
                == expected
            )
        )
        for number in range(PROCESSES, 0, -1):
            before = processes(running.pid)
            assert set(before) == set(range(1, PROCESSES + 1))
            os.kill(before[number], signal.SIGKILL)
            await until(lambda pid=before[number], n=number: processes(running.pid).get(n, pid) != pid)
            await all_reach(bus, time.time_ns() // 1000)
            after = processes(running.pid)
            assert [n for n in before if before[n] != after[n]] == [number], "others were restarted as well"
        below = list(processes(running.pid).values())
    source.cancel()
    book.close()
    await until(lambda: not any(runs(pid) for pid in below))
    recorded = {path.parts[-7] for path in (data / "recordings").rglob("*.mp4")}
    assert recorded == set(CAMERAS)
    command = [sys.executable, "-m", "services.cli", "fsck", "--data", str(data)]
    checked = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
