"""Coverage: how much of a stretch of time there is footage of, and what is missing why. Pure."""

from services.mesh.recordings import CoverageStatement, Gap, TimelineAnswer
from services.recorder.forecast import Days

MAX_GAPS = 200
"""The longest ones are named; ``recorded_us`` counts all."""


def statement(
    camera: str,
    profile: str,
    from_us: int,
    to_us: int,
    answer: TimelineAnswer,
    *,
    oldest_full_us: int | None,
    oldest_thinned_us: int | None,
    bytes_per_day: int,
    days: Days | None,
) -> CoverageStatement:
    """The statement of one camera out of its timeline over ``from_us`` to ``to_us``."""
    recorded_us = sum(min(r.to_us, to_us) - max(r.from_us, from_us) for r in answer.ranges)
    # Frames lost within footage are no time without footage, but they are missing.
    gaps = sorted(answer.gaps, key=lambda gap: _length(gap, from_us, to_us), reverse=True)[:MAX_GAPS]
    return CoverageStatement(
        camera=camera,
        profile=profile,
        from_us=from_us,
        to_us=to_us,
        recorded_us=max(recorded_us, 0),
        gaps=tuple(sorted(gaps, key=lambda gap: gap.from_us)),
        oldest_full_us=oldest_full_us,
        oldest_thinned_us=oldest_thinned_us,
        bytes_per_day=bytes_per_day,
        forecast_full_days=days.full if days else None,
        forecast_keyframe_days=days.keyframes if days else None,
    )


def _length(gap: Gap, from_us: int, to_us: int) -> int:
    return min(gap.to_us if gap.to_us is not None else to_us, to_us) - max(gap.from_us, from_us)
