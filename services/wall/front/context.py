"""What all handlers of one front share. It holds no state that another front would need."""

import asyncio
from collections.abc import Mapping
from contextlib import AbstractContextManager, AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from services.contracts.accounts import SignInKind
from services.contracts.acknowledgements import Acknowledgement
from services.contracts.errors import ForbiddenError, NotFoundError, UnavailableError
from services.contracts.events import WALL_TARGET, Audit
from services.contracts.exports import ExportJob
from services.contracts.models import Assignment, Camera, CameraState, Id, PrivacyMasks, Status, WorkerLease
from services.contracts.permissions import Actor, Right
from services.contracts.recordings import FootageTimeline, TimelineQuestion
from services.contracts.rights import UNMASKED, CameraFacts, Grant, PastCamera, RightsBook, is_masked, masks_for
from services.contracts.subjects import is_id
from services.footage.clips import Clip, open_clip
from services.footage.owners import Owner
from services.footage.timeline import ask_timeline
from services.mesh.buckets import Bucket, Mirror
from services.mesh.bus import Bus
from services.mesh.clock import Clock
from services.mesh.event_stream import EventOutbox
from services.mesh.leases import Workers
from services.mesh.states import StateMirror
from services.mesh.troubles import TroubleBook
from services.wall.front.auth.identity import Identity
from services.wall.front.auth.oidc import OidcProvider
from services.wall.front.event_feed import EventFeed
from services.wall.front.http.audit_gate import AuditGate
from services.wall.front.http.errors import NotLiveError
from services.wall.front.http.guard import Guard
from services.wall.front.http.route import RoutedRequest
from services.wall.front.http.shares import FrontShares
from services.wall.front.ice import IceServers
from services.wall.front.pictures.snapshot_cache import SnapshotCache
from services.wall.front.pictures.thumbnails import ThumbnailCache
from services.wall.front.relays import Relays
from services.wall.front.screen_feed import ScreenFeed
from services.wall.settings import WallSettings

NOT_LIVE_RETRY_SECONDS: Final = 2
"""After this a client may ask again for a camera that is not live."""


_EVENT_RIGHTS: Final = {"camera": Right.CATALOGUE, "recording": Right.PLAYBACK, "incident": Right.INCIDENTS}


@dataclass(frozen=True)
class Front:
    """The front's parts."""

    bus: Bus
    home: str
    settings: WallSettings
    clock: Clock
    cameras: Mirror[Camera]
    states: StateMirror
    assignments: Mirror[Assignment]
    troubles: TroubleBook
    relays: Relays
    identity: Identity
    provider: OidcProvider | None
    """The identity provider; None: there are passwords and tokens alone."""
    rights: RightsBook
    grants: Mirror[Grant]
    """What `rights` is made of."""
    guard: Guard
    ice: IceServers
    workers: Workers
    feed: EventFeed
    screens: ScreenFeed
    acknowledged: Mirror[Acknowledgement]
    outbox: EventOutbox
    shares: FrontShares
    audit_gate: AuditGate
    snapshots: SnapshotCache
    thumbnails: ThumbnailCache
    exports: Mirror[ExportJob]
    export_bucket: Bucket[ExportJob]
    """Jobs are read from it where somebody waits for what was written just now."""
    stopping: asyncio.Event
    map_file: Path
    """The city's map, where there is one."""
    static: Path
    """Folder of the built web app."""
    openapi: dict[str, Any]
    """The document, made once."""

    def recorders(self) -> list[WorkerLease]:
        """The recorders that hold a lease."""
        return self.workers.alive("recorder")

    def require_recorders(self) -> None:
        """Raises `UnavailableError` where no recorder holds a lease."""
        if not self.recorders():
            raise UnavailableError("no recorder runs just now; try again shortly")

    def camera(self, camera_id: Id) -> Camera:
        """A camera of the catalogue; raises `NotFoundError`, or `UnavailableError` before the catalogue has arrived."""
        camera = self.cameras.get(camera_id)
        if camera is None:
            if not self.cameras.ready.is_set():
                raise UnavailableError("the wall is starting and has not read the catalogue yet; try again shortly")
            raise NotFoundError(f"there is no camera {camera_id!r}")
        return camera

    def facts(self, camera_id: Id, site: Id | None = None) -> CameraFacts:
        """What grants ask of a camera; ``site``: of that owner, where the id had another one before. The masks are the
        present camera's: it may be the same one, whose site was changed."""
        camera = self.cameras.get(camera_id)
        if camera is not None and site in (None, camera.site):
            return camera
        past = PastCamera(camera_id, site or "")
        if camera is None:
            return past
        return past._replace(privacy_masks=camera.privacy_masks, unmasked_roles=camera.unmasked_roles)

    def may(self, actor: Actor, right: Right, camera: CameraFacts) -> bool:
        """Whether ``actor`` has ``right`` to ``camera`` now."""
        return self.rights.may(actor, right, camera, self.clock.now_us())

    def require_live(self, camera: Camera) -> None:
        """Raises `NotLiveError` with ``Retry-After`` where the registry observes that the camera delivers nothing."""
        if reason := not_live(camera, self.states.get(camera.id)):
            raise NotLiveError(f"{reason}; try again shortly", retry_after_seconds=NOT_LIVE_RETRY_SECONDS)


