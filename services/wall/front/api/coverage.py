"""``/api/v1/coverage``: how much is recorded, what is missing why, and how long footage will be there."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, TypeVar

from aiohttp import web
from pydantic import BaseModel, Field

from services.contracts.coverage import MAX_RANGE_US, PROFILE, CoverageStatement, gap_us, statements
from services.contracts.models import Id
from services.contracts.recordings import Cause, Gap
from services.footage.coverage import ask
from services.wall.front.api.recordings import GapView
from services.wall.front.context import FrontRequest
from services.wall.front.http.errors import FieldError, FieldsError
from services.wall.front.http.route import json_response
from services.wall.front.http.times import Moment, rfc3339, to_us

N = TypeVar("N", int, float)
DAY_US: Final = 86_400 * 1_000_000
WRITING_US: Final = 10_000_000
"""The newest seconds are still being written, and are left out: they would be a gap at every moment."""
MAX_CAMERAS: Final = 1000


class CoverageQuery(BaseModel):
    """Which stretch of time, and of which cameras."""

    from_: Moment | None = Field(default=None, alias="from", description="Default: a day before 'to'.")
    to: Moment | None = Field(default=None, description="Default: now, less the seconds that are still being written.")
    camera: tuple[Id, ...] = Field(
        default=(), max_length=MAX_CAMERAS,
        description="May be given several times, removed cameras too; default: all of the catalogue.",
    )  # fmt: skip


class CameraCoverageView(BaseModel):
    """One camera."""

    camera: Id
    name: str
    recording: bool = Field(description="Whether it is to be recorded at all; if not, it is left out of the total.")
    percent: float
    recorded_seconds: float
    gaps: list[GapView] = Field(description="The longest 200, in order of time.")
    oldest_full: str | None = Field(description="The oldest footage that is there, and is whole.")
    oldest_thinned: str | None = Field(description="The oldest of which single pictures are there.")
    oldest_archived_full: str | None = Field(description="The oldest whole footage of which the archive has a copy.")
    oldest_archived_thinned: str | None = Field(description="The oldest of which the archive has single pictures.")
    bytes_per_day: int = Field(description="What a day of whole footage takes, on all recorders together.")
    forecast_full_days: float | None = Field(description="Days of whole footage that disks and bitrates give.")
    forecast_keyframe_days: float | None = Field(
        description="Days until nothing is left on the disks, thinned footage counted."
    )
    forecast_archive_days: float | None = Field(
        description="Days that copies in the archive are kept; null: not all footage is copied there."
    )


class MissingTimeView(BaseModel):
    """Time without footage, of all cameras together."""

    cause: str
    seconds: float


class RecorderDisksView(BaseModel):
    """One recorder's disks."""

    recorder: Id
    used_bytes: int
    capacity_bytes: int = Field(description="What recordings may take: all free space above the floor, or the budget.")


class CoverageTotalView(BaseModel):
    """All cameras that are to be recorded."""

    cameras: int
    percent: float
    missing: list[MissingTimeView] = Field(description="The largest share first.")
    oldest_full: str | None
    oldest_thinned: str | None
    oldest_archived_full: str | None
    oldest_archived_thinned: str | None
    bytes_per_day: int
    forecast_full_days: float | None = Field(description="Of the camera whose whole footage goes first.")
    forecast_keyframe_days: float | None = Field(description="Of the camera whose last footage goes first.")
    forecast_archive_days: float | None = Field(description="Of the camera whose last copy goes first.")


class CoverageView(BaseModel):
    """The statement."""

    from_: str = Field(alias="from")
    to: str
    complete: bool = Field(description="False where a recorder did not answer: there may be more footage.")
    total: CoverageTotalView
    recorders: list[RecorderDisksView]
    cameras: list[CameraCoverageView]


