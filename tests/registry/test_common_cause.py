"""Where more than half of a role's leases are late at once, the cause is hardly theirs: nothing moves for a while."""

import asyncio
from types import SimpleNamespace
from typing import Any

from services.contracts.models import Assignment, Camera, WorkerLease
from services.mesh.clock import ManualClock
from services.registry.assignments import COMMON_CAUSE_SECONDS, Assigner
from services.registry.roster import EXPECT_SECONDS
from services.registry.settings import RegistrySettings

CAMERAS = {
    f"cam-{number}": Camera.model_validate(
        {
            "id": f"cam-{number}",
            "site": "city",
            "name": "x",
            "record": False,
            "profiles": {"main": {"url": "rtsp://c/"}},
        }
    )
    for number in range(4)
}


class Fleet:
    """Four ingest workers with a camera each, of which some are late and then gone."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.leases = {
            f"ingest-{number}": WorkerLease(role="ingest", worker=f"ingest-{number}", incarnation=1)
            for number in range(4)
        }
        self.late: set[str] = set()
        self.gone: set[str] = set()
        assignments = {
            f"ingest.cam-{number}": (
                Assignment(camera=f"cam-{number}", site="city", workers=(f"ingest-{number}",), incarnations=(1,)),
                number + 1,
            )
            for number in range(4)
        }
        cameras = {name: (camera, 1) for name, camera in CAMERAS.items()}
        around: Any = SimpleNamespace(
            cameras=SimpleNamespace(entries=cameras),
            assignments=SimpleNamespace(entries=assignments),
            orders=SimpleNamespace(get=lambda _key: None),
            plan_due=asyncio.Event(),
        )
        workers: Any = SimpleNamespace(alive=self._alive, late=self._late, silent_seconds=lambda _role, _name: 0.0)
        presence: Any = SimpleNamespace(gone=lambda _lease: False)
        bus: Any = SimpleNamespace(reconnects=0)
        self.assigner = Assigner(
            bus=bus,
            home="city",
            ledgers=around,
            workers=workers,
            presence=presence,
            registries=presence,
            leading=lambda: True,
            settings=RegistrySettings(),
            clock=self.clock,
        )
        self.assigner._look()
        self.clock.advance(EXPECT_SECONDS + 1)

    def _alive(self, role: str, *, within_seconds: float = 3.0) -> list[WorkerLease]:
        return [lease for name, lease in self.leases.items() if role == "ingest" and name not in self.gone]

    def _late(self, role: str) -> list[WorkerLease]:
        return [lease for lease in self._alive(role) if lease.worker in self.late]

    async def readers(self, *, late: int = 0, gone: int = 0) -> list[str]:
        """Who is to read the cameras when so many workers are late, and then so many gone."""
        self.late = {f"ingest-{number}" for number in range(late)}
        self.assigner._look()
        self.late, self.gone = set(), {f"ingest-{number}" for number in range(gone)}
        self.assigner._look()
        planned = await self.assigner._plan()
        return [planned[f"ingest.{camera}"].workers[0] for camera in CAMERAS]


AS_BEFORE = [f"ingest-{number}" for number in range(4)]


async def test_of_more_than_half_that_are_late_at_once_no_camera_moves_for_ten_seconds_and_then_it_does() -> None:
    fleet = Fleet()
    assert await fleet.readers(late=3, gone=3) == AS_BEFORE
    fleet.clock.advance(COMMON_CAUSE_SECONDS - 0.1)
    assert await fleet.readers(gone=3) == AS_BEFORE
    fleet.clock.advance(0.2)
    assert await fleet.readers(gone=3) == ["ingest-3"] * 4


async def test_half_of_them_are_no_common_cause() -> None:
    assert (await Fleet().readers(late=2, gone=2))[2:] == AS_BEFORE[2:]
    assert not set(await Fleet().readers(late=2, gone=2)) & {"ingest-0", "ingest-1"}
