"""Joined sites, at the hub: mirrors their cameras, states and events read-only, and tells their owners who watched.

The leader asks each owner's registry what has changed, every `ASK_SECONDS`. Each site has a task of its own, which
rests in proportion to the time that its answers take: one with much to tell does not hold up the others. A site that
has not answered for `AWAY_SECONDS` is away: its cameras are then offline with the reason ``site-away``, since it was
heard last. What happened meanwhile comes with the next answer, and the owner gets what it missed of the audit.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from services.contracts import subjects
from services.contracts.errors import ConflictError, InvalidInputError, NotFoundError, PantauError, UnavailableError
from services.contracts.events import Audit
from services.contracts.models import Camera, CameraState, Id, Reason, Status
from services.contracts.permissions import Actor
from services.contracts.sites import (
    MAX_CAMERAS,
    MAX_EVENTS,
    SERVICE,
    SHARE,
    VIEWED,
    JoinedSite,
    JoinedSites,
    ShareAnswer,
    ShareQuestion,
    SiteInput,
    SiteKey,
    View,
    ViewsTold,
    ids_digest,
    is_bearable,
    state_at_hub,
)
from services.mesh import rpc
from services.mesh.bus import Bus
from services.mesh.clock import Clock, sleep
from services.mesh.event_stream import EventOutbox, events_since, last_event_number
from services.mesh.log import get_logger
from services.mesh.tasks import end
from services.registry.ledger import Ledgers

log = get_logger()

ASK_SECONDS: Final = 2.0
AWAY_SECONDS: Final = 8.0
ANSWER_SECONDS: Final = 5.0
MAX_ANSWER_BYTES: Final = 8 * 1024 * 1024
"""Also where the bus allows more."""
BUSY_SHARE: Final = 0.25
"""Of the leader's time, at most, goes into one site's answers."""
MAX_REST_SECONDS: Final = 30.0


@dataclass
class _Known:
    """What this process knows of a site since it leads."""

    cameras_after: int = 0
    states_after: int = 0
    answered_at: float | None = None
    problem: str = ""
    refused: set[Id] = field(default_factory=set)
    """Cameras that are not taken over, as the log says once: their id here is taken, they are too large or too many."""


class SiteMirrors:
    """Answers the ``sites-*`` questions in every registry; `run` mirrors while this one leads."""

    def __init__(
        self,
        *,
        bus: Bus,
        home: Id,
        ledgers: Ledgers,
        outbox: EventOutbox,
        leading: Callable[[], bool],
        clock: Clock,
    ) -> None:
        self._bus = bus
        self._home = home
        self._sites = ledgers.sites
        self._cameras = ledgers.cameras
        self._states = ledgers.states
        self._outbox = outbox
        self._leading = leading
        self._clock = clock
        self._known: dict[Id, _Known] = {}

    async def list_sites(self, _question: rpc.Nothing, _actor: Actor) -> JoinedSites:
        """All that were invited, by name."""
        return JoinedSites(sites=tuple(site for _, (site, _) in sorted(self._sites.entries.items())))

    async def add(self, given: SiteInput, actor: Actor) -> JoinedSite:
        """Mirrors a site from now on; raises `ConflictError` where cameras of this mesh's own have its name."""
        if given.site == self._home:
            raise InvalidInputError(f"{given.site} is this mesh's own site")
        if any(camera.site == given.site and camera.owner_id is None for camera, _ in self._cameras.entries.values()):
            raise ConflictError(f"cameras of this mesh name {given.site} as their site: give the owner another name")
        known = await self._sites.fetch(given.site)
        if known is None:
            site = JoinedSite(
                site=given.site, until_us=given.until_us, invited_by=actor.name, since_us=self._clock.now_us()
            )
            await self._sites.create(site.site, site)
        else:
            site = known[0].model_copy(update={"until_us": given.until_us})
            await self._sites.update(site.site, site, known[1])
        return site

    async def remove(self, key: SiteKey, _actor: Actor) -> rpc.Nothing:
        """Forgets a site; the leader then forgets its cameras. Raises `NotFoundError`."""
        known = await self._sites.fetch(key.site)
        if known is None:
            raise NotFoundError(f"there is no joined site {key.site!r}")
        await self._sites.delete(key.site, 0)
        return rpc.Nothing()

    async def run(self) -> None:
        """Mirrors until it is cancelled."""
        asking: dict[Id, asyncio.Task[None]] = {}
        try:
            while True:
                wanted = set(self._sites.entries) if self._leading() else set()
                for site in [site for site, task in asking.items() if site not in wanted or task.done()]:
                    await self._stop(asking.pop(site))
                if self._leading():
                    await self._forget_left()
                else:
                    self._known.clear()
                for site in wanted - asking.keys():
                    asking[site] = asyncio.create_task(self._follow(site), name=f"site {site}")
                await sleep(self._clock, ASK_SECONDS)
        finally:
            for task in asking.values():
                task.cancel()
            await asyncio.gather(*asking.values(), return_exceptions=True)

    @staticmethod
    async def _stop(task: "asyncio.Task[None]") -> None:
        """Raises what it failed of."""
        await end([task])
        if not task.cancelled():
            task.result()

    async def _follow(self, site: Id) -> None:
        """Asks one site until it is left, or this registry does not lead."""
        while self._leading() and (entry := self._sites.entries.get(site)) is not None:
            busy_seconds = await self._ask(entry[0])
            await sleep(self._clock, rest_seconds(busy_seconds))

    async def _forget_left(self) -> None:
        try:
            for camera, revision in list(self._cameras.entries.values()):
                if camera.owner_id is not None and camera.site not in self._sites.entries:
                    await self._delete(camera, revision)
        except UnavailableError as error:
            log.debug("site.not_forgotten", error=error)
        for site in self._known.keys() - self._sites.entries.keys():
            del self._known[site]

    async def _ask(self, site: JoinedSite) -> float:
        """Asks once and takes the answer; returns the seconds that the answer took here."""
        known = self._known.setdefault(site.site, _Known())
        before = self._of(site)
        question = ShareQuestion(
            cameras_after=known.cameras_after,
            states_after=known.states_after,
            digest=ids_digest(before) if site.linked and known.answered_at is not None else "",
            events_after=site.events_after,
        )
        answered_at: float | None = None
        try:
            message = await rpc.ask(self._bus, self._owner(site, SHARE), question, timeout_seconds=ANSWER_SECONDS)
            answered_at = self._clock.monotonic()
            if len(message.data) > MAX_ANSWER_BYTES:
                raise UnavailableError(f"the answer of {site.site} has more than {MAX_ANSWER_BYTES} bytes")
            answer = await asyncio.to_thread(rpc.read, message, ShareAnswer)
            await self._take(site, answer, known)
            await self._tell_views(site)
            known.problem = ""
        except PantauError as error:
            if known.problem != error.message:
                known.problem = error.message
                log.info("site.silent", site=site.site, error=error)
            await self._look_whether_away(site, known)
        return 0.0 if answered_at is None else self._clock.monotonic() - answered_at

    async def _take(self, site: JoinedSite, answer: ShareAnswer, known: _Known) -> None:
        """Writes what the owner answered, as far as it is the owner's to say and can be kept here.

        Raises `UnavailableError`, and does all of it again then.
        """
        room = MAX_CAMERAS - len(self._of(site))
        for shared in answer.cameras:
            await asyncio.sleep(0)  # thousands may be as they were, which is written nowhere
            camera = shared.at_hub(site.site)
            is_new = self._cameras.get(camera.id) is None
            if not is_bearable(camera) or (is_new and room <= 0):
                self._refuse(camera, known, "site.camera_refused")
                continue
            await self._put_camera(camera, known)
            room -= is_new
        if answer.ids is not None:
            for owner_id, camera in self._of(site).items():
                if owner_id not in answer.ids:
                    await self._delete(camera, 0)
        for state in answer.states:
            await asyncio.sleep(0)
            moved = state_at_hub(state, site.site)
            if moved is not None:
                await self._put_state(moved)
        for shared_event in answer.events[:MAX_EVENTS]:
            event = shared_event.at_hub(site.site)
            if event is not None and is_bearable(event) and self._is_of(site.site, event.camera):
                self._outbox.post(event)
        since_us = site.since_us if site.linked else self._clock.now_us()
        await self._write(
            site, {"linked": True, "heard": True, "since_us": since_us, "events_after": answer.last_event}
        )
        if not site.linked:
            log.info("site.linked", site=site.site, cameras=len(self._of(site)))
        known.answered_at = self._clock.monotonic()
        known.cameras_after, known.states_after = answer.cameras_revision, answer.states_revision

    async def _look_whether_away(self, site: JoinedSite, known: _Known) -> None:
        now = self._clock.monotonic()
        if known.answered_at is None:  # since this process leads
            known.answered_at = now
        silent_seconds = now - known.answered_at
        if not site.linked or silent_seconds < AWAY_SECONDS:
            return
        since_us = self._clock.now_us() - round(silent_seconds * 1e6)
        log.warning("site.away", site=site.site, seconds=round(silent_seconds, 1))
        try:
            for camera in self._of(site).values():
                away = CameraState(
                    camera=camera.id,
                    site=site.site,
                    status=Status.OFFLINE,
                    reason=Reason.SITE_AWAY,
                    since_us=since_us,
                )
                await self._put_state(away)
            await self._write(site, {"linked": False, "since_us": since_us})
        except UnavailableError as error:
            log.debug("site.not_written", site=site.site, error=error)

    def _of(self, site: JoinedSite) -> dict[Id, Camera]:
        """The site's cameras here, by their owner's id."""
        cameras = [camera for camera, _ in self._cameras.entries.values()]
        return {camera.owner_id: camera for camera in cameras if camera.owner_id and camera.site == site.site}

    async def _put_camera(self, camera: Camera, known: _Known) -> None:
        entry = self._cameras.entries.get(camera.id)
        if entry is not None and (entry[0].site, entry[0].owner_id) != (camera.site, camera.owner_id):
            self._refuse(camera, known, "site.id_taken")
            return
        if entry is None or entry[0] != camera:
            await self._cameras.put(camera.id, camera)

    @staticmethod
    def _refuse(camera: Camera, known: _Known, why: str) -> None:
        if camera.id not in known.refused and len(known.refused) < MAX_CAMERAS:
            known.refused.add(camera.id)
            log.warning(why, site=camera.site, camera=camera.id)

    def _is_of(self, site: Id, camera: Id) -> bool:
        """False for a camera of this mesh's own or of another site, whose id may begin as this site's do."""
        known = self._cameras.get(camera)
        return known is None or known.site == site

    async def _put_state(self, state: CameraState) -> None:
        is_known = state.camera in self._cameras.entries and self._is_of(state.site, state.camera)
        if is_known and self._states.get(state.camera) != state:
            await self._states.put(state.camera, state)
            await self._bus.publish(subjects.state(self._home, state.camera), state.pack())

    async def _delete(self, camera: Camera, revision: int) -> None:
        """The observer of states then removes its state."""
        try:
            await self._cameras.delete(camera.id, revision)
        except ConflictError as error:
            log.debug("site.not_removed", camera=camera.id, error=error)

    async def _write(self, site: JoinedSite, changed: Mapping[str, object]) -> None:
        entry = self._sites.entries.get(site.site)
        if entry is None:  # it was revoked meanwhile
            return
        after = entry[0].model_copy(update=changed)
        if after != entry[0]:
            try:
                await self._sites.update(site.site, after, entry[1])
            except ConflictError as error:
                raise UnavailableError(f"{site.site} was invited anew meanwhile") from error

    async def _tell_views(self, site: JoinedSite) -> None:
        """Tells the owner what was done here with its cameras, from the first answer on."""
        newest = await last_event_number(self._bus, subjects.AUDIT_STREAM)
        after = site.audited_after
        if after is None or newest <= after:
            await self._write(site, {"audited_after": newest})
            return
        views: list[View] = []
        wanted = subjects.event(site.site, Audit.kind, "*", "*")
        async for sequence, message in events_since(
            self._bus, subjects.AUDIT_STREAM, wanted, 0, after=after, until=newest
        ):
            try:
                entry = Audit.unpack(message.data)
                camera = self._cameras.get(entry.target)
                if camera is not None and camera.owner_id is not None:
                    views.append(_view(entry, camera.owner_id))
            except ValueError as error:
                log.warning("site.unreadable_audit", sequence=sequence, error=error)
            if len(views) == MAX_EVENTS:
                newest = sequence
                break
        if views:
            told = ViewsTold(hub=self._home, views=tuple(views))
            await rpc.call(self._bus, self._owner(site, VIEWED), told, rpc.Nothing, timeout_seconds=ANSWER_SECONDS)
        await self._write(site, {"audited_after": newest})

    @staticmethod
    def _owner(site: JoinedSite, endpoint: str) -> str:
        return subjects.rpc(site.site, SERVICE, endpoint)


def rest_seconds(busy_seconds: float) -> float:
    """Between a site's answer, which took ``busy_seconds``, and the next question to it."""
    return min(MAX_REST_SECONDS, max(ASK_SECONDS, busy_seconds * (1 / BUSY_SHARE - 1)))


def _view(entry: Audit, owner_id: Id) -> View:
    return View(
        camera=owner_id,
        at_us=entry.at_us,
        action=entry.action,
        actor=entry.actor,
        role=entry.role,
        detail=entry.detail,
    )
