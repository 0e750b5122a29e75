"""A disk that recordings and nats-server share is full, and has room again."""

import asyncio
import time
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest

from services.mesh.log import get_logger
from tests.chaos.watched import PATIENCE_SECONDS, Watched, watching
from tests.integration.recorded import files
from tests.integration.up_process import running

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240)]

CAMERAS = ("cam-001", "cam-002")
FULL_SECONDS = 15.0
log = get_logger()


def fill(path: Path) -> None:
    """Takes all room that there is."""
    for piece in (bytes(65_536), bytes(4096)):
        with suppress(OSError), path.open("ab", buffering=0) as file:
            while True:
                file.write(piece)


def newest_bytes(data: Path, camera: str) -> tuple[str, int]:
    """The file that is recorded into, and its size; nothing where all had to go for room."""
    found = files(data, camera)
    return (found[-1].name, found[-1].stat().st_size) if found else ("", 0)


async def renames(watched: Watched, name: str) -> bool:
    """Whether the catalogue takes a change."""
    url = f"{watched.up.url}/api/v1/cameras/{CAMERAS[0]}"
    with suppress(aiohttp.ClientError, TimeoutError, OSError):
        async with (
            asyncio.timeout(3),
            aiohttp.ClientSession(headers={"Origin": watched.up.url}) as client,
            client.patch(url, json={"name": name}) as answer,
        ):
            return answer.status == 200
    return False


async def test_a_full_disk_stops_no_camera_and_is_used_again_when_there_is_room(common_disk: Path) -> None:
    environ = {"PANTAU_RECORDER_FLOOR_GIGABYTES": "0.001", "PANTAU_INGEST_WORKERS": "1"}
    async with running(common_disk, f"--demo={len(CAMERAS)}", **environ) as up, watching(up, CAMERAS) as watched:
        await watched.well()
        full_at, refused = time.monotonic(), 0
        while time.monotonic() < full_at + FULL_SECONDS:  # the recorder makes room all the time, and others take it
            await asyncio.to_thread(fill, common_disk / "filler")
            refused += not await renames(watched, f"at {time.monotonic()}")
        assert refused, "the disk was not full for nats-server"
        silent = {camera: watched.longest_silence(camera, full_at) for camera in CAMERAS}
        assert max(silent.values()) < FULL_SECONDS * 2 / 3, (
            silent
        )  # one that the disk stops sends nothing until it has room
        assert all(states.get(camera) == "online" for _, states in watched.since(full_at) for camera in CAMERAS)
        (common_disk / "filler").unlink()
        room_at = time.monotonic()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await renames(watched, "after it was full"):
                await asyncio.sleep(0.1)
            kept_seconds = time.monotonic() - room_at
            before = [newest_bytes(up.data, camera) for camera in CAMERAS]
            while any(newest_bytes(up.data, camera) == size for camera, size in zip(CAMERAS, before, strict=True)):
                await asyncio.sleep(0.1)
            recorded_seconds = time.monotonic() - room_at
        await watched.well()
        log.info("disk.figures", kept=round(kept_seconds, 1), recorded=round(recorded_seconds, 1), silent=silent)
        assert "nats.store_failed" in (up.data / "log").read_text(errors="replace")
        assert {line["child"] for line in up.log() if line["event"] == "child.ended"} == {"nats"}, "a service ended"
