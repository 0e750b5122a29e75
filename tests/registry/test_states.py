"""What the leader observes of reports: whole ones, digests, and cameras of which it knows nothing."""

import asyncio
from types import SimpleNamespace
from typing import Any

from services.contracts import subjects
from services.contracts.models import Assignment, Camera, CameraReport, IngestReport, ProfileReport, Status, WorkerLease
from services.mesh.clock import ManualClock
from services.registry.states import CALL_SECONDS, StateObserver
from tests.eventually import eventually

CAMERA = Camera.model_validate(
    {"id": "gate", "name": "Gate", "site": "city", "profiles": {"main": {"url": "rtsp://10.0.0.1/main"}}}
)
UP = ProfileReport(status="online", codec="h264", frame_rate=25, frames=100)


class Entries:
    def __init__(self, **entries: Any) -> None:
        self.entries = entries

    def get(self, key: str) -> Any:
        return self.entries[key][0] if key in self.entries else None


class Leader:
    """A state observer that leads, its clock, and what it publishes."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.published: list[str] = []
        self.workers = [WorkerLease(role="ingest", worker="ingest-1", incarnation=1)]
        self.cameras = Entries(gate=(CAMERA, 1))
        self.assignments = Entries()
        self.assign("ingest-1", epoch=7)
        ledgers: Any = SimpleNamespace(
            cameras=self.cameras,
            assignments=self.assignments,
            states=Entries(),
            told=SimpleNamespace(know=lambda _states: None),
            changed_cameras=set(),
        )
        bus: Any = SimpleNamespace(reconnects=0, publish=self._publish, subscribe=self._subscribe)
        workers: Any = SimpleNamespace(alive=lambda _role: self.workers)
        outbox: Any = SimpleNamespace(post=lambda _event: None)
        self.observer = StateObserver(
            bus=bus,
            home="city",
            ledgers=ledgers,
            workers=workers,
            outbox=outbox,
            leading=lambda: True,
            telling=lambda: True,
            clock=self.clock,
        )
        self.observer._was_leading = True
        self.observer._take_over()

    def assign(self, worker: str, *, epoch: int) -> None:
        assignment = Assignment(camera="gate", site="city", workers=(worker,), incarnations=(1,))
        self.assignments.entries["ingest.gate"] = (assignment, epoch)

    async def _subscribe(self, _subject: str, _take: object) -> Any:
        return SimpleNamespace(unsubscribe=lambda: asyncio.sleep(0))

    async def _publish(self, subject: str, _data: bytes) -> bool:
        self.published.append(subject)
        return True

    def count(self, subject: str) -> int:
        return self.published.count(subject)

    async def hear(
        self, *, whole: ProfileReport | None = None, steady: int | None = None, worker: str = "ingest-1"
    ) -> None:
        report = CameraReport(camera="gate", site="city", epoch=7, profiles={"main": whole}) if whole else None
        message: Any = SimpleNamespace(
            subject="",
            data=IngestReport(
                worker=worker,
                at_us=0,
                cameras=(report,) if report else (),
                steady={} if steady is None else {"gate": steady, "unknown": 5},
            ).pack(),
        )
        await self.observer._on_report(message)
        await self.tick(2)

    async def tick(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await self.observer._tick()

    @property
    def status(self) -> Status:
        return self.observer._watched["gate"].observed.status


async def test_a_digest_keeps_a_camera_online_and_figures_are_told_when_it_comes_whole() -> None:
    leader = Leader()
    await leader.tick(4)  # a new leader cannot see leases for some seconds
    await leader.hear(whole=UP)
    for frames in range(150, 1650, 50):
        await leader.hear(steady=frames)
        assert leader.status is Status.ONLINE
    told = leader.count(subjects.figures("city"))
    await leader.hear(whole=UP.model_copy(update={"frames": 1700, "bitrate_bps": 5}))
    assert leader.count(subjects.figures("city")) == told + 1
    await leader.tick(3)
    assert leader.count(subjects.figures("city")) == told + 1, "figures that were told are told again"


async def test_a_camera_that_no_report_names_any_more_is_offline() -> None:
    leader = Leader()
    await leader.tick(4)
    await leader.hear(whole=UP)
    await leader.hear(steady=150)
    await leader.tick(3)
    assert leader.status is Status.OFFLINE


async def test_a_camera_whose_worker_has_no_lease_is_told_offline_though_nothing_of_it_was_due() -> None:
    leader = Leader()
    await leader.tick(4)
    await leader.hear(whole=UP)
    leader.workers = [leader.workers[0].model_copy(update={"worker": "ingest-2"})]
    told = leader.count(subjects.state("city", "gate"))
    await leader.tick(0.5)
    assert leader.status is Status.OFFLINE
    assert leader.count(subjects.state("city", "gate")) == told + 1


async def test_a_leader_that_knows_nothing_of_a_camera_asks_workers_to_name_it_whole() -> None:
    leader = Leader()
    for _ in range(3):
        await leader.hear(steady=150)
    assert leader.count(subjects.roll_call("city")) == 3
    leader.clock.advance(-CALL_SECONDS)
    await leader.hear(steady=200)
    assert leader.count(subjects.roll_call("city")) == 3, "it calls at each report"
    await leader.hear(whole=UP)
    await leader.hear(steady=250)
    assert leader.count(subjects.roll_call("city")) == 3
    assert leader.status is Status.ONLINE


async def test_a_digest_of_a_worker_that_had_the_camera_before_says_nothing() -> None:
    leader = Leader()
    await leader.tick(4)
    await leader.hear(whole=UP)
    for frames in (150, 200, 250):
        await leader.hear(steady=frames, worker="ingest-2")
    assert leader.status is Status.OFFLINE


async def test_a_digest_of_the_worker_that_took_a_camera_over_asks_for_the_report_that_was_lost() -> None:
    leader = Leader()
    await leader.tick(4)
    await leader.hear(whole=UP)
    leader.assign("ingest-2", epoch=8)
    await leader.hear(steady=10, worker="ingest-1")
    await leader.hear(steady=10, worker="ingest-1")
    assert leader.count(subjects.roll_call("city")) == 0, "who has it no more is asked for nothing"
    await leader.hear(steady=10, worker="ingest-2")
    await leader.hear(steady=10, worker="ingest-2")
    assert leader.count(subjects.roll_call("city")) == 1


async def test_a_camera_that_nobody_reports_on_is_told_at_once_when_it_comes_to_another_site() -> None:
    leader = Leader()
    await leader.tick(20)
    await leader.tick(20)
    told = leader.count(subjects.state("city", "gate"))
    leader.cameras.entries["gate"] = (CAMERA.model_copy(update={"site": "harbour"}), 2)
    leader.observer._catalogued.add("gate")
    await leader.tick(0.5)
    assert leader.count(subjects.state("city", "gate")) == told + 1


async def test_who_begins_to_lead_asks_all_workers_for_their_cameras() -> None:
    leader = Leader()
    leader.observer._was_leading = False
    observing = asyncio.create_task(leader.observer._observe())
    await eventually(lambda: leader.count(subjects.roll_call("city")) == 1)
    observing.cancel()


async def test_a_camera_that_is_removed_while_its_state_is_written_leaves_no_state() -> None:
    observer = Leader().observer
    await observer._tick()
    watched = observer._watched["gate"]
    watched.told, watched.written = watched.observed.state(), None

    async def put(_camera: str, _state: object) -> None:
        del observer._watched["gate"]

    observer._states = SimpleNamespace(put=put)  # type: ignore[assignment]  # all that is called
    observer._unwritten.clear()
    await observer._write_one("gate", asyncio.Semaphore())
    assert observer._unwritten == {"gate"}, "it is deleted next"
