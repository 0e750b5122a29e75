"""What the integration tests of ingest share: a worker under test, the registry's part, and a viewer's."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from services.contracts import subjects
from services.contracts.frames import AccessUnit, Codec, decode
from services.contracts.models import (
    Assignment,
    Camera,
    CameraReport,
    Credentials,
    IngestReport,
    ProfileReport,
    WantReply,
    WorkerLease,
)
from services.ingest.names import HeldName, Name
from services.ingest.overload import WorkerLoad
from services.ingest.settings import IngestSettings
from services.ingest.worker import Worker
from services.mesh.buckets import Bucket
from services.mesh.bus import Bus, BusMessage
from services.mesh.lifecycle import Service
from services.mesh.nats_server import NatsServer
from services.mesh.settings import MeshSettings
from tests.flushed import HeardBus, flushed
from tests.support.leases import LeaseBook
from tests.support.ports import free_port

SITE = "city"


class RoomyWorker(Worker):
    """Has no more to do than it can: it shares its process with the test and with simulated cameras, and their CPU."""

    def measured_load(self) -> WorkerLoad:
        return WorkerLoad(cpu=0.1, late_seconds=0.0, dropped=0)


class Rig:
    """Writes cameras and assignments as the registry's leader does, and follows what ingest publishes."""

    def __init__(self, bus: Bus, mesh: MeshSettings) -> None:
        self.bus = bus
        self.mesh = mesh
        self.reports: dict[str, CameraReport] = {}
        self.messages: list[IngestReport] = []
        self._assigned: set[str] = set()
        self._cameras: Bucket[Camera]
        self._credentials: Bucket[Credentials]
        self.leases: LeaseBook
        self.assignments: Bucket[Assignment]

    async def open(self) -> None:
        """Opens the buckets and listens to reports."""
        self._cameras = await Bucket.open(self.bus, subjects.CAMERAS_BUCKET, Camera)
        self._credentials = await Bucket.open(self.bus, subjects.SECRETS_BUCKET, Credentials)
        self.leases = LeaseBook(self.bus)
        self.assignments = await Bucket.open(self.bus, subjects.ASSIGNMENTS_BUCKET, Assignment)
        await self.bus.subscribe(subjects.report(SITE, "*"), self._on_report)

    async def _on_report(self, message: BusMessage) -> None:
        report = IngestReport.unpack(message.data)
        self.messages.append(report)
        self.reports |= {camera.camera: camera for camera in report.cameras}

    async def camera(self, camera: str, urls: dict[str, str], **fields: Any) -> None:
        """Puts a camera into the catalogue, or changes it. ``credentials``, ``transport``, ``reader`` may be given."""
        credentials: Credentials | None = fields.pop("credentials", None)
        transport = fields.pop("transport", "auto")
        reader = fields.pop("reader", "auto")
        if credentials is not None:
            await self._credentials.put(camera, credentials)
        else:
            await self._credentials.delete(camera)
        entry = {
            "id": camera,
            "site": SITE,
            "name": camera,
            "profiles": {name: {"url": url, "transport": transport, "reader": reader} for name, url in urls.items()},
            "has_credentials": credentials is not None,
        }
        await self._cameras.put(camera, Camera.model_validate(entry | fields))

    async def assign(self, camera: str, worker: str) -> int:
        """Assigns a camera; returns the epoch."""
        lease = await self.leases.get(f"ingest.{worker}")
        incarnation = lease.incarnation if lease else 0
        self._assigned.add(f"ingest.{camera}")
        return await self.assignments.put(
            f"ingest.{camera}",
            Assignment(camera=camera, site=SITE, workers=(worker,), incarnations=(incarnation,)),
        )

    async def lease(self, worker: str) -> WorkerLease:
        """A worker's lease, once it has one; a busy worker has none now and then."""
        async with asyncio.timeout(90):
            while (found := await self.leases.get(f"ingest.{worker}")) is None:
                await asyncio.sleep(0.02)
        return found

    async def clear(self, worker: "RunningWorker") -> None:
        """Takes all cameras away, so that the next test begins with none."""
        for key in list(self._assigned):
            await self.assignments.delete(key)
        self._assigned.clear()
        await self.until(lambda: worker.cameras == {})
        await asyncio.sleep(0.1)
        self.reports.clear()
        self.messages.clear()

    @asynccontextmanager
    async def worker(self, name: str = "ingest-1", **settings: Any) -> AsyncIterator["RunningWorker"]:
        """An ingest worker with real readers; its settings make it quick to try again."""
        bus = await Bus.connect(self.mesh, name)
        quick: dict[str, Any] = {"backoff_min_seconds": 0.2, "backoff_max_seconds": 1.0}
        parent = Name(self.mesh, "parent", f"{name}-parent")
        held = HeldName.take(Name(self.mesh, "worker", name))
        parent_held = HeldName.take(parent)
        assert held is not None
        assert parent_held is not None
        async with asyncio.TaskGroup() as tasks:
            service = Service("ingest", self.mesh.model_copy(update={"worker": name}), bus, tasks)
            ingest = RoomyWorker(service, IngestSettings.model_validate(quick | settings), name=held, parent=parent)
            running = tasks.create_task(ingest.run())
            worker = RunningWorker(name, service, ingest, running)
            try:
                yield worker
            finally:
                await worker.stop()
        await bus.close()
        held.release()
        parent_held.release()

    @asynccontextmanager
    async def watch(self, camera: str, profile: str = "main") -> AsyncIterator["Watch"]:
        """Collects the access units of a profile."""
        watch = Watch()
        subscription = await self.bus.subscribe(subjects.media(SITE, profile, camera), watch.take)
        await flushed(self.bus.client)
        yield watch
        await subscription.unsubscribe()

    async def want(self, camera: str, profile: str) -> tuple[WantReply, list[AccessUnit]]:
        """Asks for a profile as a relay does."""
        inbox = self.bus.new_inbox()
        messages: asyncio.Queue[bytes] = asyncio.Queue()
        subscription = await self.bus.client.subscribe(inbox)
        await self.bus.publish(subjects.want(SITE, profile, camera), b"", reply=inbox)
        async for message in subscription.messages:
            if not message.data:
                break
            messages.put_nowait(message.data)
        await subscription.unsubscribe()
        reply = WantReply.unpack(messages.get_nowait())
        return reply, [decode(messages.get_nowait()) for _ in range(messages.qsize())]

    async def until(self, condition: Callable[[], object], seconds: float = 90.0) -> None:
        """Waits until ``condition`` holds."""
        try:
            async with asyncio.timeout(seconds):
                while not condition():
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"not within {seconds} s; reports: {self.reports}") from None

    def profile(self, camera: str, profile: str = "main") -> ProfileReport:
        """What ingest last said of a profile."""
        report = self.reports.get(camera)
        return report.profiles.get(profile, ProfileReport(status="idle")) if report else ProfileReport(status="idle")

    async def until_online(self, camera: str, profile: str = "main", seconds: float = 90.0) -> ProfileReport:
        """Waits until a profile delivers."""
        await self.until(lambda: self.profile(camera, profile).status == "online", seconds)
        return self.profile(camera, profile)

    async def until_offline(self, camera: str, profile: str = "main", seconds: float = 90.0) -> ProfileReport:
        """Waits until a profile does not deliver."""
        await self.until(lambda: self.profile(camera, profile).status == "offline", seconds)
        return self.profile(camera, profile)


