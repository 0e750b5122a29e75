"""Finds the footage of a moment, and the nearest where there is none."""

from typing import Final

from services.contracts.models import Id
from services.contracts.recordings import MIN_GAP_US, FootageRange, FootageTimeline, GapCause, TimelineQuestion
from services.footage.owners import Owner
from services.wall.front.context import FrontRequest
from services.wall.front.http.errors import NoFootageError
from services.wall.front.http.times import rfc3339

SEARCH_US: Final = 180 * 86_400 * 1_000_000
"""The nearest footage is searched within so much time before and after."""


async def footage_at(
    request: FrontRequest, camera: Id, profile: str, at_us: int, owner: Owner | None
) -> tuple[FootageRange, int]:
    """The footage that holds the moment, and the moment, moved into it where it lies just beside.

    Raises `NoFootageError`, `NotFoundError` for an unknown camera, `UnavailableError`.
    """
    found = nearest(await _ask(request, camera, profile, at_us, MIN_GAP_US, owner), at_us)
    if found is None or abs(found[1] - at_us) >= MIN_GAP_US:
        raise await no_footage(request, camera, profile, at_us, owner)
    return found


async def no_footage(
    request: FrontRequest, camera: Id, profile: str, at_us: int, owner: Owner | None
) -> NoFootageError:
    """The error for a moment without footage; raises `NotFoundError` for an unknown camera."""
    around = await _ask(request, camera, profile, at_us, SEARCH_US, owner)
    found = nearest(around, at_us)
    if found is None:
        if not around.gaps:
            request.camera()
        return NoFootageError(f"nothing is recorded of {camera} within half a year of {rfc3339(at_us)}")
    cause = cause_at(around, at_us, at_us + 1)
    why = "" if cause == GapCause.UNKNOWN else f" ({cause})"
    when = rfc3339(found[1])
    return NoFootageError(
        f"nothing is recorded at {rfc3339(at_us)}{why}; the nearest footage is at {when}",
        headers={"Pantau-Nearest": when},
    )


def nearest(timeline: FootageTimeline, at_us: int) -> tuple[FootageRange, int] | None:
    """The footage that is nearest to a moment, and its moment that is nearest."""
    moments = [(item, min(max(at_us, item.from_us), item.to_us - 1)) for item in timeline.ranges]
    return min(moments, key=lambda found: abs(found[1] - at_us), default=None)


def cause_at(timeline: FootageTimeline, from_us: int, to_us: int) -> str:
    """Why there is no footage of a stretch: a `GapCause` or a code of `Reason`."""
    for gap in timeline.gaps:
        if gap.from_us < to_us and (gap.to_us is None or gap.to_us > from_us):
            return gap.cause
    return GapCause.UNKNOWN


async def _ask(
    request: FrontRequest, camera: Id, profile: str, at_us: int, margin_us: int, owner: Owner | None
) -> FootageTimeline:
    question = TimelineQuestion(
        camera=camera, profile=profile, from_us=max(at_us - margin_us, 0), to_us=at_us + margin_us
    )
    return await request.timeline(question, owner)
