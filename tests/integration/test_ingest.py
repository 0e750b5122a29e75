"""Ingest against simulated cameras: what a recorder and a relay get of them."""

import asyncio
import time
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
import pytest_asyncio

from services.contracts import subjects
from services.contracts.frames import Flags, SequenceTracker
from services.contracts.models import Assignment, Reason, ToldAssignment
from services.mesh.want import renew_want
from services.sim.pictures import stamp
from services.sim.settings import SimSettings
from services.sim.simulator import Simulator
from tests.integration.ingest_rig import Rig, RunningWorker, Watch, decode_pictures

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

WANT_SECONDS = 6.0
"""Longer than a busy machine keeps all of this from its turn."""

WORKER = {"want_seconds": WANT_SECONDS}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def sim() -> AsyncIterator[Simulator]:
    async with Simulator(SimSettings(cameras=2, port=0, scenes=1)) as simulator:
        await simulator.ready()
        yield simulator


async def add(rig: Rig, sim: Simulator, camera: str, worker: str = "ingest-1", **fields: object) -> int:
    await rig.camera(camera, {"main": sim.url(camera), "sub": sim.url(camera, "sub")}, **fields)
    return await rig.assign(camera, worker)


def frame_numbers(watch: Watch) -> list[int]:
    found = [stamp.parse(unit.payload) for unit in watch.units]
    assert all(found)
    return [each.frame for each in found if each is not None]


async def test_main_flows_complete_in_order_and_decodable(rig: Rig, sim: Simulator, worker: RunningWorker) -> None:
    async with rig.watch("cam-001") as watch:
        epoch = await add(rig, sim, "cam-001")
        units = await watch.collect_from_keyframe(80)
        tracker = SequenceTracker()
        assert all(tracker.accept(unit) for unit in units)
        assert tracker.lost == 0
        assert {unit.epoch for unit in units} == {epoch}
        assert units[0].flags == Flags.KEYFRAME | Flags.DISCONTINUITY
        assert not any(unit.flags & Flags.DISCONTINUITY for unit in units[1:])
        numbers = frame_numbers(watch)
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert all(b.dts_90k - a.dts_90k == 3600 for a, b in pairwise(units))
        assert len(decode_pictures(units)) == 80


async def test_frames_are_published_as_they_come_and_not_a_gop_at_once(
    rig: Rig, sim: Simulator, worker: RunningWorker
) -> None:
    in_gop, latencies = 0, list[float]()
    async with rig.watch("cam-001") as watch:
        await add(rig, sim, "cam-001")
        await watch.collect(10)
        for _ in range(60):
            unit = (await watch.collect(1))[0]
            sent = stamp.parse(unit.payload)
            assert sent is not None
            in_gop = 0 if unit.keyframe else in_gop + 1
            if in_gop < 25:
                latencies.append(time.time() - sent.sent_us / 1e6)
    # All of the first half of a GOP would be late by the second half, a second; `bench check` holds a frame and a half.
    assert min(latencies) < 1.0


async def test_sub_is_opened_when_wanted_and_closed_when_not(rig: Rig, sim: Simulator, worker: RunningWorker) -> None:
    async with rig.watch("cam-001", "sub") as watch:
        await add(rig, sim, "cam-001")
        await rig.until_online("cam-001")
        assert rig.profile("cam-001", "sub").status == "idle"
        await asyncio.sleep(0.3)
        assert not watch.units
        reply, frames = await rig.want("cam-001", "sub")
        assert (reply.status, frames) == ("opening", [])
        await watch.collect(5)
        reply, frames = await rig.want("cam-001", "sub")
        assert reply.status == "live"
        assert reply.frames == len(frames) > 0
        assert frames[0].keyframe
        await rig.until(lambda: rig.profile("cam-001", "sub").status == "idle")
        count = len(watch.units)
        await asyncio.sleep(0.3)
        assert len(watch.units) == count


async def test_what_a_worker_gives_up_is_told_as_overloaded_and_read_again_when_there_is_room(
    rig: Rig, sim: Simulator, worker: RunningWorker
) -> None:
    await add(rig, sim, "cam-001")
    await add(rig, sim, "cam-002")  # no more than half are given up
    await rig.until_online("cam-001")
    await rig.until_online("cam-002")
    await rig.want("cam-001", "sub")
    await rig.until_online("cam-001", "sub")
    shedding = worker.ingest._shedding
    shedding.shed["cam-001"], shedding._well = "sub", 0  # a worker that was well for some looks would take it back
    await rig.until(lambda: not worker.cameras["cam-001"].sub_open)
    reply, _ = await rig.want("cam-001", "sub")
    assert (reply.status, reply.reason) == ("failed", Reason.OVERLOADED)
    assert rig.profile("cam-001").status == "online", "main is recorded on"
    shedding.shed["cam-001"], shedding._well = "camera", 0
    assert (await rig.until_offline("cam-001")).reason is Reason.OVERLOADED
    reply, _ = await rig.want("cam-001", "main")
    assert (reply.status, reply.reason) == ("failed", Reason.OVERLOADED)
    await rig.until_online("cam-001")
    assert shedding.shed == {}


async def test_a_camera_that_it_is_told_to_take_over_is_read_before_the_bucket_says_so(
    rig: Rig, sim: Simulator, worker: RunningWorker
) -> None:
    epoch = await add(rig, sim, "cam-001", "another")
    lease = await rig.leases.get(f"ingest.{worker.name}")
    assert lease is not None
    mine = Assignment(camera="cam-001", site="city", workers=(worker.name,), incarnations=(lease.incarnation,))
    told = ToldAssignment(assignment=mine, revision=epoch + 1)
    subject = subjects.assigned("city", worker.name)
    await rig.bus.publish(subject, b"nonsense")
    await rig.bus.publish(subject, told.pack())
    await rig.until(lambda: ("cam-001", epoch + 1) in {(c.plan.camera, c.plan.epoch) for c in worker.cameras.values()})


async def test_a_sub_that_is_only_renewed_stays_open(rig: Rig, sim: Simulator, worker: RunningWorker) -> None:
    await add(rig, sim, "cam-001")
    await rig.until_online("cam-001")
    async with rig.watch("cam-001", "sub") as watch:
        await rig.want("cam-001", "sub")
        await watch.collect(5)
        until = time.monotonic() + 1.3 * WANT_SECONDS
        while time.monotonic() < until:
            await asyncio.sleep(WANT_SECONDS / 10)
            await renew_want(rig.bus, subjects.want("city", "sub", "cam-001"))
            assert rig.profile("cam-001", "sub").status == "online"


async def test_the_cached_gop_joins_the_live_frames_without_a_hole(
    rig: Rig, sim: Simulator, worker: RunningWorker
) -> None:
    async with rig.watch("cam-001") as watch:
        await add(rig, sim, "cam-001")
        await watch.collect(10)
        reply, cached = await rig.want("cam-001", "main")
        await watch.collect(5)
        assert reply.status == "live"
        assert [unit.keyframe for unit in cached] == [True] + [False] * (len(cached) - 1)
        joined = {unit.sequence: unit for unit in [*cached, *(u for u in watch.units if u.order > cached[-1].order)]}
        assert list(joined) == list(range(cached[0].sequence, cached[0].sequence + len(joined)))
        assert len(decode_pictures(list(joined.values()))) == len(joined)


async def test_wants_of_what_there_is_not(rig: Rig, sim: Simulator, worker: RunningWorker) -> None:
    await add(rig, sim, "cam-001")
    await rig.until_online("cam-001")
    reply, frames = await rig.want("cam-001", "audio")
    assert (reply.status, frames) == ("unknown-profile", [])
