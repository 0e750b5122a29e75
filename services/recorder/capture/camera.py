"""One camera's frames into its recording: from the bus while it is live, from ingest's keep where some are missing."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import Final

from pydantic import ValidationError

from services.contracts import frames, subjects
from services.contracts.errors import PantauError
from services.contracts.frames import HEADER_BYTES, AccessUnit, FrameError, PictureInbox, PictureRun
from services.contracts.keeping import KeepingError, KeptRun, PullAnswer, PullQuestion, split_messages
from services.contracts.models import Camera, Id
from services.contracts.recordings import GapCause
from services.mesh import transfer
from services.mesh.bus import BusSubscription
from services.mesh.clock import sleep, timeout
from services.mesh.lifecycle import Service
from services.mesh.log import get_logger
from services.mesh.metrics import counter
from services.recorder.capture.feed import FeedPull, FeedState, RecorderFeed
from services.recorder.capture.late import MissingGops, TimeSpan, missing_spans
from services.recorder.capture.recording import StreamRecording
from services.recorder.storage.disk import Disk, FragmentDropped
from services.recorder.storage.disks import Disks
from services.recorder.storage.orders import Order

log = get_logger()

MOST_PULLS: Final = 4
"""Cameras of a recorder that are caught up with at once."""
PULL_WINDOW_BYTES: Final = 2 * 1024 * 1024
ANSWER_SECONDS: Final = 5.0
FRAMES_AT_ONCE: Final = 64
"""After so many kept frames live ones of other cameras get their turn."""
BUSY_BYTES: Final = 64 * 1024 * 1024
"""While so much waits for the disk nothing more is pulled."""
SETTLE_SECONDS: Final = 30.0
"""Footage of the past is on the disk by then, or is fetched again."""
_BUSY_SECONDS: Final = 0.05

_frames = counter("recorder_frames", "Frames taken from the bus")
_bytes = counter("recorder_bytes", "Bytes of frames taken from the bus")
_bad = counter("recorder_bad_frames", "Messages on media subjects that are no frames")
_pulls = counter("recorder_pulls", "Times that ingest was asked for what it keeps of a camera")
_pulled = counter("recorder_pulled_bytes", "Bytes of footage that ingest had kept")


class CameraFeed:
    """Subscribes to a camera's main profile and its sound. Call `start`, `advance` often, then `stop`."""

    def __init__(
        self,
        service: Service,
        disks: Disks,
        camera: Camera,
        recording: StreamRecording,
        *,
        positions: dict[int, int],
        end_us: int | None,
        pulls: asyncio.Semaphore,
        inbox: PictureInbox | None = None,
    ) -> None:
        """``positions`` and ``end_us`` as for `RecorderFeed`; ``pulls`` bounds how many cameras pull at once.

        ``inbox``: where pictures from the bus that begin nothing wait; they are looked at together (`catch_up`).
        """
        self.camera = camera
        self.recording = recording
        self._service = service
        self._disks = disks
        self._late: StreamRecording | None = None
        self._clock = service.clock
        self._pulls = pulls
        self._subscriptions: list[BusSubscription] = []
        self._task: asyncio.Task[None] | None = None
        self._stopped = False
        self._inbox = inbox or PictureInbox()
        self._came = self._came_bytes = 0
        """Frames from the bus that are not counted yet (`count_frames`): a counter takes longer than a frame."""
        self.feed = RecorderFeed(self, positions=positions, end_us=end_us, now=service.clock.monotonic())

    async def start(self) -> None:
        """Subscribes."""
        bus, camera = self._service.bus, self.camera
        inboxes = {"main": self._inbox, "audio": None} if camera.audio else {"main": self._inbox}
        self._subscriptions = [
            await bus.subscribe_direct(subjects.media(camera.site, profile, camera.id), self._on_frame, inbox=inbox)
            for profile, inbox in inboxes.items()
        ]

    def may_leave(self) -> bool:
        """Whether no picture waits to be written that a worker does not keep, as far as is known."""
        return not self.recording.assembler.waiting or self.feed.kept(self._clock.monotonic())

    async def stop(self, *, leaving: bool) -> None:
        """Unsubscribes and ends the segment. ``leaving``: it, or another, goes on with the camera."""
        subscriptions, self._subscriptions = self._subscriptions, []
        for subscription in subscriptions:
            await subscription.unsubscribe()
        self.catch_up()
        self._stopped = True
        if self._task is not None:
            self._task.cancel()
        now = self._clock.monotonic()
        if self.recording.stop(kept=leaving and self.feed.kept(now)):
            self.feed.rewind(self.recording.assembler.written_order, None, now)
        if not leaving:
            self.recording.no_longer_wanted(self._clock.now_us())

    def offered(self, worker: Id, runs: tuple[KeptRun, ...], *, spooled: bool) -> None:
        """A worker says what it keeps of the camera; ``spooled`` as for `RecorderFeed.offered`."""
        mine = tuple(run for run in runs if run.site == self.camera.site)
        self.feed.offered(worker, mine, self._clock.monotonic(), spooled=spooled, came=self._inbox.newest)
        self._seek_on()

    def advance(self, *, expected: bool = True) -> None:
        """Moves on by time, and begins to pull where that is due. ``expected``: as for `RecorderFeed.tick`."""
        self.catch_up()
        now = self._clock.monotonic()
        self.feed.tick(now, expected=expected, connected=self._service.bus.connected)
        if self._task is not None or self._stopped:
            return
        if (pull := self.feed.next_pull(now)) is not None:
            self._task = self._service.tasks.create_task(self._pull(pull), name=f"pull of {self.camera.id}")
        elif self.feed.state is FeedState.LIVE and (late := next(self.feed.late_runs(now), None)) is not None:
            self._task = self._service.tasks.create_task(self._fetch_late(*late), name=f"past of {self.camera.id}")

    def take_counts(self) -> tuple[int, int]:
        """Frames that have come since the last call, and their bytes."""
        counts = self._came, self._came_bytes
        self._came = self._came_bytes = 0
        return counts

    def fragment_dropped(self, notice: FragmentDropped) -> None:
        """A disk did not write a fragment."""
        if notice.file.late:
            if self._late is not None:
                self._late.fragment_dropped(notice)
            self._late = None  # it is fetched again
        else:
            self.recording.fragment_dropped(notice)

    def disk_failed(self, disk: Disk) -> None:
        """A disk is gone."""
        self._late = None
        self.recording.disk_failed(disk)

    def rewound(self, before: Order | None) -> None:
        """The recording says that a disk did not take what followed ``before``."""
        self.feed.rewind(before, self.recording.end_us, self._clock.monotonic())

    # What the feed gives to record

    def take_picture(self, unit: AccessUnit) -> None:
        self.recording.record_picture(unit, self._clock.now_us(), self._clock.monotonic())

    def take_run(self, run: PictureRun) -> int:
        return self.recording.record_run(run, self._clock.now_us(), self._clock.monotonic())

    def take_sound(self, unit: AccessUnit) -> None:
        self.recording.record_sound(unit)

    def begin_again(self) -> None:
        self.recording.begin_again()

    @property
    def mid_file(self) -> bool:
        return self.recording.mid_file

    # From the bus

    def _on_frame(self, message: bytes) -> None:
        """What stands in no inbox yet."""
        if self._inbox.put(message):
            return
        self.catch_up()
        if self._inbox.put(message):
            return  # it is one that others may follow
        unit = _decode(message)
        if unit is None or self._stopped:
            return
        if unit.codec.is_video:
            self._came += 1
            self._came_bytes += len(message)
        self.feed.live(unit, self._clock.monotonic())
        self._seek_on()

    def catch_up(self) -> None:
        """Records the pictures that have come and wait for those behind them.

        A frame looked at alone costs three times as much as one of several. Nothing else of this camera is done before.
        """
        run = self._inbox.take()
        if run is None or self._stopped:
            return
        self._came += len(run)
        self._came_bytes += sum(map(len, run.payloads)) + len(run) * HEADER_BYTES
        self.feed.live_run(run, self._clock.monotonic())
        self._seek_on()

    def _seek_on(self) -> None:
        if self.feed.state is FeedState.SEEKING:
            self.advance()

    async def _pull(self, pull: FeedPull) -> None:
        feed, complete = self.feed, False
        try:
            async with self._pulls:
                complete = await self._take_kept(pull)
        except PantauError as error:
            log.debug("recorder.pull_broken", camera=self.camera.id, worker=pull.worker, error=error)
        finally:
            self._task = None
            if feed.pulling is pull:
                feed.pull_ended(self._clock.monotonic(), complete=complete)

    async def _take_kept(self, pull: FeedPull) -> bool:
        """Whether the worker has sent all that it keeps."""
        feed, number = self.feed, 0
        if feed.pulling is not pull:
            return False
        async with aclosing(self._kept(pull)) as kept:
            async for unit in kept:
                feed.pulled(unit)
                number += 1
                if number % FRAMES_AT_ONCE == 0:
                    await asyncio.sleep(0)
                if feed.pulling is not pull:
                    return False
        return True

    async def _kept(self, pull: FeedPull) -> AsyncGenerator[AccessUnit, None]:
        """What a worker keeps, no faster than the disk takes it."""
        bus = self._service.bus
        _pulls.inc()
        async with await transfer.Incoming.open(bus, window_bytes=PULL_WINDOW_BYTES, clock=self._clock) as incoming:
            question = PullQuestion(
                camera=self.camera.id,
                epoch=pull.epoch,
                after=pull.after,
                whole_gop=pull.whole_gop,
                deliver_to=incoming.deliver_to,
            )
            reply = await bus.request(
                subjects.pull(self._service.home, pull.worker), question.pack(), timeout_seconds=ANSWER_SECONDS
            )
            try:
                answer = PullAnswer.unpack(reply.data)
            except (ValidationError, ValueError) as error:
                raise KeepingError("the answer to a pull could not be read") from error
            if answer.dropped_to is not None and pull is self.feed.pulling:
                self.recording.missed(GapCause.SPOOL_FULL)
            if not answer.control:
                return
            await incoming.accept(answer.control)
            async for payload in incoming:
                _pulled.inc(len(payload))
                for message in split_messages(payload):
                    if (unit := _decode(message)) is not None:
                        yield unit
                while self.recording.disk is not None and self.recording.disk.queued_bytes > BUSY_BYTES:
                    await sleep(self._clock, _BUSY_SECONDS)

    # Into the past

    async def _fetch_late(self, worker: Id, run: KeptRun) -> None:
        """Records what is missing of a run that later footage has overtaken, and then has it acknowledged."""
        try:
            spans = missing_spans(run.first_us, run.last_us, await self._covered(run))
            if not spans:
                self.feed.passed(run.epoch, run.last)
                return
            async with self._pulls:
                if await self._record_late(worker, run, spans):
                    self.feed.passed(run.epoch, run.last)
        except (PantauError, TimeoutError) as error:
            log.debug("recorder.late_broken", camera=self.camera.id, worker=worker, error=error)
        finally:
            self._task = None
            self._late = None

    async def _covered(self, run: KeptRun) -> list[tuple[int, int]]:
        covered = await self._disks.covered(self.recording.stream, run.first_us, run.last_us)
        file = self.recording.file
        if file is not None and file.begin.start_us and self.recording.end_us is not None:
            covered.append((file.begin.start_us, self.recording.end_us))
        return covered

    async def _record_late(self, worker: Id, run: KeptRun, spans: list[TimeSpan]) -> bool:
        """Whether all of it is on a disk."""
        for disk in self._disks.all:
            disk.rewind(self.recording.stream, late=True)  # what was dropped before comes again
        late = self._late = StreamRecording(
            self.recording.stream,
            place=self._disks,
            explain=lambda _from_us, _to_us, _seen: (GapCause.UNKNOWN, ""),
            on_gap=lambda _change, _disk: None,
            last_end_us=None,
            late=True,
        )
        gops = MissingGops(spans)
        after = self.feed.positions.get(run.epoch)
        try:
            async with aclosing(self._kept(FeedPull(worker, run.epoch, after, whole_gop=True))) as kept:
                async for unit in kept:
                    if self._late is not late:
                        return False
                    if not unit.codec.is_video:
                        late.record_sound(unit)
                        continue
                    for each in gops.take(unit):
                        late.record_picture(each, self._clock.now_us(), self._clock.monotonic())
                    await asyncio.sleep(0)
            for each in gops.end():
                late.record_picture(each, self._clock.now_us(), self._clock.monotonic())
        finally:
            late.stop()  # what came before a pull broke counts as recorded
        async with timeout(self._clock, SETTLE_SECONDS):
            while self._late is late and not late.settled:
                await sleep(self._clock, _BUSY_SECONDS)
        log.info("recorder.past_recorded", camera=self.camera.id, frames=late.frames, epoch=run.epoch)
        return self._late is late


def count_frames(feeds: Iterable[CameraFeed]) -> None:
    """Counts what has come for all of them."""
    counts = [feed.take_counts() for feed in feeds]
    _frames.inc(sum(count for count, _ in counts))
    _bytes.inc(sum(size_bytes for _, size_bytes in counts))


def _decode(data: bytes) -> AccessUnit | None:
    try:
        return frames.decode(data)
    except FrameError:
        _bad.inc()
        return None
