"""``/api/v1/exports``: footage handed out as jobs, whose files can be downloaded until they expire.

The front writes a job and asks for its end; a wall's exports desk makes it (`services.wall.exports.desk`).
"""

from datetime import UTC, datetime
from typing import Final, Self

from aiohttp import hdrs, web
from pydantic import BaseModel, ConfigDict, Field

from services.contracts import subjects
from services.contracts.clips import MAX_CLIP_US
from services.contracts.errors import (
    ConflictError,
    InvalidInputError,
    NobodyThereError,
    NotFoundError,
    UnavailableError,
)
from services.contracts.evidence.exchange import MAX_CAMERA_US
from services.contracts.exports import (
    EXPORT_FILE,
    MAX_CAMERAS,
    SERVICE,
    ExportedCamera,
    ExportFileOpened,
    ExportFileQuestion,
    ExportJob,
    ExportKind,
    ExportStatus,
)
from services.contracts.models import Id, ProfileName
from services.contracts.permissions import Right
from services.contracts.requests import RequestId, id_ending
from services.mesh import rpc
from services.mesh.transfer import Incoming
from services.wall.front.api.evidence import ask_incident, tell_exported
from services.wall.front.api.history import owned_camera
from services.wall.front.context import FrontRequest
from services.wall.front.http.downloads import send_chunks
from services.wall.front.http.errors import FieldError, FieldsError, NotReadyError, RangeError
from services.wall.front.http.ranges import ByteRange, UnsatisfiableRangeError, parse_range
from services.wall.front.http.route import json_response
from services.wall.front.http.times import Moment, TimedView, TimeUs, rfc3339, to_us

MAX_OPEN: Final = 200
"""Jobs of one person that are not over."""
FILE_HEADERS: Final = ("Content-Disposition", "ETag", "Accept-Ranges", "Pantau-Converted")
_CHANGES: Final = 8
_UNTAKEN_US: Final = 10_000_000
"""A job that nobody took for so long says what it waits for."""
_HOUR_US: Final = 3600 * 1_000_000


class ExportRequest(BaseModel):
    """An export to be made."""

    model_config = ConfigDict(extra="forbid")

    kind: ExportKind = Field(description="clip: to look at, one camera as MP4, several as a ZIP. bundle: evidence.")
    cameras: tuple[Id, ...] = Field(min_length=1, max_length=MAX_CAMERAS)
    from_: Moment = Field(alias="from")
    to: Moment
    profile: ProfileName = Field(default="main", description="Which stream; of a bundle main.")
    reason: str = Field(
        default="", max_length=2000, description="Stands in the audit event, and in a bundle, which needs one."
    )
    incident: Id | None = Field(default=None, description="The incident that it is about.")
    site: Id | None = Field(default=None, description="Whose cameras, where an id had another owner before.")
    burn_in: bool = Field(
        default=False,
        description="Writes the camera's name and the time into the pictures of a clip, which are encoded anew for "
        "that; the file and the job say so.",
    )
    request_id: RequestId | None = Field(
        default=None, description="Chosen by the asker, anew for each export. Asked again it is the job of the first."
    )


class ExportedCameraView(BaseModel):
    """A camera of an export."""

    model_config = ConfigDict(from_attributes=True)

    camera: Id
    site: Id
    name: str


class LeftOutView(BaseModel):
    """A camera whose footage is not in the file."""

    model_config = ConfigDict(from_attributes=True)

    camera: Id
    code: str = Field(description="no-footage, not-granted, site-away, or the code of another problem.")
    detail: str = Field(description="The same for a person.")


class ExportFileView(BaseModel):
    """A finished file."""

    name: str
    media_type: str
    size_bytes: int
    sha256: str
    url: str


class ExportView(TimedView):
    """One export."""

    id: Id
    kind: ExportKind
    status: ExportStatus
    progress: float = Field(ge=0, le=1)
    code: str = Field(description="Why it waits or failed: as the code of a problem; empty: it is as it should be.")
    detail: str = Field(description="The same for a person, or what is not in the file.")
    left_out: list[LeftOutView] = Field(description="Cameras whose footage is not in a file that has others'.")
    cameras: list[ExportedCameraView]
    profile: ProfileName
    from_us: TimeUs
    to_us: TimeUs
    reason: str
    incident: str
    burn_in: bool
    conversion: str = Field(description="What was done to the pictures; empty: they are what was recorded.")
    made_up: bool = Field(description="Some of it was made up for a demo: no camera took these pictures then.")
    actor: str
    created_us: TimeUs
    finished_us: TimeUs | None
    expires_us: TimeUs = Field(description="File and job are forgotten then.")
    file: ExportFileView | None = Field(default=None, description="null: there is none, or not yet.")

    @classmethod
    def of(cls, job: ExportJob, now_us: int) -> Self:
        """The job as an answer shows it."""
        made = cls.model_validate(job)
        if job.status is ExportStatus.WAITING and not job.maker and now_us - job.created_us > _UNTAKEN_US:
            return made.model_copy(update={"detail": "it waits for its turn, or for a wall that makes exports"})
        if job.status is not ExportStatus.DONE:
            return made
        file = ExportFileView(
            name=job.file_name,
            media_type=job.media_type,
            size_bytes=job.size_bytes,
            sha256=job.sha256,
            url=f"/api/v1/exports/{job.id}/file",
        )
        return made.model_copy(update={"file": file})