@asynccontextmanager
async def environment(folder: Path) -> AsyncIterator[tuple[Rig, NatsServer]]:
    """A nats-server with a rig on it, for all tests of a module: starting one for each would take longer than they."""
    async with NatsServer(folder / "nats", port=free_port()) as server:
        mesh = MeshSettings(nats_url=server.url, data=folder / "data", admin_port=0)
        bus = await HeardBus.connect(mesh, "test")
        rig = Rig(bus, mesh)
        await rig.open()
        yield rig, server
        await bus.close()


class RunningWorker:
    """An ingest worker."""

    def __init__(self, name: str, service: Service, ingest: Worker, task: "asyncio.Task[None]") -> None:
        self.name = name
        self.service = service
        self.ingest = ingest
        self.cameras = ingest.cameras
        self._task = task

    async def stop(self) -> None:
        """Stops it as SIGTERM does."""
        self.service.stopping.set()
        await asyncio.wait((self._task,))

    async def ready(self) -> None:
        """Waits until it could take cameras."""
        async with asyncio.timeout(90):
            while self.service.health.missing():
                await asyncio.sleep(0.01)


class Watch:
    """The access units of one profile, as a consumer gets them."""

    def __init__(self) -> None:
        self.units: list[AccessUnit] = []
        self.arrived = asyncio.Event()

    async def take(self, message: BusMessage) -> None:
        """The bus's handler."""
        self.units.append(decode(message.data))
        self.arrived.set()

    async def collect(self, count: int, seconds: float = 90.0) -> list[AccessUnit]:
        """The next ``count`` units from now on."""
        begin = len(self.units)
        async with asyncio.timeout(seconds):
            while len(self.units) < begin + count:
                self.arrived.clear()
                await self.arrived.wait()
        return self.units[begin : begin + count]

    async def collect_from_keyframe(self, count: int, seconds: float = 90.0) -> list[AccessUnit]:
        """The next ``count`` units beginning with a keyframe."""
        begin = len(self.units)
        async with asyncio.timeout(seconds):
            while True:
                first = next((i for i in range(begin, len(self.units)) if self.units[i].keyframe), None)
                if first is not None and len(self.units) >= first + count:
                    return self.units[first : first + count]
                self.arrived.clear()
                await self.arrived.wait()


def decode_pictures(units: list[AccessUnit]) -> list[Any]:
    """The decoded pictures of units that begin with a keyframe; what a decoder complains about raises."""
    import av

    from services.media.nal import length_prefixed_to_annex_b

    names = {Codec.H264: "h264", Codec.HEVC: "hevc", Codec.MJPEG: "mjpeg"}
    context = av.CodecContext.create(names[units[0].codec], "r")
    assert isinstance(context, av.VideoCodecContext)
    context.thread_count = 1
    context.options = {"err_detect": "explode"}
    pictures: list[Any] = []
    for unit in units:
        data = unit.payload if unit.codec is Codec.MJPEG else length_prefixed_to_annex_b(unit.payload)
        packet = av.Packet(data)
        packet.pts = unit.pts_90k
        pictures += context.decode(packet)
    pictures += context.decode(None)
    return pictures
