"""The steps of a segment on a disk, in order: it begins, grows by fragments, and ends. Pure data."""

from dataclasses import dataclass
from enum import StrEnum

from services.contracts.frames import CaptureClockSource
from services.media.mp4.fragment import TrackRun
from services.media.mp4.tracks import AudioTrack, VideoTrack


class EndReason(StrEnum):
    """Why a segment ended."""

    FULL = "full"
    CHANGED = "changed"
    DISCONTINUITY = "discontinuity"
    CLOCK = "clock"
    SILENCE = "silence"
    STOPPED = "stopped"


@dataclass(frozen=True)
class SegmentBegin:
    """A new segment."""

    start_us: int
    video: VideoTrack
    audio: AudioTrack | None
    clock: CaptureClockSource
    uncertainty_us: int
    clock_step_us: int = 0
    """How far the clock was set since the segment before; 0 where it was not."""


@dataclass(frozen=True)
class SegmentFragment:
    """A fragment of the segment that was begun last."""

    video: TrackRun
    audio: TrackRun | None
    from_us: int
    to_us: int
    """Capture time of its first picture, and the end of its last."""
    size_bytes: int
    retimed: int
    """Pictures whose time stamp, or capture time, was replaced."""
    order: tuple[int, int] = (0, 0)
    """Epoch and sequence of its last picture."""
    before: tuple[int, int] | None = None
    """Those of the last picture before it that was recorded; None: this process recorded none."""

    @property
    def starts_at_keyframe(self) -> bool:
        """Whether it can be decoded without the fragment before."""
        return self.video.samples[0].keyframe


@dataclass(frozen=True)
class SegmentEnd:
    """The segment is complete."""

    end_us: int
    reason: EndReason


SegmentStep = SegmentBegin | SegmentFragment | SegmentEnd
