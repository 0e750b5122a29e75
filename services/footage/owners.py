"""Footage that the recorders of a joined site have: who is asked, and what its refusals mean.

Right and camera stand in the subjects, of which the owner's nats-server lets through what was granted
(`services.mesh.hub`).
"""

import secrets
from datetime import UTC, datetime
from typing import NamedTuple, TypeVar

from services.contracts import subjects
from services.contracts.errors import ForbiddenError, NobodyThereError, UnavailableError
from services.contracts.models import Camera, CameraState, Id, Model, Reason
from services.contracts.permissions import Actor, Right
from services.contracts.recordings import SERVICE as RECORDERS
from services.contracts.recordings import TIMELINE, FootageTimeline, TimelineQuestion
from services.contracts.sites import EVERY_RECORDER, OwnersFootage
from services.mesh import rpc
from services.mesh.bus import Bus
from services.mesh.transfer import WINDOW_BYTES, AgreedSubjects, Incoming

R = TypeVar("R", bound=Model)
ANSWER_SECONDS = 8.0
"""Who is asked waits for the owner's recorders meanwhile."""


class NotGrantedError(ForbiddenError):
    """The owner of a joined site's camera does not let this mesh do it."""

    code = "not-granted"


class SiteAwayError(UnavailableError):
    """Nothing is heard of a joined site."""

    code = "site-away"


class Owner(NamedTuple):
    """The owner of a joined site's camera, and what it is asked for."""

    site: Id
    camera: Id
    """By the owner's name."""
    right: Right
    away_since_us: int | None = None

    @classmethod
    def of(cls, camera: Camera | None, state: CameraState | None, right: Right) -> "Owner | None":
        """None for a camera of this mesh's own, or one that it does not know."""
        if camera is None or camera.owner_id is None:
            return None
        away = state is not None and state.reason is Reason.SITE_AWAY
        return cls(camera.site, camera.owner_id, right, state.since_us if state is not None and away else None)

    async def timeline(self, bus: Bus, question: TimelineQuestion, actor: Actor) -> FootageTimeline:
        """What the owner's recorders have, in the name of the question's camera.

        Raises `NotGrantedError`, `SiteAwayError`, `UnavailableError`.
        """
        answer = await self.ask_for_all(bus, TIMELINE, question, OwnersFootage, actor)
        return answer.timeline.model_copy(update={"camera": question.camera})

    async def ask_for_all(self, bus: Bus, endpoint: str, question: Model, reply: type[R], actor: Actor) -> R:
        """Asks one who answers for all of the owner's recorders. Raises as `timeline` does."""
        where = subjects.footage_question(self.site, self.right, self.camera, EVERY_RECORDER, endpoint)
        if self.away_since_us is not None:
            since = datetime.fromtimestamp(self.away_since_us / 1e6, UTC).isoformat(timespec="seconds")
            raise SiteAwayError(f"{self.site} has not been heard since {since}; its recorders go on")
        try:
            return await rpc.call(bus, where, question, reply, actor=actor, timeout_seconds=ANSWER_SECONDS)
        except NobodyThereError as error:
            raise NotGrantedError(
                f"{self.site} does not let this mesh have '{self.right}' of its camera {self.camera}, or its line was "
                "cut just now"
            ) from error

    async def ask(self, bus: Bus, recorder: Id, endpoint: str, question: Model, reply: type[R], actor: Actor) -> R:
        """Asks one of the owner's recorders."""
        where = subjects.footage_question(self.site, self.right, self.camera, recorder, endpoint)
        return await rpc.call(bus, where, question, reply, actor=actor)

    def agreed(self) -> AgreedSubjects:
        """The subjects of a new transfer."""
        name = secrets.token_hex(16)
        return AgreedSubjects(
            subjects.footage_data(self.site, self.right, self.camera, name),
            subjects.footage_credit(self.site, self.right, self.camera, name),
        )


async def open_transfer(bus: Bus, owner: Owner | None, window_bytes: int = WINDOW_BYTES) -> Incoming:
    """Listens for footage, of a joined site's recorders where there is an ``owner``."""
    return await Incoming.open(bus, window_bytes=window_bytes, agreed=owner.agreed() if owner else None)


async def ask_recorder(
    bus: Bus, home: Id, owner: Owner | None, recorder: Id, endpoint: str, question: Model, reply: type[R], actor: Actor
) -> R:
    """Asks one recorder, of this mesh or of ``owner``."""
    if owner is not None:
        return await owner.ask(bus, recorder, endpoint, question, reply, actor)
    where = subjects.rpc(home, f"{RECORDERS}.{recorder}", endpoint)
    return await rpc.call(bus, where, question, reply, actor=actor)
