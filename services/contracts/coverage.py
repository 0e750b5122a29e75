"""Coverage: how much of a stretch of time is recorded, and the cause of each gap.

Each recorder answers for its own disks. `statements` merges the answers as the timeline does: where one recorder has a
gap and another has footage, there is footage.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from pydantic import Field

from services.contracts import recordings
from services.contracts.models import Id, Model
from services.contracts.recordings import (
    MIN_GAP_US,
    FootageGap,
    FootageTimeline,
    GapCause,
    Lasting,
    LostBy,
    TimelineAnswer,
    TimelineQuestion,
    is_within,
    lost_by,
)

COVERAGE: Final = "coverage"

MAX_GAPS: Final = 200
"""A statement names the longest gaps; ``recorded_us`` counts all."""
MAX_CAMERAS: Final = 64
"""In one question."""
MAX_RANGE_US: Final = 31 * 86_400 * 1_000_000
PROFILE: Final = "main"
"""The profile that is recorded."""


class CoverageQuestion(Model):
    """Asks what is recorded of these cameras between two moments, and how long it will be kept."""

    cameras: tuple[Id, ...] = Field(max_length=MAX_CAMERAS)
    from_us: int
    to_us: int = Field(description="At most 31 days after from_us.")


class CameraCoverage(Lasting):
    """The footage of one camera at one recorder."""

    camera: Id
    timeline: TimelineAnswer


class CoverageAnswer(Model):
    """The answer of one recorder."""

    recorder: Id
    cameras: tuple[CameraCoverage, ...] = ()
    """The cameras that it knows."""
    left_out: tuple[Id, ...] = ()
    """Cameras that would have made the answer too long: ask for them again."""
    capacity_bytes: int = 0
    """How many bytes recordings may take on its disks."""
    used_bytes: int = 0


class CoverageStatement(Lasting):
    """How much of a stretch of time is recorded."""

    camera: Id
    profile: str
    from_us: int
    to_us: int
    recorded_us: int
    damaged_us: int = 0
    """Of ``recorded_us``: how long pictures last that are marked as damaged."""
    missing_us: dict[str, int] = Field(default_factory=dict)
    """How long there is no footage, by cause; of all gaps, also of those that ``gaps`` leaves out."""
    gaps: tuple[FootageGap, ...] = ()

    def lost_us(self, by: LostBy) -> int:
        """How long there is no footage because of the mesh, of the camera, or of nobody."""
        return sum(length_us for cause, length_us in self.missing_us.items() if lost_by(cause) == by)

    @property
    def percent(self) -> float:
        """The recorded share of the whole time."""
        return round(100 * self.recorded_us / (self.to_us - self.from_us), 3)


def coverage_statements(
    cameras: Sequence[Id], from_us: int, to_us: int, answers: Sequence[CoverageAnswer]
) -> list[CoverageStatement]:
    """One for each camera that any recorder knows, in the order of ``cameras``."""
    found: dict[Id, list[CameraCoverage]] = {}
    for answer in answers:
        for item in answer.cameras:
            found.setdefault(item.camera, []).append(item)
    return [_statement(camera, from_us, to_us, found[camera]) for camera in cameras if camera in found]


def _statement(camera: Id, from_us: int, to_us: int, parts: Sequence[CameraCoverage]) -> CoverageStatement:
    question = TimelineQuestion(camera=camera, profile=PROFILE, from_us=from_us, to_us=to_us)
    timeline = recordings.merge_timelines(question, [part.timeline for part in parts])
    oldest_full = _least(part.oldest_full_us for part in parts)
    oldest_thinned = _least(part.oldest_thinned_us for part in parts)
    archived_full = _least(part.oldest_archived_full_us for part in parts)
    archived_thinned = _least(part.oldest_archived_thinned_us for part in parts)
    # A recorder without footage of the range had the camera earlier: its rate is none of today.
    writing = [part for part in parts if part.timeline.ranges] or parts
    gaps = _named_gaps(timeline, _least((oldest_full, oldest_thinned, archived_full, archived_thinned)))
    missing_us: dict[str, int] = {}
    for gap in gaps:
        if not is_within(gap, timeline.ranges):
            missing_us[gap.cause] = missing_us.get(gap.cause, 0) + gap_us(gap, to_us)
    return CoverageStatement(
        camera=camera,
        profile=PROFILE,
        from_us=from_us,
        to_us=to_us,
        recorded_us=sum(item.to_us - item.from_us for item in timeline.ranges),
        damaged_us=sum(item.damaged_us for item in timeline.damage),
        missing_us=missing_us,
        gaps=_longest(gaps, to_us),
        oldest_full_us=oldest_full,
        oldest_thinned_us=oldest_thinned,
        oldest_archived_full_us=archived_full,
        oldest_archived_thinned_us=archived_thinned,
        bytes_per_day=sum(part.bytes_per_day for part in writing),
        forecast_full_days=_most(part.forecast_full_days for part in writing),
        forecast_keyframe_days=_most(part.forecast_keyframe_days for part in writing),
        forecast_archive_days=_most(part.forecast_archive_days for part in writing),
    )


def _named_gaps(timeline: FootageTimeline, oldest_us: int | None) -> list[FootageGap]:
    """All gaps. A hole before the oldest footage was never recorded, or has expired."""
    return [
        gap.model_copy(update={"cause": GapCause.NOT_KEPT.value})
        if gap.cause == GapCause.UNKNOWN and gap.to_us is not None and (oldest_us is None or gap.to_us <= oldest_us)
        else gap
        for gap in (*timeline.gaps, *_untold(timeline))
    ]


def _longest(gaps: Sequence[FootageGap], to_us: int) -> tuple[FootageGap, ...]:
    """The longest gaps, in order of time."""
    longest = sorted(gaps, key=lambda gap: gap_us(gap, to_us), reverse=True)[:MAX_GAPS]
    return tuple(sorted(longest, key=lambda gap: gap.from_us))


def _untold(timeline: FootageTimeline) -> Iterator[FootageGap]:
    """Holes that no gap of the timeline explains."""
    at_us = timeline.from_us
    spans = [(item.from_us, item.to_us) for item in timeline.ranges]
    spans += [(gap.from_us, timeline.to_us if gap.to_us is None else gap.to_us) for gap in timeline.gaps]
    for from_us, to_us in (*sorted(spans), (timeline.to_us, timeline.to_us)):
        if from_us - at_us >= MIN_GAP_US:
            yield FootageGap(from_us=at_us, to_us=from_us, cause=GapCause.UNKNOWN)
        at_us = max(at_us, to_us)


def gap_us(gap: FootageGap, to_us: int) -> int:
    """How long a gap lasts up to ``to_us``."""
    return (to_us if gap.to_us is None else min(gap.to_us, to_us)) - gap.from_us


def _least(values: Iterable[int | None]) -> int | None:
    return min((value for value in values if value is not None), default=None)


def _most(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)
