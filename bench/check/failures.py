"""What the end of a service costs: kill -9 and SIGSTOP of each, SIGTERM of all, a worker or a registry that is lost."""

import asyncio
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from bench.check.bus import own_mesh
from bench.check.promise import Promise
from services.contracts.models import Assignment
from tests.browser.chromium import chromium
from tests.browser.probe import Probe
from tests.browser.running_up import running_up
from tests.chaos import freezes
from tests.chaos.kills import CAMERAS, PATIENCE_SECONDS, VICTIMS, Cost, kill
from tests.integration.failover import GOP_SECONDS, fail_over
from tests.integration.up_process import running
from tests.registry.running import Worker, add, crash, following, holder, registry, until

Assignments = dict[str, tuple[Assignment, int]]
"""Key → value and revision."""
REASSIGNED_SECONDS = 1.5
"""A worker gives up so long after its last renewal that nobody heard of, and then another may begin."""


async def measure(*, quick: bool) -> list[Promise]:
    """All of them."""
    count = 2 if quick else 5
    return [
        *await killed_services(1 if quick else 3),
        *await killed_children(1 if quick else 3),
        *await frozen_processes(1 if quick else 3),
        await lost_worker(count, hangs=False),
        await lost_worker(count, hangs=True),
        await drained_worker(count),
        await lost_registry(count),
        *await failed_over(1 if quick else 3),
    ]


async def killed_services(count: int) -> list[Promise]:
    """Sixteen cameras, watched and recorded; each service is killed ``count`` times."""
    costs: list[Cost] = []
    with tempfile.TemporaryDirectory(prefix="pantau-bench-") as name:
        folder = Path(name)
        with running_up(folder / "up", len(CAMERAS)) as pantau:
            async with chromium(folder / "chromium") as browser:
                page = await browser.new_page()
                probe = await Probe.install(page, first_pictures=True, pauses_over_ms=500)
                await page.goto(f"{pantau.url}/#grid=16&tiles={','.join(CAMERAS)}")
                await probe.moving(len(CAMERAS), PATIENCE_SECONDS)
                for victim in VICTIMS:
                    for _ in range(count):
                        costs.append(await kill(victim, pantau, probe))
                        print(f"       {victim} killed: {costs[-1]}", flush=True)
    return [
        Promise("from a service's kill to pictures in all tiles", "s", [each.wall_seconds for each in costs], 5.0),
        Promise("from a service's kill to all being recorded", "s", [each.unrecorded_seconds for each in costs], 5.0),
        Promise("of a recording that a service's kill costs", "s", [each.lost_seconds for each in costs], 2.0),
    ]


async def killed_children(count: int) -> list[Promise]:
    """Of a `pantau up` with one camera, which is ended afterwards."""
    restarted: list[float] = []
    stopped: list[float] = []
    for _ in range(count):
        with tempfile.TemporaryDirectory(prefix="pantau-bench-") as folder:
            async with running(Path(folder), "--demo=1") as up:
                for name in ("registry", "ingest", "recorder", "wall", "wall relay 0", "sim", "nats"):
                    restarted.append(await up.kill_child(name))
                    await asyncio.sleep(1)
                    await up.online("cam-001")
                stopped.append(await up.stop())
    return [
        Promise("from a child's kill to its new start", "s", restarted, 2.0),
        Promise("from SIGTERM to the end of `pantau up`", "s", stopped, 5.0),
    ]


async def frozen_processes(count: int) -> list[Promise]:
    """Three cameras, one read by libav; each process is stopped ``count`` times."""
    costs: list[freezes.Freeze] = []
    with tempfile.TemporaryDirectory(prefix="pantau-bench-") as folder:
        async with freezes.freezable(Path(folder)) as watched:
            for victim in freezes.VICTIMS:
                for _ in range(count):
                    costs.append(await freezes.freeze(victim, watched))
                    print(f"       {victim} frozen: {costs[-1]}", flush=True)
    ingest = [each.noticed_seconds for each in costs if each.victim == "ingest worker"]
    disagreed = [each.disagreed_seconds for each in costs]
    return [
        Promise("until an ingest worker that hangs is killed", "s", ingest, 3.0),
        Promise("that a state says what frames do not show, with a frozen process", "s", disagreed, 5.0),
    ]


async def lost_worker(count: int, *, hangs: bool) -> Promise:
    """Four cameras on two workers, one of which is killed, or hangs so that only its lease tells."""
    took = []
    for _ in range(count):
        async with own_mesh() as mesh, registry(mesh.settings), following(mesh.bus) as assignments:
            first = await Worker(mesh.bus, "ingest", "ingest-1", hangs=hangs).start()
            second = await Worker(mesh.bus, "ingest", "ingest-2", hangs=hangs).start()
            await add(mesh.bus, "a", "b", "c", "d")
            keys = [f"ingest.{name}" for name in "abcd"]
            await until(partial(_all_assigned, assignments, keys))
            await asyncio.sleep(3.2)  # past the patience for those who may be about to come
            await first.kill()
            took.append(await until(partial(_all_the_second_s, assignments, keys)))
            await second.stop()
    how, bound = ("that hangs", 2.8) if hangs else ("that was killed", 1.6)
    return Promise(f"until another ingest worker has the cameras of one {how}", "s", took, bound)


async def drained_worker(count: int) -> Promise:
    """The other one comes when the first has said that it goes."""
    took = []
    for _ in range(count):
        async with own_mesh() as mesh, registry(mesh.settings), following(mesh.bus) as assignments:
            first = await Worker(mesh.bus, "ingest", "ingest-1").start()
            await add(mesh.bus, "a", "b")
            keys = ["ingest.a", "ingest.b"]
            await until(partial(_all_assigned, assignments, keys))
            await first.drain()
            await asyncio.sleep(1.5)
            second = await Worker(mesh.bus, "ingest", "ingest-2").start()
            took.append(await until(partial(_all_the_second_s, assignments, keys)))
            await first.stop()
            await second.stop()
    return Promise("until a draining ingest worker is relieved", "s", took, 1.0)


async def lost_registry(count: int) -> Promise:
    """The leader's connection is gone, and nothing was given back."""
    took = []
    for _ in range(count):
        async with (
            own_mesh() as mesh,
            registry(mesh.settings) as leader,
            following(mesh.bus) as assignments,
            registry(mesh.settings, worker="registry-2"),
        ):
            worker = await Worker(mesh.bus, "ingest", "ingest-1").start()
            await crash(leader)
            began = time.monotonic()
            await add(mesh.bus, "b")
            await until(partial(_all_assigned, assignments, ["ingest.b"]))
            took.append(time.monotonic() - began)
            await worker.stop()
    return Promise("until another registry assigns", "s", took, 3.0)


async def failed_over(count: int) -> list[Promise]:
    """Of real processes, to the frames on the bus."""
    found = []
    for _ in range(count):
        async with own_mesh() as mesh:
            found.append(await fail_over(mesh.bus, mesh.settings, mesh.folder))
    assigned = [each.assigned_seconds for each in found]
    frames = [each.frames_seconds for each in found]
    return [
        Promise("until a killed ingest process's cameras are another's", "s", assigned, REASSIGNED_SECONDS),
        Promise("until their frames come from it", "s", frames, REASSIGNED_SECONDS + GOP_SECONDS),
    ]


def _all_assigned(assignments: Assignments, keys: Sequence[str]) -> bool:
    return all(key in assignments for key in keys)


def _all_the_second_s(assignments: Assignments, keys: Sequence[str]) -> bool:
    return all(holder(assignments, key) == ("ingest-2",) for key in keys)
