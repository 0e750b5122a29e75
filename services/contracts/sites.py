"""Joined sites: what a hub keeps of each, and what it asks the owner's registry.

The owner answers on ``pantau.v1.<site>.rpc.owner.*``; the two nats-servers map that to the owner's own. Nothing here
has a field for URLs, passwords or texts that may name hosts.

Recordings are asked for on `subjects.footage_question`. Right and camera stand in the subject, so the owner's
nats-server holds to what the owner has granted.
"""

import hashlib
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Final, NamedTuple, Self, get_args

from pydantic import Field, ValidationError, field_validator

from services.contracts import subjects
from services.contracts.errors import ForbiddenError, InvalidInputError
from services.contracts.events import EVENT_TYPES, CameraEvent
from services.contracts.models import (
    Camera,
    CameraState,
    Id,
    Location,
    Model,
    PrivacyMasks,
    Profile,
    ProfileName,
    ProfileReport,
    Reason,
    Status,
)
from services.contracts.permissions import Actor, Right
from services.contracts.recordings import FootageTimeline

SERVICE: Final = "owner"
SHARE: Final = "share"
VIEWED: Final = "viewed"
EVERY_RECORDER: Final = "-"
"""Stands for the recorder in a question that the owner's registry (timelines) or wall (bundles) answers for all of
them; no worker has this name."""
GRANTABLE: Final = (Right.LIVE, Right.PLAYBACK, Right.CLIP, Right.EVIDENCE)
"""What an owner may grant to a hub. Live has stills of now in it."""
MAX_EVENTS: Final = 200
"""In one answer."""
MAX_CAMERAS: Final = 10_000
"""Of one site. An answer holds about twice as many (8 MB)."""
MAX_ENTRY_BYTES: Final = 32_768
"""Of a camera, a state or an event that another mesh tells of."""
MAX_ID_CHARS: Final = 63
_LATEST_US: Final = 253_370_764_800_000_000
"""The year 9999 begins. The headers of an event know no year behind it."""
AtUs = Annotated[int, Field(ge=0, le=_LATEST_US)]


class JoinedSite(Model):
    """A site whose owner was invited, as this hub's registry keeps it."""

    site: Id
    until_us: int
    """When the invitation ends."""
    invited_by: str = ""
    linked: bool = False
    since_us: int
    """Linked: since when. Else: when it was heard last, or when it was invited."""
    heard: bool = False
    """Whether it was ever linked."""
    events_after: int | None = None
    """The number of the owner's last event that is told here; None before the first answer."""
    audited_after: int | None = None
    """The number of this hub's last audit event that the owner has."""


class SiteInput(Model):
    """A site that is invited, or invited anew."""

    site: Id
    until_us: int


class SiteKey(Model):
    """One site."""

    site: Id


class JoinedSites(Model):
    """All of them."""

    sites: tuple[JoinedSite, ...]


class SharedCamera(Model):
    """A camera as its owner tells of it."""

    id: Id
    name: str = Field(min_length=1, max_length=120)
    enabled: bool
    audio: bool
    location: Location
    tags: tuple[str, ...]
    profiles: tuple[ProfileName, ...] = Field(min_length=1)
    privacy_masks: PrivacyMasks = ()
    """The hub draws them for all but its administrators."""

    @classmethod
    def of(cls, camera: Camera) -> Self:
        """What the owner tells of one."""
        kept = {name: getattr(camera, name) for name in cls.model_fields if name != "profiles"}
        return cls(**kept, profiles=tuple(camera.profiles))

    def at_hub(self, site: Id) -> Camera:
        """The hub's entry for it. It is not recorded there."""
        kept = {name: getattr(self, name) for name in type(self).model_fields if name not in ("id", "profiles")}
        profiles = {name: Profile(url="") for name in self.profiles}
        return Camera(**kept, id=hub_id(site, self.id), site=site, owner_id=self.id, record=False, profiles=profiles)