@dataclass(frozen=True)
class FrontRequest(RoutedRequest):
    """What a handler of the front gets."""

    front: Front

    @property
    def target(self) -> Id:
        """What an audit event of the request is about: the camera of its path, or the wall."""
        named = self.raw.match_info.get("camera", "")
        return named if is_id(named) else WALL_TARGET

    @property
    def name(self) -> str:
        """The request in a few words, for audit."""
        return f"{self.raw.method} {self.raw.path[:200]}"

    def camera(self) -> Camera:
        """The camera that the path names; raises as `Front.camera` does."""
        return self.front.camera(self.path_id("camera"))

    def footage_owner(self, camera_id: Id, right: Right) -> Owner | None:
        """Whose recorders have a camera's footage, where it is a joined site's; else raises `UnavailableError` where
        no recorder holds a lease."""
        front = self.front
        owner = Owner.of(front.cameras.get(camera_id), front.states.get(camera_id), right)
        if owner is None:
            front.require_recorders()
        return owner

    async def timeline(self, question: TimelineQuestion, owner: Owner | None) -> FootageTimeline:
        """What there is of a camera; ``owner`` as `footage_owner` tells it. Raises as `ask_timeline` does."""
        front = self.front
        answer, _ = await ask_timeline(
            front.bus, front.home, question, recorders=len(front.recorders()), actor=self.actor, owner=owner
        )
        return answer

    async def open_clip(self, question: TimelineQuestion, owner: Owner | None, stack: AsyncExitStack) -> Clip:
        """A clip of the question's range; ``owner`` and ``stack`` as in `open_clip`, which says what is raised."""
        front = self.front
        return await open_clip(
            front.bus,
            front.home,
            question,
            recorders=len(front.recorders()),
            stack=stack,
            actor=self.actor,
            owner=owner,
        )

    def is_of_joined_site(self, camera_id: Id) -> bool:
        """Whether a camera, and its footage, is another owner's."""
        camera = self.front.cameras.get(camera_id)
        return camera is not None and camera.owner_id is not None

    def may(self, right: Right, camera: CameraFacts) -> bool:
        """Whether the asker has ``right`` to ``camera``."""
        return self.front.may(self.actor, right, camera)

    def masks(self, camera_id: Id, site: Id | None = None) -> PrivacyMasks:
        """The masks that are drawn in what the asker sees of a camera; ``site`` as in `Front.facts`."""
        return masks_for(self.front.facts(camera_id, site), self.actor)

    def may_hear_of(self, kind: str, camera_id: Id, site: Id) -> bool:
        """Whether the asker may be told an event of this kind about a camera of a site."""
        right = _EVENT_RIGHTS.get(kind)
        if right is None:
            return True
        # An incident's site is where it was opened, not the camera's.
        return self.may(right, self.front.facts(camera_id, None if right is Right.INCIDENTS else site))

    def require_person(self) -> None:
        """Raises `ForbiddenError` for a program with an API token: it does not manage its account."""
        found = self.front.identity.sign_ins.get(self.actor.session)
        if found is not None and found.kind is SignInKind.API:
            raise ForbiddenError("an API token is for programs; sign in to do this")

    def cut_at_sign_out(self) -> AbstractContextManager[None]:
        """While the block lasts the connection is cut when the asker's sign-in ends: a download may take hours."""
        transport = self.raw.transport
        cut = transport.abort if transport is not None else lambda: None
        return self.front.identity.sign_ins.ending(self.actor, cut)

    def require(self, right: Right, camera_id: Id, site: Id | None = None) -> None:
        """Raises `ForbiddenError` where the asker has not ``right`` to the camera, and `NotFoundError`, as for one
        that is not there, where they have none at all."""
        camera = self.front.facts(camera_id, site)
        if self.may(right, camera):
            return
        if not self.front.rights.may_see(self.actor, camera, self.front.clock.now_us()):
            raise NotFoundError(f"there is no camera {camera_id!r}")
        if right in UNMASKED and is_masked(camera, self.actor):
            raise ForbiddenError(
                f"{camera_id} has privacy masks, and evidence is the footage as it was recorded, without them; "
                f"{self.actor.name} may play it and export clips, in which they are drawn"
            )
        raise ForbiddenError(f"{self.actor.name} has not the right '{right}' to {camera_id}; ask an administrator")

    def audit_now_and_then(self, action: str, target: Id, detail: Mapping[str, str], *key: str) -> None:
        """As `audit`, but once a minute for the same person, place, action, target and ``key``; the next one says how
        many were left out."""
        actor = self.actor
        held = self.front.audit_gate.take(actor.name, actor.session, actor.address, action, target, *key)
        if held is not None:
            self.audit(action, target, {**detail, "more": str(held)} if held else detail)

    def audit(self, action: str, camera_id: Id, detail: Mapping[str, str], event_id: str | None = None) -> None:
        """Publishes an audit event: what the signed-in person did with a camera's footage, or with the wall.

        ``event_id`` as `EventOutbox.post` has it.
        """
        front = self.front
        camera = front.cameras.get(camera_id)
        front.outbox.post(
            Audit.by(
                self.actor,
                site=camera.site if camera else front.home,
                at_us=front.clock.now_us(),
                target=camera_id,
                action=action,
                detail=detail,
            ),
            event_id,
        )


def not_live(camera: Camera, state: CameraState | None) -> str | None:
    """Why the camera delivers nothing just now, for a person; None where it is live."""
    if not camera.enabled:
        return f"{camera.name} is disabled"
    if state is None:
        return f"nothing has been heard of {camera.name} yet"
    if state.status in (Status.ONLINE, Status.DEGRADED):
        return None
    why = f": {state.detail}" if state.detail else ""
    return f"{camera.name} is {state.status} ({state.reason}){why}"
