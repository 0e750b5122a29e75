"""One camera's frames from the bus into its recording. The cached GOP goes first, so that the beginning is not lost."""

import asyncio
from typing import Final

from services.contracts import frames, subjects
from services.contracts.errors import UnavailableError
from services.contracts.frames import AccessUnit, FrameError
from services.contracts.models import Camera
from services.mesh.bus import Bus, BusSubscription
from services.mesh.clock import Clock
from services.mesh.log import get_logger
from services.mesh.metrics import counter
from services.mesh.want import ask_want
from services.recorder.capture.recording import StreamRecording

log = get_logger()

CACHED_SECONDS: Final = 1.0
"""How long live frames wait for the next of the cached ones."""
ATTEMPTS: Final = 5
ATTEMPT_SECONDS: Final = 0.3
MAX_HELD: Final = 500
OVERLAP_US: Final = 20_000
"""Capture times of the same moment may differ by this much."""
PENDING_BYTES: Final = 16 * 1024 * 1024

_frames = counter("recorder_frames", "Frames taken from the bus")
_bytes = counter("recorder_bytes", "Bytes of frames taken from the bus")
_bad = counter("recorder_bad_frames", "Messages on media subjects that are no frames")


class CameraFeed:
    """Subscribes to a camera's main profile and its sound. Call `start` and `ask`, `ask` again after the bus was away,
    then `stop`."""

    def __init__(self, bus: Bus, camera: Camera, recording: StreamRecording, clock: Clock) -> None:
        self.camera = camera
        self.recording = recording
        self._bus = bus
        self._clock = clock
        self._subscriptions: list[BusSubscription] = []
        self._held: list[AccessUnit] | None = None
        self._stopped = False

    async def start(self) -> None:
        """Subscribes. `ask` at once afterwards: until then live frames wait."""
        self._held = []
        camera = self.camera
        self._subscriptions = [
            await self._bus.subscribe_direct(subjects.media(camera.site, "main", camera.id), self._on_picture)
        ]
        if camera.audio:
            self._subscriptions.append(
                await self._bus.subscribe_direct(subjects.media(camera.site, "audio", camera.id), self._on_sound)
            )

    async def ask(self) -> None:
        """Fetches the cached GOP; live frames go after it."""
        if self._held is None:
            self._held = []
        cached: list[AccessUnit] = []
        try:
            for _ in range(ATTEMPTS):
                if await self._fetch(cached) or self._held:
                    break
                await asyncio.sleep(ATTEMPT_SECONDS)  # after a restart of the bus ingest may come back after us
        finally:
            self._release(cached)

    async def _fetch(self, cached: list[AccessUnit]) -> bool:
        """Asks once; whether anybody answered."""
        want = subjects.want(self.camera.site, "main", self.camera.id)
        asking = ask_want(self._bus, want, earlier=True, silence_seconds=CACHED_SECONDS, pending_bytes=PENDING_BYTES)
        answered = False
        try:
            async with asking as answer:
                answered = True
                async for message in answer:
                    if (unit := _decode(message)) is not None:
                        cached.append(unit)
        except UnavailableError as error:
            log.debug("recorder.no_cached_gop", camera=self.camera.id, error=error)
        return answered

    def _release(self, cached: list[AccessUnit]) -> None:
        held, self._held = self._held or [], None
        for unit in not_recorded(cached, self.recording.end_us):
            self._record(unit)
        for unit in held:
            self._record(unit)

    async def stop(self) -> None:
        """Unsubscribes and ends the segment."""
        subscriptions, self._subscriptions = self._subscriptions, []
        for subscription in subscriptions:
            await subscription.unsubscribe()
        if self._held is not None:
            self._release([])
        self._stopped = True
        self.recording.stop()

    def _on_picture(self, message: bytes) -> None:
        unit = _decode(message)
        if unit is None or not unit.codec.is_video:
            return
        _frames.inc()
        _bytes.inc(len(message))
        if self._held is None:
            self._record(unit)
        elif len(self._held) < MAX_HELD:
            self._held.append(unit)
        else:
            self._release([])
            self._record(unit)

    def _on_sound(self, message: bytes) -> None:
        unit = _decode(message)
        if unit is not None and not unit.codec.is_video:
            self.recording.record_sound(unit)

    def _record(self, unit: AccessUnit) -> None:
        if self._stopped:
            return
        self.recording.record_picture(unit, self._clock.now_us(), self._clock.monotonic())


def not_recorded(cached: list[AccessUnit], end_us: int | None) -> list[AccessUnit]:
    """The cached GOPs from the first that begins at or after the end of the footage; at least the last one.

    Empty where the footage already has all of them, as when an answer broke off.
    """
    keyframes = [index for index, unit in enumerate(cached) if unit.keyframe]
    if not keyframes or end_us is None:
        return cached
    if cached[-1].capture_us < end_us - OVERLAP_US:
        return []
    newer = (index for index in keyframes if cached[index].capture_us >= end_us - OVERLAP_US)
    return cached[next(newer, keyframes[-1]) :]


def _decode(data: bytes) -> AccessUnit | None:
    try:
        return frames.decode(data)
    except FrameError:
        _bad.inc()
        return None