class SharedEvent(Model):
    """A camera event as its owner tells of it."""

    type: str
    body: dict[str, Any]

    @classmethod
    def of(cls, event: CameraEvent) -> Self:
        """Without what may name persons or hosts of the owner's."""
        silent: dict[str, Any] = {name: "" for name in ("actor", "detail") if name in type(event).model_fields}
        return cls(type=event.type, body=event.model_copy(update=silent).model_dump(mode="json"))

    def at_hub(self, site: Id) -> CameraEvent | None:
        """The hub's event for it; None where this version knows none of the kind, or it cannot be read."""
        kind = EVENT_TYPES.get(self.type)
        if kind is None or not issubclass(kind, CameraEvent):
            return None
        try:
            own = kind.model_validate(self.body)
        except ValidationError:
            return None
        if not 0 <= own.at_us <= _LATEST_US:
            return None
        return own.model_copy(update={"site": site, "camera": hub_id(site, own.camera)})


class ShareQuestion(Model):
    """What has changed since the last answer?"""

    cameras_after: int = 0
    """Revision of the newest entry of the catalogue that is known; 0: none is."""
    states_after: int = 0
    digest: str = ""
    """`ids_digest` of the cameras that are known."""
    events_after: int | None = None
    """The number of the last event that is known; None asks for the newest one's number and for no events."""


class ShareAnswer(Model):
    """The cameras and states with later revisions; all, where the asker knows other cameras than there are.

    An owner may be newer, or hostile: what cannot be read of a state is ``unrecognized``, and an entry that cannot be
    read otherwise is left out, so that the others are known all the same.
    """

    cameras: tuple[SharedCamera, ...]
    states: tuple[CameraState, ...]
    """Without figures, texts and names of workers; ``camera`` and ``site`` are the owner's."""
    ids: tuple[Id, ...] | None = None
    """All cameras that there are; None: those that the asker knows."""
    cameras_revision: int
    states_revision: int
    events: tuple[SharedEvent, ...] = ()
    """Oldest first, at most `MAX_EVENTS`."""
    last_event: int
    """Ask for what comes behind it."""

    @field_validator("cameras", mode="before")
    @classmethod
    def _readable_cameras(cls, given: object) -> object:
        return _readable(SharedCamera, given, _with_known_profiles)

    @field_validator("states", mode="before")
    @classmethod
    def _readable_states(cls, given: object) -> object:
        return _readable(CameraState, given, _recognized)


class View(Model):
    """What a person at the hub did with a camera of the site: an audit event of the hub's."""

    camera: Id
    """By the owner's name."""
    at_us: AtUs
    action: Id
    """Stands in a subject."""
    actor: str = Field(max_length=1000)
    role: str = Field(max_length=100)
    detail: dict[str, str] = Field(default_factory=dict)


class ViewsTold(Model):
    """For the owner's audit."""

    hub: Id
    views: tuple[View, ...] = Field(max_length=MAX_EVENTS)


def _readable(kind: type[Model], given: object, known: Callable[[dict[str, Any]], dict[str, Any]]) -> object:
    """Those entries that can be read, once ``known`` has taken from them what this version does not know."""
    if not isinstance(given, list | tuple):
        return given
    found: list[Model] = []
    for entry in given:
        try:
            found.append(kind.model_validate(known(entry) if isinstance(entry, dict) else entry))
        except ValidationError:
            continue
    return tuple(found)


def _with_known_profiles(camera: dict[str, Any]) -> dict[str, Any]:
    profiles = camera.get("profiles")
    if not isinstance(profiles, list | tuple):
        return camera
    return camera | {"profiles": [name for name in profiles if name in get_args(ProfileName)]}


