"""SIGSTOP of each process in turn: it is killed and replaced, and the state says meanwhile what frames show."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from services.mesh.log import get_logger
from tests.chaos.watched import LOOK_SECONDS, PATIENCE_SECONDS, Watched, watching
from tests.integration.up_process import Up, running
from tests.processes import children, command_line, runs

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

CAMERAS = ("cam-001", "cam-002", "cam-003")
LIBAV_CAMERA = "cam-003"
DISAGREE_SECONDS = 30.0
"""Five on a quiet machine (docs/architecture.md, Who watches whom). One that nobody corrects stays wrong."""
log = get_logger()


def found(up: Up, text: str) -> int:
    """The process of this Pantau with ``text`` on its command line; the first, where there are several."""
    pids = sorted(int(path.name) for path in Path("/proc").glob("[0-9]*"))
    for pid in pids:
        with suppress(OSError):
            if str(up.data).encode() in Path(f"/proc/{pid}/environ").read_bytes() and text in command_line(pid):
                return pid
    raise AssertionError(f"no process runs with {text}")


VICTIMS: dict[str, Callable[[Up], int]] = {
    "registry": lambda up: up.children()["registry"],
    "ingest parent": lambda up: up.children()["ingest"],
    "ingest worker": lambda up: found(up, "--worker-of"),
    "libav server": lambda up: found(up, "libav_process"),
    "libav reader": lambda up: children(found(up, "libav_process"))[0],
    "recorder": lambda up: up.children()["recorder"],
    "front": lambda up: up.children()["wall"],
    "relay": lambda up: up.children()["wall relay 0"],
    "nats": lambda up: up.children()["nats"],
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def watched(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Watched]:
    data = tmp_path_factory.mktemp("freeze")
    async with running(data, f"--demo={len(CAMERAS)}", PANTAU_INGEST_WORKERS="1") as up:
        await up.online(*CAMERAS)
        async with aiohttp.ClientSession(headers={"Origin": up.url}) as client:
            camera = await up.get(f"/cameras/{LIBAV_CAMERA}")
            profiles = {name: {**profile, "reader": "libav"} for name, profile in camera["profiles"].items()}
            async with client.patch(f"{up.url}/api/v1/cameras/{LIBAV_CAMERA}", json={"profiles": profiles}) as answer:
                assert answer.status == 200, await answer.text()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (await up.get(f"/cameras/{LIBAV_CAMERA}"))["state"]["profiles"]["main"]["reader"] != "libav":
                await asyncio.sleep(LOOK_SECONDS)
        async with watching(up, CAMERAS) as watched:
            yield watched


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("victim", VICTIMS)
async def test_a_frozen_process_is_killed_and_replaced_and_the_state_says_what_frames_show(
    victim: str, watched: Watched
) -> None:
    await watched.well()
    pid = VICTIMS[victim](watched.up)
    frozen_at = time.monotonic()
    os.kill(pid, signal.SIGSTOP)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while runs(pid):
            await asyncio.sleep(0.02)
    noticed_seconds = time.monotonic() - frozen_at
    await asyncio.sleep(1)
    await watched.well()
    well_seconds = time.monotonic() - frozen_at
    disagreed_seconds = watched.disagreed_seconds(frozen_at)
    log.info(
        "freeze.figures", victim=victim, noticed=round(noticed_seconds, 2), well=round(well_seconds, 2),
        disagreed=round(disagreed_seconds, 2),
    )  # fmt: skip
    assert VICTIMS[victim](watched.up) != pid
    assert disagreed_seconds < DISAGREE_SECONDS
