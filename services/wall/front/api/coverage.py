"""``/api/v1/coverage``: how much is recorded, what is missing why, and how long footage will be there."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeVar

from aiohttp import web
from pydantic import BaseModel, Field

from services.contracts.coverage import MAX_RANGE_US, PROFILE, CoverageStatement, coverage_statements
from services.contracts.models import Id
from services.contracts.permissions import Right
from services.contracts.recordings import FootageGap, GapCause, Lasting
from services.footage.coverage import ask_coverage
from services.footage.history import ask_history
from services.wall.front.api.recordings import GapView
from services.wall.front.context import FrontRequest
from services.wall.front.http.errors import FieldError, FieldsError
from services.wall.front.http.route import json_response
from services.wall.front.http.times import Moment, TimedView, TimeUs, to_us

N = TypeVar("N", int, float)
DAY_US: Final = 86_400 * 1_000_000
WRITING_US: Final = 20_000_000
"""The newest seconds are left out: they are being written, and a camera of a picture in 15 s has not sent the next."""
MAX_CAMERAS: Final = 1000


class CoverageQuery(BaseModel):
    """Which stretch of time, and of which cameras."""

    from_: Moment | None = Field(default=None, alias="from", description="Default: a day before 'to'.")
    to: Moment | None = Field(default=None, description="Default: now, less the seconds that are still being written.")
    camera: tuple[Id, ...] = Field(
        default=(), max_length=MAX_CAMERAS,
        description="May be given several times, removed cameras too; default: all of the catalogue, and removed "
        "ones that have footage then.",
    )  # fmt: skip


class _LastingView(TimedView, Lasting):
    """`Lasting`, its times as RFC 3339."""

    oldest_full_us: TimeUs | None = Field(description="The oldest footage that is there, and is whole.")
    oldest_thinned_us: TimeUs | None = Field(description="The oldest of which single pictures are there.")
    oldest_archived_full_us: TimeUs | None = Field(
        description="The oldest whole footage of which the archive has a copy, whether the disks have it or not."
    )
    oldest_archived_thinned_us: TimeUs | None = Field(
        description="The oldest of which the archive has single pictures."
    )


class CameraCoverageView(_LastingView):
    """One camera, with what the catalogue says."""

    camera: Id
    name: str
    recording: bool = Field(
        description="Whether it is to be recorded at all; if not, the total counts it only where it was asked for."
    )
    removed: bool = Field(description="The catalogue does not have it any more.")
    percent: float
    recorded_seconds: float
    damaged_seconds: float = Field(description="Of the recorded time: how long pictures last that are damaged.")
    missing_seconds: float = Field(description="Without footage, but for what was not to be recorded or not kept.")
    lost_by_mesh_seconds: float = Field(description="Of the missing time: lost by this mesh, or nobody knows by whom.")
    lost_by_camera_seconds: float = Field(description="Of the missing time: the camera, or the way to it, failed.")
    gaps: list[GapView] = Field(description="The longest 200, in order of time.")


class MissingTimeView(BaseModel):
    """Time without footage, of all cameras together."""

    cause: str
    seconds: float


class RecorderDisksView(TimedView):
    """One recorder's disks."""

    recorder: Id
    used_bytes: int
    capacity_bytes: int = Field(description="What recordings may take: all free space above the floor, or the budget.")


class CoverageTotalView(_LastingView):
    """All cameras that are to be recorded. Of oldest footage and forecasts the least of any camera."""

    cameras: int
    percent: float
    damaged_seconds: float
    missing: list[MissingTimeView] = Field(description="The largest share first.")


class CoverageView(TimedView):
    """The statement."""

    from_us: TimeUs
    to_us: TimeUs
    complete: bool = Field(description="False where a recorder did not answer: there may be more footage.")
    total: CoverageTotalView
    recorders: list[RecorderDisksView]
    cameras: list[CameraCoverageView]


