"""Incidents: they hold the footage of their cameras and time while they are open, and for a grace period after.

The recorders keep the hold: they follow the bucket. An incident is written before its opening is answered.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from itertools import accumulate
from typing import Final, Literal, TypedDict

from services.contracts.errors import ConflictError, InvalidInputError, NotFoundError, UnavailableError
from services.contracts.events import Audit, IncidentClosed, IncidentExported, IncidentOpened, IncidentUpdated
from services.contracts.incidents import (
    ExportNote,
    IncidentEntry,
    IncidentInput,
    IncidentKey,
    IncidentList,
    IncidentQuery,
    IncidentUpdate,
    RemarkNote,
)
from services.contracts.models import (
    MAX_INCIDENT_STEPS,
    MAX_REMARKS,
    Id,
    Incident,
    IncidentAction,
    IncidentStatus,
    IncidentStep,
    Remark,
)
from services.contracts.permissions import SYSTEM, Actor, Role
from services.contracts.requests import RequestId, id_ending
from services.mesh.clock import Clock
from services.mesh.event_stream import EventOutbox
from services.mesh.log import get_logger
from services.registry.ledger import Ledgers

log = get_logger()

ATTEMPTS: Final = 5
_DAY_US: Final = 86_400_000_000
LOOK_SECONDS: Final = 1.0
"""How often the leader looks for holds whose grace is over."""
ANSWER_BYTES: Final = 6 * 1024 * 1024
"""Of a list: less than a message to NATS may have (8 MB)."""


class _About(TypedDict):
    """The fields that all incident events share."""

    site: Id
    at_us: int
    incident: Id
    title: str
    cameras: tuple[Id, ...]
    from_us: int
    to_us: int | None
    actor: str


class Incidents:
    """Answers the ``incidents-*`` questions, and ends holds while this registry leads."""

    def __init__(
        self,
        *,
        home: Id,
        ledgers: Ledgers,
        outbox: EventOutbox,
        leading: Callable[[], bool],
        grace_seconds: float,
        clock: Clock,
    ) -> None:
        self._home = home
        self._incidents = ledgers.incidents
        self._cameras = ledgers.cameras
        self._outbox = outbox
        self._leading = leading
        self._grace_us = round(grace_seconds * 1e6)
        self._clock = clock

    async def list(self, query: IncidentQuery, _actor: Actor) -> IncidentList:
        """The incidents that match ``query``, newest first, as many as one message carries."""
        found = [
            IncidentEntry(incident=incident, revision=revision)
            for incident, revision in self._incidents.entries.values()
            if query.status in (None, incident.status) and (query.camera is None or query.camera in incident.cameras)
        ]
        found.sort(key=lambda entry: (entry.incident.created_us, entry.incident.id), reverse=True)
        return IncidentList(incidents=within_an_answer(found[: query.limit]), hold_days=self._grace_us / _DAY_US)

    async def get(self, key: IncidentKey, _actor: Actor) -> IncidentEntry:
        """One incident; raises `NotFoundError`."""
        entry = self._incidents.entries.get(key.id) or await self._incidents.fetch(key.id)
        if entry is None:
            raise NotFoundError(f"there is no incident {key.id!r}")
        return IncidentEntry(incident=entry[0], revision=entry[1])

    async def open(self, given: IncidentInput, actor: Actor) -> IncidentEntry:
        """Opens an incident: its footage is held from now on. Asked again it is the one that was opened then."""
        now_us = self._clock.now_us()
        ending = id_ending(given.request_id, actor, 8)
        if given.request_id is not None and (known := await self._opened_as(ending, now_us, actor)) is not None:
            self._tell_opened(known.incident, actor)
            return known
        incident = Incident(
            id=_incident_id(now_us, ending),
            title=given.title,
            cameras=tuple(dict.fromkeys(given.cameras)),
            from_us=given.from_us,
            to_us=given.to_us,
            notes=given.notes,
            hold_days=given.hold_days,
            history=(IncidentStep(at_us=now_us, by=actor.name, action="opened"),),
            created_by=actor.name,
            created_us=now_us,
        )
        self._check(incident, new_cameras=incident.cameras)
        try:
            revision = await self._incidents.create(incident.id, incident)
        except ConflictError:  # another registry opened it a moment ago
            if (known := await self._opened_as(ending, now_us, actor)) is None:
                raise
            self._tell_opened(known.incident, actor)
            return known
        self._tell_opened(incident, actor)
        return IncidentEntry(incident=incident, revision=revision)

    async def update(self, update: IncidentUpdate, actor: Actor) -> IncidentEntry:
        """Changes an incident; raises `NotFoundError`, and `ConflictError` where the revision is not the last."""
        given = update.patch.given()

        def changed(before: Incident) -> Incident:
            after = before.model_copy(update=given)
            self._check(after, new_cameras=set(after.cameras) - set(before.cameras))
            if self._hold_us(after) < self._hold_us(before):
                actor.require(Role.SUPERVISOR)
            if after.hold_days != before.hold_days and after.closed_us is not None:
                if after.released:
                    raise InvalidInputError("hold_days: its hold is over; reopen the incident to hold what is left")
                after = after.model_copy(update={"release_us": after.closed_us + self._hold_us(after)})
            return after

        return await self._change(update.id, update.revision, changed, actor)

    async def remark(self, note: RemarkNote, actor: Actor) -> IncidentEntry:
        """Adds a remark, to a closed incident too; at most `MAX_REMARKS`; raises `NotFoundError`."""

        def remarked(before: Incident) -> Incident:
            if len(before.remarks) >= MAX_REMARKS:
                raise InvalidInputError(f"an incident takes {MAX_REMARKS} remarks")
            remark = Remark(at_us=self._clock.now_us(), by=actor.name, text=note.text)
            return before.model_copy(update={"remarks": (*before.remarks, remark)})

        return await self._change(note.id, None, remarked, actor, action="remarked", request_id=note.request_id)

    async def exported(self, note: ExportNote, actor: Actor) -> IncidentEntry:
        """Notes that ``actor`` exports footage about it."""
        return await self._change(
            note.id, None, lambda before: before, actor, action="exported", request_id=note.request_id
        )

    async def close(self, key: IncidentKey, actor: Actor) -> IncidentEntry:
        """Closes an incident: its hold ends after the grace. Closing it again changes nothing."""

        def closed(before: Incident) -> Incident:
            if before.status is IncidentStatus.CLOSED:
                return before
            now_us = self._clock.now_us()
            # An open end becomes now: later footage does not belong to the incident.
            to_us = before.to_us if before.to_us is not None else max(now_us, before.from_us + 1)
            return before.model_copy(
                update={
                    "status": IncidentStatus.CLOSED,
                    "to_us": to_us,
                    "closed_us": now_us,
                    "release_us": now_us + self._hold_us(before),
                    "released": False,
                }
            )

        return await self._change(key.id, None, closed, actor)

    async def reopen(self, key: IncidentKey, actor: Actor) -> IncidentEntry:
        """Opens a closed incident again; footage that retention removed meanwhile is gone."""

        def opened(before: Incident) -> Incident:
            if before.status is IncidentStatus.OPEN:
                return before
            return before.model_copy(
                update={"status": IncidentStatus.OPEN, "closed_us": None, "release_us": None, "released": False}
            )

        return await self._change(key.id, None, opened, actor)

    async def run(self) -> None:
        """Ends holds whose grace is over, while this registry leads; runs until it is cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if not self._leading():
                continue
            now_us = self._clock.now_us()
            for incident, revision in list(self._incidents.entries.values()):
                if incident.release_us is not None and not incident.released and incident.release_us <= now_us:
                    await self._release(incident, revision)

    async def _release(self, incident: Incident, revision: int) -> None:
        try:
            released = self._stepped(incident.model_copy(update={"released": True}), "released", (), SYSTEM)
            await self._incidents.update(incident.id, released, revision)
        except (
            ConflictError,
            UnavailableError,
        ) as error:  # a concurrent change, or the bus is away: the next look tries again
            log.debug("incident.not_released", incident=incident.id, error=error)
            return
        self._outbox.post(IncidentUpdated(**self._about(incident, SYSTEM), changed=("released",)))
        self._audit(incident, "incident-released", SYSTEM)

    async def _opened_as(self, ending: str, now_us: int, actor: Actor) -> IncidentEntry | None:
        """``actor``'s incident of this or the last day whose id ends so."""
        for at_us in (now_us, now_us - _DAY_US):
            entry = await self._incidents.fetch(_incident_id(at_us, ending))
            if entry is not None and entry[0].created_by == actor.name:
                return IncidentEntry(incident=entry[0], revision=entry[1])
        return None

    def _hold_us(self, incident: Incident) -> int:
        return self._grace_us if incident.hold_days is None else round(incident.hold_days * _DAY_US)

    async def _change(
        self,
        key: Id,
        revision: int | None,
        change: Callable[[Incident], Incident],
        actor: Actor,
        *,
        action: Literal["remarked", "exported"] | None = None,
        request_id: RequestId | None = None,
    ) -> IncidentEntry:
        """Changes the last revision. Without a ``revision`` it tries again after a concurrent write.

        ``action`` is what the history says; None: it follows from what changed. Nothing changed is no step, but of an
        export. What ``request_id`` has done already is told again, under the same event ids.
        """
        once = None if request_id is None else f"{key}-{id_ending(request_id, actor, 32)}"
        for _ in range(ATTEMPTS):
            entry = await self._incidents.fetch(key)
            if entry is None:
                raise NotFoundError(f"there is no incident {key!r}")
            before, current = entry
            if revision not in (None, current):
                raise ConflictError(f"{key} is at revision {current} by now, not {revision}; read it again")
            if action is not None and _is_done(before, actor, request_id):
                self._tell(before, action, ("remarks",) if action == "remarked" else (), actor, once)
                return IncidentEntry(incident=before, revision=current)
            after = change(before)
            fields = tuple(name for name in type(before).model_fields if getattr(before, name) != getattr(after, name))
            if not fields and action != "exported":
                return IncidentEntry(incident=before, revision=current)
            done = action or _action(before, after)
            after = self._stepped(after, done, fields if done == "updated" else (), actor, request_id)
            try:
                written = await self._incidents.update(key, after, current)
            except ConflictError:
                if revision is not None:
                    raise
                continue
            self._tell(after, done, fields, actor, once)
            return IncidentEntry(incident=after, revision=written)
        raise ConflictError(f"{key} keeps changing; try again")

    def _stepped(
        self,
        incident: Incident,
        action: IncidentAction,
        fields: tuple[str, ...],
        actor: Actor,
        request_id: RequestId | None = None,
    ) -> Incident:
        step = IncidentStep(
            at_us=self._clock.now_us(), by=actor.name, action=action, fields=fields, request_id=request_id
        )
        return incident.model_copy(update={"history": (*incident.history, step)[-MAX_INCIDENT_STEPS:]})

    def _tell_opened(self, incident: Incident, actor: Actor) -> None:
        """Also where an incident is found that was opened already: the registry that wrote it may not know that it did,
        and has then told nobody."""
        once = f"{incident.id}-opened"
        self._outbox.post(IncidentOpened(**self._about(incident, actor)), once)
        self._audit(incident, "incident-opened", actor, once)

    def _tell(
        self, after: Incident, action: IncidentAction, fields: tuple[str, ...], actor: Actor, once: str | None
    ) -> None:
        about = self._about(after, actor)
        match action:
            case "updated" | "remarked":
                self._outbox.post(IncidentUpdated(**about, changed=fields), once)
                self._audit(after, f"incident-{action}", actor, once, changed=", ".join(fields))
            case "exported":  # the export's own audit event names the cameras and the range
                self._outbox.post(IncidentExported(**about), once)
            case "closed":
                self._outbox.post(IncidentClosed(**about, release_us=after.release_us or 0))
                self._audit(after, "incident-closed", actor)
            case _:
                self._outbox.post(IncidentOpened(**about))
                self._audit(after, "incident-reopened", actor)

    def _check(self, incident: Incident, *, new_cameras: Iterable[Id]) -> None:
        if incident.to_us is not None and incident.to_us <= incident.from_us:
            raise InvalidInputError("the incident must end after it began: to_us is not greater than from_us")
        unknown = sorted(camera for camera in new_cameras if camera not in self._cameras.entries)
        if unknown:
            raise InvalidInputError(f"cameras: the catalogue has no {', '.join(unknown)}")

    def _about(self, incident: Incident, actor: Actor) -> _About:
        return {
            "site": self._home,
            "at_us": self._clock.now_us(),
            "incident": incident.id,
            "title": incident.title,
            "cameras": incident.cameras,
            "from_us": incident.from_us,
            "to_us": incident.to_us,
            "actor": actor.name,
        }

    def _audit(self, incident: Incident, action: str, actor: Actor, once: str | None = None, **detail: str) -> None:
        self._outbox.post(
            Audit.by(
                actor,
                site=self._home,
                at_us=self._clock.now_us(),
                target=incident.id,
                action=action,
                detail={"title": incident.title, "cameras": ", ".join(incident.cameras), **detail},
            ),
            f"{once}-audit" if once else None,
        )


def _incident_id(opened_us: int, ending: str) -> Id:
    return f"incident-{datetime.fromtimestamp(opened_us / 1e6, UTC):%Y%m%d}-{ending}"


def _is_done(incident: Incident, actor: Actor, request_id: RequestId | None) -> bool:
    return request_id is not None and (actor.name, request_id) in {
        (step.by, step.request_id) for step in incident.history
    }


def _action(before: Incident, after: Incident) -> IncidentAction:
    if after.status is before.status:
        return "updated"
    return "closed" if after.status is IncidentStatus.CLOSED else "reopened"


def within_an_answer(entries: Sequence[IncidentEntry]) -> tuple[IncidentEntry, ...]:
    """The first ``entries`` that have `ANSWER_BYTES` together; remarks make an incident as large as 1 MB."""
    sizes = accumulate(len(entry.pack()) for entry in entries)
    return tuple(entry for entry, size in zip(entries, sizes, strict=True) if size <= ANSWER_BYTES)
