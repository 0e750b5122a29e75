"""An ingest worker with 1.5 and 3 times the cameras that it carries, its CPU bound by a cgroup, as root.

The quota of a worker with few cameras is lowered until they do not come whole any more; its quota is then a tenth more
than the last that was enough. With more cameras it has to give some up by rule, and the others have to come whole:
every frame, without a hole. In some trials another process takes half of a quota twice as large. Cameras, nats-server,
registry and the bench have a group of their own, which others' load does not hold up: measured is what the worker does.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from bench.report import table
from bench.stack import cpu_seconds
from bench.undisturbed import group, has_groups, undisturbed
from services.contracts import subjects
from services.contracts.catalogue import ImportReport, ImportRequest
from services.contracts.errors import PantauError
from services.contracts.frames import decode
from services.contracts.permissions import SYSTEM
from services.mesh import rpc
from services.mesh.bus import Bus
from services.mesh.nats_server import NatsServer
from services.mesh.settings import MeshSettings

CARRIED = 36
"""Of fewer cameras most of the least quota is what a worker takes without any."""
TRIALS = ((1.0, 0), (1.0, 1), (1.5, 0), (3.0, 0), (3.0, 1))
"""So many times the cameras that it carries, and how many others want the same CPU."""
HOME = "city"
FRAME_RATE = 25
PERIOD_US = 20_000
"""Short, so that a worker that may not run stands still for less than a frame."""
LEAST_QUOTA_US = 1000
"""The system takes none that is smaller."""
SHARES = 100 * 1024
"""Others' load does not bind the worker before its quota does."""
LESS, MORE = 0.85, 1.1
LOOK_SECONDS = 6.0
SETTLE_SECONDS, MEASURE_SECONDS = 180.0, 15.0
PROMISED = 0.9
"""Of the cameras that it carries, whole under any load."""


