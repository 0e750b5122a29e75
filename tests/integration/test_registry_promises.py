"""The daily promise: told once for each camera and day, of all recorders together, by whichever registry leads."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from services.contracts import recordings, subjects
from services.contracts.coverage import COVERAGE, CameraCoverage, CoverageAnswer, CoverageQuestion
from services.contracts.events import CameraRegistered, RecordingPromise
from services.contracts.models import Assignment, Camera, Model
from services.contracts.permissions import Actor, Role
from services.contracts.recordings import FootageDamage, FootageGap, FootageRange, TimelineAnswer
from services.mesh import rpc
from services.mesh.bus import Bus
from services.mesh.clock import ManualClock
from services.mesh.event_stream import EventOutbox, ensure_stream, last_event
from services.mesh.leases import Workers
from services.registry.ledger import Ledgers
from services.registry.promises import AFTER_MIDNIGHT_US, DAY_US, LOOK_SECONDS, Promises
from tests.registry.running import Worker, until

pytestmark = pytest.mark.integration
S = 1_000_000
DAY = 20_000 * DAY_US


def camera(name: str, **more: object) -> Camera:
    return Camera.model_validate(
        {"id": name, "site": "city", "name": name, "profiles": {"main": {"url": "rtsp://camera/1"}}, **more}
    )


def answer_of(recorder: str, *spans: tuple[int, int], gaps: tuple[FootageGap, ...] = ()) -> CoverageAnswer:
    ranges = tuple(FootageRange(from_us=DAY + a * S, to_us=DAY + b * S, recorder=recorder) for a, b in spans)
    damage = FootageDamage(from_us=DAY + 10 * S, to_us=DAY + 20 * S, damaged_us=4 * S)
    timeline = TimelineAnswer(
        recorder=recorder, ranges=ranges, gaps=gaps, damage=(damage,) if spans and spans[0][0] < 10 else ()
    )
    return CoverageAnswer(
        recorder=recorder, cameras=(CameraCoverage(camera="cam-1", timeline=timeline, oldest_full_us=DAY),)
    )


class Rig:
    """A leader's promises on a clock of their own, and stand-ins for recorders."""

    def __init__(self, bus: Bus, ledgers: Ledgers, workers: Workers) -> None:
        self.bus, self.ledgers, self.workers = bus, ledgers, workers
        self.clock = ManualClock(DAY + DAY_US // 2)
        self.outbox = EventOutbox(bus, source="/registry/test")

    def promises(self) -> Promises:
        return Promises(
            bus=self.bus, home="city", ledgers=self.ledgers, workers=self.workers, outbox=self.outbox,
            leading=lambda: True, clock=self.clock,
        )  # fmt: skip

    async def told(self, name: str = "cam-1") -> RecordingPromise | None:
        await self.outbox.flush(10)
        return await last_event(self.bus, RecordingPromise, "city", name)


@asynccontextmanager
async def rig_of(bus: Bus, answers: Sequence[CoverageAnswer]) -> AsyncIterator[Rig]:
    await ensure_stream(bus)
    ledgers, workers = await Ledgers.open(bus, "city"), Workers(bus, "city")
    made = Rig(bus, ledgers, workers)
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(workers.run()), tasks.create_task(made.outbox.run())]
        serving = [await _recorder(bus, tasks, answer) for answer in answers]
        alive = [await Worker(bus, "recorder", answer.recorder).start() for answer in answers]
        await until(lambda: len(workers.alive("recorder")) == len(answers))
        try:
            yield made
        finally:
            for recorder in alive:
                await recorder.stop()
            for service in serving:
                await service.stop()
            for task in running:
                task.cancel()


async def _recorder(bus: Bus, tasks: asyncio.TaskGroup, answer: CoverageAnswer) -> rpc.RpcService:
    async def handle(question: CoverageQuestion, _actor: Actor) -> Model:
        cameras = tuple(item for item in answer.cameras if item.camera in question.cameras)
        return answer.model_copy(update={"cameras": cameras})

    endpoint = rpc.Endpoint(COVERAGE, CoverageQuestion, handle, Role.VIEWER, broadcast=True)
    return await rpc.serve(bus, tasks, home="city", service=recordings.SERVICE, endpoints=[endpoint])