class ExportsView(BaseModel):
    """Exports, newest first."""

    exports: list[ExportView]


async def list_exports(request: FrontRequest) -> web.Response:
    """The exports that the signed-in person may see: her own, for a supervisor all."""
    found = [job for job in request.front.exports.values() if _visible(request, job)]
    found.sort(key=lambda job: (job.created_us, job.id), reverse=True)
    return json_response(ExportsView(exports=[ExportView.of(job, request.front.clock.now_us()) for job in found]))


async def get_export(request: FrontRequest) -> web.Response:
    """One export."""
    return json_response(ExportView.of((await _entry(request))[0], request.front.clock.now_us()))


async def add_export(request: FrontRequest) -> web.Response:
    """Adds a job; a desk takes it within a second. Asked again it is the one that was added then."""
    wanted = await request.json(ExportRequest)
    front = request.front
    ending = id_ending(wanted.request_id, request.actor, 12)
    if (known := _added_as(request, ending)) is not None:
        return _created(known, front.clock.now_us())
    from_us, until_us = _range(wanted)
    if not all(request.is_of_joined_site(camera) for camera in wanted.cameras):
        front.require_recorders()
    cameras = [await _camera(request, wanted.kind, camera, wanted.site) for camera in dict.fromkeys(wanted.cameras)]
    incident = await ask_incident(request, wanted.incident)
    unfinished = sum(job.actor == request.actor.name and not job.status.over for job in front.exports.values())
    if unfinished >= MAX_OPEN:
        raise InvalidInputError(f"{unfinished} of your exports are not done yet; wait for some, or cancel them")
    now_us = front.clock.now_us()
    day = datetime.fromtimestamp(now_us / 1e6, UTC)
    job = ExportJob(
        id=f"export-{day:%Y%m%d}-{ending}",
        kind=wanted.kind,
        cameras=tuple(cameras),
        profile=wanted.profile,
        from_us=from_us,
        to_us=until_us,
        reason=wanted.reason.strip(),
        incident=wanted.incident or "",
        burn_in=wanted.burn_in,
        time_zone=front.settings.time_zone,
        recorders=len(front.recorders()),
        actor=request.actor.name,
        role=request.actor.role,
        created_us=now_us,
        expires_us=now_us + int(front.settings.exports_hours * _HOUR_US),
    )
    if incident is not None:
        await tell_exported(request, incident, job.id)
    try:
        await front.export_bucket.create(job.id, job)
    except ConflictError:  # asked twice in one moment
        entry = await front.export_bucket.get(job.id)
        if entry is None or entry[0].actor != request.actor.name:
            raise
        return _created(entry[0], now_us)
    except UnavailableError:  # it may have been written all the same, and is found when it is asked for again
        _audit_exported(request, job)
        raise
    _audit_exported(request, job)
    return _created(job, now_us)


def _audit_exported(request: FrontRequest, job: ExportJob) -> None:
    for camera in job.cameras:
        request.audit("exported", camera.camera, _detail(job), f"{job.id}-{camera.camera}")


def _added_as(request: FrontRequest, ending: str) -> ExportJob | None:
    """The signed-in person's job of any day whose id ends so."""
    for job in request.front.exports.values():
        if job.actor == request.actor.name and job.id.endswith(f"-{ending}"):
            return job
    return None


def _created(job: ExportJob, now_us: int) -> web.Response:
    return json_response(ExportView.of(job, now_us), status=201, headers={"Location": f"/api/v1/exports/{job.id}"})


async def end_export(request: FrontRequest) -> web.Response:
    """Cancels a job that is not over; forgets one that is, with its file."""
    front = request.front
    for _ in range(_CHANGES):
        job, revision = await _entry(request)
        try:
            if job.status.over:
                await front.export_bucket.delete(job.id, revision)
            else:
                await front.export_bucket.update(job.id, job.model_copy(update={"cancelling": True}), revision)
        except ConflictError:
            continue  # its progress was written meanwhile
        action = "export-deleted" if job.status.over else "export-cancelled"
        for camera in job.cameras:
            request.audit(action, camera.camera, _detail(job))
        return web.Response(status=204)
    raise UnavailableError("the export keeps changing; try again")


