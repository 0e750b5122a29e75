"""Ingest's life: assignments followed, leases kept or given up, processes replaced, nothing waited for at the end."""

import asyncio
import os
import secrets
import signal
import socket
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio

from services.contracts.frames import AccessUnit, Flags, SequenceTracker
from services.ingest.names import HeldName, Name
from services.ingest.worker import PARENTLESS_SECONDS
from services.mesh.leases import Lease
from services.mesh.nats_server import NatsServer
from services.sim.faults import Fault
from services.sim.pictures import stamp
from services.sim.settings import SimSettings
from services.sim.simulator import Simulator
from tests.eventually import eventually
from tests.integration.ingest_rig import Rig, RunningWorker, Watch, environment
from tests.processes import children, command_line, descendants, runs

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

OPEN_SECONDS = 60.0
"""What a source that does not answer is waited for."""

LOADED = """
import os, sys, services.ingest.app, services.ingest.worker
from services.cli import main
print("loaded", flush=True)
os.dup2(2, 1)
sys.stdin.read()
sys.argv = ["pantau", "ingest"]
main()
"""
Environment = tuple[Rig, NatsServer]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def around(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Environment]:
    async with environment(tmp_path_factory.mktemp("ingest")) as around:
        yield around


@pytest.fixture
def rig(around: Environment) -> Rig:
    return around[0]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def sim() -> AsyncIterator[Simulator]:
    async with Simulator(SimSettings(cameras=4, port=0, scenes=1)) as simulator:
        await simulator.ready()
        yield simulator


async def add(rig: Rig, sim: Simulator, camera: str, worker: RunningWorker) -> int:
    await rig.camera(camera, {"main": sim.url(camera), "sub": sim.url(camera, "sub")})
    return await rig.assign(camera, worker.name)


def accepted(watch: Watch) -> list[AccessUnit]:
    """What a consumer keeps."""
    tracker = SequenceTracker()
    return [unit for unit in watch.units if tracker.accept(unit)]


def camera_number(unit: AccessUnit) -> int:
    found = stamp.parse(unit.payload)
    assert found is not None
    return found.camera


def frame_number(unit: AccessUnit) -> int:
    found = stamp.parse(unit.payload)
    assert found is not None
    return found.frame


def sim_clients(sim: Simulator, camera: str) -> int:
    """How many read the camera's main stream."""
    return len(sim.stream(camera, "main").watchers)


async def test_catalogue_and_assignments_are_followed_and_reported(rig: Rig, sim: Simulator) -> None:
    async with rig.worker("follower", capacity=7) as worker, rig.watch("cam-001") as watch:
        first = await add(rig, sim, "cam-001", worker)
        report = await rig.until_online("cam-001")
        assert (report.codec, report.width_px, report.height_px) == ("h264", 1280, 720)

        # A new epoch for the same worker reopens nothing.
        second = await rig.assign("cam-001", worker.name)
        await rig.until(lambda: watch.units[-1].epoch == second)
        assert {unit.epoch for unit in watch.units} == {first, second}
        assert accepted(watch) == watch.units
        assert sum(bool(unit.flags & Flags.DISCONTINUITY) for unit in watch.units) == 1

        await rig.until(lambda: rig.profile("cam-001").keyframe_interval_seconds > 0)
        report = rig.profile("cam-001")
        assert report.keyframe_interval_seconds == pytest.approx(2)
        await rig.until(lambda: rig.profile("cam-001").frame_rate == pytest.approx(25, abs=2))
        await rig.until(lambda: 1_000_000 < rig.profile("cam-001").bitrate_bps < 4_000_000)
        assert rig.reports["cam-001"].epoch == second
        entry = await rig.leases.get(f"ingest.{worker.name}")
        assert entry is not None
        assert (entry.role, entry.capacity, entry.draining) == ("ingest", 7, False)
        assert entry.detail["cameras"] == "1"

        # Another URL reopens, a disabled camera is closed, and one that is nobody's is closed too.
        await rig.camera("cam-001", {"main": sim.url("cam-002")})
        await rig.until(lambda: camera_number(watch.units[-1]) == 2)
        assert accepted(watch) == watch.units
        await rig.camera("cam-001", {"main": sim.url("cam-002")}, enabled=False)
        await rig.until(lambda: worker.cameras == {})
        count = -1
        while count != len(watch.units):  # what was under way has come
            count = len(watch.units)
            await asyncio.sleep(0.5)
        await rig.camera("cam-001", {"main": sim.url("cam-002")})
        await rig.until(lambda: len(worker.cameras) == 1)
        await rig.clear(worker)


