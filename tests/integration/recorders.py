"""A recorder on a real bus: assignments as the registry writes them, frames as ingest sends them."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from services.contracts import frames, subjects
from services.contracts.errors import UnavailableError
from services.contracts.frames import AccessUnit
from services.contracts.models import Assignment, Camera, Profile
from services.contracts.recordings import TimelineQuestion
from services.footage.timeline import ask_timeline
from services.ingest.keeping.handover import Handover
from services.ingest.keeping.keep import Keep, KeepLimits
from services.mesh.buckets import Bucket
from services.mesh.bus import Bus
from services.mesh.clock import Clock, SystemClock
from services.mesh.lifecycle import Service
from services.mesh.settings import MeshSettings
from services.recorder.app import Recorder
from services.recorder.capture.feed import FeedState
from services.recorder.capture.recording import StreamRecording
from services.recorder.settings import RecorderSettings
from tests.flushed import flushed
from tests.recorder.units import FRAME_US
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
    """Publishes units as an ingest worker does. Within `keeping` it also keeps them, as a worker does."""

    def __init__(self, bus: Bus, camera_id: str, keep: Keep | None = None) -> None:
        self.bus = bus
        self.camera = camera_id
        self.keep = keep

    def keep_units(self, units: Iterable[AccessUnit]) -> None:
        """Reads units that nobody can hear."""
        assert self.keep is not None
        for unit in units:
            self.keep.camera("city", self.camera).add_message(frames.encode(unit), time.monotonic())

    async def send(self, units: Iterable[AccessUnit], *, pause_seconds: float = 0.0) -> None:
        for unit in units:
            profile = "main" if unit.codec.is_video else "audio"
            if self.keep is not None:
                self.keep_units([unit])
            await self.bus.publish(subjects.media("city", profile, self.camera), frames.encode(unit))
            if pause_seconds:
                await asyncio.sleep(pause_seconds)
        await flushed(self.bus.client)


@asynccontextmanager
async def keeping(bus: Bus, folder: Path, camera_id: str, *recorders: str) -> AsyncIterator[Ingest]:
    """An `Ingest` that keeps what it sends until ``recorders`` have acknowledged it, with its spool in ``folder``."""
    keep = Keep(KeepLimits(), lambda _: recorders)
    assignments = await Bucket.open(bus, subjects.ASSIGNMENTS_BUCKET, Assignment)
    made = Assignment(camera=camera_id, site="city", workers=("ingest-1",), incarnations=(0,))
    await assignments.put(f"ingest.{camera_id}", made)
    async with _ending_task_group() as tasks:
        service = Service("ingest", MeshSettings(), bus, tasks)
        handover = Handover(
            service,
            keep,
            worker="ingest-1",
            folder=folder,
            floor_bytes=0,
            reachable=lambda: bus.connected,
            catch_up=lambda: None,
        )
        handover.open_spool()
        tasks.create_task(handover.run())
        yield Ingest(bus, camera_id, keep)


async def recording(recorder: Recorder, *cameras: str) -> None:
    """Returns when the recorder takes what is sent."""
    feeds = recorder.recordings.feeds
    await until(lambda: all(name in feeds and feeds[name].feed.state is FeedState.LIVE for name in cameras))
    await flushed(recorder.service.bus.client)  # the server knows the subscriptions


async def record(bus: Bus, camera_id: str, units: Sequence[AccessUnit], *recorders: Recorder) -> None:
    """Sends units of a camera that is assigned to all of ``recorders``; returns when each can be asked for them.

    The pictures since the last keyframe wait in memory for the next one.
    """
    before: list[int] = []
    for recorder in recorders:
        await recording(recorder, camera_id)
        before.append(recorder.recordings.feeds[camera_id].recording.frames)
    await Ingest(bus, camera_id).send(units)
    count = sum(unit.codec.is_video for unit in units)
    for recorder, frames_before in zip(recorders, before, strict=True):
        await until(lambda r=recorder, n=frames_before + count: caught_up(r, camera_id).frames == n)
    await written(*recorders)


def caught_up(recorder: Recorder, camera_id: str) -> StreamRecording:
    """A camera's recording with all that has come: pictures that wait for those behind them are not left to a tick."""
    feed = recorder.recordings.feeds[camera_id]
    feed.catch_up()
    return feed.recording


async def written(*recorders: Recorder) -> None:
    """Returns when the disks' threads have written what the recorders gave them: taken pictures are no footage yet."""
    for recorder in recorders:
        await until(lambda r=recorder: all(disk.idle for disk in r.disks.all))


async def on_disk(bus: Bus, camera_id: str, from_us: int, to_us: int) -> None:
    """Returns when the camera's footage reaches ``to_us``."""
    question = TimelineQuestion(camera=camera_id, from_us=from_us, to_us=to_us)
    async with asyncio.timeout(90):
        while True:
            with suppress(UnavailableError):  # a busy recorder
                timeline, _ = await ask_timeline(bus, "city", question, recorders=1)
                if timeline.ranges and timeline.ranges[-1].to_us >= to_us - FRAME_US:
                    return
            await asyncio.sleep(0.05)


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
