"""Export jobs: what is to be handed out, how far it is, and where its file lies.

A job is one entry of the bucket `subjects.EXPORTS_BUCKET`. A front writes it, asks for its end (``cancelling``) and
forgets it; the wall that makes it (``maker``) writes everything else. Every write names the revision it replaces.
"""

from enum import StrEnum
from typing import Final, Literal

from pydantic import Field

from services.contracts.models import Id, Model, PrivacyMasks, ProfileName
from services.contracts.permissions import Actor, Right, Role

SERVICE: Final = "exports"
"""A maker answers on ``rpc(home, f"{SERVICE}.{maker}", endpoint)``."""
EXPORT_FILE: Final = "file"
MAX_CAMERAS: Final = 64

ExportKind = Literal["clip", "bundle"]


class ExportStatus(StrEnum):
    """How far a job is."""

    WAITING = "waiting"
    """For its turn, or until it is tried again; ``detail`` says what went wrong then."""
    RUNNING = "running"
    DONE = "done"
    """Its file can be had until it expires."""
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def over(self) -> bool:
        """Whether nothing more happens to it."""
        return self in (ExportStatus.DONE, ExportStatus.FAILED, ExportStatus.CANCELLED)


class ExportedCamera(Model):
    """A camera of a job, as the catalogue had it when the job was made."""

    camera: Id
    site: Id
    name: str
    masks: PrivacyMasks = ()
    """Are drawn in its pictures: who asked may not see through them."""
    owner_id: Id | None = None
    """Of a joined site's camera: what its owner calls it."""


class LeftOut(Model):
    """A camera whose footage is not in a file that has others'."""

    camera: Id
    code: str
    """Why: an error's stable code, or ``no-footage``."""
    detail: str
    """For a person."""


class ExportJob(Model):
    """One export."""

    id: Id
    kind: ExportKind
    cameras: tuple[ExportedCamera, ...] = Field(min_length=1, max_length=MAX_CAMERAS)
    profile: ProfileName = "main"
    from_us: int
    to_us: int
    reason: str = ""
    incident: str = ""
    burn_in: bool = False
    """Name and time stand in the pictures of a clip, which are encoded anew for that."""
    time_zone: str = "UTC"
    """Of the times that are burnt in; a name of the IANA database."""
    recorders: int = 0
    """How many recorders were alive when the job was made: so many must answer, or it is tried again."""
    actor: str
    role: Role
    created_us: int

    status: ExportStatus = ExportStatus.WAITING
    cancelling: bool = False
    maker: str = ""
    """The exports folder that the job belongs to; empty until one takes it."""
    attempts: int = 0
    progress: float = Field(default=0.0, ge=0, le=1)
    code: str = ""
    """Why it waits or failed, for programs: an error's stable code."""
    detail: str = ""
    """For a person: why it waits or failed, or what is not in the file."""
    left_out: tuple[LeftOut, ...] = ()
    """Cameras that are not in the file."""
    file_name: str = ""
    media_type: str = ""
    size_bytes: int = 0
    sha256: str = ""
    conversion: str = ""
    """What was done to the pictures; empty: they are what was recorded."""
    made_up: bool = False
    """Some of it was made up for a demo: no camera took these pictures then."""
    finished_us: int | None = None
    expires_us: int
    """The file and the job are forgotten then."""

    @property
    def masked(self) -> bool:
        """Whether privacy masks are drawn in some of it."""
        return any(camera.masks for camera in self.cameras)

    @property
    def owner(self) -> Actor:
        """The person who asked for it."""
        return Actor(self.actor, self.role, rights=frozenset({self.right, Right.PLAYBACK}))

    @property
    def right(self) -> Right:
        """The right to each of its cameras that it needs."""
        return Right.CLIP if self.kind == "clip" else Right.EVIDENCE

    def visible_to(self, actor: Actor) -> bool:
        """Whether ``actor`` may see, end and download it: the person who asked for it, and supervisors."""
        return actor.may(Role.SUPERVISOR) or (actor.may(self.right) and actor.name == self.actor)


class ExportFileQuestion(Model):
    """Asks a maker for a part of a finished job's file, as a transfer."""

    id: Id
    offset: int = Field(ge=0)
    size_bytes: int = Field(gt=0)
    deliver_to: str


class ExportFileOpened(Model):
    """The transfer begins when credit is granted on ``control``."""

    control: str
