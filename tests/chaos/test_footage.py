"""0 frames lost: each frame that cameras sent is on disk exactly once, after kills, freezes, cuts and full disks.

Short versions on few cameras; `python -m bench outages` runs the promised ones.
"""

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos import footage_outages as outages
from tests.chaos.footage_outages import Outage, whole_after
from tests.chaos.footage_rig import TAIL_SECONDS, FootageRig, footage_rig

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

CAMERAS = 3


async def assert_whole(rig: FootageRig) -> None:
    """Nothing is missing of what was sent some seconds ago."""
    moment = time.time()
    await asyncio.sleep(TAIL_SECONDS)
    await rig.recorded_since(moment)
    found = await rig.wholeness(moment)
    assert found.whole, found


async def carry_out(rig: FootageRig, *one_after_another: tuple[Outage, float]) -> None:
    """Each outage, and after it nothing is missing."""
    for outage, seconds in one_after_another:
        await whole_after(rig, outage, seconds)
        await assert_whole(rig)


async def test_no_frame_is_lost_while_nats_or_the_recorder_is_killed_or_frozen_or_the_registry_away(
    tmp_path: Path,
) -> None:
    async with footage_rig(tmp_path, cameras=CAMERAS) as rig:
        await carry_out(
            rig,
            (outages.nats_killed, 8.0),
            (outages.nats_frozen, 5.0),
            (outages.recorder_frozen, 6.0),
            (outages.recorder_away, 8.0),
            (outages.registry_away, 3.0),
        )
    assert rig.fsck() == []


@pytest.fixture
def small_recorder_disk(tmp_path: Path) -> Iterator[None]:
    """The first recorder's folder is a file system of its own that can be filled."""
    if os.geteuid() != 0:
        pytest.skip("a network namespace and a small file system need root")
    folder = tmp_path / "recorder-1"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=120m", "tmpfs", str(folder)], check=True)
    yield
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.usefixtures("small_recorder_disk")
async def test_no_frame_is_lost_with_a_stand_in_a_cut_network_a_full_disk_or_random_kills(tmp_path: Path) -> None:
    async with footage_rig(tmp_path, cameras=CAMERAS, recorders=2, severable=True) as rig:
        await carry_out(
            rig,
            (outages.recorder_away, 8.0),
            (outages.network_cut, 8.0),
            (outages.disk_full, 6.0),
            (outages.random_kills, 12.0),
        )
    assert rig.fsck() == []