@asynccontextmanager
async def _process(settings: MeshSettings, *arguments: str, bound: Path | None = None) -> AsyncIterator[None]:
    environ = {
        **os.environ, "PANTAU_NATS_URL": settings.nats_url, "PANTAU_DATA": str(settings.data), "PANTAU_ADMIN_PORT": "0",
        "PANTAU_INGEST_WORKERS": "1", "PANTAU_WORKER": f"{arguments[0]}-1",
    }  # fmt: skip
    command = [sys.executable, "-m", "services.cli", *arguments]
    if bound is not None:
        command = ["sh", "-c", f'echo $$ > {bound}/cgroup.procs; exec "$@"', "sh", *command]
    with (settings.data / f"{arguments[0]}.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(*command, env=environ, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def _others(bound: Path, count: int) -> AsyncIterator[None]:
    """Processes in the worker's group that use all that they get."""
    command = ("sh", "-c", f"echo $$ > {bound}/cgroup.procs; while :; do :; done")
    processes = [await asyncio.create_subprocess_exec(*command) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            await process.wait()


class _Heard:
    """The frames of each camera in a while."""

    def __init__(self) -> None:
        self.sequences: dict[str, list[int]] = {}

    def take(self, camera: str, payload: bytes) -> None:
        self.sequences.setdefault(camera, []).append(decode(payload).sequence)

    def whole(self, seconds: float) -> int:
        """Cameras of which every frame came."""
        enough = seconds * FRAME_RATE * 0.96
        return sum(len(found) >= enough and found[-1] - found[0] == len(found) - 1 for found in self.sequences.values())


async def _measure(bus: Bus, cameras: int, seconds: float) -> tuple[int, int]:
    """Cameras that came whole, and those of which anything came."""
    heard = _Heard()
    subscriptions = []
    for number in range(1, cameras + 1):
        name = f"cam-{number:03d}"

        def take(payload: bytes, name: str = name) -> None:
            heard.take(name, payload)

        subscriptions.append(await bus.subscribe_direct(subjects.media("*", "main", name), take))
    await asyncio.sleep(seconds)
    for subscription in subscriptions:
        await subscription.unsubscribe()
    return heard.whole(seconds), len(heard.sequences)


async def _import(bus: Bus, entries: list[object]) -> None:
    request = ImportRequest(format="json", content=json.dumps(entries))
    async with asyncio.timeout(120):
        while True:
            with suppress(PantauError):
                subject = subjects.rpc(HOME, "registry", "cameras-import")
                await rpc.call(bus, subject, request, ImportReport, actor=SYSTEM, timeout_seconds=20)
                return
            await asyncio.sleep(0.5)


async def _enough(bus: Bus, bound: Path, cores: float) -> float:
    """The least quota of a few with which all cameras come whole. What they take unbound is more than they need."""
    while True:
        _set_quota(bound, cores * LESS)
        if (await _measure(bus, CARRIED, LOOK_SECONDS))[0] < CARRIED:
            return cores
        cores *= LESS


async def _cpu_share(bound: Path, seconds: float) -> float:
    """Of all processes in the worker's group: ingest's workers are no children of its parent's."""

    def used() -> float:
        return sum(cpu_seconds(int(pid)) for pid in (bound / "cgroup.procs").read_text().split())

    before, began = used(), time.monotonic()
    await asyncio.sleep(seconds)
    return (used() - before) / (time.monotonic() - began)


def _set_quota(bound: Path, cores: float) -> None:
    """0: none."""
    period_us = max(PERIOD_US, round(LEAST_QUOTA_US / cores) + 1) if cores else PERIOD_US
    (bound / "cpu.cfs_quota_us").write_text("-1")
    (bound / "cpu.cfs_period_us").write_text(str(period_us))
    (bound / "cpu.cfs_quota_us").write_text(str(round(cores * period_us) if cores else -1))


async def run(*, quick: bool) -> bool:
    """Prints the table; whether the promise was kept."""
    if not has_groups():
        print("cgroups of version 1 and root are needed: not run")
        return True
    with group("bound", SHARES) as bound, undisturbed():
        return await _run(bound, 15.0 if quick else SETTLE_SECONDS)


async def _run(bound: Path, settle_seconds: float) -> bool:
    rows: list[list[object]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        catalogue = folder / "cameras.json"
        most = str(round(CARRIED * max(times for times, _ in TRIALS)))
        (folder / "data").mkdir()
        async with NatsServer(folder / "nats") as server:
            settings = MeshSettings(nats_url=server.url, data=folder / "data")
            bus = await Bus.connect(settings, "bench")
            simulated = ("sim", "--cameras", most, "--scenes", "1", "--port", "0", "--catalogue", str(catalogue))
            async with _process(settings, *simulated), _process(settings, "registry"):
                while (entries := _entries(catalogue)) is None:
                    await asyncio.sleep(0.2)
                await _import(bus, entries[:CARRIED])
                async with _process(settings, "ingest", bound=bound):
                    while (await _measure(bus, CARRIED, 2.0))[1] < CARRIED:
                        pass
                    await asyncio.sleep(10.0)
                    quota = await _enough(bus, bound, await _cpu_share(bound, 10.0))
                print("cores", quota, flush=True)
                for times, others in TRIALS:
                    cameras = round(CARRIED * times)
                    await _import(bus, entries[:cameras])
                    (settings.data / "ingest.log").unlink()
                    _set_quota(bound, 0)
                    async with _process(settings, "ingest", bound=bound), _others(bound, others):
                        while not (await _measure(bus, cameras, 2.0))[1]:
                            pass
                        _set_quota(bound, quota * MORE * (1 + others))
                        await _measure(bus, cameras, settle_seconds)  # somebody reads all the time, as recorders do
                        whole, heard = await _measure(bus, cameras, MEASURE_SECONDS)
                        _set_quota(bound, 0)
                    rows.append([times, others, cameras, heard, whole, whole / CARRIED])
                    print(*rows[-1], flush=True)
                    if whole < PROMISED * CARRIED:
                        print(*_log_lines(settings.data / "ingest.log"), sep="\n", flush=True)
            await bus.close()
    columns = ("load", "others", "cameras", "read", "whole", "whole, of those that it carries")
    print(table("Overload", columns, rows, f"Promised: {PROMISED:.0%} of what it carries stays whole."))
    return all(float(str(row[-1])) >= PROMISED for row in rows)


def _log_lines(log: Path) -> list[str]:
    """What the worker said about its load and its cameras."""
    return [line for line in log.read_text().splitlines() if "ingest." in line or "bus." in line]


def _entries(catalogue: Path) -> list[object] | None:
    """The simulated cameras; None: they cannot be reached yet."""
    found: list[object] | None = json.loads(catalogue.read_text()) if catalogue.exists() else None
    return found
