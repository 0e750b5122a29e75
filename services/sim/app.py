"""``pantau sim``: the simulated cameras as a process of their own. It needs no NATS."""

import asyncio
import gc
import json
import os
import signal
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final

import click
from aiohttp import web

from services.contracts.errors import PantauError
from services.mesh.admin import DEFAULT_PORTS, PortTakenError
from services.mesh.http_site import listen
from services.mesh.lifecycle import EXIT_REFUSED, say_well, sd_notify
from services.mesh.log import configure, get_logger
from services.mesh.settings import MeshSettings
from services.sim.control import application
from services.sim.settings import SimSettings
from services.sim.simulator import Simulator

log = get_logger()
_ADMIN_PORT_STEP: Final = 10


def main(mesh: MeshSettings, settings: SimSettings, catalogue: Path | None) -> int:
    """Serves until SIGTERM or SIGINT; returns the process's exit status, as `services.mesh.lifecycle.main` does."""
    import uvloop

    configure("sim", level=mesh.log_level, format=mesh.log_format)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(serve(mesh, settings, catalogue))
        except PantauError as error:
            log.error("service.refused", code=error.code, error=str(error))  # noqa: TRY400 (expected: no trace)
            return EXIT_REFUSED
    return 0


async def serve(mesh: MeshSettings, settings: SimSettings, catalogue: Path | None) -> None:
    """Runs the cameras and their control endpoint until SIGTERM or SIGINT.

    When it listens, it writes the catalogue file, sends READY=1 to its supervisor and prints one JSON line. Cameras
    come up as their clips are made. Raises `PortTakenError` where a port is not free.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with Simulator(settings) as sim:
        control = web.AppRunner(application(sim), access_log=None)
        await control.setup()
        try:
            control_port = await _listen(control, mesh)
            if catalogue is not None:
                await asyncio.to_thread(write_catalogue, sim, mesh.site, catalogue)
            sd_notify("READY=1")
            log.info(
                "sim.listening", port=sim.port, control_port=control_port, cameras=settings.cameras, pid=os.getpid()
            )
            announced = {
                "rtsp": sim.url(sim.camera_ids[0]),
                "control": f"http://{mesh.admin_host}:{control_port}",
                "cameras": settings.cameras,
            }
            click.echo(json.dumps(announced))
            async with asyncio.TaskGroup() as tasks:
                settling = tasks.create_task(_settle(sim), name="settle")
                well = tasks.create_task(say_well(), name="watchdog")
                await stopping.wait()
                settling.cancel()
                well.cancel()
            sd_notify("STOPPING=1")
        finally:
            await control.cleanup()
    log.info("service.stopped")


async def _settle(sim: Simulator) -> None:
    """Freezes the garbage collector's generations when all clips are there: their packets live until the end."""
    await sim.ready()
    gc.freeze()


def write_catalogue(sim: Simulator, site: str, path: Path) -> None:
    """Writes all cameras as JSON for ``pantau cameras import``: an array of `CameraInput`.

    The file replaces an older one atomically. Only its owner can read it, because it holds passwords.
    """
    entries = []
    for camera, credentials in sim.catalogue(site):
        entry = camera.model_dump(mode="json", exclude_defaults=True, exclude={"has_credentials"})
        if credentials is not None:
            entry["credentials"] = credentials.model_dump(mode="json")
        entries.append(entry)
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile("w", dir=path.parent, prefix=path.name, suffix=".part", delete=False) as file:
        json.dump(entries, file, indent=1)
    Path(file.name).replace(path)


async def _listen(runner: web.AppRunner, mesh: MeshSettings) -> int:
    """The admin port: as set, else the simulator's own or the next free one above it."""
    own = DEFAULT_PORTS["sim"]
    candidates = [mesh.admin_port] if mesh.admin_port is not None else [own, own + _ADMIN_PORT_STEP, 0]
    for candidate in candidates:
        try:
            return await listen(runner, mesh.admin_host, candidate, what="the admin port", setting="PANTAU_ADMIN_PORT")
        except PortTakenError:
            if candidate == candidates[-1]:
                raise
    raise AssertionError("unreachable: the last candidate either listens or raises")
