"""The question to a recorder for recorded footage as access units.

The answer is a transfer (`services.mesh.transfer`) of access-unit messages (`services.contracts.frames`). It begins at
the keyframe at or before the requested moment; earlier units serve the decoder only. Capture times are the recorded
ones; ``pts_90k`` and ``dts_90k`` count from the Unix epoch.
"""

from typing import Final, Literal

from services.contracts.models import Id, Model

PLAYBACK: Final = "playback"
"""Each recorder's endpoint, under its own name."""

PlaybackMode = Literal["frames", "keyframes", "backwards"]
"""All frames; keyframes alone; keyframes from the newest to the oldest."""


class PlaybackQuestion(Model):
    """Send the frames of a range to ``deliver_to``. ``backwards`` goes from ``to_us`` down to ``from_us``."""

    camera: Id
    site: Id | None = None
    """As in `services.contracts.recordings.TimelineQuestion`."""
    profile: str = "main"
    from_us: int
    to_us: int
    mode: PlaybackMode = "frames"
    deliver_to: str


class PlaybackOpened(Model):
    """The transfer waits for credit on ``control``."""

    control: str
