"""The simulated cameras of ``--demo``: the arguments of the ``sim`` child, and its cameras in the catalogue."""

import asyncio
import json
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import aiohttp

from services.contracts import subjects
from services.contracts.catalogue import (
    CameraList,
    CameraQuery,
    CameraRemovalReply,
    CameraRemove,
    ImportReport,
    ImportRequest,
)
from services.contracts.errors import UnavailableError
from services.contracts.models import Status
from services.mesh.bus import Bus
from services.mesh.log import get_logger
from services.mesh.rpc import call

log = get_logger()

TAG: Final = "demo"
"""The tag of the simulated cameras, by which those of an earlier run are found."""
PATIENCE_SECONDS: Final = 15.0
_USUAL_PORT: Final = 8554


def sim_arguments(cameras: int, catalogue: Path, environ: Mapping[str, str]) -> list[str]:
    """Arguments of ``pantau sim``. Its port is chosen here, so that a restarted simulator has the same one.

    It is ``PANTAU_SIM_PORT`` (8554 by default) where that is free, else any free one. Two demos that start at the same
    moment may both find 8554 free: give one of them another.
    """
    usual = environ.get("PANTAU_SIM_PORT", "")
    port = free_port(int(usual) if usual.isdecimal() else _USUAL_PORT)
    return ["--cameras", str(cameras), "--port", str(port), "--catalogue", str(catalogue)]


def free_port(usual: int = 0) -> int:
    """A free TCP port of loopback: ``usual`` where that is free."""
    for wanted in (usual, 0):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", wanted))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise AssertionError("unreachable: any free port can be had")


async def clips_made(sim_admin_port: int) -> None:
    """Returns when the simulator has all its pictures: at the first start it encodes them, and logs each."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as client:
        while True:
            with suppress(aiohttp.ClientError, TimeoutError):
                async with client.get(f"http://127.0.0.1:{sim_admin_port}/readyz") as response:
                    if response.status == 200:
                        return
            await asyncio.sleep(0.2)


async def register(bus: Bus, home: str, catalogue: Path) -> None:
    """Makes the demo's cameras in the catalogue equal to the file; removes those that are not simulated any more."""
    content = await asyncio.to_thread(catalogue.read_text)
    simulated = {camera["id"] for camera in json.loads(content)}
    await _answering(bus, home)
    report = await call(
        bus,
        subjects.rpc(home, "registry", "cameras-import"),
        ImportRequest(format="json", content=content),
        ImportReport,
        timeout_seconds=30,
    )
    for row in report.rows:
        if row.result == "refused":
            log.warning("demo.refused", camera=row.id, detail=row.detail)
    there = await call(bus, subjects.rpc(home, "registry", "cameras-list"), CameraQuery(tag=TAG), CameraList)
    stale = {entry.camera.id for entry in there.cameras} - simulated
    for camera in sorted(stale):
        await call(bus, subjects.rpc(home, "registry", "cameras-remove"), CameraRemove(id=camera), CameraRemovalReply)
    log.info("demo.registered", cameras=len(simulated), removed=len(stale))


async def online(bus: Bus, home: str) -> None:
    """Returns when all the demo's cameras deliver, or when none has begun to for `PATIENCE_SECONDS`."""
    clock = asyncio.get_running_loop().time
    missing, since = -1, clock()
    while missing and clock() - since < PATIENCE_SECONDS:
        await asyncio.sleep(0.2)
        try:
            there = await call(bus, subjects.rpc(home, "registry", "cameras-list"), CameraQuery(tag=TAG), CameraList)
        except UnavailableError:
            continue
        now_missing = sum(entry.state is None or entry.state.status != Status.ONLINE for entry in there.cameras)
        if now_missing != missing:
            missing, since = now_missing, clock()
    if missing:
        log.warning("demo.cameras_missing", cameras=missing)


async def _answering(bus: Bus, home: str) -> None:
    """Returns when the registry answers."""
    while True:
        try:
            await call(bus, subjects.rpc(home, "registry", "cameras-list"), CameraQuery(limit=1), CameraList)
        except UnavailableError:
            await asyncio.sleep(0.1)
        else:
            return
