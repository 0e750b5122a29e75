"""The recorder service: holds a lease, follows its assignments, and records each camera that is its own.

A recorder goes on with what it was assigned last when it loses the bus or its lease: footage recorded twice costs disk,
footage not recorded is lost.
"""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from services.contracts import subjects
from services.contracts.events import RecordingGap, SegmentClosed, StorageLow
from services.contracts.models import Assignment, Camera, CameraState, Incident, WorkerLease
from services.mesh.buckets import Bucket, Mirror
from services.mesh.event_stream import EventOutbox
from services.mesh.leases import Lease, new_incarnation
from services.mesh.lifecycle import Service, default_worker
from services.mesh.log import get_logger
from services.mesh.metrics import counter, gauge
from services.recorder.archive.settings import ArchiveSettings
from services.recorder.capture.camera import CameraFeed
from services.recorder.capture.causes import GapCauses
from services.recorder.capture.gaps import GapChange
from services.recorder.capture.recording import StreamRecording
from services.recorder.housekeeping import Housekeeping
from services.recorder.reading.activity_search import ActivitySearch
from services.recorder.reading.coverage import Coverage
from services.recorder.reading.endpoints import Endpoints
from services.recorder.reading.footage import RecordedFootage
from services.recorder.retention.rules import CameraLadders
from services.recorder.settings import RecorderSettings
from services.recorder.storage.disk import Disk, DiskFailed, DiskFull, DiskNotice, FragmentDropped, SegmentWritten
from services.recorder.storage.disks import Disks
from services.recorder.storage.identity import load_name, lock
from services.recorder.storage.key import load_key
from services.recorder.storage.paths import RecordedStream

if TYPE_CHECKING:
    from services.recorder.archive.archive import Archive
    from services.recorder.archive.reader import ArchiveReader

log = get_logger()

TICK_SECONDS: Final = 0.5
PREFIX: Final = "recorder."
_SETTLE_SECONDS: Final = 0.02
"""Changes come in flocks."""
_TELL_AGAIN_SECONDS: Final = 60.0

_segments = counter("recorder_segments", "Segments closed")
_written = counter("recorder_written_bytes", "Bytes of closed segments")
_gaps = counter("recorder_gaps", "Gaps noticed", "cause")
_recording = gauge("recorder_cameras", "Cameras that are being recorded")


