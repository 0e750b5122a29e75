"""Hours of past for a demo's cameras, made up out of their first seconds: there is something to find at once.

The files say so (``made``). They are written as footage of the past is, signed and indexed like all others.
"""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Final

from services.contracts.frames import AccessUnit, Flags
from services.contracts.models import DEMO_TAG
from services.contracts.recordings import GapCause
from services.media.time import us_to_90k
from services.mesh.clock import Clock, sleep
from services.mesh.log import get_logger
from services.recorder.capture.camera import BUSY_BYTES, CameraFeed
from services.recorder.capture.camera_recordings import CameraRecordings
from services.recorder.capture.recording import StreamRecording
from services.recorder.reading.footage import RecordedFootage
from services.recorder.reading.playback import units
from services.recorder.storage.disks import Disks

log = get_logger()

MADE: Final = "demo"
CAMERAS: Final = 4
"""So many have a past; the disk is bounded by it: at 2 Mbit/s the three hours of one take 0.6 GB."""
WHOLE_PART: Final = 1 / 9
"""The last twenty minutes of three hours have all pictures; before, there are keyframes alone."""
LOOP_US: Final = 16_000_000
"""Pictures that are shown over and over. Whole loops of simulated cameras, so that no seam is seen."""
OLD_US: Final = 900_000_000
"""A camera with older footage has a past of its own."""
LOOK_SECONDS: Final = 2.0
ROOM: Final = 10
"""The past is left out where it would take more than one part in so many of the free space."""
AT_ONCE: Final = 50
"""After so many pictures of the past those of the present come first…"""
REST_SECONDS: Final = 0.02
"""…for so long."""


class DemoPast:
    """`run` it beside the recordings."""

    def __init__(
        self, hours: float, *, recordings: CameraRecordings, footage: RecordedFootage, disks: Disks, clock: Clock
    ) -> None:
        self._past_us = round(hours * 3600e6)
        self._recordings = recordings
        self._footage = footage
        self._disks = disks
        self._clock = clock

    async def run(self) -> None:
        """Returns when all have their past. A recorder that ends meanwhile leaves a shorter one."""
        done: set[str] = set()
        while self._past_us and len(done) < CAMERAS:
            for camera in self._waiting(done):
                old = await self._is_old(camera)
                feed = self._recordings.feeds.get(camera)  # it may have been removed while others were made
                if feed is not None and (old or await self._make(feed)):
                    done.add(camera)
            await sleep(self._clock, LOOK_SECONDS)

    def _waiting(self, done: set[str]) -> list[str]:
        feeds = self._recordings.feeds
        found = sorted(camera for camera, feed in feeds.items() if DEMO_TAG in feed.camera.tags)
        return [camera for camera in found[:CAMERAS] if camera not in done]

    async def _is_old(self, camera: str) -> bool:
        histories = await asyncio.to_thread(self._footage.histories, camera)
        oldest_us = min((history.from_us for history in histories), default=None)
        return oldest_us is not None and oldest_us < self._clock.now_us() - OLD_US

    async def _make(self, feed: CameraFeed) -> bool:
        """Whether it is done with; else the camera has not enough footage yet."""
        stream = feed.recording.stream
        loop = await asyncio.to_thread(self._loop, stream.camera)
        if not loop:
            return False
        from_us = loop[0].capture_us - self._past_us
        size_bytes = await asyncio.to_thread(lambda: sum(len(unit.payload) for unit in past_units(loop, from_us)))
        disk = self._disks.choose(stream, None)
        if disk is None or size_bytes * ROOM > (disk.free_bytes() or 0):
            log.info("demo.no_room_for_a_past", camera=stream.camera, size_bytes=size_bytes)
            return True
        late = StreamRecording(
            stream,
            place=self._disks,
            explain=lambda _from_us, _to_us, _seen: (GapCause.UNKNOWN, ""),
            on_gap=lambda _change, _disk: None,
            last_end_us=None,
            late=True,
            made=MADE,
        )
        for unit in past_units(loop, from_us):
            if unit.sequence % AT_ONCE == 0:
                await sleep(self._clock, REST_SECONDS)
                while late.disk is not None and late.disk.queued_bytes > BUSY_BYTES:
                    await sleep(self._clock, REST_SECONDS)
            late.record_picture(unit, self._clock.now_us(), self._clock.monotonic())
        late.stop()
        log.info("demo.past_made", camera=stream.camera, hours=self._past_us / 3600e6, size_bytes=size_bytes)
        return True

    def _loop(self, camera: str) -> list[AccessUnit]:
        """The camera's first whole GOPs up to `LOOP_US`; empty while it has fewer."""
        sources = self._footage.sources(camera, "main", 0, self._clock.now_us())
        if not sources:
            return []
        begin_us = sources[0].start_us
        found = list(units(sources[:1], begin_us, begin_us + 2 * LOOP_US, "frames"))
        ends = (place for place, unit in enumerate(found) if unit.keyframe and unit.capture_us - begin_us >= LOOP_US)
        end = next(ends, None)
        # The next keyframe is the first picture of the next round.
        return found[: end + 1] if end is not None else []


def past_units(loop: Sequence[AccessUnit], from_us: int) -> Iterator[AccessUnit]:
    """``loop`` over and over from about ``from_us`` on up to its own beginning, keyframes alone before the last part.

    ``loop`` ends with the keyframe with which it begins anew.
    """
    first, again = loop[0], loop[-1]
    length_us = again.capture_us - first.capture_us
    rounds = max((first.capture_us - from_us) // length_us, 0)
    whole_from_us = first.capture_us - round((first.capture_us - from_us) * WHOLE_PART)
    sequence = 0
    for left in range(rounds, 0, -1):
        for unit in loop[:-1]:
            capture_us = unit.capture_us - left * length_us
            if not unit.keyframe and capture_us < whole_from_us:
                continue
            sequence += 1
            pts_90k = us_to_90k(capture_us)
            yield unit._replace(
                flags=(unit.flags & ~Flags.DISCONTINUITY) | (Flags.DISCONTINUITY if sequence == 1 else Flags.NONE),
                sequence=sequence,
                pts_90k=pts_90k,
                dts_90k=pts_90k - (unit.pts_90k - unit.dts_90k),
                capture_us=capture_us,
            )
