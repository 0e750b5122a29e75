"""Events, for agencies, dashboards and the other services.

Body: a msgpack map of the event's fields. Headers: CloudEvents 1.0 in binary mode (the NATS protocol binding), with
``Nats-Msg-Id`` for de-duplication. Each class names the JetStream stream that keeps it. The classes below yield
``docs/asyncapi.yaml``; golden bytes in the tests hold the wire format.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import ClassVar, Final, Literal
from urllib.parse import quote, unquote

from pydantic import Field

from services.contracts import subjects
from services.contracts.models import Id, Model, ProfileReport, Reason, WorkerRole
from services.contracts.permissions import Actor
from services.contracts.recordings import Lasting

CONTENT_TYPE: Final = "application/vnd.msgpack"


class Event(Model):
    """Base of all events. ``kind`` and ``name`` stand in the subject and the CloudEvents type."""

    kind: ClassVar[str]
    name: ClassVar[str]
    subject_field: ClassVar[str] = "camera"
    stream: ClassVar[str] = subjects.EVENTS_STREAM
    """The stream that keeps it."""

    site: Id
    at_us: int
    """The time of the event: Unix time, UTC, microseconds."""

    @property
    def type(self) -> str:
        """For example ``camera.offline``."""
        return f"{self.kind}.{self.name}"

    @property
    def subject_id(self) -> str:
        """The id of the camera or incident that it is about."""
        return str(getattr(self, self.subject_field))

    @property
    def nats_subject(self) -> str:
        """The subject that it is published on."""
        return subjects.event(self.site, self.kind, self.name, self.subject_id)

    @classmethod
    def subject_filter(cls) -> str:
        """Matches the subjects of all events of this class."""
        return subjects.event("*", cls.kind, cls.name, "*")


class CameraEvent(Event):
    """Something about a camera."""

    kind: ClassVar[str] = "camera"
    camera: Id


class CameraRegistered(CameraEvent):
    """A camera came into the catalogue."""

    name: ClassVar[str] = "registered"
    camera_name: str
    actor: str = ""


class CameraUpdated(CameraEvent):
    """A camera's catalogue entry changed."""

    name: ClassVar[str] = "updated"
    camera_name: str
    changed: tuple[str, ...]
    """Names of the fields that changed."""
    actor: str = ""


class CameraRemoved(CameraEvent):
    """A camera left the catalogue. Its recordings stay until retention takes them."""

    name: ClassVar[str] = "removed"
    actor: str = ""


class CameraOnline(CameraEvent):
    """A camera delivers."""

    name: ClassVar[str] = "online"
    codec: str = ""
    width_px: int = 0
    height_px: int = 0


class CameraOffline(CameraEvent):
    """A camera delivers nothing."""

    name: ClassVar[str] = "offline"
    reason: Reason
    detail: str = ""


class CameraDegraded(CameraEvent):
    """A camera delivers, but worse than usual."""

    name: ClassVar[str] = "degraded"
    reason: Reason
    detail: str = ""


class CameraRecovered(CameraEvent):
    """A camera delivers as usual again."""

    name: ClassVar[str] = "recovered"
    after_seconds: float
    """How long it was offline or degraded."""


class CameraHealth(CameraEvent):
    """The figures that ingest measures, once a minute for each camera."""

    name: ClassVar[str] = "health"
    stream: ClassVar[str] = subjects.HEALTH_STREAM
    status: str
    profiles: dict[str, ProfileReport]


class RecordingEvent(Event):
    """Something about a camera's recordings."""

    kind: ClassVar[str] = "recording"
    camera: Id
    recorder: Id


class SegmentClosed(RecordingEvent):
    """A segment is complete and will not be modified any more. The seal of its evidence."""

    name: ClassVar[str] = "segment_closed"
    stream: ClassVar[str] = subjects.AUDIT_STREAM
    profile: str
    path: str
    """Below the recorder's recordings folder."""
    from_us: int
    to_us: int
    size_bytes: int
    frames: int
    keyframes: int
    codec: str
    chain_hash: str = ""
    """Hex SHA-256 of the last fragment's link in the chain of this camera and profile."""
    signature: str = ""
    """Hex Ed25519 signature over the segment's statement by the recorder's key."""
    key_id: str = ""
    """The key's short name, as bundles use it."""
    public_key: str = ""
    """The key itself, hex. A subscriber that keeps it can check evidence later without trusting the bundle."""


class RecordingGap(RecordingEvent):
    """Nothing was recorded for a while; sent when the gap has ended, and once when it has lasted a minute."""

    name: ClassVar[str] = "gap"
    profile: str
    from_us: int
    to_us: int | None
    cause: str
    detail: str = ""


