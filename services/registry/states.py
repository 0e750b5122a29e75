"""Follows the reports of ingest, writes the state bucket and sends the cameras' events, while this registry leads."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from heapq import heappop, heappush
from typing import Final
from zlib import crc32

from pydantic import ValidationError

from services.contracts import subjects
from services.contracts.errors import UnavailableError
from services.contracts.events import (
    CameraDegraded,
    CameraEvent,
    CameraHealth,
    CameraOffline,
    CameraOnline,
    CameraRecovered,
)
from services.contracts.models import (
    Camera,
    CameraFigures,
    CameraReport,
    CameraState,
    Id,
    IngestReport,
    Profile,
    ProfileName,
    ProfileReport,
    Status,
)
from services.mesh.bus import Bus, BusMessage
from services.mesh.clock import Clock
from services.mesh.event_stream import EventOutbox
from services.mesh.leases import EXPIRE_SECONDS, Workers
from services.mesh.log import get_logger
from services.mesh.metrics import counter, gauge
from services.mesh.tasks import together
from services.registry.announce import Announcer, Name
from services.registry.ledger import Ledgers
from services.registry.observed import ObservedCamera

log = get_logger()

TICK_SECONDS: Final = 0.5
"""How often those states are checked that a report, the catalogue or their time may have changed…"""
REST_SHARE: Final = 3.0
"""…but no sooner than so many times as long as that took, as when all cameras connect at once…"""
MOST_REST_SECONDS: Final = 2.0
"""…nor later than this: a worker that died has to be noticed."""
REST_SECONDS: Final = 0.05
"""A state that a report has changed is checked at once, but no sooner than this after the last check."""
REFRESH_SECONDS: Final = 5.0
"""Figures that a report has brought are told, but no sooner than so long after those before. They are not written."""
CALL_SECONDS: Final = 2.0
"""Workers that speak of cameras of which nothing is known are asked to name them whole, but no more often."""
FIGURES_AT_ONCE: Final = 100
"""States in a message with figures: each has up to 3 kB."""
WRITE_AGAIN_SECONDS: Final = 1.0
HEALTH_SECONDS: Final = 60.0
CONCURRENT_WRITES: Final = 32

_statuses = gauge("registry_cameras", "Cameras by observed status; of the leader", "status")
_stale = counter("registry_stale_reports", "Reports on cameras that were assigned anew meanwhile")
_bad = counter("registry_bad_reports", "Reports that could not be read")


@dataclass
class _Watched:
    """One camera, as the leader watches it."""

    camera: Camera
    observed: ObservedCamera
    announcer: Announcer
    profiles: dict[ProfileName, Profile]
    health_at: float
    look_at: float = float("inf")
    """Its last entry in `StateObserver._timetable`."""
    figures: dict[str, ProfileReport] | None = None
    """As told last."""
    written: CameraState | None = None
    """As the bucket has it."""
    told: CameraState | None = None
    """As told last, without figures."""
    told_at: float = float("-inf")


class StateObserver:
    """Observes all cameras: subscribes to the reports, and steps a state machine for each camera."""

    def __init__(
        self,
        *,
        bus: Bus,
        home: Id,
        ledgers: Ledgers,
        workers: Workers,
        outbox: EventOutbox,
        leading: Callable[[], bool],
        telling: Callable[[], bool],
        clock: Clock,
    ) -> None:
        """``telling``: whether events may be sent. A leader that is cut off sees cameras lost that are not."""
        self._bus = bus
        self._home = home
        self._cameras = ledgers.cameras
        self._assignments = ledgers.assignments
        self._states = ledgers.states
        self._told = ledgers.told
        self._workers = workers
        self._outbox = outbox
        self._leading = leading
        self._telling = telling
        self._clock = clock
        self._catalogued = ledgers.changed_cameras
        self._watched: dict[Id, _Watched] = {}
        self._to_check: set[Id] = set()
        """Of which something was said since the last check."""
        self._timetable: list[tuple[float, Id]] = []
        """A heap: when a camera's state may change by time alone. Of a camera's entries the last counts."""
        self._had_lease: frozenset[Id] | None = None
        self._was_leading = False
        self._view = bus.reconnects
        self._leases_known_at = clock.monotonic() + EXPIRE_SECONDS
        self._workers_there = False
        self._changed = asyncio.Event()
        self._changed_cameras: set[Id] = set()
        """Whose status a report has changed since the last check."""
        self._unwritten: set[Id] = set()
        self._to_write = asyncio.Event()
        self._called_at = float("-inf")
        for status in Status:
            _statuses.labels(status).set_function(partial(self._count, status))

    def _count(self, status: Status) -> float:
        return sum(each.observed.status is status for each in self._watched.values()) if self._was_leading else 0

    async def run(self) -> None:
        """Observes until it is cancelled; writing goes on beside it, and may have to wait for a disk."""
        await together(self._observe(), self._write())

    async def _observe(self) -> None:
        subscription = await self._bus.subscribe(subjects.report(self._home, "*"), self._on_report)
        loop = asyncio.get_running_loop()
        all_due_at = loop.time()
        try:
            while True:
                began_at = loop.time()
                if self._leading():
                    if not self._was_leading:
                        self._take_over()
                        all_due_at = began_at
                    changed, self._changed_cameras = self._changed_cameras, set()
                    if began_at >= all_due_at:
                        await self._tick()
                        ended_at = loop.time()
                        rest_seconds = min(REST_SHARE * (ended_at - began_at), MOST_REST_SECONDS)
                        all_due_at = max(began_at + TICK_SECONDS, ended_at + rest_seconds)
                    else:
                        await self._look_at(changed)
                led, self._was_leading = self._was_leading, self._leading()
                self._told.tells = self._was_leading
                if self._was_leading and not led:  # from now on reports are read
                    await self._call(self._clock.monotonic())
                await asyncio.sleep(REST_SECONDS)
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(TICK_SECONDS, max(0.0, all_due_at - loop.time()))):
                        await self._changed.wait()
                self._changed.clear()
        finally:
            await subscription.unsubscribe()

    async def _on_report(self, message: BusMessage) -> None:
        if not self._was_leading:
            return
        try:
            report = IngestReport.unpack(message.data)
        except (ValidationError, ValueError) as error:
            _bad.inc()
            log.debug("report.unreadable", subject=message.subject, error=error)
            return
        now, now_us = self._clock.monotonic(), self._clock.now_us()
        for camera in report.cameras:
            watched = self._watched.get(camera.camera)
            if watched is None:
                continue
            # The worker that a camera leaves reads it until the next one does.
            if not watched.observed.follows(report.worker, camera.epoch) and self._is_stale(camera):
                continue
            before = watched.observed.status
            watched.observed.add_report(camera, report.worker, now, now_us)
            self._to_check.add(camera.camera)
            self._note_status(watched, before)
        unknown = False
        for name, frames in report.steady.items():
            watched = self._watched.get(name)
            if watched is None:
                continue
            observed = watched.observed
            if observed.worker not in (report.worker, ""):  # unless a report was lost, it comes whole soon
                unknown |= observed.is_overdue(now) and self._is_assigned(name, report.worker)
                continue
            before = observed.status
            unknown |= not observed.go_on(frames, now, now_us)
            self._note_status(watched, before)
        if unknown and now - self._called_at >= CALL_SECONDS:
            await self._call(now)

    async def _call(self, now: float) -> None:
        """Asks all workers to name their cameras whole."""
        self._called_at = now
        await self._bus.publish(subjects.roll_call(self._home), b"")

    def _is_assigned(self, camera: Id, worker: Id) -> bool:
        assigned = self._assignments.entries.get(f"ingest.{camera}")
        return assigned is not None and worker in assigned[0].workers

    def _is_stale(self, report: CameraReport) -> bool:
        assigned = self._assignments.entries.get(f"ingest.{report.camera}")
        if assigned is None or report.epoch >= assigned[1]:
            return False
        _stale.inc()
        return True

    def _note_status(self, watched: _Watched, before: Status) -> None:
        if watched.observed.status is not before:
            self._to_check.add(watched.observed.camera)
            self._changed_cameras.add(watched.observed.camera)
            self._changed.set()

    def _take_over(self) -> None:
        """Continues from the state bucket. Where this process wrote the last state itself, its own memory has more."""
        now, now_us = self._clock.monotonic(), self._clock.now_us()
        for key in list(self._watched):
            kept = self._states.get(key)
            ours = self._watched[key].written
            if kept is not None and (ours is None or kept.since_us > ours.since_us or kept.announced != ours.announced):
                del self._watched[key]
            else:
                self._watched[key].observed.allow_silence(now)
                self._watched[key].written = kept
                self._watched[key].told = None
        for key, (camera, _) in self._cameras.entries.items():
            if key not in self._watched and camera.owner_id is None:
                self._watch(camera, now, now_us)
        self._had_lease = None
        self._timetable.clear()
        self._catalogued |= self._cameras.entries.keys() | self._watched.keys() | self._states.entries.keys()

    def _watch(self, camera: Camera, now: float, now_us: int) -> _Watched:
        kept = self._states.get(camera.id)
        announced = kept.announced if kept else None
        trouble_since_us = kept.since_us if kept and announced in (Status.OFFLINE, Status.DEGRADED) else None
        watched = self._watched[camera.id] = _Watched(
            camera,
            ObservedCamera(camera.id, camera.site, now, now_us, kept),
            Announcer(now, announced, trouble_since_us),
            dict(camera.profiles),
            now + crc32(camera.id.encode()) % int(HEALTH_SECONDS),  # spread over the minute
            written=kept,
        )
        return watched

    def _alive(self, now: float) -> frozenset[Id] | None:
        """Workers that have a lease; None while renewals cannot be seen."""
        if self._view != self._bus.reconnects:
            self._view = self._bus.reconnects
            self._leases_known_at = now + EXPIRE_SECONDS
        if now < self._leases_known_at:
            return None
        return frozenset({lease.worker for lease in self._workers.alive("ingest")} | {""})

    async def _tick(self) -> None:
        now, now_us = self._clock.monotonic(), self._clock.now_us()
        alive = self._alive(now)
        self._workers_there = bool(self._workers.alive("ingest"))
        telling = self._telling()
        catalogued = set(self._catalogued)
        self._catalogued.clear()
        due: list[_Watched] = []
        for key in self._whose_time_has_come(now, alive) | catalogued:
            camera = self._cameras.get(key)
            if camera is None or camera.owner_id is not None:  # a joined site tells its own (`registry.sites`)
                self._watched.pop(key, None)
                continue
            watched = self._watched.get(key) or self._watch(camera, now, now_us)
            if alive is not None and watched.observed.worker not in alive:
                watched.observed.lose_worker()
            self._step(watched, camera, now, now_us, telling=telling)
            if _due(watched, now):
                due.append(watched)
        for key in {key for key in catalogued if key in self._states.entries} - self._cameras.entries.keys():
            await self._bus.publish(subjects.state(self._home, key), b"")
            self._unwritten.add(key)
        await self._tell(due, now)
        if self._unwritten:
            self._to_write.set()

    def _whose_time_has_come(self, now: float, alive: frozenset[Id] | None) -> set[Id]:
        found, self._to_check = self._to_check, set()
        while self._timetable and self._timetable[0][0] <= now:
            at, key = heappop(self._timetable)
            watched = self._watched.get(key)
            if watched is None or watched.look_at != at:
                continue
            if (changes_at := _changes_at(watched, now, _next_figures_at(watched))) <= now:
                found.add(key)
            else:
                self._look_by(changes_at, watched)
        if alive != self._had_lease and alive is not None:
            found |= {key for key, watched in self._watched.items() if watched.observed.worker not in alive}
        self._had_lease = alive
        return found

    def _look_by(self, at: float, watched: _Watched) -> None:
        watched.look_at = at
        if at < float("inf"):
            heappush(self._timetable, (at, watched.observed.camera))

    async def _look_at(self, changed: Iterable[Id]) -> None:
        """Checks the states of a few cameras."""
        now, now_us, telling = self._clock.monotonic(), self._clock.now_us(), self._telling()
        due: list[_Watched] = []
        for key in changed:
            watched, camera = self._watched.get(key), self._cameras.get(key)
            if watched is not None and camera is not None:
                self._step(watched, camera, now, now_us, telling=telling)
                if _due(watched, now):
                    due.append(watched)
        await self._tell(due, now)
        if self._unwritten:
            self._to_write.set()

    async def _tell(self, due: Iterable[_Watched], now: float) -> None:
        figures: list[CameraState] = []
        for number, watched in enumerate(due, 1):
            state = watched.observed.state(watched.announcer.announced)
            # From the first time on figures are told at different times: those of 10,000 at once take half a second.
            share = crc32(state.camera.encode()) % 1000 / 1000 if watched.told is None else 0.0
            watched.told_at = now - share * REFRESH_SECONDS
            watched.figures = watched.observed.profiles
            if not number % FIGURES_AT_ONCE:
                await asyncio.sleep(0)
            if watched.told is None or not state.same_but_figures(watched.told):
                watched.told = state.without_figures()
                self._unwritten.add(state.camera)
                await self._bus.publish(subjects.state(self._home, state.camera), state.pack())
            else:
                figures.append(state)
        for some in (figures[at : at + FIGURES_AT_ONCE] for at in range(0, len(figures), FIGURES_AT_ONCE)):
            self._told.know(some)
            await self._bus.publish(subjects.figures(self._home), CameraFigures(states=tuple(some)).pack())
            await asyncio.sleep(0)

    def _step(self, watched: _Watched, camera: Camera, now: float, now_us: int, *, telling: bool) -> None:
        observed = watched.observed
        observed.site = camera.site
        watched.camera = camera
        if watched.profiles != camera.profiles:
            watched.profiles = dict(camera.profiles)
            observed.begin_again(now, now_us)
        before = observed.status
        observed.unassigned = self._workers_there and f"ingest.{camera.id}" not in self._assignments.entries
        observed.tick(now, now_us, enabled=camera.enabled)
        if before is not observed.status:
            log.debug("camera.status", camera=camera.id, status=observed.status, reason=observed.reason)
        if not telling:
            self._look_by(now, watched)
            return
        trouble_since_us = watched.announcer.trouble_since_us
        for name in watched.announcer.step(observed.status, observed.since_us, now):
            self._outbox.post(_event(name, observed, now_us, trouble_since_us))
            _log(name, observed)
        if camera.enabled and now >= watched.health_at:
            watched.health_at = max(watched.health_at + HEALTH_SECONDS, now)
            self._outbox.post(
                CameraHealth(
                    site=camera.site,
                    at_us=now_us,
                    camera=camera.id,
                    status=observed.status,
                    profiles=observed.profiles,
                )
            )
        figures_at = _next_figures_at(watched)  # those that are due by now are told after this step
        self._look_by(_changes_at(watched, now, figures_at if figures_at > now else float("inf")), watched)

    async def _write(self) -> None:
        """Writes what has changed; a write that fails is repeated, with what is so by then."""
        limit = asyncio.Semaphore(CONCURRENT_WRITES)
        while True:
            await self._to_write.wait()
            self._to_write.clear()
            if not self._leading():
                self._unwritten.clear()
                continue
            cameras, self._unwritten = self._unwritten, set()
            async with asyncio.TaskGroup() as tasks:
                for camera in cameras:
                    tasks.create_task(self._write_one(camera, limit))
            if self._unwritten & cameras:
                await asyncio.sleep(WRITE_AGAIN_SECONDS)

    async def _write_one(self, camera: Id, limit: asyncio.Semaphore) -> None:
        async with limit:
            watched = self._watched.get(camera)
            try:
                if watched is None:
                    await self._states.delete(camera, 0)
                elif watched.told is not None and watched.told != watched.written:
                    state = watched.observed.state(watched.announcer.announced)
                    await self._states.put(camera, state)
                    watched.written = state.without_figures()
                    if self._watched.get(camera) is not watched:  # it was removed meanwhile
                        self._unwritten.add(camera)
            except UnavailableError as error:
                log.debug("state.not_written", camera=camera, error=error)
                self._unwritten.add(camera)


def _due(watched: _Watched, now: float) -> bool:
    told, observed = watched.told, watched.observed
    changed = (
        told is None
        or told.status is not observed.status
        or told.reason is not observed.reason
        or told.announced is not watched.announcer.announced
        or told.site != observed.site
    )
    return changed or now >= _next_figures_at(watched)


def _next_figures_at(watched: _Watched) -> float:
    """When its figures are to be told; they may have been told by now."""
    told = watched.figures is watched.observed.profiles
    return float("inf") if told else watched.told_at + REFRESH_SECONDS


def _changes_at(watched: _Watched, now: float, figures_at: float) -> float:
    """When its state, its events or its figures may change without a report; `now` where they may at any time."""
    if watched.announcer.is_behind(watched.observed.status):
        return now
    health_at = watched.health_at if watched.camera.enabled else float("inf")
    return min(watched.observed.rests_until(now), figures_at, health_at)


def _event(name: Name, observed: ObservedCamera, now_us: int, trouble_since_us: int | None) -> CameraEvent:
    main = observed.profiles.get("main") or next(iter(observed.profiles.values()), ProfileReport(status="idle"))
    camera, site = observed.camera, observed.site
    match name:
        case "online":
            return CameraOnline(
                site=site,
                at_us=now_us,
                camera=camera,
                codec=main.codec,
                width_px=main.width_px,
                height_px=main.height_px,
            )
        case "offline":
            return CameraOffline(site=site, at_us=now_us, camera=camera, reason=observed.reason, detail=observed.detail)
        case "degraded":
            return CameraDegraded(
                site=site, at_us=now_us, camera=camera, reason=observed.reason, detail=observed.detail
            )
        case "recovered":
            after_seconds = max(0, now_us - (trouble_since_us or now_us)) / 1e6
            return CameraRecovered(site=site, at_us=now_us, camera=camera, after_seconds=round(after_seconds, 3))


def _log(name: Name, observed: ObservedCamera) -> None:
    """Logs one line when a camera becomes unwell and one when it is well again."""
    if name in ("offline", "degraded"):
        log.warning("camera.unwell", camera=observed.camera, told=name, reason=observed.reason, detail=observed.detail)
    else:
        log.info("camera.well", camera=observed.camera, told=name)