async def coverage(request: FrontRequest) -> web.Response:
    """How much is recorded of each camera and of all together; the recorders' answers are merged."""
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
    for camera in query.camera:
        request.require(Right.PLAYBACK, camera)
    cameras = list(dict.fromkeys(query.camera)) or await _all_cameras(request, from_us, until_us)
    asked = await ask_coverage(
        front.bus, front.home, cameras, from_us, until_us,
        recorders=lambda: len(front.recorders()), actor=request.actor,
    )  # fmt: skip
    made = await asyncio.to_thread(coverage_statements, cameras, from_us, until_us, asked.answers)
    known = {statement.camera: statement for statement in made}
    for camera in query.camera:
        if camera not in known:
            front.camera(camera)  # neither recorded nor in the catalogue: 404
    found = [known.get(camera) or _never_recorded(request, camera, from_us, until_us) for camera in cameras]
    return json_response(
        CoverageView(
            from_us=from_us,
            to_us=until_us,
            complete=asked.recorders >= len(front.recorders()),
            total=_total([made for made in found if _is_recorded(request, made.camera) or made.camera in query.camera]),
            recorders=[
                RecorderDisksView.model_validate(answer)
                for answer in sorted(asked.answers, key=lambda answer: answer.recorder)
            ],
            cameras=[_view(request, made) for made in found],
        )
    )


async def _all_cameras(request: FrontRequest, from_us: int, to_us: int) -> list[Id]:
    """The catalogue's, and removed ones that have footage then."""
    front = request.front
    known = {item.id for item in front.cameras.values()}
    histories = await ask_history(front.bus, front.home, recorders=len(front.recorders()), actor=request.actor)
    recorded = {item.camera for item in histories if item.from_us < to_us and item.to_us > from_us}
    return sorted(each for each in known | recorded if request.may(Right.PLAYBACK, front.facts(each)))


def _is_recorded(request: FrontRequest, camera: Id) -> bool:
    entry = request.front.cameras.get(camera)
    return entry is not None and entry.enabled and entry.record


def _never_recorded(request: FrontRequest, camera: Id, from_us: int, to_us: int) -> CoverageStatement:
    """Of a camera that no recorder has heard of."""
    cause = GapCause.NOT_ASSIGNED.value if _is_recorded(request, camera) else "disabled"
    whole = FootageGap(from_us=from_us, to_us=to_us, cause=cause)
    return CoverageStatement(
        camera=camera, profile=PROFILE, from_us=from_us, to_us=to_us, recorded_us=0,
        missing_us={cause: to_us - from_us}, gaps=(whole,),
    )  # fmt: skip


def _view(request: FrontRequest, made: CoverageStatement) -> CameraCoverageView:
    entry = request.front.cameras.get(made.camera)
    return CameraCoverageView(
        **_lasting(made),
        camera=made.camera,
        name=entry.name if entry else made.camera,
        recording=_is_recorded(request, made.camera),
        removed=entry is None,
        percent=made.percent,
        recorded_seconds=made.recorded_us / 1e6,
        damaged_seconds=made.damaged_us / 1e6,
        missing_seconds=(made.lost_us("mesh") + made.lost_us("camera")) / 1e6,
        lost_by_mesh_seconds=made.lost_us("mesh") / 1e6,
        lost_by_camera_seconds=made.lost_us("camera") / 1e6,
        gaps=[GapView.of(gap, made.to_us) for gap in made.gaps],
    )


def _lasting(made: Lasting) -> dict[str, Any]:
    return {name: getattr(made, name) for name in Lasting.model_fields}


def _total(found: Sequence[CoverageStatement]) -> CoverageTotalView:
    missing: Counter[str] = Counter()
    for made in found:
        missing.update(made.missing_us)
    least = {name: _least(getattr(made, name) for made in found) for name in Lasting.model_fields}
    return CoverageTotalView(
        **{**least, "bytes_per_day": sum(made.bytes_per_day for made in found)},
        cameras=len(found),
        percent=round(sum(made.percent for made in found) / len(found), 3) if found else 0.0,
        damaged_seconds=sum(made.damaged_us for made in found) / 1e6,
        missing=[MissingTimeView(cause=cause, seconds=us / 1e6) for cause, us in missing.most_common() if us > 0],
    )


def _least(values: Iterable[N | None]) -> N | None:
    return min((value for value in values if value is not None), default=None)