class Recorder:
    """One recorder."""

    def __init__(self, service: Service, settings: RecorderSettings, archive: ArchiveSettings | None = None) -> None:
        self.service = service
        self.settings = settings
        self.archive_settings = archive or ArchiveSettings()
        directories = settings.directories or (service.settings.data,)
        self.directories = directories
        self.name = load_name(directories[0], service.settings.worker, default_worker("recorder", os.uname().nodename))
        self.signer = load_key(directories[0])
        self.disks = Disks(
            directories,
            recorder=self.name,
            clock=service.clock,
            notify=self._on_notice,
            floor_bytes=int(settings.floor_gigabytes * 1e9),
            sync_seconds=settings.sync_seconds,
            queue_bytes=settings.queue_megabytes * 1024 * 1024,
            signer=self.signer,
        )
        self.feeds: dict[str, CameraFeed] = {}
        self.outbox = EventOutbox(service.bus, source=f"/recorder/{self.name}")
        self._causes = GapCauses(service.clock.now_us())
        self._incarnation = new_incarnation()
        self._draining = False
        self._changed = asyncio.Event()
        self._hurry: Callable[[], None] = lambda: None
        self._told: dict[tuple[Disk, str], float] = {}

    async def run(self) -> None:
        """Works until the service is to stop."""
        service, bus = self.service, self.service.bus
        locks = [fd for directory in self.directories if (fd := self._lock(directory)) is not None]
        await self.disks.open()
        leases = await Bucket.open(bus, subjects.LEASES_BUCKET, WorkerLease)
        self.assignments = Mirror(await Bucket.open(bus, subjects.ASSIGNMENTS_BUCKET, Assignment), self._on_change)
        self.cameras = Mirror(await Bucket.open(bus, subjects.CAMERAS_BUCKET, Camera), self._on_change)
        states = Mirror(await Bucket.open(bus, subjects.STATE_BUCKET, CameraState), self._on_state)
        lease = Lease(leases, self._lease, clock=service.clock)
        service.health.add("lease", lambda: None if lease.held else "no lease: NATS does not take its renewal")
        service.health.add("disks", self._disks_missing)
        work = [
            service.tasks.create_task(coroutine, name=name)
            for name, coroutine in (
                ("assignments", self.assignments.run()),
                ("cameras", self.cameras.run()),
                ("states", states.run()),
                ("lease", lease.run()),
                ("outbox", self.outbox.run()),
                ("disks", self.disks.watch()),
                ("reconnects", self._resume()),
            )
        ]
        incidents = Mirror(await Bucket.open(bus, subjects.INCIDENTS_BUCKET, Incident))
        archive = self._archive(incidents)

        def shelved() -> "ArchiveReader | None":
            return archive.reader if archive is not None else None

        footage = RecordedFootage(
            self.name,
            self.disks.all,
            shelved,
        )
        finding = ActivitySearch(self.disks.all)
        ladders = CameraLadders(self.settings, self.cameras.get)
        coverage = Coverage(
            self.name, self.settings, self.disks.all, footage, now_us=service.clock.now_us, ladder_of=ladders.of,
            archive=shelved, archive_days=self.archive_settings.days,
        )  # fmt: skip
        answers = await Endpoints(
            bus,
            service.tasks,
            home=service.home,
            name=self.name,
            footage=footage,
            coverage=coverage,
            finding=finding,
            signer=self.signer,
            now_us=service.clock.now_us,
        ).serve()
        housekeeping = Housekeeping(
            self.name,
            self.settings,
            self.disks.all,
            coverage,
            clock=service.clock,
            ladder_of=ladders.of,
            cameras=self.cameras,
            incidents=incidents,
            post=self.outbox.post,
            storage_low=self.storage_low,
            awaited=archive.awaited if archive is not None else lambda _: False,
            copied=lambda segment: (reader := shelved()) is not None and reader.covers(segment),
            ranges=lambda stream: footage.timeline(stream.camera, stream.profile, 0, service.clock.now_us()).ranges,
        )
        self._hurry = housekeeping.hurry
        work += [
            service.tasks.create_task(incidents.run(), name="incidents"),
            service.tasks.create_task(housekeeping.run(), name="housekeeping"),
        ]
        if archive is not None:
            work.append(service.tasks.create_task(archive.run(), name="archive"))
        following = service.tasks.create_task(self._follow(), name="follow")
        try:
            await service.stopping.wait()
        finally:
            self._draining = True
            housekeeping.stop()
            following.cancel()
            for feed in list(self.feeds.values()):
                await feed.stop()
            if bus.connected:
                for answer in answers:
                    await answer.stop()
            await self.disks.close()
            await asyncio.sleep(0)  # what the disks told last
            await self.outbox.flush(0.5)
            for task in work:
                task.cancel()
            await lease.release()
            for fd in locks:
                os.close(fd)

    def _archive(self, incidents: Mirror[Incident]) -> "Archive | None":
        if not self.archive_settings.url:
            return None
        from services.recorder.archive.archive import Archive  # obstore is loaded only where there is an archive

        return Archive(
            self.name,
            self.service.home,
            self.archive_settings,
            self.directories[0],
            self.disks.all,
            clock=self.service.clock,
            incidents=incidents,
            post=self.outbox.post,
        )

    def _lock(self, directory: Path) -> int | None:
        try:
            return lock(directory)
        except OSError as error:
            log.warning("disk.no_lock", directory=str(directory), error=error)
            return None

    def _disks_missing(self) -> str | None:
        usable = [disk for disk in self.disks.all if disk.usable]
        return None if usable else f"no usable directory: {self.disks.all[0].failure or 'it hangs'}"

    def _lease(self) -> WorkerLease:
        free = [self.disks.free_bytes(disk) or 0 for disk in self.disks.all if disk.usable]
        return WorkerLease(
            role="recorder",
            worker=self.name,
            incarnation=self._incarnation,
            capacity=self.settings.capacity,
            load=round(len(self.feeds) / self.settings.capacity, 3),
            draining=self._draining,
            detail={"cameras": str(len(self.feeds)), "free_bytes": str(sum(free))},
        )

    # What is to be recorded

    def _on_change(self, _key: str, _value: object, _revision: int) -> None:
        self._changed.set()

    def _on_state(self, _key: str, value: CameraState | None, _revision: int) -> None:
        if value is not None:
            self._causes.camera_is(value, self.service.clock.now_us())

    async def _follow(self) -> None:
        """Starts and stops recordings as the assignments say, and ticks those that run."""
        clock, connected = self.service.clock, True
        await self.assignments.ready.wait()
        await self.cameras.ready.wait()
        while True:
            if self._changed.is_set():
                await asyncio.sleep(_SETTLE_SECONDS)
                self._changed.clear()
                await self._reconcile()
            if self.service.bus.connected != connected:
                connected = not connected
                (self._causes.bus_back if connected else self._causes.bus_lost)(clock.now_us())
            now_us, monotonic = clock.now_us(), clock.monotonic()
            for feed in self.feeds.values():
                feed.recording.tick(now_us, monotonic)
            _recording.set(sum(feed.recording.file is not None for feed in self.feeds.values()))
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK_SECONDS):
                    await self._changed.wait()

    def wanted(self) -> dict[str, Camera]:
        """The cameras to record, by id."""
        found = {}
        for key, (assignment, _) in self.assignments.entries.items():
            if key.startswith(PREFIX) and self.name in assignment.workers:
                camera = self.cameras.get(assignment.camera)
                if camera is not None and camera.enabled and camera.record:
                    found[camera.id] = camera
        return found

    async def _reconcile(self) -> None:
        wanted = self.wanted()
        for camera_id, feed in list(self.feeds.items()):
            camera = wanted.get(camera_id)
            if camera is None or (camera.site, camera.audio) != (feed.camera.site, feed.camera.audio):
                del self.feeds[camera_id]
                await feed.stop()
            else:
                feed.camera = camera
        new = [camera for camera_id, camera in wanted.items() if camera_id not in self.feeds]
        for camera in new:
            feed = await self._start(camera)
            self.service.tasks.create_task(feed.ask(), name=f"cached GOP of {camera.id}")

    async def _start(self, camera: Camera) -> CameraFeed:
        stream = RecordedStream(camera.site, camera.id, "main")
        end_us, lasting = await self.disks.past(stream)

        def explain(from_us: int, to_us: int, reopened: bool, lost: int) -> tuple[str, str]:
            return self._causes.explain(camera.id, from_us, to_us, reopened=reopened, lost=lost)

        recording = StreamRecording(
            stream, place=self.disks, explain=explain, on_gap=self._on_gap, last_end_us=end_us, lasting=lasting
        )
        feed = CameraFeed(self.service.bus, camera, recording, self.service.clock)
        self.feeds[camera.id] = feed
        await feed.start()
        return feed

    async def _resume(self) -> None:
        """After the bus was away the cached GOPs fill what short absences left out."""
        while True:
            await self.service.bus.reconnected()
            await asyncio.gather(*(feed.ask() for feed in list(self.feeds.values())))

    # What happened

    def _on_notice(self, disk: Disk, notice: DiskNotice) -> None:
        match notice:
            case SegmentWritten(segment=segment, path=path, proof=proof):
                _segments.inc()
                _written.inc(segment.size_bytes)
                self.outbox.post(
                    SegmentClosed(
                        site=segment.stream.site,
                        camera=segment.stream.camera,
                        recorder=self.name,
                        at_us=self.service.clock.now_us(),
                        profile=segment.stream.profile,
                        path=path,
                        from_us=segment.start_us,
                        to_us=segment.end_us,
                        size_bytes=segment.size_bytes,
                        frames=segment.frames,
                        keyframes=segment.keyframes,
                        codec=segment.codec,
                        chain_hash=segment.link.hex(),
                        signature=proof.signature if proof else "",
                        key_id=proof.key_id if proof else "",
                        public_key=proof.public if proof else "",
                    )
                )
            case FragmentDropped(stream=stream):
                feed = self.feeds.get(stream.camera)
                if feed:
                    feed.recording.dropped(notice.from_us, notice.to_us, notice.cause, notice.detail)
            case DiskFailed(because=because):
                for feed in self.feeds.values():
                    feed.recording.disk_failed(disk)
                self.storage_low(disk, because)
            case DiskFull():
                self.storage_low(disk, "full")
                self._hurry()

    def storage_low(self, disk: Disk, because: str) -> None:
        """Tells about a disk, the same thing at most once a minute."""
        now = self.service.clock.monotonic()
        if now - self._told.get((disk, because), float("-inf")) < _TELL_AGAIN_SECONDS:
            return
        self._told[disk, because] = now
        log.warning("disk.low", directory=str(disk.directory), because=because)
        self.outbox.post(
            StorageLow(
                site=self.service.home,
                at_us=self.service.clock.now_us(),
                recorder=self.name,
                directory=str(disk.directory),
                free_bytes=(self.disks.free_bytes(disk) or 0) if disk.failure is None else 0,
                because=because,
            )
        )

    def _on_gap(self, change: GapChange, disk: Disk | None) -> None:
        gap = change.gap
        target = disk if disk and disk.failure is None else next((d for d in self.disks.all if d.usable), None)
        if target:
            target.note_gap(gap)
        if not change.announce:
            return
        _gaps.labels(gap.cause).inc()
        self.outbox.post(
            RecordingGap(
                site=gap.stream.site,
                camera=gap.stream.camera,
                recorder=self.name,
                at_us=self.service.clock.now_us(),
                profile=gap.stream.profile,
                from_us=gap.from_us,
                to_us=gap.to_us,
                cause=gap.cause,
                detail=gap.detail,
            )
        )


async def run(service: Service, settings: RecorderSettings, archive: ArchiveSettings | None = None) -> None:
    """See `services.mesh.lifecycle`."""
    await Recorder(service, settings, archive).run()
