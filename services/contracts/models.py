"""The messages between services besides frames and events: msgpack maps of these models."""

from collections.abc import Mapping
from enum import StrEnum
from operator import attrgetter
from types import UnionType
from typing import Annotated, Any, Final, Literal, Self, Union, get_args, get_origin
from urllib.parse import urlsplit

import msgpack
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)
from pydantic_core import PydanticSerializationError

from services.contracts.errors import InvalidInputError
from services.contracts.permissions import Role
from services.contracts.subjects import ID_PATTERN

Id = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
"""Lower-case letters, digits and dashes, at most 63: stands in subjects, paths and URLs as it is."""

UnixUs = Annotated[int, Field(ge=0, le=253_402_300_799_999_999)]
"""Unix microseconds from outside, up to the end of the year 9999: RFC 3339 has no later ones."""

ProfileName = Literal["main", "sub"]
Transport = Literal["auto", "tcp", "udp"]
ReaderName = Literal["auto", "direct", "libav"]

SOURCE_SCHEMES = ("rtsp", "rtsps", "http", "https", "rtmp", "srt", "udp", "rtp")


class Model(BaseModel):
    """Base of everything on the wire. Unknown fields are ignored: an older reader understands a newer writer."""

    model_config = ConfigDict(extra="ignore", frozen=True, json_schema_serialization_defaults_required=True)
    """A writer sends every field, so the schema of what is sent requires fields with defaults too."""

    def pack(self) -> bytes:
        """The model as a msgpack map; raises `InvalidInputError` where it holds an integer past 64 bits or half a
        surrogate pair, which only come from outside."""
        return self._packed()

    def _packed(self, *, exclude_unset: bool = False, exclude_defaults: bool = False) -> bytes:
        try:
            packed: bytes = msgpack.packb(
                self.model_dump(mode="json", exclude_unset=exclude_unset, exclude_defaults=exclude_defaults)
            )
        except (OverflowError, UnicodeEncodeError, PydanticSerializationError) as error:
            raise InvalidInputError(f"a value cannot be sent: {error}") from error
        return packed

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """The model in ``data``; raises pydantic's ``ValidationError`` or a ``ValueError`` of msgpack's."""
        return cls.model_validate(msgpack.unpackb(data))


