"""pion as WHEP player: a full ICE agent that nominates at the tick of a timer, unless it is checked in return.

Go builds it, where there is Go; libdatachannel plays everywhere (`test_libdatachannel`).
"""

import asyncio
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from services.contracts import subjects
from services.contracts.models import Camera, CameraState, Profile, Status
from services.mesh.buckets import Bucket
from services.mesh.bus import Bus
from services.mesh.settings import MeshSettings
from tests.integration.wall_process import wall_process
from tests.wall.relay.camera import SITE, BusCamera, clip

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(600),
    pytest.mark.skipif(shutil.which("go") is None, reason="pion is built with Go"),
]

SOURCE = Path(__file__).with_name("pion_player")
TICK_MS = 200
"""pion's: without a check in return it nominates no earlier (`ice.defaultCheckInterval`)."""


async def run(*command: str, folder: Path | None = None, **environ: str) -> bytes:
    """What a command prints."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env=os.environ | environ, stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0
    return printed


async def test_pion_is_connected_long_before_its_tick(bus: Bus, mesh_settings: MeshSettings, tmp_path: Path) -> None:
    player = str(tmp_path / "pion_player")
    await run("go", "build", "-o", player, ".", folder=SOURCE, CGO_ENABLED="0")
    entry = Camera(id="cam-1", site=SITE, name="cam-1", profiles={"main": Profile(url="rtsp://192.0.2.1/cam-1")})
    await (await Bucket.open(bus, subjects.CAMERAS_BUCKET, Camera)).put("cam-1", entry)
    state = CameraState(camera="cam-1", site=SITE, status=Status.ONLINE, since_us=1)
    await (await Bucket.open(bus, subjects.STATE_BUCKET, CameraState)).put("cam-1", state)
    async with (
        BusCamera(bus, "cam-1", clip(1)),
        wall_process(mesh_settings, tmp_path) as wall,
        asyncio.timeout(300),
    ):
        printed = await run(player, f"{wall.url}/whep/cam-1", "5", "60")
    tries: list[dict[str, Any]] = [json.loads(line) for line in printed.splitlines()]
    assert len(tries) == 5
    assert {each["codec"] for each in tries} == {"video/H264"}
    # Nominated at the tick, none would be: a busy machine delays some, and not the quickest of five.
    assert min(each["connected_ms"] - each["answer_ms"] for each in tries) < TICK_MS / 2
