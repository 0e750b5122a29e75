"""One camera's frames into its recording: from the bus while it is live, from ingest's keep where some are missing."""

import asyncio
from typing import Final

from pydantic import ValidationError

from services.contracts import frames, subjects
from services.contracts.errors import PantauError
from services.contracts.frames import AccessUnit, FrameError
from services.contracts.keeping import KeptRun, PullAnswer, PullQuestion, split_messages
from services.contracts.models import Camera, Id
from services.contracts.recordings import GapCause
from services.mesh import transfer
from services.mesh.bus import BusSubscription
from services.mesh.clock import sleep
from services.mesh.lifecycle import Service
from services.mesh.log import get_logger
from services.mesh.metrics import counter
from services.recorder.capture.feed import FeedPull, FeedState, RecorderFeed
from services.recorder.capture.recording import StreamRecording
from services.recorder.storage.orders import Order

log = get_logger()

MOST_PULLS: Final = 4
"""Cameras of a recorder that are caught up with at once."""
PULL_WINDOW_BYTES: Final = 2 * 1024 * 1024
ANSWER_SECONDS: Final = 2.0
FRAMES_AT_ONCE: Final = 64
"""After so many kept frames live ones of other cameras get their turn."""
BUSY_BYTES: Final = 64 * 1024 * 1024
"""While so much waits for the disk nothing more is pulled."""
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
        camera: Camera,
        recording: StreamRecording,
        *,
        positions: dict[int, int],
        end_us: int | None,
        pulls: asyncio.Semaphore,
    ) -> None:
        """``positions`` and ``end_us`` as for `RecorderFeed`; ``pulls`` bounds how many cameras pull at once."""
        self.camera = camera
        self.recording = recording
        self._service = service
        self._clock = service.clock
        self._pulls = pulls
        self._subscriptions: list[BusSubscription] = []
        self._task: asyncio.Task[None] | None = None
        self._stopped = False
        self.feed = RecorderFeed(self, positions=positions, end_us=end_us, now=service.clock.monotonic())

    async def start(self) -> None:
        """Subscribes."""
        bus, camera = self._service.bus, self.camera
        profiles = ("main", "audio") if camera.audio else ("main",)
        self._subscriptions = [
            await bus.subscribe_direct(subjects.media(camera.site, profile, camera.id), self._on_frame)
            for profile in profiles
        ]

    async def stop(self, *, leaving: bool) -> None:
        """Unsubscribes and ends the segment. ``leaving``: this recorder ends, and goes on with the camera later."""
        subscriptions, self._subscriptions = self._subscriptions, []
        for subscription in subscriptions:
            await subscription.unsubscribe()
        self._stopped = True
        if self._task is not None:
            self._task.cancel()
        self.recording.stop(kept=leaving and self.feed.kept(self._clock.monotonic()))

    def offered(self, worker: Id, runs: tuple[KeptRun, ...], *, spooled: bool) -> None:
        """A worker says what it keeps of the camera; ``spooled`` as for `RecorderFeed.offered`."""
        mine = tuple(run for run in runs if run.site == self.camera.site)
        self.feed.offered(worker, mine, self._clock.monotonic(), spooled=spooled)
        self.advance()

    def advance(self, *, expected: bool = True) -> None:
        """Moves on by time, and begins to pull where that is due. ``expected``: as for `RecorderFeed.tick`."""
        now = self._clock.monotonic()
        self.feed.tick(now, expected=expected, connected=self._service.bus.connected)
        if self._task is None and not self._stopped and (pull := self.feed.next_pull(now)) is not None:
            self._task = self._service.tasks.create_task(self._pull(pull), name=f"pull of {self.camera.id}")

    def rewound(self, before: Order | None) -> None:
        """The recording says that a disk did not take what followed ``before``."""
        self.feed.rewind(before, self.recording.end_us, self._clock.monotonic())

    # What the feed gives to record

    def take_picture(self, unit: AccessUnit) -> None:
        self.recording.record_picture(unit, self._clock.now_us(), self._clock.monotonic())

    def take_sound(self, unit: AccessUnit) -> None:
        self.recording.record_sound(unit)

    def begin_again(self) -> None:
        self.recording.begin_again()

    @property
    def mid_file(self) -> bool:
        return self.recording.mid_file

    # From the bus

    def _on_frame(self, message: bytes) -> None:
        unit = _decode(message)
        if unit is None or self._stopped:
            return
        if unit.codec.is_video:
            _frames.inc()
            _bytes.inc(len(message))
        feed = self.feed
        feed.live(unit, self._clock.monotonic())
        if feed.state is FeedState.SEEKING:
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
        bus, feed = self._service.bus, self.feed
        if feed.pulling is not pull:
            return False
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
            except (ValidationError, ValueError):
                return False
            if answer.dropped_to is not None:
                self.recording.missed(GapCause.SPOOL_FULL)
            if not answer.control:
                return True
            await incoming.accept(answer.control)
            async for payload in incoming:
                _pulled.inc(len(payload))
                if not await self._take_payload(payload, pull):
                    return False
            return True

    async def _take_payload(self, payload: bytes, pull: FeedPull) -> bool:
        """False where the pull is not wanted any more."""
        feed = self.feed
        for number, message in enumerate(split_messages(payload), start=1):
            unit = _decode(message)
            if unit is not None:
                feed.pulled(unit)
            if number % FRAMES_AT_ONCE == 0:
                await asyncio.sleep(0)
            if feed.pulling is not pull:
                return False
        while self.recording.disk is not None and self.recording.disk.queued_bytes > BUSY_BYTES:
            await sleep(self._clock, _BUSY_SECONDS)
        return feed.pulling is pull


def _decode(data: bytes) -> AccessUnit | None:
    try:
        return frames.decode(data)
    except FrameError:
        _bad.inc()
        return None
