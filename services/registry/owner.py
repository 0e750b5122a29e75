"""Answers a hub that this mesh's owner has joined (`services.mesh.hub`): cameras, states, events; takes who watched.

Only cameras of the mesh's own site are told of: what it mirrors from sites that joined itself belongs to them.
"""

from typing import Any

from services.contracts import subjects
from services.contracts.events import Audit, CameraEvent, parse
from services.contracts.models import Camera, CameraState, Id, ProfileReport
from services.contracts.permissions import FOOTAGE, Actor, Role
from services.contracts.recordings import TIMELINE, TimelineQuestion
from services.contracts.sites import (
    EVERY_RECORDER,
    MAX_EVENTS,
    SHARE,
    VIEWED,
    AskedAcross,
    OwnersFootage,
    ShareAnswer,
    SharedCamera,
    SharedEvent,
    ShareQuestion,
    ViewsTold,
    ids_digest,
    is_bearable,
)
from services.footage.timeline import ask_timeline
from services.mesh.bus import Bus
from services.mesh.event_stream import EventOutbox, events_since, last_event_number
from services.mesh.leases import Workers
from services.mesh.log import get_logger
from services.mesh.rpc import Endpoint, Nothing
from services.registry.ledger import Ledgers

log = get_logger()


class OwnerAnswers:
    """Every registry answers; nothing is kept between two questions."""

    def __init__(self, *, bus: Bus, home: Id, ledgers: Ledgers, workers: Workers, outbox: EventOutbox) -> None:
        self._bus = bus
        self._workers = workers
        self._home = home
        self._cameras = ledgers.cameras
        self._states = ledgers.states
        self._outbox = outbox

    def endpoints(self) -> list[Endpoint[Any]]:
        """What it answers."""
        return [
            Endpoint(SHARE, ShareQuestion, self.share, Role.ADMIN),
            Endpoint(VIEWED, ViewsTold, self.viewed, Role.ADMIN),
            Endpoint(
                "footage-timeline", TimelineQuestion, self.timeline, FOOTAGE,
                subject=subjects.footage_question(self._home, "*", "*", EVERY_RECORDER, TIMELINE), fit=self._fit,
            ),
        ]  # fmt: skip

    async def share(self, question: ShareQuestion, _actor: Actor) -> ShareAnswer:
        """What the hub does not know yet. Raises `UnavailableError`."""
        own = {key: entry for key, entry in self._cameras.entries.items() if self._is_own(entry[0])}
        states = {key: entry for key, entry in self._states.entries.items() if key in own}
        same = question.digest == ids_digest(own)
        cameras_after, states_after = (question.cameras_after, question.states_after) if same else (0, 0)
        events, last_event = await self._events(question.events_after)
        return ShareAnswer(
            cameras=tuple(SharedCamera.of(each) for each, revision in own.values() if revision > cameras_after),
            states=tuple(_shared(each) for each, revision in states.values() if revision > states_after),
            ids=None if same else tuple(own),
            cameras_revision=max((revision for _, revision in own.values()), default=0),
            states_revision=max((revision for _, revision in states.values()), default=0),
            events=events,
            last_event=last_event,
        )

    async def viewed(self, told: ViewsTold, _actor: Actor) -> Nothing:
        """Enters in this mesh's audit what persons at the hub did."""
        for view in told.views:
            entry = Audit(
                site=self._home,
                at_us=view.at_us,
                target=view.camera,
                action=view.action,
                actor=f"{view.actor}@{told.hub}",
                role=view.role,
                detail=view.detail,
            )
            self._outbox.post(entry if is_bearable(entry) else entry.model_copy(update={"detail": {}}))
        return Nothing()

    async def timeline(self, question: TimelineQuestion, actor: Actor) -> OwnersFootage:
        """What all recorders have of a camera. Raises `UnavailableError`."""
        recorders = len(self._workers.alive("recorder"))
        timeline, _ = await ask_timeline(self._bus, self._home, question, recorders=recorders, actor=actor)
        silent = [gap.model_copy(update={"detail": ""}) for gap in timeline.gaps]  # texts may name hosts
        return OwnersFootage(timeline=timeline.model_copy(update={"gaps": tuple(silent)}))

    def _fit(self, question: TimelineQuestion, actor: Actor, subject: str) -> tuple[TimelineQuestion, Actor]:
        asked = AskedAcross.of(subject)
        return question.model_copy(update={"camera": asked.camera, "site": self._home}), asked.actor(actor)

    def _is_own(self, camera: Camera) -> bool:
        return camera.owner_id is None and camera.site == self._home

    async def _events(self, after: int | None) -> tuple[tuple[SharedEvent, ...], int]:
        """The first events behind a number, and the number to go on from."""
        newest = await last_event_number(self._bus, subjects.EVENTS_STREAM)
        if after is None or newest <= after:  # less: the stream was made anew
            return (), newest
        events: list[SharedEvent] = []
        wanted = subjects.event(self._home, CameraEvent.kind, "*", "*")
        async for sequence, message in events_since(self._bus, subjects.EVENTS_STREAM, wanted, 0, after=after):
            try:
                event = parse(message.data, message.headers)
            except ValueError as error:
                log.warning("owner.unreadable_event", sequence=sequence, error=error)
                continue
            if isinstance(event, CameraEvent):
                events.append(SharedEvent.of(event))
            if len(events) == MAX_EVENTS:
                return tuple(events), sequence
        return tuple(events), newest


def _shared(state: CameraState) -> CameraState:
    """Without what changes always, and without texts, which may name hosts."""
    profiles = {name: _silent(profile) for name, profile in state.without_figures().profiles.items()}
    return state.model_copy(update={"profiles": profiles, "detail": "", "worker": "", "announced": None})


def _silent(profile: ProfileReport) -> ProfileReport:
    return profile.model_copy(update={"detail": "", "reader_detail": ""})
