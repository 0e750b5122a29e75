"""`pantau up` whose parts are killed: each is back within two seconds, and none outlives the parent."""

import asyncio
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.integration.test_up import Up, running, running_with

pytestmark = [pytest.mark.chaos, pytest.mark.alone, pytest.mark.timeout(240)]


def children(up: Up) -> dict[str, int]:
    """Name → process that was started last, of what `pantau up` supervises."""
    started = [line for line in up.log() if line["event"] in ("child.started", "nats.started")]
    return {line.get("child", "nats"): line["pid"] for line in started}


async def wait_for_new(up: Up, name: str, old: int) -> float:
    started = time.monotonic()
    while children(up)[name] == old:
        assert time.monotonic() - started < 10, f"{name} is not back"
        await asyncio.sleep(0.01)
    return time.monotonic() - started


async def wait_online(up: Up, timeout_seconds: float) -> None:
    async with asyncio.timeout(timeout_seconds):
        while True:
            with suppress(AssertionError, OSError):  # the wall itself is on its way back
                if set((await up.cameras()).values()) == {"online"}:
                    return
            await asyncio.sleep(0.1)


async def test_every_killed_child_is_back_within_two_seconds_and_the_system_is_whole_again(tmp_path: Path) -> None:
    async with running(tmp_path, "--demo=1") as up:
        assert set(children(up)) == {"nats", "registry", "ingest", "recorder", "wall", "wall relay 0", "sim"}
        for name in ("registry", "ingest", "recorder", "wall", "wall relay 0", "sim", "nats"):
            old = children(up)[name]
            os.kill(old, signal.SIGKILL)
            assert await wait_for_new(up, name, old) < 2, name
            await asyncio.sleep(1)
            await wait_online(up, 30)
        assert await up.stop() < 5
    assert running_with(str(tmp_path)) == []


async def test_nothing_outlives_a_killed_parent_and_the_folder_can_be_used_again(tmp_path: Path) -> None:
    async with running(tmp_path, "--demo=1") as up:
        up.process.kill()
        await up.process.wait()
        async with asyncio.timeout(8):
            while running_with(str(tmp_path)):
                await asyncio.sleep(0.05)
    async with running(tmp_path, "--demo=1") as up:
        assert await up.cameras() == {"cam-001": "online"}