class RecordingThinned(RecordingEvent):
    """A segment was rewritten with fewer frames, by the retention ladder or under pressure."""

    name: ClassVar[str] = "thinned"
    from_us: int
    to_us: int
    bytes_before: int
    bytes_after: int


class CoverageGap(Model):
    """A stretch without footage."""

    from_us: int
    to_us: int | None
    cause: str
    detail: str = ""


Remains = Literal["", "disk", "archive"]


class RecordingExpired(RecordingEvent):
    """Footage was removed by retention, or a copy of it from the archive."""

    name: ClassVar[str] = "expired"
    from_us: int
    to_us: int
    size_bytes: int
    because: str
    """``age``, ``budget``, ``floor``; ``archive``: a copy in the archive was removed because of its age."""
    remains_in: Remains = ""
    """Where this recorder still keeps the footage; empty: nowhere."""


class RecordingCoverage(Lasting, RecordingEvent):
    """Once a day: how much of the day before is recorded, the cause of each gap, and how long footage will be kept."""

    name: ClassVar[str] = "coverage"
    profile: str
    from_us: int
    to_us: int
    recorded_us: int
    percent: float
    gaps: tuple[CoverageGap, ...] = ()
    """The longest 200."""
    damaged_us: int = 0
    """Of ``recorded_us``: how long pictures last that are marked as damaged."""
    missing_us: dict[str, int] = Field(default_factory=dict)
    """How long there is no footage, by cause."""


class RecordingPromise(Event):
    """Once a day for each camera that is to be recorded: how much of the day before is recorded, and who lost the rest.

    All recorders were asked. Where one that was away then comes back with footage, `RecordingCoverage` tells of it.
    """

    kind: ClassVar[str] = "recording"
    name: ClassVar[str] = "promise"
    camera: Id
    profile: str
    from_us: int
    to_us: int
    percent: float
    """The recorded share of the time that was to be recorded."""
    recorded_seconds: float
    damaged_seconds: float
    """Of the recorded time: how long pictures last that are marked as damaged."""
    lost_by_mesh_seconds: float
    """By this mesh, or by what nobody knows."""
    lost_by_camera_seconds: float
    """By the camera, or on the way to it."""
    complete: bool
    """False where a recorder did not answer: there may be more footage."""


class StorageLow(Event):
    """A disk is near its floor, full, slow, read-only or gone, so history gets shorter."""

    kind: ClassVar[str] = "recording"
    name: ClassVar[str] = "storage_low"
    subject_field: ClassVar[str] = "recorder"
    recorder: Id
    directory: str
    free_bytes: int
    because: str


class ArchiveFailed(Event):
    """The archive does not take copies: segments wait on the recorder's disks. Sent at first, when the reason changes,
    and once an hour."""

    kind: ClassVar[str] = "recording"
    name: ClassVar[str] = "archive_failed"
    subject_field: ClassVar[str] = "recorder"
    recorder: Id
    because: str
    """``unreachable``, ``refused`` (the access key), ``no-bucket``, ``differs`` (the stored object differs),
    ``failed``."""
    detail: str
    waiting_segments: int
    waiting_bytes: int


class ArchiveRecovered(Event):
    """The archive takes copies again."""

    kind: ClassVar[str] = "recording"
    name: ClassVar[str] = "archive_recovered"
    subject_field: ClassVar[str] = "recorder"
    recorder: Id
    after_seconds: float


class ArchiveDamaged(RecordingEvent):
    """A copy in the archive is gone or altered; it is made again while the recorder has the footage."""

    name: ClassVar[str] = "archive_damaged"
    profile: str
    path: str
    """Below the recorder's folder of the bucket."""
    from_us: int
    to_us: int
    detail: str


class WorkerEvent(Event):
    """Something about a worker of the mesh itself; of the home site."""

    kind: ClassVar[str] = "worker"
    subject_field: ClassVar[str] = "worker"
    worker: Id
    role: WorkerRole
    machine: str = ""
    """Where it runs; empty: it does not say."""


class WorkerOverloaded(WorkerEvent):
    """A worker has more to do than it can. Told once, by the registry that leads."""

    name: ClassVar[str] = "overloaded"
    detail: str
    """Why, for people."""


class WorkerRecovered(WorkerEvent):
    """An overloaded worker keeps up again."""

    name: ClassVar[str] = "recovered"
    after_seconds: float


class IncidentEvent(Event):
    """Something about an incident."""

    kind: ClassVar[str] = "incident"
    subject_field: ClassVar[str] = "incident"
    incident: Id
    title: str
    cameras: tuple[str, ...]
    from_us: int
    to_us: int | None
    actor: str = ""


class IncidentOpened(IncidentEvent):
    """Its footage is held from now on."""

    name: ClassVar[str] = "opened"


