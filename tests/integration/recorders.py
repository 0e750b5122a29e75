"""A recorder on a real bus: assignments as the registry writes them, frames as ingest sends them."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from services.contracts import frames, subjects
from services.contracts.frames import AccessUnit
from services.contracts.models import Assignment, Camera, Profile, WantReply
from services.mesh.buckets import Bucket
from services.mesh.bus import Bus, BusMessage
from services.mesh.clock import Clock, SystemClock
from services.mesh.lifecycle import Service
from services.mesh.settings import MeshSettings
from services.recorder.app import Recorder
from services.recorder.settings import RecorderSettings
from tests.flushed import flushed
from tests.support.leases import LeaseBook


def camera(camera_id: str, **changes: object) -> Camera:
    made = Camera(
        id=camera_id, site="city", name=camera_id, profiles={"main": Profile(url=f"rtsp://127.0.0.1/{camera_id}")}
    )
    return made.model_copy(update=changes)


async def assign(bus: Bus, cameras: Iterable[Camera], *workers: str) -> None:
    """Writes what the registry writes."""
    catalogue = await Bucket.open(bus, subjects.CAMERAS_BUCKET, Camera)
    assignments = await Bucket.open(bus, subjects.ASSIGNMENTS_BUCKET, Assignment)
    for item in cameras:
        await catalogue.put(item.id, item)
        made = Assignment(camera=item.id, site=item.site, workers=workers, incarnations=(0,) * len(workers))
        await assignments.put(f"recorder.{item.id}", made)


@asynccontextmanager
async def running(
    settings: MeshSettings, data: Path, name: str, *, clock: Clock | None = None, **options: object
) -> AsyncIterator[Recorder]:
    """A recorder until the end of the block; then it is stopped as SIGTERM stops it."""
    mesh = settings.model_copy(update={"data": data, "worker": name})
    bus = await Bus.connect(mesh, name)
    try:
        async with _ending_task_group() as tasks:
            service = Service("recorder", mesh, bus, tasks, clock=clock or SystemClock())
            recorder = Recorder(service, RecorderSettings.model_validate({"floor_gigabytes": 0, **options}))
            running_task = tasks.create_task(recorder.run())
            try:
                yield recorder
            finally:
                service.stopping.set()
                await running_task
    finally:
        await bus.close()


class _Finished(Exception):  # noqa: N818 (no error: it makes the task group cancel what is left)
    pass


@asynccontextmanager
async def _ending_task_group() -> AsyncIterator[asyncio.TaskGroup]:
    """As the lifecycle ends a service: tasks that are left are cancelled."""
    try:
        async with asyncio.TaskGroup() as tasks:
            yield tasks
            raise _Finished  # noqa: TRY301 (a task group is cancelled by raising in it)
    except* _Finished:
        pass


class Ingest:
    """Publishes units as an ingest worker does, and answers for the cached GOP."""

    def __init__(self, bus: Bus, camera_id: str) -> None:
        self.bus = bus
        self.camera = camera_id
        self.gop: list[AccessUnit] = []
        self.asked = 0

    async def start(self) -> None:
        await self.bus.subscribe(subjects.want("city", "main", self.camera), self._on_want)

    async def _on_want(self, message: BusMessage) -> None:
        self.asked += 1
        gop = list(self.gop)
        await self.bus.publish(message.reply, WantReply(status="live", frames=len(gop)).pack())
        for unit in gop:
            await self.bus.publish(message.reply, frames.encode(unit))
        await self.bus.publish(message.reply, b"")

    async def send(self, units: Iterable[AccessUnit], *, pause_seconds: float = 0.0) -> None:
        for unit in units:
            profile = "main" if unit.codec.is_video else "audio"
            if unit.codec.is_video:
                self.gop = [unit] if unit.keyframe else [*self.gop, unit]
            await self.bus.publish(subjects.media("city", profile, self.camera), frames.encode(unit))
            if pause_seconds:
                await asyncio.sleep(pause_seconds)
        await flushed(self.bus.client)


async def recording(recorder: Recorder, *cameras: str) -> None:
    """Returns when the recorder takes what is sent."""
    await until(
        lambda: all(
            name in recorder.recordings.feeds and recorder.recordings.feeds[name]._held is None for name in cameras
        )
    )


async def record(bus: Bus, camera_id: str, units: Sequence[AccessUnit], *recorders: Recorder) -> None:
    """Sends units of a camera that is assigned to all of ``recorders``; returns when each has taken them."""
    before: list[int] = []
    for recorder in recorders:
        await recording(recorder, camera_id)
        before.append(recorder.recordings.feeds[camera_id].recording.frames)
    await Ingest(bus, camera_id).send(units)
    count = sum(unit.codec.is_video for unit in units)
    for recorder, frames_before in zip(recorders, before, strict=True):
        await until(lambda r=recorder, n=frames_before + count: r.recordings.feeds[camera_id].recording.frames == n)


async def seen(bus: Bus, recorders: int) -> None:
    """Returns when so many recorders' leases have reached the followers over ``bus``, a front for instance."""
    book = LeaseBook(bus)
    try:
        await until(lambda: len(book.workers.alive("recorder")) == recorders)
        await asyncio.sleep(0.3)
    finally:
        book.close()


async def until(condition: object, seconds: float = 90.0) -> None:
    """Waits until ``condition()`` is true."""
    assert callable(condition)
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)
