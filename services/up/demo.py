"""The simulated cameras of ``--demo``: the arguments of the ``sim`` child, and its cameras in the catalogue."""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

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
from services.contracts.models import DEMO_TAG
from services.mesh.bus import Bus
from services.mesh.clock import SystemClock
from services.mesh.log import get_logger
from services.mesh.rpc import call
from services.up import story
from services.up.fetch import fetch

log = get_logger()

LOOK_SECONDS: Final = 0.3
AGAIN_SECONDS: Final = 0.1
_USUAL_PORT: Final = 8554


def sim_arguments(cameras: int, catalogue: Path, environ: Mapping[str, str]) -> list[str]:
    """Arguments of ``pantau sim``. Its port is chosen here, so that a restarted simulator has the same one.

    It is ``PANTAU_SIM_PORT`` (8554 by default) where that is free, else any free one. Two demos that start at the same
    moment may both find 8554 free: give one of them another.
    """
    usual = environ.get("PANTAU_SIM_PORT", "")
    port = free_port(int(usual) if usual.isdecimal() else _USUAL_PORT)
    # People look at these pictures: the band that tests read is painted where they ask for it.
    band = [] if "PANTAU_SIM_MARKER" in environ else ["--no-marker"]
    return ["--cameras", str(cameras), "--port", str(port), "--catalogue", str(catalogue), *band]


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


async def bring_in(bus: Bus, home: str, catalogue: Path, sim_admin_port: int, *, with_story: bool) -> None:
    """Registers each of the demo's cameras when its pictures are made: at the first start they are encoded one by one.

    First removes the cameras of an earlier demo that are not simulated any more. ``with_story``: there is something to
    find (`services.up.story`).
    """
    simulated: list[dict[str, Any]] = json.loads(await asyncio.to_thread(catalogue.read_text))
    if with_story:
        simulated = story.with_owners(simulated)
    entries = {camera["id"]: camera for camera in simulated}
    await until_answered(partial(_remove_others, bus, home, set(entries)))
    waiting = dict(entries)
    while True:
        ready = [waiting.pop(camera) for camera in await _ready(sim_admin_port) if camera in waiting]
        if ready:
            await until_answered(partial(_register, bus, home, ready))
        if not waiting:
            log.info("demo.registered", cameras=len(entries))
            break
        await asyncio.sleep(LOOK_SECONDS)
    if with_story:
        await story.tell(bus, home, simulated, sim_admin_port, SystemClock())


async def _register(bus: Bus, home: str, entries: list[dict[str, Any]]) -> None:
    """Raises `UnavailableError` also where the registry answered but the store did not take a row."""
    request = ImportRequest(format="json", content=json.dumps(entries))
    endpoint = subjects.rpc(home, "registry", "cameras-import")
    report = await call(bus, endpoint, request, ImportReport, timeout_seconds=30)
    for row in report.rows:
        if row.result == "refused":
            log.warning("demo.refused", camera=row.id, detail=row.detail)
    if lost := [row.id for row in report.rows if row.code == "unavailable"]:
        raise UnavailableError(f"not taken: {', '.join(lost)}")


async def _remove_others(bus: Bus, home: str, simulated: set[str]) -> None:
    there = await call(bus, subjects.rpc(home, "registry", "cameras-list"), CameraQuery(tag=DEMO_TAG), CameraList)
    for camera in sorted({entry.camera.id for entry in there.cameras} - simulated):
        await call(bus, subjects.rpc(home, "registry", "cameras-remove"), CameraRemove(id=camera), CameraRemovalReply)


async def _ready(sim_admin_port: int) -> list[str]:
    """The cameras whose pictures are made."""
    try:
        answer = await fetch(f"http://127.0.0.1:{sim_admin_port}/cameras", timeout_seconds=5)
    except UnavailableError:
        return []
    if not answer.ok:
        return []
    cameras = json.loads(answer.body)
    return [camera["id"] for camera in cameras if all(each["ready"] for each in camera["profiles"].values())]


async def until_answered(ask: Callable[[], Awaitable[None]]) -> None:
    """Asks again from the beginning while the registry or the bus is away: at the first start all cores are taken."""
    while True:
        try:
            await ask()
        except UnavailableError as error:
            log.info("demo.waits", detail=str(error))
            await asyncio.sleep(AGAIN_SECONDS)
        else:
            return
