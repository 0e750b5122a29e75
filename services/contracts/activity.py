"""How much moved in front of cameras: questions to recorders, their answers, and merging several answers.

Levels go from 0 to 1, the stillest and the busiest of this camera; 0.5 and more counts as activity.
Recorders compute them from the compressed stream, about a minute after the footage. Where two recorders keep a camera,
the higher level counts.
"""

from collections.abc import Sequence
from typing import Final, Literal

from pydantic import Field

from services.contracts.models import Id, Model

ACTIVITY: Final = "activity"
NEXT_ACTIVITY: Final = "activity-next"
BUSIEST_MINUTES: Final = "activity-busiest"
MAX_STEPS: Final = 1000
MAX_CAMERAS: Final = 64
MAX_SEARCH_US: Final = 31 * 86_400 * 1_000_000
SearchDirection = Literal["forwards", "backwards"]


class ActivityQuestion(Model):
    """How busy was it, moment by moment?"""

    camera: Id
    site: Id | None = None
    """As in `services.contracts.recordings.TimelineQuestion`."""
    profile: str = "main"
    from_us: int
    to_us: int = Field(description="At most 366 days after from_us.")


class ActivityAnswer(Model):
    """Levels in steps of the same length, at most about `MAX_STEPS`."""

    from_us: int
    """Of the first step; the same from every recorder, as is ``step_us``."""
    step_us: int
    levels: tuple[int, ...]
    """The highest in each step, in hundredths."""


class NextActivityQuestion(Model):
    """Where does the next activity begin?"""

    cameras: tuple[Id, ...] = Field(min_length=1, max_length=MAX_CAMERAS)
    profile: str = "main"
    at_us: int
    direction: SearchDirection = "forwards"


class BusyTime(Model):
    """A time of activity in front of a camera."""

    camera: Id
    from_us: int
    to_us: int
    level: float


class BusyAnswer(Model):
    """Activity of several cameras; empty where there was none."""

    found: tuple[BusyTime, ...] = ()


class BusiestMinutesQuestion(Model):
    """Which minutes were the busiest?"""

    cameras: tuple[Id, ...] = Field(min_length=1, max_length=MAX_CAMERAS)
    profile: str = "main"
    from_us: int
    to_us: int = Field(description="At most 31 days after from_us.")
    most: int = Field(default=20, ge=1, le=500)


def merge_activity(answers: Sequence[ActivityAnswer]) -> ActivityAnswer:
    """Merges the strips of the recorders (at least one). A strip whose steps differ from the first is left out."""
    first = answers[0]
    alike = [
        answer.levels
        for answer in answers
        if (answer.from_us, answer.step_us, len(answer.levels)) == (first.from_us, first.step_us, len(first.levels))
    ]
    return first.model_copy(update={"levels": tuple(map(max, *alike)) if len(alike) > 1 else first.levels})


def merge_busiest(found: Sequence[BusyTime], most: int) -> list[BusyTime]:
    """The busiest minutes of all recorders, each camera's minute once."""
    best: dict[tuple[str, int], BusyTime] = {}
    for busy in found:
        key = (busy.camera, busy.from_us)
        if key not in best or busy.level > best[key].level:
            best[key] = busy
    return sorted(best.values(), key=lambda busy: (-busy.level, busy.from_us, busy.camera))[:most]
