"""`pantau up` whose parts are killed: each is started again, and none outlives the parent.

How soon, `bench check` measures.
"""

import asyncio
from pathlib import Path

import pytest

from tests.integration.up_process import STOP_SECONDS, running, running_with

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]


async def test_every_killed_child_is_started_again_and_the_system_is_whole_again(tmp_path: Path) -> None:
    async with running(tmp_path, "--demo=1") as up:
        names = ("registry", "ingest", "recorder", "wall", "wall relay 0", "sim", "nats")
        assert set(up.children()) == set(names)
        for name in names:
            await up.kill_child(name)
            await asyncio.sleep(1)
            await up.online("cam-001")
        await up.stop()
    assert running_with(str(tmp_path)) == []


async def test_nothing_outlives_a_killed_parent_and_the_folder_can_be_used_again(tmp_path: Path) -> None:
    async with running(tmp_path, "--demo=1") as up:
        up.process.kill()
        await up.process.wait()
        async with asyncio.timeout(STOP_SECONDS):
            while running_with(str(tmp_path)):
                await asyncio.sleep(0.05)
    async with running(tmp_path, "--demo=1") as up:
        await up.online("cam-001")
