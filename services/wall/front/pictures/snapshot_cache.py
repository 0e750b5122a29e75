"""Stills of cameras: each keyframe is decoded once for all requests.

Decoding runs in threads, since libav releases the GIL. Sheets have threads of their own: a still waits for no sheet.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from typing import Final, NamedTuple
from weakref import WeakValueDictionary

from services.contracts.frames import AccessUnit, Codec
from services.contracts.models import Camera, PrivacyMasks, ProfileName
from services.mesh.bus import Bus
from services.mesh.clock import Clock
from services.mesh.metrics import counter
from services.wall.front.pictures.keyframes import newest_keyframe
from services.wall.front.pictures.picture_cache import PictureCache, Snapshot
from services.wall.masking import Rectangle, rectangles

THREADS: Final = 2
"""For stills, and as many for sheets."""
FRESH_SECONDS: Final = 1.0
"""A picture is served again for so long before ingest is asked for a newer one."""
CACHE_BYTES: Final = 32 * 1024 * 1024

_decoded = counter("front_snapshots_decoded", "Keyframes decoded to pictures")


class Decoding(StrEnum):
    """Whose threads decode a picture."""

    STILL = "still"
    SHEET = "sheet"


class _Key(NamedTuple):
    camera: str
    profile: ProfileName
    width_px: int | None
    masks: tuple[Rectangle, ...]


class SnapshotCache:
    """Makes and keeps pictures."""

    def __init__(self, bus: Bus, clock: Clock) -> None:
        self._bus = bus
        self._clock = clock
        self._threads = {lane: ThreadPoolExecutor(THREADS, thread_name_prefix=f"jpeg {lane}") for lane in Decoding}
        self._kept: PictureCache[_Key] = PictureCache(CACHE_BYTES)
        self._locks: WeakValueDictionary[_Key, asyncio.Lock] = WeakValueDictionary()

    async def newest_picture(
        self, camera: Camera, profile: ProfileName, width_px: int | None, masks: PrivacyMasks = ()
    ) -> Snapshot:
        """The newest keyframe's picture with ``masks`` drawn in it; raises as `newest_keyframe` and `to_jpeg` do."""
        drawn = rectangles(masks)
        key = _Key(camera.id, profile, width_px, drawn)
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:  # the second request finds the first one's picture
            kept = self._kept.find_picture(key)
            if kept and self._clock.monotonic() - kept[1] < FRESH_SECONDS:
                return kept[0]
            unit = await newest_keyframe(self._bus, camera, profile)
            if kept and kept[0].order == unit.order:
                snapshot = kept[0]
            else:
                snapshot = Snapshot(
                    await self._decode(Decoding.STILL, unit.codec, unit.payload, width_px, drawn),
                    unit.order,
                    unit.capture_us,
                )
            self._kept.keep_picture(key, snapshot, self._clock.monotonic())
            return snapshot

    async def decode_keyframe(
        self,
        unit: AccessUnit,
        width_px: int | None,
        masks: PrivacyMasks = (),
        decoding: Decoding = Decoding.STILL,
    ) -> bytes:
        """The JPEG of a keyframe with ``masks`` drawn in it, made in a thread; raises `PictureError`."""
        return await self._decode(decoding, unit.codec, unit.payload, width_px, rectangles(masks))

    async def decode_still(
        self, codec: Codec, payload: bytes, width_px: int | None, decoding: Decoding = Decoding.STILL
    ) -> bytes:
        """The same of a keyframe's bytes."""
        return await self._decode(decoding, codec, payload, width_px, ())

    async def _decode(
        self, decoding: Decoding, codec: Codec, payload: bytes, width_px: int | None, masks: tuple[Rectangle, ...]
    ) -> bytes:
        _decoded.inc()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads[decoding], _to_jpeg, codec, payload, width_px, masks)

    async def decode_clip(self, clip: bytes, width_px: int | None, masks: PrivacyMasks = ()) -> bytes:
        """The JPEG of the first picture that a player of the MP4 ``clip`` shows, with ``masks`` drawn in it; raises
        `PictureError`."""
        _decoded.inc()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._threads[Decoding.STILL], _clip_to_jpeg, clip, width_px, rectangles(masks)
        )

    def close(self) -> None:
        """Ends the threads; a picture under way is not waited for."""
        for threads in self._threads.values():
            threads.shutdown(wait=False, cancel_futures=True)


# FFmpeg's libraries take 20 MB: a front loads them for its first picture, in the thread that makes it.


def _to_jpeg(codec: Codec, payload: bytes, width_px: int | None, masks: tuple[Rectangle, ...]) -> bytes:
    from services.wall.front.pictures.jpeg import to_jpeg

    return to_jpeg(codec, payload, width_px, masks)


def _clip_to_jpeg(clip: bytes, width_px: int | None, masks: tuple[Rectangle, ...]) -> bytes:
    from services.wall.front.pictures.jpeg import clip_to_jpeg

    return clip_to_jpeg(clip, width_px, masks)
