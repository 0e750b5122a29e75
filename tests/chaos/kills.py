"""kill -9 of one service of a running Pantau, and the figures that it costs."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.browser.probe import Probe
from tests.browser.running_up import Running
from tests.integration.recorded import Hole, files, holes, recorded, stamps

CAMERAS = [f"cam-{number:03}" for number in range(1, 17)]
FRAGMENT_SECONDS = 2.0
FRAME_SECONDS = 0.04
NOTICED_SECONDS = 5.0
"""By then the page has found out that something is gone."""
PATIENCE_SECONDS = 90.0

VICTIMS: dict[str, Callable[[Running], list[int]]] = {
    "registry": lambda pantau: [pantau.child("registry")],
    "recorder": lambda pantau: [pantau.child("recorder")],
    "ingest": lambda pantau: [pantau.child("ingest")],
    "relays": lambda pantau: pantau.relays(),
    "wall": lambda pantau: [pantau.child("wall")],
    "nats": lambda pantau: [pantau.child("nats")],
}


class Cost(NamedTuple):
    """Of one kill; 0 where it cost nothing."""

    wall_seconds: float
    """From the kill until every tile had a new picture again."""
    unrecorded_seconds: float
    """From the kill until the end of the last hole in a recording."""
    lost_seconds: float
    """Of pictures, in the worst recording."""


async def kill(victim: str, pantau: Running, probe: Probe) -> Cost:
    """Kills, and waits until all is well again; an AssertionError or a TimeoutError says that it is not."""
    await probe.settled(PATIENCE_SECONDS)
    await asyncio.sleep(FRAGMENT_SECONDS)
    killed = time.time()
    for pid in VICTIMS[victim](pantau):
        os.kill(pid, signal.SIGKILL)
    await asyncio.sleep(NOTICED_SECONDS)
    await probe.settled(PATIENCE_SECONDS)
    await _all_are_online(pantau)
    await _all_are_recorded(pantau, time.time())

    found: list[Hole] = []
    for camera in CAMERAS:
        # A frame that is there twice, or out of order, raises here.
        frames = await asyncio.to_thread(recorded, pantau.data, camera)
        found += [hole for hole in holes(frames) if hole.before > killed - FRAGMENT_SECONDS]
    return Cost(
        max((pause.ended - killed for pause in await probe.pauses() if pause.ended > killed), default=0.0),
        max((hole.before - killed for hole in found), default=0.0),
        max((hole.frames * FRAME_SECONDS for hole in found), default=0.0),
    )


async def _all_are_online(pantau: Running) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while set(CAMERAS) - set(await asyncio.to_thread(_online, pantau)):
            await asyncio.sleep(0.2)


def _online(pantau: Running) -> list[str]:
    """None while the wall is on its way back."""
    try:
        return pantau.online()
    except OSError:
        return []


async def _all_are_recorded(pantau: Running, since: float) -> None:
    """Returns when a frame of every camera that was sent after ``since`` is on disk, and so what is missing before."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        for camera in CAMERAS:
            while await asyncio.to_thread(_newest, pantau.data, camera) <= since:
                await asyncio.sleep(0.2)


def _newest(data: Path, camera: str) -> float:
    """When the last frame was sent that is in a camera's last file, Unix seconds; 0 where there is none."""
    return max((each.sent_us / 1e6 for each in stamps(files(data, camera)[-1].read_bytes())), default=0.0)
