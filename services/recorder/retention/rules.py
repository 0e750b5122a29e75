"""Which footage goes next: each camera's ladder, by age, and under pressure (docs/recording.md, Retention). Pure.

Held footage is never among it (I7).
"""

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import Final, NamedTuple

from services.contracts.ladder import Ladder, parse_ladder
from services.contracts.models import Camera
from services.mesh.log import get_logger
from services.recorder.settings import RecorderSettings
from services.recorder.storage.rows import Segment

log = get_logger()

YOUNG_US: Final = 86_400 * 1_000_000
"""Full footage younger than this goes last of all."""

LadderOf = Callable[[str], Ladder]
"""Camera → ladder."""
Held = Callable[[Segment], bool]


class RetentionReason(StrEnum):
    """Why footage goes."""

    AGE = "age"
    FLOOR = "floor"
    BUDGET = "budget"


class RetentionAction(NamedTuple):
    """One step."""

    segment: Segment
    thin: bool
    """Rewrite it with its kept keyframes; else remove it."""
    because: RetentionReason


def by_age(
    full: Iterable[Segment], thinned: Iterable[Segment], ladder: Ladder, now_us: int, held: Held
) -> list[RetentionAction]:
    """What a stream's ladder says; segments of each tier oldest first."""
    actions: list[RetentionAction] = []
    for segment in full:
        age_seconds = (now_us - segment.end_us) / 1e6
        if age_seconds <= ladder.full_seconds:
            break
        if not held(segment):
            actions.append(
                RetentionAction(segment, ladder.thins and age_seconds <= ladder.total_seconds, RetentionReason.AGE)
            )
    for segment in thinned:
        if (now_us - segment.end_us) / 1e6 <= ladder.total_seconds:
            break
        if not held(segment):
            actions.append(RetentionAction(segment, thin=False, because=RetentionReason.AGE))
    return actions


def under_pressure(
    full: Callable[[], Iterator[Segment]],
    thinned: Callable[[], Iterator[Segment]],
    ladder_of: LadderOf,
    now_us: int,
    held: Held,
    because: RetentionReason,
    *,
    urgent: bool,
) -> Iterator[RetentionAction]:
    """What goes, in order, until the caller has enough.

    ``full`` and ``thinned`` give all streams' segments, oldest first. ``urgent``: there is no room
    to write what thinning writes.
    """
    if not urgent:
        for segment in full():
            if now_us - segment.end_us < YOUNG_US:
                break
            if not held(segment):
                yield RetentionAction(segment, ladder_of(segment.stream.camera).thins, because)
    for segments in (thinned, full):
        for segment in segments():
            if not held(segment):
                yield RetentionAction(segment, thin=False, because=because)


class CameraLadders:
    """Which ladder each camera has; `of` is a `LadderOf`."""

    def __init__(self, settings: RecorderSettings, camera_of: Callable[[str], Camera | None]) -> None:
        """``camera_of`` looks a camera up in the catalogue."""
        self._camera_of = camera_of
        self._default = parse_ladder(settings.retention)
        self._groups = {tag: parse_ladder(text) for tag, text in settings.retention_groups.items()}

    def of(self, camera: str) -> Ladder:
        """The camera's own, else that of its first tag that has one, else the default."""
        entry = self._camera_of(camera)
        if entry is None:
            return self._default
        if entry.retention:
            try:
                return parse_ladder(entry.retention)
            except ValueError as error:
                log.warning("retention.bad_ladder", camera=camera, error=error)
        return next((self._groups[tag] for tag in entry.tags if tag in self._groups), self._default)