def _recognized(state: dict[str, Any]) -> dict[str, Any]:
    known = _with_known_reason(state)
    if not _is_of(Status, known.get("status")):
        known |= {"status": Status.DEGRADED, "reason": Reason.UNRECOGNIZED}
    if not _is_of(Status, known.get("announced")):
        known["announced"] = None
    profiles = known.get("profiles")
    if isinstance(profiles, dict):
        reports = {name: _with_known_reason(each) for name, each in profiles.items() if isinstance(each, dict)}
        known["profiles"] = {name: each for name, each in reports.items() if _can_be_read(ProfileReport, each)}
    return known


def _with_known_reason(told: dict[str, Any]) -> dict[str, Any]:
    return told | ({} if _is_of(Reason, told.get("reason", Reason.NONE)) else {"reason": Reason.UNRECOGNIZED})


def _is_of(kind: type[Status | Reason], value: object) -> bool:
    return isinstance(value, str) and value in kind.__members__.values()


def _can_be_read(kind: type[Model], told: dict[str, Any]) -> bool:
    try:
        kind.model_validate(told)
    except ValidationError:
        return False
    return True


class OwnersFootage(Model):
    """The owner's answer to a `TimelineQuestion`."""

    timeline: FootageTimeline


class AskedAcross(NamedTuple):
    """What the subject of a hub's question says."""

    right: Right
    camera: Id

    @classmethod
    def of(cls, subject: str) -> Self:
        """Raises `InvalidInputError`."""
        try:
            right, camera = subject.split(".")[5:7]
            asked = cls(Right(right), camera)
        except ValueError as error:
            raise InvalidInputError("the subject names no right and no camera") from error
        if not subjects.is_id(camera):  # nats-server takes '*' and '/' in a word of a subject
            raise InvalidInputError("the subject names no camera")
        return asked

    def actor(self, told: Actor) -> Actor:
        """Whom the hub tells of, with this right alone: the hub says who it is, the owner what a hub may."""
        return told._replace(rights=frozenset({self.right}), scope=None)

    def data(self, home: Id, deliver_to: str) -> str:
        """Where this mesh has what the hub calls ``deliver_to``. Raises `ForbiddenError`."""
        transfer = deliver_to.rpartition(".")[2]
        if not subjects.is_id(transfer):
            raise ForbiddenError("a hub receives footage on subjects of footage alone")
        return subjects.footage_data(home, self.right, self.camera, transfer)


def control_of(deliver_to: str) -> str:
    """The control subject of a transfer to `subjects.footage_data`; empty for one to an inbox."""
    parts = deliver_to.split(".")
    if parts[3:5] != ["footage", "data"]:
        return ""
    return subjects.footage_credit(parts[2], *parts[5:])


def is_bearable(entry: Model) -> bool:
    """Whether something of another mesh can be kept and sent on here: numbers of 64 bits, `MAX_ENTRY_BYTES` at most."""
    try:
        return len(entry.pack()) <= MAX_ENTRY_BYTES
    except InvalidInputError:
        return False


def state_at_hub(state: CameraState, site: Id) -> CameraState | None:
    """The hub's state for what an owner tells; None where it cannot be kept.

    Times are shown with years of four digits.
    """
    times = [state.since_us]
    for profile in state.profiles.values():
        times += (profile.since_us, profile.next_attempt_us)
    if not all(0 <= each <= _LATEST_US for each in times):
        return None
    moved = state.without_figures().model_copy(update={"camera": hub_id(site, state.camera), "site": site})
    return moved if is_bearable(moved) else None


def hub_id(site: Id, owner_id: Id) -> Id:
    """What a hub calls a site's camera. Cameras of two owners may have the same id."""
    whole = f"{site}--{owner_id}"
    if len(whole) <= MAX_ID_CHARS:
        return whole
    mark = hashlib.sha256(whole.encode()).hexdigest()[:8]
    return f"{whole[: MAX_ID_CHARS - 9]}-{mark}"


def ids_digest(ids: Iterable[Id]) -> str:
    """By which two sides know that they know the same cameras."""
    return hashlib.sha256(" ".join(sorted(ids)).encode()).hexdigest()[:16]