async def download_export(request: FrontRequest) -> web.StreamResponse:
    """A finished job's file, or a part of it."""
    job, _ = await _entry(request)
    if job.status is not ExportStatus.DONE:
        raise NotReadyError(
            f"the export is {job.status}: {job.detail or 'there is no file yet'}", retry_after_seconds=1
        )
    etag = f'"{job.sha256}"'
    headers: dict[str, str] = {
        hdrs.CONTENT_TYPE: job.media_type,
        hdrs.CONTENT_DISPOSITION: f'attachment; filename="{job.file_name}"',
        hdrs.ACCEPT_RANGES: "bytes",
        hdrs.ETAG: etag,
    }
    if job.conversion:
        headers["Pantau-Converted"] = job.conversion
    if job.made_up:
        headers["Pantau-Made-Up"] = "true"
    try:
        # A range of a file that is not the one the client has (RFC 9110, 13.1.5) is answered with all of this one.
        same = request.raw.headers.get(hdrs.IF_RANGE, etag).strip() == etag
        whole = request.is_head or not same  # Range is of GET alone (14.2)
        asked = None if whole else parse_range(request.raw.headers.get(hdrs.RANGE), job.size_bytes)
    except UnsatisfiableRangeError:
        unsatisfied: dict[str, str] = {hdrs.CONTENT_RANGE: f"bytes */{job.size_bytes}"}
        raise RangeError(f"the file has {job.size_bytes} bytes", headers=unsatisfied) from None
    part = asked or ByteRange(0, job.size_bytes)
    headers[hdrs.CONTENT_LENGTH] = str(part.size_bytes)
    if asked is not None:
        headers[hdrs.CONTENT_RANGE] = part.content_range(job.size_bytes)
    response = web.StreamResponse(status=200 if asked is None else 206, headers=headers)
    front = request.front
    async with await Incoming.open(front.bus) as incoming:
        if not request.is_head:
            question = ExportFileQuestion(
                id=job.id, offset=part.offset, size_bytes=part.size_bytes, deliver_to=incoming.deliver_to
            )
            where = subjects.rpc(front.home, f"{SERVICE}.{job.maker}", EXPORT_FILE)
            try:
                opened = await rpc.call(front.bus, where, question, ExportFileOpened, actor=request.actor)
            except NobodyThereError as error:
                raise UnavailableError("the wall that keeps this file is away; try again shortly") from error
            await incoming.accept(opened.control)
            fresh = front.audit_gate.take("export-downloaded", request.actor.name, job.id) is not None
            if part.offset == 0 or fresh:  # a download that goes on is the same one
                for camera in job.cameras:
                    request.audit("export-downloaded", camera.camera, _detail(job))
        with request.cut_at_sign_out():
            return await send_chunks(request.raw, response, incoming)


async def _entry(request: FrontRequest) -> tuple[ExportJob, int]:
    """The job of the path; raises `NotFoundError` where the signed-in person may not see it either."""
    entry = await request.front.export_bucket.get(request.path_id("export"))
    if entry is None or not _visible(request, entry[0]):
        raise NotFoundError("there is no such export; it may have expired")
    return entry


def _visible(request: FrontRequest, job: ExportJob) -> bool:
    """Whether the asker may see it: as the job says, while they have the right to all of its cameras, and where all
    masks of theirs are drawn in it that they may not see through now."""
    front = request.front
    held = all(
        request.may(job.right, front.facts(camera.camera, camera.site))
        and set(request.masks(camera.camera, camera.site)) <= set(camera.masks)
        for camera in job.cameras
    )
    return held and job.visible_to(request.actor)


def _range(wanted: ExportRequest) -> tuple[int, int]:
    from_us, until_us = to_us(wanted.from_), to_us(wanted.to)
    length_us = until_us - from_us
    wrong: list[FieldError] = []
    if not 0 <= from_us < until_us:
        wrong.append(FieldError("to", "must be later than 'from', and both after 1970"))
    elif wanted.kind == "clip" and length_us > MAX_CLIP_US:
        wrong.append(FieldError("to", f"a clip takes at most {MAX_CLIP_US // _HOUR_US} hours"))
    elif wanted.kind == "bundle" and length_us * len(set(wanted.cameras)) > MAX_CAMERA_US:
        wrong.append(FieldError("to", f"a bundle takes at most {MAX_CAMERA_US // _HOUR_US} camera hours"))
    if wanted.kind == "bundle":
        if not wanted.reason.strip():
            wrong.append(FieldError("reason", "a bundle says why it was made"))
        if wanted.burn_in:
            wrong.append(FieldError("burn_in", "a bundle holds footage as it was recorded; a clip can be converted"))
        if wanted.profile != "main":
            wrong.append(FieldError("profile", "a bundle holds the main stream"))
    if wrong:
        raise FieldsError(wrong)
    return from_us, until_us


async def _camera(request: FrontRequest, kind: ExportKind, camera: Id, site: Id | None) -> ExportedCamera:
    request.require(Right.CLIP if kind == "clip" else Right.EVIDENCE, camera, site)
    named = await owned_camera(request, camera, site)
    known = request.front.cameras.get(camera)
    owner_id = known.owner_id if known is not None and known.site == named.site else None
    return ExportedCamera(
        camera=camera, site=named.site, name=named.name, masks=request.masks(camera, site), owner_id=owner_id
    )


def _detail(job: ExportJob) -> dict[str, str]:
    return {
        "from": rfc3339(job.from_us),
        "to": rfc3339(job.to_us),
        "as": job.kind,
        "export": job.id,
        "reason": job.reason,
        "incident": job.incident,
        "burn_in": "true" if job.burn_in else "false",
    }
