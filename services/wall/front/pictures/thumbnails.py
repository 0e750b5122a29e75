"""Pictures of recorded keyframes, fetched from the recorder and decoded on request."""

import asyncio
from contextlib import aclosing
from typing import Final, NamedTuple
from weakref import WeakValueDictionary

from services.contracts.frames import AccessUnit
from services.contracts.models import Id, PrivacyMasks
from services.contracts.permissions import Actor
from services.contracts.recordings import MIN_GAP_US, FootageRange
from services.footage import playback
from services.footage.owners import Owner
from services.mesh.bus import Bus
from services.wall.front.pictures.picture_cache import PictureCache, Snapshot
from services.wall.front.pictures.snapshot_cache import Decoding, SnapshotCache

CACHE_BYTES: Final = 64 * 1024 * 1024
"""About five thousand pictures of 320 pixels. They stay valid: recordings do not change."""


class _Key(NamedTuple):
    camera: Id
    profile: str
    capture_us: int
    width_px: int | None
    masks: PrivacyMasks


class ThumbnailCache:
    """Makes and keeps pictures of recorded keyframes."""

    def __init__(self, bus: Bus, home: Id, snapshots: SnapshotCache) -> None:
        self._bus = bus
        self._home = home
        self._snapshots = snapshots
        self._kept: PictureCache[_Key] = PictureCache(CACHE_BYTES)
        self._locks: WeakValueDictionary[_Key, asyncio.Lock] = WeakValueDictionary()

    async def keyframe_picture(
        self,
        camera: Id,
        profile: str,
        footage: FootageRange,
        at_us: int,
        width_px: int | None,
        actor: Actor,
        masks: PrivacyMasks,
        decoding: Decoding = Decoding.STILL,
        owner: Owner | None = None,
    ) -> Snapshot | None:
        """The picture of the keyframe at or before ``at_us``, which lies in ``footage``, with ``masks`` drawn in it.

        With an ``owner`` its recorders have the footage.

        None where the recorder does not have it any more. Raises `PictureError`, `UnavailableError`.
        """
        unit = await self._keyframe(camera, profile, footage, at_us, actor, owner)
        if unit is None:
            return None
        key = _Key(camera, profile, unit.capture_us, width_px, masks)
        async with self._locks.setdefault(key, asyncio.Lock()):
            if kept := self._kept.find_picture(key):
                return kept[0]
            jpeg = await self._snapshots.decode_keyframe(unit, width_px, masks, decoding)
            snapshot = Snapshot(jpeg, (0, unit.capture_us), unit.capture_us)
            self._kept.keep_picture(key, snapshot)
            return snapshot

    async def _keyframe(
        self, camera: Id, profile: str, footage: FootageRange, at_us: int, actor: Actor, owner: Owner | None
    ) -> AccessUnit | None:
        # Begins a little earlier: the moment may lie between two segments.
        wanted = footage.model_copy(update={"from_us": max(at_us - MIN_GAP_US, 0), "to_us": at_us + 1})
        units = playback.play_range(
            self._bus, self._home, camera, profile, wanted, "backwards", actor=actor, owner=owner
        )
        async with aclosing(units):
            async for unit in units:
                return unit
        return None
