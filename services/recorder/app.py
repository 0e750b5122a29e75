"""The recorder service: holds a lease, records the cameras that are assigned to it, and answers for its footage."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, NamedTuple

from services.contracts import subjects
from services.contracts.models import Assignment, Camera, CameraState, Incident, WorkerLease
from services.mesh.buckets import Bucket, Mirror
from services.mesh.bus import Bus
from services.mesh.event_stream import EventOutbox
from services.mesh.leases import Lease, new_incarnation
from services.mesh.lifecycle import Service, default_worker
from services.mesh.log import get_logger
from services.mesh.media_transport import ReadRest
from services.mesh.metrics import counter
from services.mesh.states import StateMirror
from services.recorder.archive.archive import Archive, NoArchive
from services.recorder.archive.settings import ArchiveSettings
from services.recorder.capture.camera_recordings import CameraRecordings
from services.recorder.demo_past import DemoPast
from services.recorder.events import RecorderEvents
from services.recorder.housekeeping import Housekeeping
from services.recorder.reading.activity_search import ActivitySearch
from services.recorder.reading.coverage import Coverage
from services.recorder.reading.endpoints import Endpoints
from services.recorder.reading.footage import RecordedFootage
from services.recorder.retention.holds import CurrentHolds, Holds
from services.recorder.retention.retention_pass import RetentionPass
from services.recorder.retention.rules import CameraLadders
from services.recorder.settings import RecorderSettings
from services.recorder.storage.disk import (
    Disk,
    DiskFailed,
    DiskFull,
    DiskLimits,
    DiskNotice,
    FragmentDropped,
    SegmentWritten,
)
from services.recorder.storage.disks import Disks
from services.recorder.storage.identity import load_name, lock
from services.recorder.storage.key import load_key
from services.recorder.storage.share import WHOLE, Share

log = get_logger()

_segments = counter("recorder_segments", "Segments closed")
_written = counter("recorder_written_bytes", "Bytes of closed segments")


READ_REST: Final = ReadRest(seconds=0.03, within_seconds=0.1)
"""Nobody waits for what is recorded, so that more frames are read at once than where they are watched."""


class Recorder:
    """One recorder."""

    def __init__(
        self,
        service: Service,
        settings: RecorderSettings,
        archive: ArchiveSettings | None = None,
        share: Share = WHOLE,
    ) -> None:
        """``share``: what this process records, of several over the same directories; their parent holds the locks."""
        self.service = service
        self.share = share
        self.settings = settings
        self.archive_settings = archive or ArchiveSettings()
        self.directories = settings.directories or (service.settings.data,)
        first = self.directories[0]
        self.name = load_name(first, service.settings.worker, default_worker("recorder", os.uname().nodename))
        self.signer = load_key(first)
        self.limits = DiskLimits(
            floor_bytes=int(settings.floor_gigabytes * 1e9),
            budget_bytes=int(settings.budget_gigabytes * 1e9),
            sync_seconds=settings.sync_seconds,
            queue_bytes=settings.queue_megabytes * 1024 * 1024,
        )
        self.outbox = EventOutbox(service.bus, source=f"/recorder/{self.name}")
        self.events = RecorderEvents(self.name, service.home, service.clock, self.outbox.post)
        self.disks = Disks(
            self.directories,
            recorder=self.name,
            clock=service.clock,
            notify=self._on_notice,
            limits=self.limits,
            signer=self.signer,
            share=share,
        )
        self.recordings = CameraRecordings(service, self.name, self.disks, self.events, share)
        self._incarnation = new_incarnation()
        self._draining = False
        self._hurry = asyncio.Event()

    async def run(self) -> None:
        """Works until the service is to stop."""
        service, bus = self.service, self.service.bus
        bus.rest_after_media(read=READ_REST)
        alone = self.share.of == 1
        locks = [fd for directory in self.directories if alone and (fd := self._lock(directory)) is not None]
        await self.disks.open()
        lease = Lease(bus, service.home, self._lease, clock=service.clock)
        mirrors = await _Mirrors.open(bus, service.home, self.recordings)
        if self.share.is_first:
            service.health.add("lease", lambda: None if lease.held else "no lease: NATS does not take its renewal")
        service.health.add("disks", self._disks_missing)
        archive = self._archive(mirrors.incidents)

        def site_of(camera: str) -> str | None:
            found = mirrors.cameras.get(camera)
            return found.site if found is not None else None

        footage = RecordedFootage(self.name, self.disks.all, archive, site_of=site_of, share=self.share)
        ladders = CameraLadders(self.settings, mirrors.cameras.get)
        coverage = Coverage(
            self.name, self.limits, self.disks.all, footage,
            now_us=service.clock.now_us, ladder_of=ladders.of, archive=archive,
        )  # fmt: skip
        housekeeping = Housekeeping(
            [
                RetentionPass(disk, ladder_of=ladders.of, clock=service.clock, limits=self.limits, archive=archive)
                for disk in self.disks.all
            ],
            CurrentHolds(mirrors.incidents.values, service.clock.now_us, service.clock.monotonic),
            footage=footage,
            coverage=coverage,
            events=self.events,
            hurry=self._hurry,
        )
        demo_past = DemoPast(
            self.settings.demo_hours,
            recordings=self.recordings, footage=footage, disks=self.disks, clock=service.clock,
        )  # fmt: skip
        endpoints = Endpoints(
            service, self.name, self.signer, keys=self.disks.keys,
            footage=footage, coverage=coverage, search=ActivitySearch(self.disks.all, site_of=site_of),
        )  # fmt: skip

        async def once_known(work: Callable[[], Awaitable[None]]) -> None:
            """Nothing is removed before the holds are known (I7), and the ladders."""
            await mirrors.incidents.ready.wait()
            await mirrors.cameras.ready.wait()
            await work()

        work = [
            service.tasks.create_task(coroutine, name=name)
            for name, coroutine in (
                ("assignments", mirrors.assignments.run()),
                ("cameras", mirrors.cameras.run()),
                ("states", mirrors.states.run()),
                ("incidents", mirrors.incidents.run()),
                ("outbox", self.outbox.run()),
                ("disks", self.disks.watch()),
                ("offers", self.recordings.hear_offers()),
                ("acknowledgements", self.recordings.acknowledge()),
            )
        ]
        answering = []
        if self.share.is_first:
            work += [
                service.tasks.create_task(lease.run(), name="lease"),
                service.tasks.create_task(once_known(housekeeping.run), name="housekeeping"),
                service.tasks.create_task(once_known(archive.run), name="archive"),
                service.tasks.create_task(demo_past.run(), name="demo past"),
            ]
            answering = await endpoints.serve()
        following = service.tasks.create_task(
            self.recordings.run(mirrors.assignments, mirrors.cameras, answers=lambda: lease.held), name="recordings"
        )
        try:
            await service.stopping.wait()
        finally:
            self._draining = True
            housekeeping.stop()
            following.cancel()
            await self.recordings.stop()
            if bus.connected:
                for answer in answering:
                    await answer.stop()
            await self.disks.close()
            await asyncio.sleep(0)  # what the disks told last
            await self.outbox.flush()
            for task in work:
                task.cancel()
            if self.share.is_first:
                await lease.release()
            for fd in locks:
                os.close(fd)

    def hurry_housekeeping(self) -> None:
        """A disk found no room: the next pass begins at once."""
        self._hurry.set()

    def _archive(self, incidents: Mirror[Incident]) -> Archive:
        if not self.archive_settings.url:
            return NoArchive()
        from services.recorder.archive.s3_archive import S3Archive  # obstore is loaded only where there is an archive

        return S3Archive(
            self.archive_settings,
            self.directories[0],
            self.disks.all,
            clock=self.service.clock,
            holds=lambda: Holds(incidents.values(), self.service.clock.now_us()),
            events=self.events,
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
        free = [disk.free_bytes() or 0 for disk in self.disks.all if disk.usable]
        cameras, capacity = self.recordings.assigned, self.settings.capacity * self.share.of
        return WorkerLease(
            role="recorder",
            worker=self.name,
            incarnation=self._incarnation,
            capacity=capacity,
            load=round(cameras / capacity, 3),
            draining=self._draining,
            machine=self.service.settings.machine,
            rack=self.service.settings.rack,
            detail={"cameras": str(cameras), "free_bytes": str(sum(free))},
        )

    def _on_notice(self, disk: Disk, notice: DiskNotice) -> None:
        match notice:
            case SegmentWritten(segment=segment):
                _segments.inc()
                _written.inc(segment.size_bytes)
                self.events.segment_closed(notice)
            case FragmentDropped():
                self.recordings.fragment_dropped(notice)
            case DiskFailed(because=because):
                self.recordings.disk_failed(disk)
                self.events.storage_low(disk, because)
            case DiskFull():
                self.events.storage_low(disk, "full")
                self.hurry_housekeeping()


class _Mirrors(NamedTuple):
    """What the recorder follows of the mesh."""

    assignments: Mirror[Assignment]
    cameras: Mirror[Camera]
    states: StateMirror
    incidents: Mirror[Incident]

    @classmethod
    async def open(cls, bus: Bus, home: str, recordings: CameraRecordings) -> "_Mirrors":
        """Waits while JetStream is not there."""
        return cls(
            Mirror(await Bucket.open(bus, subjects.ASSIGNMENTS_BUCKET, Assignment), recordings.catalogue_changed),
            Mirror(await Bucket.open(bus, subjects.CAMERAS_BUCKET, Camera), recordings.catalogue_changed),
            StateMirror(await Bucket.open(bus, subjects.STATE_BUCKET, CameraState), home, recordings.state_changed),
            Mirror(await Bucket.open(bus, subjects.INCIDENTS_BUCKET, Incident)),
        )


async def run(
    service: Service, settings: RecorderSettings, archive: ArchiveSettings | None = None, share: Share = WHOLE
) -> None:
    """Records until ``service.stopping``, then closes all segments."""
    await Recorder(service, settings, archive, share).run()