def takes_several(annotation: Any) -> bool:
    """Whether a field of this type takes several values: a list, tuple or set, also one that may be None.

    Environment variables and queries carry text; the field's type decides whether to split it or to collect it.
    """
    origin = get_origin(annotation)
    if origin is Annotated:
        return takes_several(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return any(takes_several(member) for member in get_args(annotation))
    return (origin or annotation) in (tuple, list, set, frozenset)


class Location(Model):
    """Where a camera stands."""

    latitude: float | None = Field(default=None, ge=-90, le=90)
    longitude: float | None = Field(default=None, ge=-180, le=180)
    address: str = ""
    bearing: float | None = Field(default=None, ge=0, lt=360)
    """Which way the camera looks: degrees clockwise from north."""


def _source_url(url: str) -> str:
    if not url:  # of a joined site's camera
        return url
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("a source URL has a host, and a port from 1 to 65535") from None
    if port == 0 or any(character.isspace() for character in parts.netloc):
        raise ValueError("a source URL has a host without blanks, and a port from 1 to 65535")
    if parts.scheme not in SOURCE_SCHEMES or not parts.hostname:
        schemes = ", ".join(f"{scheme}://" for scheme in SOURCE_SCHEMES)
        raise ValueError(f"a source URL begins with one of {schemes} and names a host")
    if "@" in parts.netloc:
        raise ValueError("credentials stand apart from the URL: give username and password in 'credentials'")
    return url


class Profile(Model):
    """One stream of a camera."""

    url: Annotated[str, AfterValidator(_source_url)]
    """Without credentials, which have a bucket of their own (`Credentials`). Empty where only its owner knows it."""
    transport: Transport = "auto"
    """Of RTSP; ``auto``: TCP, and UDP where the camera refuses TCP."""
    reader: Annotated[ReaderName, BeforeValidator(lambda name: "libav" if name == "pyav" else name)] = "auto"
    """``auto``: direct where that can read the source, else libav. Catalogues of before wrote libav as ``pyav``."""


class Credentials(Model):
    """A camera's user. Read by ingest alone; never given back by the API, a log or an event."""

    username: str
    password: str = Field(repr=False)

    def is_user(self, username: str) -> bool:
        """Whether they are of this user."""
        return self.username == username


class CameraSecret(Model):
    """A camera's credentials as they are kept: sealed to each ingest machine's key.

    They stand in the clear while no ingest has been there yet, and where an earlier version wrote them; ingest seals
    what it finds so.
    """

    username: str | None = None
    password: str | None = Field(default=None, repr=False)
    boxes: dict[str, str] = {}
    """Key id → box of `services.mesh.sealing` with a packed `Credentials`, about the camera's id."""
    match: str = ""
    """By it the registry that wrote them knows them again; a keyed digest, whose key is on that machine alone."""
    match_user: str = ""
    """The same of the user alone."""

    @property
    def in_the_clear(self) -> Credentials | None:
        """The credentials where they are not sealed."""
        if self.username is None:
            return None
        return Credentials(username=self.username, password=self.password or "")


class SealingKey(Model):
    """What secrets are sealed to: the public key of a machine."""

    public: str
    """32 bytes, hexadecimal."""
    machine: str = ""


DEMO_TAG: Final = "demo"
"""The tag of simulated cameras."""


class PrivacyMask(Model):
    """A rectangle of a camera's pictures that not everybody may see, in parts of their width and height. ``x`` and
    ``y`` are those of its upper left corner."""

    x: float = Field(ge=0, lt=1)
    y: float = Field(ge=0, lt=1)
    width: float = Field(gt=0, le=1)
    height: float = Field(gt=0, le=1)


PrivacyMasks = Annotated[tuple[PrivacyMask, ...], Field(max_length=16)]
"""What reaches over an edge ends there."""


class Camera(Model):
    """One row of the catalogue."""

    id: Id
    site: Id
    name: str = Field(min_length=1, max_length=120)
    enabled: bool = True
    record: bool = True
    audio: bool = False
    location: Location = Location()
    tags: tuple[str, ...] = ()
    profiles: dict[ProfileName, Profile] = Field(min_length=1)
    has_credentials: bool = False
    copies: int = Field(default=1, ge=1, le=2)
    """How many recorders keep it."""
    priority: int = Field(default=5, ge=0, le=9)
    """A worker with more to do than it can gives up cameras of the lowest priority first."""
    pin: str = Field(default="", max_length=63)
    """The worker, machine or rack that ingests it as long as there is one with room, and records it if it can."""
    retention: str | None = None
    """A retention ladder of this camera's own (``full 10d, keyframes 60d every 10s``); None: the default."""
    privacy_masks: PrivacyMasks = ()
    unmasked_roles: tuple[Role, ...] = ()
    """Who sees through the masks, besides administrators; roles that include one of these as well."""
    owner_id: Id | None = None
    """Of a joined site's camera: what its owner calls it. This mesh neither reads it nor changes it. None: it is this
    mesh's own."""

    @model_validator(mode="after")
    def _has_sources(self) -> Self:
        if self.owner_id is None and not all(profile.url for profile in self.profiles.values()):
            raise ValueError("profiles: each has the URL of its source")
        return self

    @property
    def bus_id(self) -> Id:
        """What it is called on its site's media subjects."""
        return self.owner_id or self.id

    def matches(self, *, site: str | None, tag: str | None, text: str) -> bool:
        """Whether all filters match; ``text`` is searched in id, name, address and tags, and its case is ignored."""
        if (site is not None and self.site != site) or (tag is not None and tag not in self.tags):
            return False
        sought = text.casefold()
        fields = (self.id, self.name, self.location.address, *self.tags)
        return not sought or any(sought in field.casefold() for field in fields)


class Status(StrEnum):
    """The observed status of a camera."""

    CONNECTING = "connecting"
    ONLINE = "online"
    DEGRADED = "degraded"
    OFFLINE = "offline"
    DISABLED = "disabled"


class Reason(StrEnum):
    """Why a camera or a profile is not simply online. Stable codes: the interface translates them."""

    NONE = "none"
    STARTING = "starting"
    # The way to the source.
    BAD_ADDRESS = "bad-address"
    """The URL's host, port or path cannot be."""
    UNSUPPORTED_SCHEME = "unsupported-scheme"
    """No reader at hand speaks the URL's scheme."""
    UNREACHABLE = "unreachable"
    """The name does not resolve, or no route leads there."""
    REFUSED = "refused"
    """Nothing listens at the port."""
    TIMEOUT = "timeout"
    """No connection within the time for opening."""
    # What the source answers.
    NO_ANSWER = "no-answer"
    """It takes the connection and then says nothing."""
    BAD_ANSWER = "bad-answer"
    """Its answers are no protocol's: garbage, or headers and bodies that never end."""
    UNAUTHORIZED = "unauthorized"
    """It wants a user name and password, or does not accept those that it is given (401, 403)."""
    UNSUPPORTED_AUTH = "unsupported-auth"
    """It asks for an authentication that the reader does not know."""
    NOT_FOUND = "not-found"
    """It has no such stream (404)."""
    BAD_CERTIFICATE = "bad-certificate"
    """Its TLS certificate is not one that this mesh trusts, where it was told to verify them."""
    TOO_MANY_CLIENTS = "too-many-clients"
    """It serves as many viewers as it can (RTSP's 453)."""
    REDIRECT_LOOP = "redirect-loop"
    """It sends the reader from address to address."""
    UNSUPPORTED_TRANSPORT = "unsupported-transport"
    """It offers neither of the transports that may be used (RTSP's 461)."""
    REJECTED = "rejected"
    """It refuses with a status that has no reason of its own here."""
    # What the source sends.
    UNSUPPORTED_CODEC = "unsupported-codec"
    SINGLE_PICTURE = "single-picture"
    """The address gives one picture and no stream."""
    NO_MEDIA = "no-media"
    """It agreed to play, and sends nothing."""
    NO_KEYFRAME = "no-keyframe"
    """It sends pictures of which none can be decoded yet."""
    BAD_STREAM = "bad-stream"
    """What it sends cannot be read as a stream of pictures; a source that has no video is told so in ``detail``."""
    STALLED = "stalled"
    """It delivered, keeps the connection, and sends nothing any more."""
    CLOSED = "closed"
    """It ended the stream or the connection."""
    # How well it delivers, and what keeps this mesh from reading it.
    FRAMES_LOST = "frames-lost"
    BAD_TIMESTAMPS = "bad-timestamps"
    LOW_RATE = "low-rate"
    OVERLOADED = "overloaded"
    READER_FAILED = "reader-failed"
    """The process that read it crashed or hung."""
    NO_INGEST = "no-ingest"
    UNASSIGNED = "unassigned"
    """All ingest workers are full."""
    # Of a camera of a joined site.
    SITE_AWAY = "site-away"
    """Nothing is heard of the site that it belongs to."""
    NOT_GRANTED = "not-granted"
    """Its owner does not let this mesh watch it."""
    UNRECOGNIZED = "unrecognized"
    """A joined site of a newer version names a status or a reason that this one does not know."""
    DISABLED = "disabled"


class ProfileReport(Model):
    """The report of ingest on one profile."""

    status: Literal["idle", "connecting", "online", "offline"]
    reason: Reason = Reason.NONE
    detail: str = ""
    """Text for logs, redacted."""
    since_us: int = 0
    codec: str = ""
    """FFmpeg's name: h264, hevc, mjpeg, pcm_alaw, …"""
    width_px: int = 0
    height_px: int = 0
    frame_rate: float = 0
    bitrate_bps: int = 0
    last_frame_us: int = 0
    keyframe_interval_seconds: float = 0
    frames: int = 0
    reconnects: int = 0
    bad_timestamps: int = 0
    frames_lost: int = 0
    """RTP packets that never came: each is a frame, or a part of one."""
    frames_damaged: int = 0
    """Published with the mark ``DAMAGED``: of a picture with a hole, and of all that refers to it."""
    reader: Literal["", "direct", "libav"] = ""
    """What reads it now, or did last."""
    reader_detail: str = ""
    """Why ``auto`` reads it with libav."""
    transport: Literal["", "tcp", "udp"] = ""
    """How its RTP comes."""
    certificate: Literal["", "verified", "unverified"] = ""
    """Of a source behind TLS: whether its certificate is verified."""
    next_attempt_us: int = 0
    """While offline: when it is opened next, Unix time; 0: it is open or being opened."""
    stalls_after_seconds: float = 0
    """While online: without a frame for so long it counts as stalled; a slow camera's own pace makes it longer."""
    clock_offset_us: int = 0
    """How far the source's clock is ahead of ours, by its sender reports."""
    clock_drift_ppm: float = 0
    """How much faster the source's clock runs than ours: millionths."""
    clock_uncertainty_us: int = 0
    """Half-width of the interval around ``clock_offset_us``; 0: nothing is known of the source's clock."""


class CameraReport(Model):
    """The report of ingest on one camera."""

    camera: Id
    site: Id
    epoch: int
    profiles: dict[str, ProfileReport]
    """By profile: main, sub, audio."""


class IngestReport(Model):
    """A worker's report: every 2 s, and on each change at once (then with the changed cameras only)."""

    worker: Id
    at_us: int
    cameras: tuple[CameraReport, ...]
    steady: dict[Id, int] = {}
    """The worker's other cameras: all is as in its last report that named them, but the figures, and frames come.
    Camera → `ProfileReport.frames` of its main profile. After a roll call each camera is named whole again."""

    def pack(self) -> bytes:
        """As `Model.pack`, without what has its default: the leader reads those of 10,000 cameras every 2 s."""
        return self._packed(exclude_defaults=True)


class CameraState(Model):
    """Observed state, after hysteresis; kept by the registry."""

    camera: Id
    site: Id
    status: Status
    reason: Reason = Reason.NONE
    detail: str = ""
    since_us: int
    profiles: dict[str, ProfileReport] = {}
    worker: str = ""
    announced: Status | None = None
    """The status in the last event: online, degraded, offline, or None before the first."""

    def without_figures(self) -> Self:
        """What is kept of it: all but `FIGURES`, which change with every frame."""
        profiles = {name: profile.model_copy(update=FIGURES) for name, profile in self.profiles.items()}
        return self.model_copy(update={"profiles": profiles})

    def same_but_figures(self, other: "CameraState") -> bool:
        """Whether both are the same without figures."""
        return _state_but_profiles(self) == _state_but_profiles(other) and same_but_figures(
            self.profiles, other.profiles
        )


FIGURES: dict[str, float] = {
    "frame_rate": 0,
    "bitrate_bps": 0,
    "last_frame_us": 0,
    "keyframe_interval_seconds": 0,
    "frames": 0,
    "reconnects": 0,
    "bad_timestamps": 0,
    "frames_lost": 0,
    "frames_damaged": 0,
    "stalls_after_seconds": 0,
    "clock_offset_us": 0,
    "clock_drift_ppm": 0,
    "clock_uncertainty_us": 0,
}
"""Fields of a `ProfileReport` that are no reason to write a state anew."""
_but_figures = attrgetter(*(ProfileReport.model_fields.keys() - FIGURES.keys()))
_state_but_profiles = attrgetter(*(CameraState.model_fields.keys() - {"profiles"}))


def same_but_figures(profiles: Mapping[str, ProfileReport], others: Mapping[str, ProfileReport]) -> bool:
    """Whether the same profiles are there, and each is the same without figures."""
    return profiles.keys() == others.keys() and all(
        _but_figures(mine) == _but_figures(others[name]) for name, mine in profiles.items()
    )


class CameraFigures(Model):
    """States of which only the figures have changed."""

    states: tuple[CameraState, ...]

    def pack(self) -> bytes:
        """As `Model.pack`, without what has its default: of 10,000 cameras these are 2,000 a second."""
        return self._packed(exclude_defaults=True)


WorkerRole = Literal["ingest", "recorder", "relay", "registry", "converter"]


class WorkerLease(Model):
    """A live worker. The incarnation differs at each start, so that a quick restart is noticed."""

    role: WorkerRole
    worker: Id
    incarnation: int
    capacity: int = 0
    load: float = 0
    draining: bool = False
    machine: str = ""
    """Where it runs: the host's name, or the setting ``PANTAU_MACHINE``."""
    rack: str = ""
    """The setting ``PANTAU_RACK``."""
    detail: dict[str, str] = {}


class Assignment(Model):
    """The workers of a camera in one role. The KV entry's revision is the epoch."""

    camera: Id
    site: Id
    workers: tuple[Id, ...]
    """For ingest exactly one; for recorder as many as the camera has copies."""
    incarnations: tuple[int, ...]
    homes: tuple[Id, ...] = ()
    """Recorder: who records it from now on; differs from ``workers`` while one of them is away."""
    silent_since_us: int = 0
    """Recorder: when the one before was heard last (Unix time), where it was replaced because it is silent. Who stands
    in accounts for what comes after. 0: nobody was lost."""


class ToldAssignment(Model):
    """An assignment with its revision, as its new worker is told of it."""

    assignment: Assignment
    revision: int


class ReaderFallback(Model):
    """What ``auto`` has learned of a source: that the direct reader cannot read it."""

    source: str
    """Of the source that it was learned of: the beginning of the SHA-256 of its URL and transport."""
    detail: str
    """Why the direct reader cannot; the state tells it."""
    since_us: int


class WantReply(Model):
    """The first message of an answer on a ``want`` subject; cached frames follow, then an empty message."""

    status: Literal["live", "opening", "failed", "unknown-profile"]
    reason: Reason = Reason.NONE
    detail: str = ""
    frames: int = 0


MAX_REMARK_CHARS: Final = 2000
MAX_REMARKS: Final = 200
MAX_INCIDENT_STEPS: Final = 300
MAX_HOLD_DAYS: Final = 3650


class IncidentStatus(StrEnum):
    """An incident's life."""

    OPEN = "open"
    CLOSED = "closed"


class Remark(Model):
    """What a person wrote about an incident. Nobody changes it afterwards."""

    at_us: int
    by: str
    text: str = Field(min_length=1, max_length=MAX_REMARK_CHARS)


IncidentAction = Literal["opened", "updated", "remarked", "exported", "closed", "reopened", "released"]


class IncidentStep(Model):
    """What was done with an incident, by whom and when."""

    at_us: int
    by: str
    action: IncidentAction
    fields: tuple[str, ...] = ()
    """Names of the fields that changed."""
    request_id: str | None = None
    """Of the request that did it: asked again it does nothing."""


class Incident(Model):
    """A case. The footage of its cameras and time is held while it is open, and for the grace period after."""

    id: Id
    title: str = Field(min_length=1, max_length=200)
    status: IncidentStatus = IncidentStatus.OPEN
    cameras: tuple[Id, ...]
    from_us: int
    to_us: int | None = None
    """None: the incident goes on, so future footage is held, too."""
    notes: str = ""
    hold_days: float | None = None
    """How long its footage stays held after it was closed; None: as long as the registry's setting says."""
    remarks: tuple[Remark, ...] = ()
    """Oldest first."""
    history: tuple[IncidentStep, ...] = ()
    """Oldest first; the newest `MAX_INCIDENT_STEPS`. All of it is in the audit events."""
    created_by: str = ""
    created_us: int = 0
    closed_us: int | None = None
    release_us: int | None = None
    """The end of the hold: closing time plus grace period."""
    released: bool = False
    """The hold has ended, and an audit event has said so."""
