"""Which cameras this recorder records: it follows the assignments, and starts and stops a recording for each."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from services.contracts import subjects
from services.contracts.keeping import KeepingError, KeptReport, SafeFootage, SafeReport
from services.contracts.models import Assignment, Camera, CameraState, Id
from services.contracts.recordings import GapCause
from services.mesh.buckets import Mirror
from services.mesh.bus import BusMessage
from services.mesh.clock import sleep
from services.mesh.kernel.choose import new_inbox
from services.mesh.lifecycle import Service
from services.mesh.log import get_logger
from services.mesh.metrics import counter, gauge
from services.recorder.capture.camera import MOST_PULLS, CameraFeed, count_frames
from services.recorder.capture.causes import GapCauses, HoleEvidence
from services.recorder.capture.feed import PATIENCE_SECONDS, runs_by_camera
from services.recorder.capture.gaps import GapChange
from services.recorder.capture.recording import StreamRecording
from services.recorder.events import RecorderEvents
from services.recorder.storage.disk import Disk, FragmentDropped
from services.recorder.storage.disks import Disks
from services.recorder.storage.paths import RecordedStream
from services.recorder.storage.share import WHOLE, Share

log = get_logger()

TICK_SECONDS: Final = 0.5
ACKNOWLEDGE_SECONDS: Final = 1.0
PREFIX: Final = "recorder."
"""Of the assignments' keys…"""
INGEST_PREFIX: Final = "ingest."
"""…and of those that say who reads a camera."""
_SETTLE_SECONDS: Final = 0.02
"""Changes come in flocks."""

_gaps = counter("recorder_gaps", "Gaps noticed", "cause")
_recording = gauge("recorder_cameras", "Cameras that are being recorded")


