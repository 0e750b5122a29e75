"""Cameras that another worker takes over: they are read on here until it reads them, so that a move leaves no hole.

The other worker's reports say so. A camera that takes one client alone refuses it, which they say as well: it is then
left to the other worker at once.
"""

from dataclasses import dataclass
from typing import Final

from services.contracts import subjects
from services.contracts.models import CameraReport, Id, IngestReport
from services.ingest.camera import CameraIngest
from services.mesh.bus import Bus, BusMessage, BusSubscription
from services.mesh.clock import Clock
from services.mesh.log import get_logger

log = get_logger()

OVERLAP_SECONDS: Final = 15.0
"""The longest that a camera is read by both: to open it takes some seconds, and its next keyframe some more."""


@dataclass(frozen=True)
class _Departure:
    camera: CameraIngest
    successor: Id
    until: float


class Departing:
    """The cameras of a worker that are about to leave it. Times are `Clock.monotonic`'s."""

    def __init__(self, bus: Bus, home: Id, clock: Clock) -> None:
        self._bus = bus
        self._home = home
        self._clock = clock
        self._departures: dict[Id, _Departure] = {}
        self._listening: dict[Id, BusSubscription] = {}

    def __len__(self) -> int:
        return len(self._departures)

    async def add(self, camera: CameraIngest, successor: Id) -> None:
        """``successor`` takes the camera over. One that delivers nothing now is left to it at once."""
        if not camera.online:
            await camera.stop()
            return
        until = self._clock.monotonic() + OVERLAP_SECONDS
        self._departures[camera.plan.camera] = _Departure(camera, successor, until)
        if successor not in self._listening:
            subject = subjects.report(self._home, successor)
            self._listening[successor] = await self._bus.subscribe(subject, self._take_report)

    def reports(self) -> list[CameraReport]:
        """What is observed of those that deliver: that counts until others do."""
        return [one.camera.report() for one in self._departures.values() if one.camera.online]

    def take_back(self, camera: Id) -> CameraIngest | None:
        """The camera, where it is read on: it stays after all."""
        departure = self._departures.pop(camera, None)
        return departure.camera if departure else None

    async def _take_report(self, message: BusMessage) -> None:
        try:
            report = IngestReport.unpack(message.data)
        except ValueError as error:
            log.warning("ingest.report_unreadable", error=error)
            return
        for told in report.cameras:
            departure = self._departures.get(told.camera)
            if departure is None or told.epoch <= departure.camera.plan.epoch:
                continue
            main = told.profiles.get("main")
            if main is None or main.status in ("online", "offline"):
                await self._end(departure, main.status if main else "gone")

    async def tick(self, now: float) -> None:
        """Watches the sources; lets go of those that ended, and of those that nobody takes over in time."""
        for departure in list(self._departures.values()):
            departure.camera.tick(now)
            if not departure.camera.online:
                await self._end(departure, "ended")
            elif now >= departure.until:
                await self._end(departure, "late")
        for successor in self._listening.keys() - {one.successor for one in self._departures.values()}:
            await self._listening.pop(successor).unsubscribe()

    async def _end(self, departure: _Departure, successor_is: str) -> None:
        camera = departure.camera.plan.camera
        if self._departures.get(camera) is not departure:  # ended, or taken back, while another one was
            return
        del self._departures[camera]
        log.info("ingest.handed_over", camera=camera, to=departure.successor, there=successor_is)
        await departure.camera.stop()

    async def close(self) -> None:
        """Lets go of all."""
        for departure in list(self._departures.values()):
            await self._end(departure, "unknown")
        for subscription in self._listening.values():
            await subscription.unsubscribe()
        self._listening.clear()