class IncidentUpdated(IncidentEvent):
    """Its cameras, range, title or notes changed."""

    name: ClassVar[str] = "updated"
    changed: tuple[str, ...] = ()


class IncidentClosed(IncidentEvent):
    """Its hold ends at ``release_us``."""

    name: ClassVar[str] = "closed"
    release_us: int


class IncidentExported(IncidentEvent):
    """Evidence about it was exported."""

    name: ClassVar[str] = "exported"


EMPTY_DETAIL: Final[Mapping[str, str]] = {}
WALL_TARGET: Final = "wall"
"""The target of what was done to the wall as a whole: signing in, accounts."""
VIEWS: Final[Mapping[str, tuple[str, str]]] = {
    "live": ("viewing-live", "viewed-live"),
    "recorded": ("viewing-recording", "viewed-recording"),
}
"""By source: what is told at the beginning of a view, and at its end."""
VIEW_PART_SECONDS: Final = 3600
"""A view is told in parts of at most so long."""


class Audit(Event):
    """Who saw, exported or changed what."""

    kind: ClassVar[str] = "audit"
    name: ClassVar[str] = "action"
    subject_field: ClassVar[str] = "target"
    stream: ClassVar[str] = subjects.AUDIT_STREAM
    target: Id
    """The camera or incident that the action was about."""
    action: str
    """For example ``exported``, ``viewed-recording``, ``incident-opened``."""
    actor: str
    role: str
    session: str = ""
    """Id of the person's sign-in; empty: the machine's own user, or a service."""
    address: str = ""
    """Where the person was, as the front saw it."""
    detail: dict[str, str] = Field(default_factory=dict)

    @classmethod
    def by(
        cls, actor: Actor, *, site: str, at_us: int, target: str, action: str, detail: Mapping[str, str] = EMPTY_DETAIL
    ) -> "Audit":
        """What ``actor`` did."""
        return cls(
            site=site,
            at_us=at_us,
            target=target,
            action=action,
            actor=actor.name,
            role=actor.role,
            session=actor.session,
            address=actor.address,
            detail=dict(detail),
        )

    @property
    def nats_subject(self) -> str:
        """The action takes the name's place: ``pantau.v1.<site>.audit.exported.cam-1``."""
        return subjects.event(self.site, self.kind, self.action, self.target)

    @classmethod
    def filter_of(cls, action: str, target: str) -> str:
        """Matches an action with a target, of all sites; ``*`` stands for any."""
        return subjects.event("*", cls.kind, action, target)

    @classmethod
    def subject_filter(cls) -> str:
        """Matches every action."""
        return cls.filter_of("*", "*")


EVENTS: Final[tuple[type[Event], ...]] = (
    CameraRegistered, CameraUpdated, CameraRemoved, CameraOnline, CameraOffline, CameraDegraded, CameraRecovered,
    CameraHealth, SegmentClosed, RecordingGap, RecordingThinned, RecordingExpired, RecordingCoverage,
    RecordingPromise, StorageLow, ArchiveFailed, ArchiveRecovered, ArchiveDamaged,
    IncidentOpened, IncidentUpdated, IncidentClosed, IncidentExported, WorkerOverloaded, WorkerRecovered, Audit,
)  # fmt: skip
"""Every event class."""
STREAMS: Final = (subjects.EVENTS_STREAM, subjects.AUDIT_STREAM, subjects.HEALTH_STREAM)


def stream_subjects(stream: str) -> list[str]:
    """The subjects that a stream keeps. No two streams keep the same one."""
    return [event.subject_filter() for event in EVENTS if event.stream == stream]


EVENT_TYPES: Final[Mapping[str, type[Event]]] = {f"{event.kind}.{event.name}": event for event in EVENTS}
"""By `Event.type`."""


def headers(event: Event, *, source: str, event_id: str) -> dict[str, str]:
    """CloudEvents headers. Values are percent-encoded as the NATS protocol binding 3.2.2 says."""
    time = datetime.fromtimestamp(event.at_us / 1e6, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "ce-specversion": "1.0",
        "ce-id": event_id,
        "ce-type": f"pantau.v1.{event.type}",
        "ce-source": quote(source, safe="/-._~:"),
        "ce-subject": quote(event.subject_id, safe="/-._~"),
        "ce-time": time,
        "Content-Type": CONTENT_TYPE,
        "Nats-Msg-Id": event_id,
    }


def parse(data: bytes, message_headers: dict[str, str] | None) -> Event | None:
    """The event of a message; None where its type is not known to this version. Raises ``ValueError`` on a bad body."""
    kind = unquote((message_headers or {}).get("ce-type", "")).removeprefix("pantau.v1.")
    event_type = EVENT_TYPES.get(kind)
    return event_type.unpack(data) if event_type else None