async def test_a_day_is_told_once_when_it_has_ended_whoever_leads(bus: Bus) -> None:
    hour, half = 3600, 43_200
    lost = (
        FootageGap(from_us=DAY + half * S, to_us=DAY + (half + hour) * S, cause="recorder-down"),
        FootageGap(from_us=DAY + 60_000 * S, to_us=DAY + (60_000 + 2 * hour) * S, cause="unreachable"),
    )
    first = answer_of("rec-1", (0, half), gaps=lost[:1])
    second = answer_of("rec-2", (half + hour, 60_000), (60_000 + 2 * hour, 86_400), gaps=lost[1:])
    async with rig_of(bus, (first, second)) as rig:
        await rig.ledgers.cameras.create("cam-1", camera("cam-1"))
        promises = rig.promises()
        await promises.tell_yesterday()  # of the day before: nothing was to be recorded
        assert await rig.told() is None
        rig.clock.advance(DAY_US / 2e6 + AFTER_MIDNIGHT_US / 1e6 - 1)
        await promises.tell_yesterday()
        assert await rig.told() is None, "told before the recorders could close the day"
        rig.clock.advance(1)
        await promises.tell_yesterday()
        told = await rig.told()
        assert told is not None
        assert (told.from_us, told.to_us, told.complete) == (DAY, DAY + DAY_US, True)
        assert told.percent == pytest.approx(100 * 21 / 24, abs=0.001)
        assert (told.lost_by_mesh_seconds, told.lost_by_camera_seconds) == (hour, 2 * hour)
        assert (told.recorded_seconds, told.damaged_seconds) == (21 * hour, 4)
        assert told.nats_subject == "pantau.v1.city.recording.promise.cam-1"
        rig.clock.advance(60)
        await rig.promises().tell_yesterday()  # another leader
        again = await rig.told()
        assert again is not None
        assert again.at_us == told.at_us


async def test_a_camera_that_no_recorder_ever_had_is_told_as_lost_by_the_mesh_since_it_was_registered(bus: Bus) -> None:
    async with rig_of(bus, ()) as rig:
        await rig.ledgers.cameras.create("cam-1", camera("cam-1"))
        await rig.ledgers.cameras.create("cam-2", camera("cam-2", record=False))
        rig.outbox.post(CameraRegistered(site="city", at_us=rig.clock.now_us(), camera="cam-1", camera_name="cam-1"))
        await rig.outbox.flush(10)
        rig.clock.advance(DAY_US / 1e6)
        await rig.promises().tell_yesterday()
        told = await rig.told()
        assert told is not None
        assert (told.percent, told.recorded_seconds, told.lost_by_mesh_seconds) == (0, 0, 43_200)
        assert await rig.told("cam-2") is None


async def test_a_home_that_is_away_makes_the_promise_incomplete(bus: Bus) -> None:
    async with rig_of(bus, (answer_of("rec-1", (0, 86_400)),)) as rig:
        await rig.ledgers.cameras.create("cam-1", camera("cam-1"))
        assignment = Assignment(
            camera="cam-1", site="city", workers=("rec-1",), incarnations=(1,), homes=("rec-1", "rec-9")
        )
        await rig.ledgers.assignments.create("recorder.cam-1", assignment)
        rig.clock.advance(DAY_US / 1e6)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(rig.promises().run())
            async with asyncio.timeout(90):
                while await rig.told() is None:
                    await asyncio.sleep(0.02)
                    rig.clock.advance(LOOK_SECONDS / 10)
            running.cancel()
        told = await rig.told()
        assert told is not None
        assert (told.percent, told.complete) == (100, False)


async def test_events_of_a_camera_are_found_by_its_own_subject(bus: Bus) -> None:
    await ensure_stream(bus)
    assert subjects.event("city", "recording", "promise", "cam-1") == "pantau.v1.city.recording.promise.cam-1"
    assert await last_event(bus, RecordingPromise, "city", "cam-1") is None