async def coverage(request: FrontRequest) -> web.Response:
    """How much is recorded of each camera and of all, over one history of all recorders."""
    query = request.query(CoverageQuery)
    front = request.front
    newest_us = front.clock.now_us() - WRITING_US
    until_us = min(to_us(query.to), newest_us) if query.to else newest_us
    from_us = to_us(query.from_) if query.from_ else until_us - DAY_US
    if not 0 <= from_us < until_us:
        raise FieldsError([FieldError("from", "must be before 'to' and a few seconds ago at least")])
    if until_us - from_us > MAX_RANGE_US:
        raise FieldsError([FieldError("from", f"at most {MAX_RANGE_US // DAY_US} days before 'to'")])
    front.require_recorders()
    cameras = list(dict.fromkeys(query.camera)) or sorted(item.id for item in front.cameras.values())
    asked = await ask(
        front.bus, front.home, cameras, from_us, until_us,
        recorders=lambda: len(front.recorders()), actor=request.actor,
    )  # fmt: skip
    made = await asyncio.to_thread(statements, cameras, from_us, until_us, asked.answers)
    known = {statement.camera: statement for statement in made}
    for camera in query.camera:
        if camera not in known:
            front.camera(camera)  # neither recorded nor in the catalogue: 404
    found = [known.get(camera) or _never_recorded(request, camera, from_us, until_us) for camera in cameras]
    body = CoverageView.model_validate(
        {
            "from": rfc3339(from_us),
            "to": rfc3339(until_us),
            "complete": asked.recorders >= len(front.recorders()),
            "total": _total([made for made in found if _is_recorded(request, made.camera)]),
            "recorders": [
                {"recorder": item.recorder, "used_bytes": item.used_bytes, "capacity_bytes": item.capacity_bytes}
                for item in sorted(asked.answers, key=lambda answer: answer.recorder)
            ],
            "cameras": [_view(request, made) for made in found],
        }
    )
    return json_response(body)


def _is_recorded(request: FrontRequest, camera: Id) -> bool:
    entry = request.front.cameras.get(camera)
    return entry is not None and entry.enabled and entry.record


def _never_recorded(request: FrontRequest, camera: Id, from_us: int, to_us: int) -> CoverageStatement:
    """Of a camera that no recorder has heard of."""
    cause = Cause.NOT_ASSIGNED.value if _is_recorded(request, camera) else "disabled"
    whole = Gap(from_us=from_us, to_us=to_us, cause=cause)
    return CoverageStatement(camera=camera, profile=PROFILE, from_us=from_us, to_us=to_us, recorded_us=0, gaps=(whole,))


def _view(request: FrontRequest, made: CoverageStatement) -> CameraCoverageView:
    entry = request.front.cameras.get(made.camera)
    return CameraCoverageView(
        camera=made.camera,
        name=entry.name if entry else made.camera,
        recording=_is_recorded(request, made.camera),
        percent=made.percent,
        recorded_seconds=made.recorded_us / 1e6,
        gaps=[GapView.model_validate(_gap(gap, made.to_us)) for gap in made.gaps],
        oldest_full=_time(made.oldest_full_us),
        oldest_thinned=_time(made.oldest_thinned_us),
        oldest_archived_full=_time(made.oldest_archived_full_us),
        oldest_archived_thinned=_time(made.oldest_archived_thinned_us),
        bytes_per_day=made.bytes_per_day,
        forecast_full_days=made.forecast_full_days,
        forecast_keyframe_days=made.forecast_keyframe_days,
        forecast_archive_days=made.forecast_archive_days,
    )


def _gap(gap: Gap, to_us: int) -> dict[str, object]:
    return {
        "from": rfc3339(gap.from_us),
        "to": rfc3339(gap.from_us + max(0, gap_us(gap, to_us))),
        "cause": gap.cause,
        "detail": gap.detail,
        "open": gap.to_us is None,
    }


def _total(found: Sequence[CoverageStatement]) -> CoverageTotalView:
    missing: Counter[str] = Counter()
    for made in found:
        for gap in made.gaps:
            missing[gap.cause] += gap_us(gap, made.to_us)
    return CoverageTotalView(
        cameras=len(found),
        percent=round(sum(made.percent for made in found) / len(found), 3) if found else 0.0,
        missing=[MissingTimeView(cause=cause, seconds=us / 1e6) for cause, us in missing.most_common() if us > 0],
        oldest_full=_time(_least(made.oldest_full_us for made in found)),
        oldest_thinned=_time(_least(made.oldest_thinned_us for made in found)),
        oldest_archived_full=_time(_least(made.oldest_archived_full_us for made in found)),
        oldest_archived_thinned=_time(_least(made.oldest_archived_thinned_us for made in found)),
        bytes_per_day=sum(made.bytes_per_day for made in found),
        forecast_full_days=_least(made.forecast_full_days for made in found),
        forecast_keyframe_days=_least(made.forecast_keyframe_days for made in found),
        forecast_archive_days=_least(made.forecast_archive_days for made in found),
    )


def _least(values: Iterable[N | None]) -> N | None:
    return min((value for value in values if value is not None), default=None)


def _time(us: int | None) -> str | None:
    return None if us is None else rfc3339(us)
