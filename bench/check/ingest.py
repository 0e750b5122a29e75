"""How soon a camera's frame is on the bus, and how little one camera's or one worker's end delays."""

import asyncio
import socket
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from bench.check.promise import Promise
from services.mesh.nats_server import NatsServer
from services.sim.faults import Fault
from services.sim.pictures import stamp
from services.sim.settings import SimSettings
from services.sim.simulator import Simulator
from tests.integration.ingest_rig import Rig, RunningWorker, environment

CAMERAS = 3


async def measure(*, quick: bool) -> list[Promise]:
    """All of them."""
    with tempfile.TemporaryDirectory(prefix="pantau-bench-") as folder:
        async with (
            environment(Path(folder)) as (rig, server),
            Simulator(SimSettings(cameras=CAMERAS, port=0, scenes=1)) as sim,
        ):
            await sim.ready()
            async with rig.worker() as worker:
                found = [
                    await published(rig, sim, worker, 50 if quick else 500),
                    await troubled(rig, sim, worker, 100 if quick else 500),
                ]
            count = 2 if quick else 5
            return [*found, await stopped(rig, sim, count), await bus_restarted(rig, sim, server, count)]


async def add(rig: Rig, sim: Simulator, camera: str, worker: RunningWorker) -> None:
    """A simulated camera on a worker."""
    await rig.camera(camera, {"main": sim.url(camera), "sub": sim.url(camera, "sub")})
    await rig.assign(camera, worker.name)


async def published(rig: Rig, sim: Simulator, worker: RunningWorker, count: int) -> Promise:
    """libav holds an access unit until the next one begins: 40 ms of it."""
    delays_ms = []
    async with rig.watch("cam-001") as watch:
        await add(rig, sim, "cam-001", worker)
        await watch.collect(50)
        for _ in range(count):
            unit = (await watch.collect(1))[0]
            sent = stamp.parse(unit.payload)
            if sent is None:
                raise RuntimeError("a simulated frame carries no stamp")
            delays_ms.append(time.time() * 1000 - sent.sent_us / 1000)
    return Promise("from a frame's sending to its being on the bus", "ms", delays_ms, 100, p50=60)


async def troubled(rig: Rig, sim: Simulator, worker: RunningWorker, count: int) -> Promise:
    """While others send garbage and huge frames, or do not answer at all."""
    for camera in ("cam-001", "cam-002", "cam-003"):
        await add(rig, sim, camera, worker)
    for number in range(8):  # nobody ever answers there (RFC 5737)
        await rig.camera(f"silent-{number}", {"main": f"rtsp://192.0.2.{number + 1}/x"})
        await rig.assign(f"silent-{number}", worker.name)
    at: list[float] = []
    async with rig.watch("cam-001") as watch:
        await watch.collect(50)
        sim.fault("cam-003", Fault.CORRUPT)
        sim.fault("cam-002", Fault.HUGE_FRAME, 7_000_000)
        for _ in range(count):
            await watch.collect(1)
            at.append(time.monotonic())
    sim.clear("cam-003")
    await rig.clear(worker)
    return Promise("between frames of a camera beside others in trouble", "s", [b - a for a, b in pairwise(at)], 0.2)


async def stopped(rig: Rig, sim: Simulator, count: int) -> Promise:
    """With one camera that delivers and ten that accept a connection and say nothing."""
    took = []
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        for attempt in range(count):
            async with rig.worker(f"hasty-{attempt}") as worker:
                await add(rig, sim, "cam-001", worker)
                for number in range(10):
                    url = f"rtsp://127.0.0.1:{silent.getsockname()[1]}/{number}"
                    await rig.camera(f"mute-{number}", {"main": url})
                    await rig.assign(f"mute-{number}", worker.name)
                await rig.until_online("cam-001")
                began = time.monotonic()
                await worker.stop()
                took.append(time.monotonic() - began)
            rig.reports.clear()  # the next try waits for its own
    return Promise("from SIGTERM to the end of ingest with silent cameras", "s", took, 2.0)


async def bus_restarted(rig: Rig, sim: Simulator, server: NatsServer, count: int) -> Promise:
    """The server is killed and a second later started again."""
    took = []
    async with rig.worker("patient") as worker, rig.watch("cam-001") as watch:
        await add(rig, sim, "cam-001", worker)
        await watch.collect(10)
        for _ in range(count):
            await server.kill()
            await asyncio.sleep(1.0)
            await server.start()
            began = time.monotonic()
            await watch.collect(10)
            took.append(time.monotonic() - began)
            await watch.collect(50)
    return Promise("from the bus's return to a camera's frames on it", "s", took, 5.0)
