"""What the ingest service and its reader processes tell each other, over a socket that only the two of them hold.

A message is a 4-byte big-endian length, a byte for its kind, and the msgpack map of a model. The socket's end is the
other's end: a reader process whose service is gone without `End` reads on for a while, in case another takes its place.
"""

import asyncio
from struct import Struct
from typing import Final

from pydantic import Field

from services.contracts.models import CameraReport, Credentials, Id, Model, Profile, ProfileName, WorkerLease
from services.ingest.readers.source import Source
from services.mesh.log import Format

_HEAD: Final = Struct(">IB")
MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024


class Setup(Model):
    """First of all: how to reach the bus, and the settings. It carries the bus's password."""

    nats_url: str
    nats_user: str
    nats_password: str = Field(repr=False)
    site: Id
    worker: Id
    process: int
    cpu: int | None
    """The CPU to be pinned to."""
    log_level: str
    log_format: Format
    ingest: dict[str, int | float | bool | None]
    """`IngestSettings` as a map."""


class CameraPlan(Model):
    """A camera to be read. Profiles other than main wait until somebody wants them."""

    camera: Id
    site: Id
    epoch: int
    audio: bool = False
    profiles: dict[ProfileName, Profile]
    credentials: Credentials | None = None

    def source(self, profile: ProfileName) -> Source:
        """What a reader needs to open a profile; audio comes along with main."""
        entry = self.profiles[profile]
        return Source(
            url=entry.url,
            transport=entry.transport,
            username=self.credentials.username if self.credentials else "",
            password=self.credentials.password if self.credentials else "",
            audio=self.audio and profile == "main",
        )


class Plan(Model):
    """All cameras that the process has from now on; what is not in it is closed."""

    cameras: tuple[CameraPlan, ...]


class Permit(Model):
    """Until when (`time.monotonic`, which is the machine's) the process may publish: as long as the lease is held."""

    until: float
    lease: WorkerLease | None = None
    """What a process renews that its service has left behind."""


class End(Model):
    """To a process: close all and end."""


class Here(Model):
    """From a process that its service has left behind, to the next one: who it is and what it reads."""

    process: int
    plan: Plan


class Observed(Model):
    """What the process observes: of all its cameras, or of those that changed."""

    cameras: tuple[CameraReport, ...]
    whole: bool
    load: float = 0.0
    """CPU seconds a second."""
    totals: dict[str, int] = Field(default_factory=dict)
    """Counters since its start, by name."""


Message = Setup | Plan | Permit | Observed | End | Here
_KINDS: Final = (Setup, Plan, Permit, Observed, End, Here)


def encode(message: Message) -> bytes:
    """The message as it goes over the socket."""
    body = message.pack()
    return _HEAD.pack(len(body), _KINDS.index(type(message))) + body


async def read(stream: asyncio.StreamReader) -> Message | None:
    """The next message; None at the end. Raises ``ValueError`` for what `encode` cannot have written."""
    try:
        length, kind = _HEAD.unpack(await stream.readexactly(_HEAD.size))
        if length > MAX_MESSAGE_BYTES or kind >= len(_KINDS):
            raise ValueError("not a control message")
        model: type[Message] = _KINDS[kind]
        return model.unpack(await stream.readexactly(length))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
