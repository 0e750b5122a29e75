"""The daily promise: how much of the day before is recorded of each camera, and who lost the rest.

The leader asks all recorders once a day (UTC). What it has told is in the event stream, so another leader goes on from
there, and a camera is told once.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from services.contracts.coverage import CoverageStatement, coverage_statements
from services.contracts.errors import UnavailableError
from services.contracts.events import CameraRegistered, RecordingPromise
from services.contracts.models import Camera, Id
from services.contracts.recordings import GapCause
from services.footage.coverage import ask_coverage
from services.mesh.bus import Bus
from services.mesh.clock import Clock, sleep
from services.mesh.event_stream import EventOutbox, last_event
from services.mesh.leases import Workers
from services.mesh.log import get_logger
from services.registry.ledger import Ledgers

log = get_logger()

DAY_US: Final = 86_400 * 1_000_000
AFTER_MIDNIGHT_US: Final = 300 * 1_000_000
"""Recorders have closed the day's segments by then."""
LOOK_SECONDS: Final = 30.0
PROFILE: Final = "main"


class Promises:
    """`run` it; it tells while this registry leads."""

    def __init__(
        self,
        *,
        bus: Bus,
        home: Id,
        ledgers: Ledgers,
        workers: Workers,
        outbox: EventOutbox,
        leading: Callable[[], bool],
        clock: Clock,
    ) -> None:
        self._bus = bus
        self._home = home
        self._ledgers = ledgers
        self._workers = workers
        self._outbox = outbox
        self._leading = leading
        self._clock = clock
        self._told = -1
        """The day that this registry has told last."""

    async def run(self) -> None:
        """Tells each day after it has ended; until it is cancelled."""
        while True:
            await sleep(self._clock, LOOK_SECONDS)
            if self._leading():
                await self.tell_yesterday()

    async def tell_yesterday(self) -> None:
        """Tells of the day that ended last, unless it is told already or has only just ended."""
        day = (self._clock.now_us() - AFTER_MIDNIGHT_US) // DAY_US - 1
        if day == self._told:
            return
        from_us, to_us = day * DAY_US, (day + 1) * DAY_US
        try:
            waiting = [camera for camera in self._recorded() if await self._untold(camera, to_us)]
            if waiting:
                await self._tell(waiting, from_us, to_us)
        except UnavailableError as error:
            log.warning("promises.waiting", error=error)
            return
        self._told = day

    def _recorded(self) -> list[Camera]:
        cameras = (camera for camera, _ in self._ledgers.cameras.entries.values())
        return sorted((one for one in cameras if one.enabled and one.record), key=lambda camera: camera.id)

    async def _untold(self, camera: Camera, to_us: int) -> bool:
        last = await last_event(self._bus, RecordingPromise, camera.site, camera.id)
        return last is None or last.to_us < to_us

    async def _tell(self, cameras: Sequence[Camera], from_us: int, to_us: int) -> None:
        alive = {lease.worker for lease in self._workers.alive("recorder")}
        recorders = len(alive)
        names = [camera.id for camera in cameras]
        try:
            asked = await ask_coverage(self._bus, self._home, names, from_us, to_us, recorders=lambda: recorders)
        except UnavailableError:
            if recorders:
                raise
            answers, complete = [], True  # there is no recorder at all, which is told as well
        else:
            answers, complete = asked.answers, asked.recorders >= recorders
        made = await asyncio.to_thread(coverage_statements, names, from_us, to_us, answers)
        known = {statement.camera: statement for statement in made}
        for camera in cameras:
            statement = known.get(camera.id) or await self._never_recorded(camera, from_us, to_us)
            assignment = self._ledgers.assignments.get(f"recorder.{camera.id}")
            homes_answer = assignment is None or alive.issuperset(assignment.homes)
            event = promise(camera, statement, at_us=self._clock.now_us(), complete=complete and homes_answer)
            if event is not None:
                self._outbox.post(event)

    async def _never_recorded(self, camera: Camera, from_us: int, to_us: int) -> CoverageStatement:
        """Of a camera that no recorder has heard of: nothing, since it was registered."""
        registered = await last_event(self._bus, CameraRegistered, camera.site, camera.id)
        since_us = min(max(from_us, registered.at_us), to_us) if registered is not None else from_us
        return CoverageStatement(
            camera=camera.id, profile=PROFILE, from_us=from_us, to_us=to_us, recorded_us=0,
            missing_us={GapCause.NOT_KEPT: since_us - from_us, GapCause.NOT_ASSIGNED: to_us - since_us},
        )  # fmt: skip


def promise(camera: Camera, made: CoverageStatement, *, at_us: int, complete: bool) -> RecordingPromise | None:
    """What is told of a day; None where nothing was to be recorded."""
    by_mesh_us, by_camera_us = made.lost_us("mesh"), made.lost_us("camera")
    wanted_us = made.recorded_us + by_mesh_us + by_camera_us
    if wanted_us <= 0:
        return None
    return RecordingPromise(
        site=camera.site, at_us=at_us, camera=camera.id, profile=made.profile, from_us=made.from_us, to_us=made.to_us,
        percent=round(100 * made.recorded_us / wanted_us, 3), recorded_seconds=made.recorded_us / 1e6,
        damaged_seconds=made.damaged_us / 1e6, lost_by_mesh_seconds=by_mesh_us / 1e6,
        lost_by_camera_seconds=by_camera_us / 1e6, complete=complete,
    )  # fmt: skip
