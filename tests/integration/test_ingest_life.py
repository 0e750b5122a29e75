"""Ingest's life: assignments followed, leases kept or given up, processes replaced, nothing waited for at the end."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest

from services.mesh import subjects
from services.mesh.bus import Bus
from services.mesh.frames import AccessUnit, Flags, SequenceTracker
from services.mesh.models import WorkerLease
from services.mesh.natsserver import NatsServer
from services.mesh.settings import MeshSettings
from services.sim import stamp
from services.sim.settings import SimSettings
from services.sim.simulator import Simulator
from tests.integration.ingest_rig import Rig, RunningWorker, Watch

pytestmark = pytest.mark.integration


@pytest.fixture
async def rig(bus: Bus, mesh_settings: MeshSettings) -> Rig:
    rig = Rig(bus, mesh_settings)
    await rig.open()
    return rig


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    async with Simulator(SimSettings(cameras=4, port=0, scenes=1)) as simulator:
        await simulator.ready()
        yield simulator


async def add(rig: Rig, sim: Simulator, camera: str, worker: str = "ingest-1", **fields: object) -> int:
    await rig.camera(camera, {"main": sim.url(camera), "sub": sim.url(camera, "sub")}, **fields)
    return await rig.assign(camera, worker)


def accepted(watch: Watch) -> list[AccessUnit]:
    """What a consumer keeps."""
    tracker = SequenceTracker()
    return [unit for unit in watch.units if tracker.accept(unit)]


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def runs(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def pids(worker: RunningWorker) -> tuple[int, ...]:
    return worker.ingest.process_ids


async def test_a_camera_passes_to_another_worker_without_a_frame_twice(rig: Rig, sim: Simulator) -> None:
    async with rig.worker("ingest-1") as one, rig.worker("ingest-2") as two, rig.watch("cam-001") as watch:
        await two.ready()
        first = await add(rig, sim, "cam-001", "ingest-1")
        await watch.collect(30)
        second = await rig.assign("cam-001", "ingest-2")
        await rig.until(lambda: watch.units[-1].epoch == second)
        await watch.collect(30)
        kept = accepted(watch)
        assert [unit.epoch for unit in kept] == sorted(unit.epoch for unit in kept)
        assert {unit.epoch for unit in kept} == {first, second}
        begin = next(unit for unit in kept if unit.epoch == second)
        assert begin.flags & Flags.DISCONTINUITY
        assert begin.keyframe
        await asyncio.sleep(0.3)
        assert {unit.epoch for unit in watch.units[-5:]} == {second}
        assert one.ingest.assigned == 0


async def test_a_new_epoch_for_the_same_worker_reopens_nothing(rig: Rig, sim: Simulator) -> None:
    async with rig.worker(), rig.watch("cam-001") as watch:
        await add(rig, sim, "cam-001")
        await watch.collect(10)
        epoch = await rig.assign("cam-001", "ingest-1")
        await rig.until(lambda: watch.units[-1].epoch == epoch)
        assert [b.sequence - a.sequence for a, b in pairwise(watch.units)] == [1] * (len(watch.units) - 1)
        assert sum(bool(unit.flags & Flags.DISCONTINUITY) for unit in watch.units) == 1


async def test_the_catalogue_is_followed(rig: Rig, sim: Simulator) -> None:
    async with rig.worker() as worker, rig.watch("cam-001") as watch:
        await add(rig, sim, "cam-001")
        await watch.collect(5)
        assert stamp.parse(watch.units[-1].payload).camera == 1  # type: ignore[union-attr]  # the sim stamps every frame
        await rig.camera("cam-001", {"main": sim.url("cam-002")})
        await rig.until(lambda: stamp.parse(watch.units[-1].payload).camera == 2)  # type: ignore[union-attr]  # as above
        assert accepted(watch) == watch.units
        await rig.camera("cam-001", {"main": sim.url("cam-002")}, enabled=False)
        await rig.until(lambda: worker.ingest.assigned == 0)
        await asyncio.sleep(0.2)
        count = len(watch.units)
        await asyncio.sleep(0.3)
        assert len(watch.units) == count
        await rig.camera("cam-001", {"main": sim.url("cam-002")})
        await watch.collect(1)
        await rig.assignments.delete("ingest.cam-001")
        await rig.until(lambda: worker.ingest.assigned == 0)


async def test_a_killed_reader_process_is_back_and_goes_on_above_its_numbers(rig: Rig, sim: Simulator) -> None:
    async with rig.worker() as worker, rig.watch("cam-001") as watch:
        await add(rig, sim, "cam-001")
        await watch.collect(10)
        (pid,) = pids(worker)
        os.kill(pid, signal.SIGKILL)
        count = len(watch.units)
        await rig.until(lambda: len(watch.units) > count + 10)
        assert accepted(watch) == watch.units
        assert len(pids(worker)) == 1


async def test_a_crash_in_libav_parts_its_cameras(rig: Rig, sim: Simulator) -> None:
    cameras = [f"cam-{number:03}" for number in range(1, 5)]
    async with rig.worker() as worker:
        for camera in cameras:
            await add(rig, sim, camera)
        for camera in cameras:
            await rig.until_online(camera)
        (pid,) = pids(worker)
        os.kill(pid, signal.SIGSEGV)
        await rig.until(lambda: len(pids(worker)) == 2 and pid not in pids(worker))
        for camera in cameras:
            async with rig.watch(camera) as watch:
                await watch.collect(2)


async def test_cameras_beyond_the_limit_get_a_process_more(rig: Rig, sim: Simulator) -> None:
    async with rig.worker(cameras_per_process=2) as worker:
        for number in range(1, 5):
            await add(rig, sim, f"cam-{number:03}")
        for number in range(1, 5):
            await rig.until_online(f"cam-{number:03}")
        assert len(pids(worker)) == 2


async def test_a_bus_that_is_restarted_finds_the_cameras_open(
    rig: Rig, sim: Simulator, nats_server: NatsServer
) -> None:
    async with rig.worker(), rig.watch("cam-001") as watch:
        await add(rig, sim, "cam-001")
        await watch.collect(10)
        await nats_server.kill()
        await asyncio.sleep(1.0)
        await nats_server.start()
        count = len(watch.units)
        began = time.monotonic()
        await rig.until(lambda: len(watch.units) > count + 10)
        assert time.monotonic() - began < 5
        kept = accepted(watch)
        assert kept == watch.units
        assert sum(bool(unit.flags & Flags.DISCONTINUITY) for unit in kept) == 1, "the camera was never closed"
        assert kept[-1].sequence - kept[0].sequence > len(kept) - 1, "what was lost shows"


async def test_a_worker_that_cannot_renew_its_lease_falls_silent_before_another_may_begin(
    rig: Rig, sim: Simulator, mesh_settings: MeshSettings, tmp_path: Path
) -> None:
    """The service is stopped (SIGSTOP), as a machine that swaps itself to death is; its reader process lives on."""
    environment = os.environ | {
        "PANTAU_NATS_URL": mesh_settings.nats_url,
        "PANTAU_WORKER": "ingest-1",
        "PANTAU_ADMIN_PORT": "0",
        "PANTAU_LOG_FORMAT": "json",
    }
    script = (
        "import os\n"
        "from services.ingest import app\n"
        "from services.ingest.settings import IngestSettings\n"
        "from services.mesh import lifecycle\n"
        "from services.mesh.settings import MeshSettings\n"
        "raise SystemExit(lifecycle.main('ingest', MeshSettings.load(os.environ), "
        "lambda service: app.run(service, IngestSettings())))\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, env=environment)
    try:
        async with rig.watch("cam-001") as watch:
            await add(rig, sim, "cam-001")
            await watch.collect(10)
            process.send_signal(signal.SIGSTOP)
            stopped = time.monotonic()
            await asyncio.sleep(3.0)
            count = len(watch.units)
            await asyncio.sleep(0.5)
            assert len(watch.units) == count, f"frames {time.monotonic() - stopped} s after the last renewal"
            process.send_signal(signal.SIGCONT)
            await watch.collect(5)
            assert accepted(watch) == watch.units
            # And kill -9 of the service takes its reader processes along.
            (child,) = children(process.pid)
            process.kill()
            await process.wait()
            async with asyncio.timeout(2):
                while runs(child):
                    await asyncio.sleep(0.02)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_stopping_waits_for_nobody(rig: Rig, sim: Simulator) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        async with rig.worker() as worker:
            await add(rig, sim, "cam-001")
            for number in range(10):
                await rig.camera(f"silent-{number}", {"main": f"rtsp://127.0.0.1:{silent.getsockname()[1]}/{number}"})
                await rig.assign(f"silent-{number}", "ingest-1")
            await rig.until_online("cam-001")
            (pid,) = pids(worker)
            began = time.monotonic()
            await worker.stop()
            assert time.monotonic() - began < 2.0
            assert not runs(pid)


async def test_a_draining_worker_reads_on_until_its_cameras_are_taken(rig: Rig, sim: Simulator, bus: Bus) -> None:
    leases = rig.leases
    async with rig.worker("ingest-1") as one, rig.worker("ingest-2") as two, rig.watch("cam-001") as watch:
        await two.ready()
        await add(rig, sim, "cam-001", "ingest-1")
        await watch.collect(20)
        stopping = asyncio.create_task(one.stop())

        async def hand_over() -> None:
            while True:
                lease = await leases.get("ingest.ingest-1")
                if lease is not None and lease[0].draining:
                    await rig.assign("cam-001", "ingest-2")
                    return
                await asyncio.sleep(0.02)

        began = time.monotonic()
        await asyncio.wait_for(hand_over(), 2)
        await stopping
        assert time.monotonic() - began < 2
        assert await leases.get("ingest.ingest-1") is None, "the lease was given back"
        await rig.until(lambda: watch.units[-1].epoch != watch.units[0].epoch)
        assert accepted(watch)[-1] == watch.units[-1]


async def test_the_lease_says_what_the_leader_needs(rig: Rig, sim: Simulator) -> None:
    leases = rig.leases
    async with rig.worker(capacity=7) as worker:
        await add(rig, sim, "cam-001")
        await rig.until_online("cam-001")
        await worker.ready()
        await asyncio.sleep(1.2)
        entry = await leases.get("ingest.ingest-1")
        assert entry is not None
        lease: WorkerLease = entry[0]
        assert (lease.role, lease.worker, lease.capacity, lease.draining) == ("ingest", "ingest-1", 7, False)
        assert lease.detail["cameras"] == "1"
        assert 0 <= lease.load < 1


async def test_reports_come_every_two_seconds_and_at_once_on_a_change(rig: Rig, sim: Simulator) -> None:
    async with rig.worker():
        await add(rig, sim, "cam-001")
        report = await rig.until_online("cam-001")
        assert report.codec == "h264"
        assert (report.width_px, report.height_px) == (1280, 720)
        await asyncio.sleep(4.5)
        report = rig.profile("cam-001")
        assert report.frame_rate == pytest.approx(25, abs=1)
        assert 1_000_000 < report.bitrate_bps < 4_000_000
        assert report.keyframe_interval_seconds == pytest.approx(2)
        assert time.time() * 1e6 - report.last_frame_us < 3e6
        whole = [message for message in rig.messages if message.cameras]
        gaps = [b.at_us - a.at_us for a, b in pairwise(whole)]
        assert max(gaps[1:]) < 2_500_000
        assert rig.reports["cam-001"].epoch > 0
        assert subjects.report("city", "ingest-1")
