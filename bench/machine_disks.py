"""What the recorders of several machines have of simulated cameras, held against what the cameras sent."""

import asyncio
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

import aiohttp

from services.sim.pictures.stamp import Stamp
from tests.integration.recorded import files, recorded, stamps

PATIENCE_SECONDS: Final = 120.0
Runs = list[tuple[int, int]]
"""First and last number of each run of frames that a camera sent."""


class DiskHole(NamedTuple):
    """Frames that a camera sent and that are on no disk."""

    camera: str
    at: float
    """When the frame before it was sent, Unix seconds."""
    seconds: float
    """Between the frames beside it."""
    missing: int


async def sent_runs(admin_port: int) -> dict[str, Runs]:
    """Camera → what its simulator has sent of its main profile so far."""
    async with (
        aiohttp.ClientSession() as client,
        client.get(f"http://127.0.0.1:{admin_port}/cameras") as response,
    ):
        return {each["id"]: each["profiles"]["main"]["sent"] for each in await response.json()}


async def recorded_since(folders: Sequence[Path], cameras: Sequence[str], moment: float) -> None:
    """Returns when frames of every camera that were sent after ``moment`` are on some disk."""
    waiting = list(cameras)
    until = time.monotonic() + PATIENCE_SECONDS
    while waiting:
        waiting = [name for name in waiting if await asyncio.to_thread(_newest, folders, name) <= moment]
        if time.monotonic() > until:
            raise AssertionError(f"{', '.join(waiting)} not recorded within {PATIENCE_SECONDS:g} s")
        await asyncio.sleep(0.5)


def _newest(folders: Sequence[Path], camera: str) -> float:
    last = [list(stamps(path.read_bytes()))[-1:] for folder in folders for path in files(folder, camera)[-1:]]
    return max((found[0].sent_us / 1e6 for found in last if found), default=0.0)


def holes_of(frames: Sequence[Stamp], runs: Runs, camera: str) -> list[DiskHole]:
    """Where frames that were sent are missing between the first and the last of ``frames``, of all disks."""
    union = {each.frame: each.sent_us / 1e6 for each in frames}
    found = []
    for before, after in pairwise(sorted(union)):
        missing = sum(max(0, min(last + 1, after) - max(first, before + 1)) for first, last in runs)
        if missing:
            found.append(DiskHole(camera, union[before], union[after] - union[before], missing))
    return found


async def all_holes(folders: Sequence[Path], cameras: Sequence[str], admin_port: int) -> list[DiskHole]:
    """The holes of all cameras up to now."""
    await recorded_since(folders, cameras, time.time())
    sent = await sent_runs(admin_port)
    found: list[DiskHole] = []
    for camera in cameras:
        frames = [each for folder in folders for each in await asyncio.to_thread(recorded, folder, camera)]
        found += holes_of(frames, sent[camera], camera)
    return found
