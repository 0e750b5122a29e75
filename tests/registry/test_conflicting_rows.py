"""Which refused rows of an import are tried again: those that conflict with a camera that has changed meanwhile."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from services.contracts.catalogue import ImportReport, ImportRequest
from services.contracts.errors import ConflictError
from services.contracts.models import Camera
from services.contracts.permissions import SYSTEM
from services.mesh.clock import ClockTimer, ManualClock
from services.registry.catalogue import CameraCatalogue
from services.registry.imports import PATIENCE_SECONDS

ROW = '[{"id": "gate", "profiles": {"main": "rtsp://10.0.0.1/main"}, "site": "SITE"}]'


class Cameras:
    """Has each camera already that is written; nobody has said so here."""

    def __init__(self) -> None:
        self.entries: dict[str, tuple[Camera, int]] = {}
        self._written: dict[str, tuple[Camera, int]] = {}

    async def create(self, key: str, camera: Camera) -> int:
        self._written[key] = (camera, 3)
        raise ConflictError("there already")

    async def fetch(self, key: str) -> tuple[Camera, int] | None:
        if key in self._written:
            self.entries[key] = self._written[key]
        return self.entries.get(key)


class Hurried(ManualClock):
    """What is waited for has passed."""

    def call_later(self, seconds: float, callback: Callable[[], None]) -> ClockTimer:
        timer = super().call_later(seconds, callback)
        self.advance(seconds)
        return timer


async def imported(site: str, clock: Hurried) -> ImportReport:
    async def nothing(*_of: object) -> None: ...

    ledgers: Any = SimpleNamespace(cameras=Cameras(), sites={"harbour": "joined"}, states=None, told=None)
    outbox: Any = SimpleNamespace(room=nothing)
    secrets: Any = SimpleNamespace()
    catalogue = CameraCatalogue(home="city", ledgers=ledgers, secrets=secrets, outbox=outbox, clock=clock)
    request = ImportRequest(format="json", content=ROW.replace("SITE", site))
    return await catalogue.import_(request, SYSTEM, patience_seconds=PATIENCE_SECONDS)


async def test_a_row_that_was_written_without_an_answer_is_no_conflict() -> None:
    report = await imported("city", Hurried())
    assert [row.result for row in report.rows] == ["unchanged"]


async def test_a_row_for_a_joined_site_is_refused_without_waiting_for_the_bus() -> None:
    clock = Hurried()
    began = clock.monotonic()
    report = await imported("harbour", clock)
    assert [(row.result, row.code) for row in report.rows] == [("refused", "conflict")]
    assert clock.monotonic() - began < PATIENCE_SECONDS, "each such row holds up those after it"
