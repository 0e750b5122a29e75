"""The question what a source offers, before it is saved as a camera. Ingest answers it: it alone opens sources."""

from pydantic import Base64Bytes, Field

from services.contracts.models import Credentials, Id, Model, Profile, Reason

PROBE_SECONDS = 25.0
"""The longest that an answer takes: bounded by `services.ingest.probe`, with room for the way."""


class ProbeQuestion(Model):
    """What to open."""

    main: Profile
    sub: Profile | None = None
    """None: addresses that cameras of the same make have for it are tried."""
    credentials: Credentials | None = None
    """None: those kept for `camera`, where it is a camera on the same host."""
    camera: Id | None = Field(default=None, description="The camera that is changed; none for a new one.")


class ProbedStream(Model):
    """What one address offers. One connection was made for it."""

    url: str
    reason: Reason = Reason.NONE
    """Why there is no picture; none: there is one."""
    detail: str = ""
    """For people who read logs; without credentials, path and query."""
    codec: str = ""
    width_px: int = 0
    height_px: int = 0
    frame_rate: float = 0
    bitrate_bps: int = 0
    audio_codec: str = ""
    keyframe: Base64Bytes = b""
    """A picture to look at, as `services.contracts.frames` has it; empty where none came."""


class ProbeReply(Model):
    """What was found."""

    main: ProbedStream
    sub: ProbedStream | None = None
    """The given sub profile, else one that was found; None: neither."""
