"""Recordings played through a relay: footage, a recorder that has it, and a viewer of it over sockets."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from services.contracts.frames import AccessUnit, CaptureClockSource, Codec, Flags
from services.contracts.playback import PlaybackMode
from services.contracts.recordings import FootageGap
from services.contracts.sessions import Aim, ClockControl, FrameMark, SlotNotice
from services.footage.playback import FootagePlayer
from services.mesh.bus import Bus
from services.mesh.clock import SystemClock
from services.mesh.settings import MeshSettings
from services.recorder.app import Recorder
from tests.integration.recorders import Ingest, assign, camera, on_disk, recording, running, until
from tests.wall.relay.camera import clip
from tests.wall.relay.running import Front, running_relay
from tests.wall.relay.viewer import Viewer

SECOND = 1_000_000
PATIENCE_SECONDS = 60.0
FPS, GOP, GOPS = 25, 25, 12
"""Of `playing`'s pictures."""
FRAME_US = SECOND // FPS


async def record(bus: Bus, recorder: Recorder, camera_id: str, units: list[AccessUnit]) -> None:
    await assign(bus, [camera(camera_id)], recorder.name)
    await recording(recorder, camera_id)
    await Ingest(bus, camera_id).send(units)
    # All but the last GOP, which ends when another begins.
    sealed_us = [unit.capture_us for unit in units if unit.keyframe][-1]
    await on_disk(bus, camera_id, units[0].capture_us, sealed_us)


async def take(player: FootagePlayer, at_us: int, mode: PlaybackMode, count: int) -> list[AccessUnit | FootageGap]:
    items: list[AccessUnit | FootageGap] = []
    """The first ``count`` items, or all. It is each of them that is waited for."""
    now = asyncio.get_running_loop().time
    async with aclosing(player.read(at_us, mode)) as found, asyncio.timeout(PATIENCE_SECONDS) as patience:
        async for item in found:
            patience.reschedule(now() + PATIENCE_SECONDS)
            items.append(item)
            if len(items) == count:
                break
    return items


def player(bus: Bus, camera_id: str) -> FootagePlayer:
    return FootagePlayer(bus, "city", camera_id, recorders=lambda: 1, clock=SystemClock())


async def opened(front: Front, *cameras: str) -> Viewer:
    viewer = Viewer(front)
    aims = [Aim(slot=n, camera=name, source="recorded") for n, name in enumerate(cameras)]
    await viewer.open(len(cameras), *aims)
    return viewer


def marks(front: Front, viewer: Viewer, slot: int) -> list[FrameMark]:
    notices = front.notices[viewer.session.session]
    return [notice for notice in notices if isinstance(notice, FrameMark) and notice.slot == slot]


def states(front: Front, viewer: Viewer, slot: int) -> list[str]:
    notices = front.notices[viewer.session.session]
    return [notice.state for notice in notices if isinstance(notice, SlotNotice) and notice.slot == slot]


def played(front: Front, viewer: Viewer, slot: int) -> list[str]:
    """Its states from the first picture on: before, the clock stood in the present, where there is a gap."""
    told = states(front, viewer, slot)
    return told[told.index("playing") :] if "playing" in told else []


async def rests(viewer: Viewer) -> None:
    """Returns when nothing more has come for a while."""
    count = -1
    while count != (count := sum(map(len, viewer.packets.values()))):
        await asyncio.sleep(1.0)


class Playing(NamedTuple):
    """A relay with recorded cameras, all of the same pictures: number n is the n-th, from ``start_us`` on."""

    front: Front
    viewer: Viewer
    start_us: int

    async def control(self, **fields: object) -> None:
        await self.front.control(self.viewer.session.session, ClockControl.model_validate(fields))

    async def stands(self, slot: int, number: int) -> None:
        """Returns when a slot's newest picture is that one, by what the relay says."""
        sought = pytest.approx(self.start_us + number * FRAME_US, abs=1000)
        shown = partial(marks, self.front, self.viewer, slot)
        await until(lambda: [mark.capture_us for mark in shown()][-1:] == [sought], PATIENCE_SECONDS)

    def at(self, number: int) -> int:
        """A moment in the middle of a picture's time."""
        return self.start_us + number * FRAME_US + FRAME_US // 2


def units(start_us: int) -> list[AccessUnit]:
    frames = clip(7, size=(320, 180), fps=FPS, gop=GOP, gops=GOPS, bitrate_bps=200_000).frames
    made = []
    for number, (payload, keyframe) in enumerate(frames):
        flags = Flags.KEYFRAME if keyframe else Flags.NONE
        pts, at_us = number * 90_000 // FPS, start_us + number * FRAME_US
        made.append(
            AccessUnit(flags, Codec.H264, 1, number + 1, pts, pts, at_us, 1000, CaptureClockSource.RTCP, payload)
        )
    return made


@asynccontextmanager
async def playing(bus: Bus, settings: MeshSettings, folder: Path, cameras: int) -> AsyncIterator[Playing]:
    start_us = time.time_ns() // 1000 - 90 * SECOND
    async with running(settings, folder / "disk", "recorder-1") as recorder, running_relay(bus, settings) as front:
        names = [f"cam-{number}" for number in range(cameras)]
        for name in names:
            await front.add_camera(name)
        made = units(start_us)
        await asyncio.gather(*(record(bus, recorder, name, made) for name in names))
        viewer = await opened(front, *names)
        yield Playing(front, viewer, start_us)
        await viewer.close()