async def test_without_its_lease_a_worker_only_looks_at_its_load_and_reports_once_it_is_back(
    rig: Rig, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, waits = 0, 0
    async with rig.worker("unleased") as worker, rig.watch("cam-001") as watch:
        await worker.ready()
        await add(rig, sim, "cam-001", worker)
        await rig.until_online("cam-001")
        publisher, ingest = worker.ingest.publisher, worker.ingest
        changed, look_at_load = ingest._something_to_report, ingest._look_at_load
        wait = changed.wait

        async def count_wait() -> bool:
            nonlocal waits
            waits += 1
            return await wait()

        def count_look() -> None:
            nonlocal looks
            looks += 1
            look_at_load()

        with monkeypatch.context() as patch:
            patch.setattr(Lease, "held_until", property(lambda _: float("-inf")))
            await rig.until(lambda: not publisher.permitted)
            patch.setattr(changed, "wait", count_wait)
            patch.setattr(ingest, "_look_at_load", count_look)
            dropped, reports = publisher.dropped_no_lease, len(rig.messages)
            await rig.until(lambda: looks == 3)
            assert waits <= 6, "it looks for its lease"
            assert publisher.dropped_no_lease > dropped
            assert all(report.worker != "unleased" for report in rig.messages[reports + 1 :])
        await rig.until(lambda: any(report.worker == "unleased" for report in rig.messages[reports + 1 :]))
        await watch.collect(5)
        await rig.clear(worker)


async def test_cameras_pass_to_another_worker_without_a_frame_twice(rig: Rig, sim: Simulator) -> None:
    async with (
        rig.worker("one") as one,
        rig.worker("two") as two,
        rig.watch("cam-001") as watch,
        rig.watch("cam-002") as drained,
    ):
        await one.ready()
        await two.ready()
        first = await add(rig, sim, "cam-001", one)
        await add(rig, sim, "cam-002", one)
        await watch.collect(20)
        await drained.collect(5)
        second = await rig.assign("cam-001", two.name)
        await rig.until(lambda: watch.units[-1].epoch == second)
        await watch.collect(20)
        kept = accepted(watch)
        assert [unit.epoch for unit in kept] == sorted(unit.epoch for unit in kept)
        assert {unit.epoch for unit in kept} == {first, second}
        begin = next(unit for unit in kept if unit.epoch == second)
        assert begin.flags == Flags.DISCONTINUITY | Flags.KEYFRAME
        await rig.until(lambda: len(one.cameras) == 1)
        read = {frame_number(unit) for unit in watch.units}
        assert read == set(range(min(read), max(read) + 1)), "a move leaves no hole"
        await rig.until(lambda: not sim_clients(sim, "cam-001") > 1)

        # A worker that is stopped says so, and reads on until the leader has given its cameras to another.
        stopping = asyncio.create_task(one.stop())
        while not stopping.done() and ((lease := await rig.leases.get("ingest.one")) is None or not lease.draining):
            await asyncio.sleep(0.02)
        third = await rig.assign("cam-002", two.name)
        await stopping
        await eventually(lambda: not any(lease.worker == "one" for lease in rig.leases.workers.alive("ingest")))
        await rig.until(lambda: drained.units[-1].epoch == third)


async def test_a_camera_that_takes_one_client_alone_is_left_to_the_other_worker_at_once(
    rig: Rig, sim: Simulator
) -> None:
    async with rig.worker("three") as three, rig.worker("four") as four, rig.watch("cam-003") as watch:
        await three.ready()
        await four.ready()
        await add(rig, sim, "cam-003", three)
        await watch.collect(5)
        sim.fault("cam-003", Fault.UNAUTHORIZED)  # who plays plays on
        second = await rig.assign("cam-003", four.name)
        await rig.until(lambda: rig.reports["cam-003"].epoch == second)
        await rig.until_offline("cam-003")
        await rig.until(lambda: sim_clients(sim, "cam-003") == 0)
        sim.clear("cam-003", Fault.UNAUTHORIZED)


async def test_a_camera_that_comes_back_while_it_is_handed_over_is_read_on(rig: Rig, sim: Simulator) -> None:
    async with rig.worker("five") as five, rig.watch("cam-004") as watch:
        await five.ready()
        await add(rig, sim, "cam-004", five)
        await watch.collect(5)
        await rig.assign("cam-004", "nobody")
        await rig.until(lambda: five.cameras == {})
        await watch.collect(5)
        third = await rig.assign("cam-004", five.name)
        await rig.until(lambda: watch.units[-1].epoch == third)
        assert sum(bool(unit.flags & Flags.DISCONTINUITY) for unit in watch.units) == 1
        await rig.assign("cam-004", "nobody")
        await rig.until(lambda: five.cameras == {})
        sim.fault("cam-004", Fault.DROP)
        await rig.until(lambda: sim_clients(sim, "cam-004") == 0)


def fresh(name: str) -> str:
    """A name that nobody had: workers that were left behind wait for the next parent of theirs."""
    return f"{name}-{secrets.token_hex(2)}"


@asynccontextmanager
async def service(
    rig: Rig, name: str, *, workers: int = 1, before: Callable[[], None] = lambda: None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The service as a process of its own. ``before`` is called when its modules are loaded and it is to begin."""
    environment = os.environ | {
        "PANTAU_NATS_URL": rig.mesh.nats_url,
        "PANTAU_DATA": str(rig.mesh.data),
        "PANTAU_WORKER": name,
        "PANTAU_INGEST_WORKERS": str(workers),
        "PANTAU_ADMIN_PORT": "0",
        "PANTAU_LOG_FORMAT": "json",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", LOADED, env=environment, stdin=PIPE, stdout=PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    await process.stdout.readline()
    before()
    process.stdin.close()
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


def workers(parent: int) -> list[int]:
    """The workers that process ``parent`` has started."""
    return [pid for pid in children(parent) if "--worker-of" in command_line(pid)]


async def until(condition: Callable[[], object], seconds: float = 90.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


async def test_a_worker_that_hangs_falls_silent_and_is_replaced(rig: Rig, sim: Simulator) -> None:
    name = fresh("frozen")
    async with service(rig, name) as process, rig.watch("cam-001") as watch:
        await rig.camera("cam-001", {"main": sim.url("cam-001")})
        await rig.assign("cam-001", f"{name}-1")
        await watch.collect(10)
        (worker,) = workers(process.pid)
        os.kill(worker, signal.SIGSTOP)
        await until(lambda: not runs(worker))
        (replaced,) = await new_workers(process.pid, {worker})
        assert replaced != worker
        await watch.collect(5)
        assert accepted(watch) == watch.units


async def new_workers(parent: int, old: set[int]) -> list[int]:
    await until(lambda: set(workers(parent)) - old)
    return workers(parent)


async def test_a_killed_parent_costs_no_frame_and_the_next_one_starts_only_what_is_missing(
    rig: Rig, sim: Simulator
) -> None:
    name = fresh("mortal")
    async with rig.watch("cam-001") as watch:
        async with service(rig, name, workers=2) as first:
            await rig.camera("cam-001", {"main": sim.url("cam-001")})
            await rig.assign("cam-001", f"{name}-1")
            await watch.collect(10)
            await until(lambda: len(workers(first.pid)) == 2)
            one, two = workers(first.pid)
            leased = await rig.lease(f"{name}-1")
            first.kill()
            await first.wait()
        # Until the next one has been loaded: on a busy machine that takes longer than workers wait for a parent.
        parent = HeldName.take(Name(rig.mesh, "parent", name))
        assert parent is not None
        os.kill(two, signal.SIGKILL)
        await asyncio.sleep(4.0)  # longer than a lease that is not renewed
        assert (await rig.lease(f"{name}-1")).incarnation == leased.incarnation
        async with service(rig, name, workers=2, before=parent.release) as second:
            (started,) = await new_workers(second.pid, set())
            await watch.collect(30)
            assert runs(one)
            assert accepted(watch) == watch.units
            numbers = [unit.sequence for unit in watch.units]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "frames are missing"
            assert sum(bool(unit.flags & Flags.DISCONTINUITY) for unit in watch.units) == 1
    for worker in (one, started):
        assert not runs(worker), "what an earlier parent started ends with this one"


async def test_workers_that_no_parent_comes_for_give_their_lease_back_and_end(rig: Rig, sim: Simulator) -> None:
    name = fresh("forgotten")
    async with service(rig, name) as process, rig.watch("cam-001") as watch:
        await rig.camera("cam-001", {"main": sim.url("cam-001")})
        await rig.assign("cam-001", f"{name}-1")
        await watch.collect(10)
        (worker,) = workers(process.pid)
        below = descendants(worker)
        process.kill()
        await process.wait()
        await until(lambda: not runs(worker), PARENTLESS_SECONDS + 30)
        await until(lambda: not any(runs(pid) for pid in below))
        await until(lambda: not any(lease.worker == f"{name}-1" for lease in rig.leases.workers.alive("ingest")))


def libav_processes() -> list[int]:
    return [pid for pid in descendants(os.getpid()) if "libav_process" in command_line(pid)]


async def test_stopping_waits_for_nobody(rig: Rig, sim: Simulator) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        async with rig.worker("hasty", open_seconds=OPEN_SECONDS) as worker:
            await add(rig, sim, "cam-001", worker)
            for number in range(10):
                await rig.camera(
                    f"silent-{number}",
                    {"main": f"rtsp://127.0.0.1:{silent.getsockname()[1]}/{number}"},
                    reader="libav" if number % 2 else "direct",
                )
                await rig.assign(f"silent-{number}", worker.name)
            await rig.until_online("cam-001")
            await until(lambda: len(libav_processes()) == 6)  # a server, and one for each of five cameras
            below = libav_processes()
            await asyncio.wait_for(worker.stop(), OPEN_SECONDS / 2)
            await until(lambda: not any(runs(pid) for pid in below))


async def test_a_bus_that_is_restarted_finds_the_cameras_open(around: Environment, sim: Simulator) -> None:
    rig, server = around
    async with rig.worker("patient") as worker, rig.watch("cam-001") as watch:
        await add(rig, sim, "cam-001", worker)
        await watch.collect(10)
        await server.kill()
        await asyncio.sleep(1.0)
        await server.start()
        count = len(watch.units)
        await rig.until(lambda: len(watch.units) > count + 10)
        kept = accepted(watch)
        assert kept == watch.units
        assert sum(bool(unit.flags & Flags.DISCONTINUITY) for unit in kept) == 1, "the camera was never closed"
        assert kept[-1].sequence - kept[0].sequence > len(kept) - 1, "what was lost shows"