class CameraRecordings:
    """`run` it once the disks are open; `stop` it before they are closed."""

    def __init__(
        self, service: Service, recorder: Id, disks: Disks, events: RecorderEvents, share: Share = WHOLE
    ) -> None:
        self.feeds: dict[str, CameraFeed] = {}
        """Of the cameras that are assigned, by id."""
        self._service = service
        self.assigned = 0
        """Cameras of the whole recorder, also where several processes share them."""
        self._recorder = recorder
        self._share = share
        self._disks = disks
        self._events = events
        self._causes = GapCauses(service.clock.now_us())
        self._changed = asyncio.Event()
        self._bus_answered = False
        self._pulls = asyncio.Semaphore(MOST_PULLS)
        self._left: dict[RecordedStream, dict[int, int]] = {}
        """Positions of recordings that ended: the index learns of their last segment some time later."""
        self._leaving: dict[Id, float] = {}
        """Since when cameras are another recorder's that are recorded on until a worker says what it keeps of them."""

    # What is told from outside

    def catalogue_changed(self, _key: str, _value: object, _revision: int) -> None:
        """An assignment or a camera changed; called by a `Mirror`."""
        self._changed.set()

    def state_changed(self, _key: str, value: CameraState | None, _revision: int) -> None:
        """The registry's state of a camera changed; called by a `Mirror`."""
        if value is not None:
            self._causes.camera_is(value, self._service.clock.now_us())

    def fragment_dropped(self, notice: FragmentDropped) -> None:
        """A disk did not write a fragment."""
        feed = self.feeds.get(notice.stream.camera)
        if feed is not None and feed.recording.stream == notice.stream:
            feed.fragment_dropped(notice)
        self._left.pop(notice.stream, None)

    def disk_failed(self, disk: Disk) -> None:
        """A disk is gone: its recordings go on elsewhere."""
        for feed in self.feeds.values():
            feed.disk_failed(disk)

    # Following

    async def run(
        self, assignments: Mirror[Assignment], cameras: Mirror[Camera], *, answers: Callable[[], bool]
    ) -> None:
        """Starts and stops recordings as the assignments say, and ticks those that run; until it is cancelled.

        A recorder that loses the bus or its lease goes on with what it was assigned last: footage recorded twice costs
        disk, footage not recorded is lost.
        """
        service, clock = self._service, self._service.clock
        await assignments.ready.wait()
        await cameras.ready.wait()
        while True:
            if self._changed.is_set() or self._leaving:
                await asyncio.sleep(_SETTLE_SECONDS)
                self._changed.clear()
                await self._reconcile(self._wanted(assignments, cameras), assignments)
            self._watch_bus(answers=answers())
            now_us, monotonic = clock.now_us(), clock.monotonic()
            for camera, feed in self.feeds.items():
                feed.catch_up()
                expected = f"{INGEST_PREFIX}{camera}" in assignments.entries
                if feed.recording.is_quiet(monotonic):
                    complete = service.bus.connected and feed.feed.complete(monotonic, expected=expected)
                    feed.recording.tick(now_us, monotonic, complete=complete)
                feed.advance(expected=expected)
            count_frames(self.feeds.values())
            _recording.set(sum(feed.recording.file is not None for feed in self.feeds.values()))
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK_SECONDS):
                    await self._changed.wait()

    def _watch_bus(self, *, answers: bool) -> None:
        """Notes when the bus goes and comes. ``answers``: this recorder's own heartbeats come back through it."""
        connected, now_us = self._service.bus.connected, self._service.clock.now_us()
        if connected and answers:
            self._bus_answered = True
            self._causes.bus_back(now_us)
        elif self._bus_answered:
            self._causes.bus_lost(now_us, frozen=connected)

    async def hear_offers(self) -> None:
        """Hears what ingest's workers keep; until it is cancelled."""
        subscription = await self._service.bus.subscribe(subjects.kept(self._service.home, "*"), self._on_kept)
        try:
            await asyncio.Event().wait()
        finally:
            await subscription.unsubscribe()

    async def _on_kept(self, message: BusMessage) -> None:
        try:
            report = KeptReport.unpack(message.data)
        except KeepingError as error:
            log.warning("recorder.bad_offer", error=error)
            return
        runs = runs_by_camera(report.runs)
        for camera, feed in list(self.feeds.items()):
            feed.offered(report.worker, runs.get(camera, ()), spooled=report.spooled)

    async def acknowledge(self) -> None:
        """Says once a second what is safe; until it is cancelled."""
        subject = subjects.safe(self._service.home, self._recorder)
        while True:
            await sleep(self._service.clock, ACKNOWLEDGE_SECONDS)
            rows = [
                SafeFootage(camera, epoch, sequence)
                for camera, feed in self.feeds.items()
                for epoch, sequence in feed.recording.safe(feed.feed.positions).items()
            ]
            if rows:
                await self._service.bus.publish(subject, SafeReport(self._recorder, tuple(rows)).pack())

    async def stop(self) -> None:
        """Ends all recordings."""
        for feed in list(self.feeds.values()):
            await feed.stop(leaving=True)

    def _wanted(self, assignments: Mirror[Assignment], cameras: Mirror[Camera]) -> dict[str, Camera]:
        """The cameras to record, by id."""
        found = {}
        self.assigned = 0
        for key, (assignment, _) in assignments.entries.items():
            if key.startswith(PREFIX) and self._recorder in assignment.workers:
                camera = cameras.get(assignment.camera)
                if camera is not None and camera.enabled and camera.record:
                    self.assigned += 1
                    if self._share.has(camera.id):
                        found[camera.id] = camera
        return found

    async def _reconcile(self, wanted: dict[str, Camera], assignments: Mirror[Assignment]) -> None:
        for camera_id, feed in list(self.feeds.items()):
            camera = wanted.get(camera_id)
            if camera is None or (camera.site, camera.audio) != (feed.camera.site, feed.camera.audio):
                assignment = assignments.get(f"{PREFIX}{camera_id}")
                moved = assignment is not None and bool(assignment.workers) and self._recorder not in assignment.workers
                if moved and not self._may_leave(feed):
                    continue
                del self.feeds[camera_id]
                self._leaving.pop(camera_id, None)
                await feed.stop(leaving=moved or camera is not None)
                self._left[feed.recording.stream] = feed.feed.positions
            else:
                feed.camera = camera
                self._leaving.pop(camera_id, None)
        new = [camera for camera_id, camera in wanted.items() if camera_id not in self.feeds]
        for camera in new:
            assignment = assignments.get(f"{PREFIX}{camera.id}")
            await self._start(camera, assignment.silent_since_us if assignment is not None else 0)

    def _may_leave(self, feed: CameraFeed) -> bool:
        """Whether a camera that moved may be left now. A recorder that was cut off first hears what workers keep: what
        it writes of a GOP only because it does not know is there twice where the camera comes back."""
        now = self._service.clock.monotonic()
        since = self._leaving.setdefault(feed.camera.id, now)
        return feed.may_leave() or now - since >= PATIENCE_SECONDS

    async def _start(self, camera: Camera, silent_since_us: int) -> None:
        """``silent_since_us``: this recorder stands in for one that was heard last then; it accounts for the rest."""
        stream = RecordedStream(camera.site, camera.id, "main")
        for disk in self._disks.all:
            disk.rewind(stream)
            disk.rewind(stream, late=True)
        past = await self._disks.past(stream)
        positions = past.positions | self._left.pop(stream, {})

        last_order = max(positions.items(), default=None)
        # A stand-in's footage begins where the recorder before it was heard last, or before, as far as ingest kept it.
        stood_in = silent_since_us if silent_since_us > (past.end_us or 0) else None

        def explain(from_us: int, to_us: int, seen: HoleEvidence) -> tuple[str, str]:
            if from_us == stood_in:
                return GapCause.RECORDER_LOST, ""
            before = recording.epoch
            heard = before is not None and feed.feed.reader_heard(before, self._service.clock.monotonic())
            return self._causes.explain(camera.id, from_us, to_us, seen._replace(reader_heard=heard))

        recording = StreamRecording(
            stream,
            place=self._disks,
            explain=explain,
            on_gap=self._on_gap,
            last_end_us=stood_in or past.end_us,
            lasting=past.lasting,
            on_rewind=lambda before: feed.rewound(before),
            last_order=last_order,
            wanted_us=self._service.clock.now_us(),
        )
        feed = CameraFeed(
            self._service, self._disks, camera, recording,
            positions=positions, end_us=past.end_us, pulls=self._pulls, inbox=new_inbox(),
        )  # fmt: skip
        self.feeds[camera.id] = feed
        await feed.start()

    def _on_gap(self, change: GapChange, disk: Disk | None) -> None:
        gap = change.gap
        target = disk if disk and disk.failure is None else next((d for d in self._disks.all if d.usable), None)
        if target:
            target.note_gap(gap)
        if change.announce:
            _gaps.labels(gap.cause).inc()
            self._events.recording_gap(gap)
