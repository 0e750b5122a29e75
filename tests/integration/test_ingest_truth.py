"""State is what frames show: processes of ingest are stopped (SIGSTOP), and the camera's state follows its frames."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from services.contracts import subjects
from services.contracts.catalogue import ImportReport, ImportRequest
from services.contracts.models import Camera, CameraState, Reason, Status
from services.mesh.buckets import Bucket
from services.mesh.bus import Bus, BusMessage
from services.mesh.settings import MeshSettings
from tests.integration.failover import answering, process, sim
from tests.processes import children, command_line
from tests.registry.running import ask

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

CAMERA = "cam-001"
PATIENCE_SECONDS = 60.0


class Watched:
    """A camera's frames, and its state in the bucket."""

    def __init__(self, states: Bucket[CameraState], ingest: int) -> None:
        self.frames = 0
        self._states = states
        self._ingest = ingest

    async def on_frame(self, _message: BusMessage) -> None:
        """The bus's handler."""
        self.frames += 1

    async def state(self) -> CameraState | None:
        """The state as the registry keeps it."""
        entry = await self._states.get(CAMERA)
        return entry[0] if entry else None

    async def until(self, condition: Callable[[CameraState], bool]) -> CameraState:
        """Waits until ``condition`` holds of the state."""
        state = None
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while (state := await self.state()) is None or not condition(state):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"{self.frames} frames, {state}") from None
        return state

    async def well(self) -> CameraState:
        """Waits until frames come and the state says so."""
        count = self.frames
        return await self.until(lambda state: state.status is Status.ONLINE and self.frames > count + 10)

    async def ended(self, pid: int) -> None:
        """Waits until that worker is none of the parent's any more."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while pid in children(self._ingest):
                await asyncio.sleep(0.05)

    def worker(self, name: str) -> int:
        """The pid of a worker."""
        (pid,) = [pid for pid in children(self._ingest) if worker_name(pid) == name]
        return pid


def worker_name(pid: int) -> str:
    """By which name a worker goes."""
    variables = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return next((each.partition("=")[2] for each in variables if each.startswith("PANTAU_WORKER=")), "")


@asynccontextmanager
async def city(bus: Bus, mesh: MeshSettings, folder: Path) -> AsyncIterator[Watched]:
    """A registry, ingest with its workers, and a camera that is online, read with libav."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(process(mesh, "registry", log=folder / "registry.log"))
        ingest = await stack.enter_async_context(process(mesh, "ingest", log=folder / "ingest.log"))
        content = await sim(stack, mesh, folder)
        await answering(bus)
        await ask(bus, "cameras-import", ImportRequest(format="json", content=content), ImportReport)
        cameras = await Bucket.open(bus, subjects.CAMERAS_BUCKET, Camera)
        entry = await cameras.get(CAMERA)
        assert entry is not None
        main = entry[0].profiles["main"].model_copy(update={"reader": "libav"})
        await cameras.put(CAMERA, entry[0].model_copy(update={"profiles": {"main": main}}))
        watched = Watched(await Bucket.open(bus, subjects.STATE_BUCKET, CameraState), ingest.pid)
        await bus.subscribe(subjects.media("*", "main", CAMERA), watched.on_frame)
        await watched.until(lambda state: state.profiles["main"].reader == "libav" if state.profiles else False)
        await watched.well()
        yield watched


async def test_cameras_of_a_worker_that_hangs_are_told_offline_and_are_read_by_another(
    bus: Bus, mesh_settings: MeshSettings, tmp_path: Path
) -> None:
    async with city(bus, mesh_settings, tmp_path) as watched:
        name = (await watched.well()).worker
        pid = watched.worker(name)
        os.kill(pid, signal.SIGSTOP)
        # Offline, unless another reads the camera in the moment in which this one is found hanging.
        told = await watched.until(lambda state: state.status is not Status.ONLINE or state.worker != name)
        assert told.worker != name or told.reason in (Reason.NO_INGEST, Reason.STARTING), told
        await watched.well()
        await watched.ended(pid)


async def test_a_camera_whose_reading_process_hangs_is_told_offline_and_opened_again(
    bus: Bus, mesh_settings: MeshSettings, tmp_path: Path
) -> None:
    async with city(bus, mesh_settings, tmp_path) as watched:
        worker = watched.worker((await watched.well()).worker)
        (server,) = [pid for pid in children(worker) if "libav_process" in command_line(pid)]
        for pid in children(server):
            os.kill(pid, signal.SIGSTOP)
        offline = await watched.until(lambda state: state.status is not Status.ONLINE)
        assert offline.reason is Reason.READER_FAILED, offline
        await watched.well()


async def test_a_stopped_parent_changes_nothing(bus: Bus, mesh_settings: MeshSettings, tmp_path: Path) -> None:
    async with city(bus, mesh_settings, tmp_path) as watched:
        since = (await watched.well()).since_us
        os.kill(watched._ingest, signal.SIGSTOP)
        await asyncio.sleep(6.0)  # longer than anything here waits before it calls a process hung
        assert (await watched.well()).since_us == since
        os.kill(watched._ingest, signal.SIGCONT)
