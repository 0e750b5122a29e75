"""Two ingest workers as processes under a registry, simulated cameras spread over them, and the kill of one."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from services.contracts import subjects
from services.contracts.catalogue import CameraList, CameraQuery, ImportReport, ImportRequest
from services.contracts.errors import UnavailableError
from services.contracts.frames import decode
from services.mesh.bus import Bus, BusMessage
from services.mesh.settings import MeshSettings
from tests.processes import descendants
from tests.registry.running import ask, eventually, following, holder, until
from tests.support.leases import LeaseBook

PATIENCE_SECONDS = 90.0
CAMERAS = 4
GOP_SECONDS = 2.0
"""Of the simulated cameras: what a new reader may have to wait for its first keyframe."""


class FailOver(NamedTuple):
    """Seconds from the kill."""

    assigned_seconds: float
    """Until all cameras of the killed worker were the other one's."""
    frames_seconds: float
    """Until each of them had a frame by it."""


@asynccontextmanager
async def process(
    mesh: MeshSettings, *arguments: str, worker: str = "", log: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    environ = {
        **os.environ,
        "PANTAU_NATS_URL": mesh.nats_url,
        "PANTAU_ADMIN_PORT": "0",
        "PANTAU_DATA": str(mesh.data),
    }
    if worker:
        environ |= {"PANTAU_WORKER": worker, "PANTAU_INGEST_WORKERS": "1"}
    with log.open("wb") as output:
        running = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.cli", *arguments, env=environ, stdout=output, stderr=output
        )
    try:
        yield running
    finally:
        if running.returncode is None:
            running.terminate()
            try:
                await asyncio.wait_for(running.wait(), 8)
            except TimeoutError:
                running.kill()
                await running.wait()


async def sim(stack: AsyncExitStack, mesh: MeshSettings, folder: Path) -> str:
    """The catalogue of simulated cameras that can be reached."""
    catalogue = folder / "cameras.json"
    arguments = ("sim", "--cameras", str(CAMERAS), "--port", "0", "--catalogue", str(catalogue))
    await stack.enter_async_context(process(mesh, *arguments, log=folder / "sim.log"))
    await until(catalogue.exists, seconds=PATIENCE_SECONDS)
    return catalogue.read_text()


async def answering(bus: Bus) -> None:
    """Returns when the registry answers."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            with contextlib.suppress(UnavailableError):
                await ask(bus, "cameras-list", CameraQuery(), CameraList)
                return
            await asyncio.sleep(0.1)


async def fail_over(bus: Bus, settings: MeshSettings, folder: Path) -> FailOver:
    """Kills the worker that reads half of the cameras, its reader processes too; the other one takes them all."""
    loop = asyncio.get_running_loop()
    newest: dict[str, tuple[int, float]] = {}
    """Camera → the highest epoch seen, and when its first frame came."""

    async def on_frame(message: BusMessage) -> None:
        camera = message.subject.rpartition(".")[2]
        epoch = decode(message.data).epoch
        if epoch > newest.get(camera, (0, 0.0))[0]:
            newest[camera] = (epoch, loop.time())

    await bus.subscribe(subjects.media("*", "main", "*"), on_frame)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(process(settings, "registry", log=folder / "registry.log"))
        first, second = [
            await stack.enter_async_context(process(settings, "ingest", worker=name, log=folder / f"{name}.log"))
            for name in ("ingest-1", "ingest-2")
        ]
        content = await sim(stack, settings, folder)
        leases = LeaseBook(bus)
        await eventually(lambda: leases.get("ingest.ingest-1-1"), bool, seconds=PATIENCE_SECONDS)
        await eventually(lambda: leases.get("ingest.ingest-2-1"), bool, seconds=PATIENCE_SECONDS)
        await answering(bus)
        report = await ask(bus, "cameras-import", ImportRequest(format="json", content=content), ImportReport)
        assert report.added == CAMERAS
        assignments = await stack.enter_async_context(following(bus))
        await until(lambda: len(newest) == CAMERAS, seconds=PATIENCE_SECONDS)
        await asyncio.sleep(4)

        def held() -> list[str]:
            return [key for key in assignments if holder(assignments, key) == ("ingest-1-1",)]

        await until(lambda: len(held()) == CAMERAS // 2, seconds=PATIENCE_SECONDS)
        mine = held()
        cameras = {key.partition(".")[2]: newest[key.partition(".")[2]][0] for key in mine}
        killed_at = loop.time()
        for pid in (first.pid, *descendants(first.pid)):  # its readers too: they would read on without it
            os.kill(pid, signal.SIGKILL)
        assigned_seconds = await until(lambda: all(holder(assignments, key) == ("ingest-2-1",) for key in mine))
        await until(lambda: all(newest[camera][0] > epoch for camera, epoch in cameras.items()))
        second.terminate()
        assert await asyncio.wait_for(second.wait(), PATIENCE_SECONDS) == 0
        return FailOver(assigned_seconds, max(newest[camera][1] - killed_at for camera in cameras))
