"""``/api/v1/cameras/{id}/snapshot.jpg``: a still."""

from contextlib import AsyncExitStack
from typing import Final, Literal

from aiohttp import hdrs, web
from pydantic import BaseModel, Field

from services.contracts.errors import NotFoundError
from services.contracts.models import Camera, CameraState, ProfileName
from services.contracts.permissions import Right
from services.contracts.recordings import TimelineQuestion
from services.contracts.rights import masks_for
from services.footage.owners import Owner
from services.wall.front.api.recorded_picture import footage_at, no_footage
from services.wall.front.context import FrontRequest
from services.wall.front.http.errors import FieldError, FieldsError
from services.wall.front.http.times import Moment, rfc3339, to_us
from services.wall.front.pictures.picture_cache import PictureError, Snapshot

CLIP_US: Final = 200_000
"""How much is asked of the recorders for one moment: a frame's length at 5 fps."""
MAX_CLIP_BYTES: Final = 64 * 1024 * 1024
RECORDED_SECONDS: Final = 3600
"""A browser need not ask again so soon for what was recorded."""


class SnapshotQuery(BaseModel):
    """Which picture."""

    at: Moment | None = Field(default=None, description="A moment of the recording (RFC 3339); default: now, live.")
    picture: Literal["exact", "keyframe"] = Field(
        default="exact",
        description="Of a recording: the picture that was on at that moment (needs the right 'clip'), or the keyframe "
        "at or before it, which costs a tenth.",
    )
    width: int | None = Field(
        default=None, ge=16, le=3840, description="At most so many pixels wide; default: as the camera gives it."
    )


def choose_profile(camera: Camera, state: CameraState | None, width_px: int | None) -> ProfileName:
    """The cheapest profile that is open anyway and wide enough: sub for a small picture, else main."""
    if "main" not in camera.profiles:
        return "sub"
    reports = state.profiles if state else {}
    sub, main = reports.get("sub"), reports.get("main")
    if "sub" not in camera.profiles or sub is None or sub.status != "online":
        return "main"
    wide_enough = width_px is not None and sub.width_px >= width_px
    return "sub" if wide_enough or (main is not None and main.status == "offline") else "main"


async def snapshot(request: FrontRequest) -> web.Response:
    """The newest keyframe as JPEG, or the picture that was recorded at a moment."""
    query = request.query(SnapshotQuery)
    with request.front.shares.stills.one(request.actor.name):
        response = await _picture(request, query)
    if not request.is_head and response.status == 200:
        at = {"at": rfc3339(to_us(query.at))} if query.at is not None else {}
        request.audit_now_and_then("viewed-still", request.path_id("camera"), at, *("recorded" for _ in at))
    return response


async def _picture(request: FrontRequest, query: SnapshotQuery) -> web.Response:
    if query.at is not None:
        if to_us(query.at) <= 0:
            raise FieldsError([FieldError("at", "must be after 1970")])
        right = Right.PLAYBACK if query.picture == "keyframe" else Right.CLIP
        request.require(right, request.path_id("camera"))
        owner = request.footage_owner(request.path_id("camera"), right)
        recorded = _keyframe if query.picture == "keyframe" else _exact
        return await recorded(request, to_us(query.at), query.width, owner)
    camera = request.camera()
    request.front.require_live(camera)
    profile = choose_profile(camera, request.front.states.get(camera.id), query.width)
    masks = masks_for(camera, request.actor)
    picture = await request.front.snapshots.newest_picture(camera, profile, query.width, masks)
    return jpeg_response(request.raw, picture)


async def _keyframe(request: FrontRequest, at_us: int, width_px: int | None, owner: Owner | None) -> web.Response:
    camera, profile = request.path_id("camera"), "main"
    footage, moment_us = await footage_at(request, camera, profile, at_us, owner)
    picture = await request.front.thumbnails.keyframe_picture(
        camera, profile, footage, moment_us, width_px, request.actor, request.masks(camera), owner=owner
    )
    if picture is None:
        raise await no_footage(request, camera, profile, at_us, owner)
    return jpeg_response(request.raw, picture, max_age_seconds=RECORDED_SECONDS)


async def _exact(request: FrontRequest, at_us: int, width_px: int | None, owner: Owner | None) -> web.Response:
    front, camera = request.front, request.path_id("camera")
    question = TimelineQuestion(camera=camera, from_us=at_us, to_us=at_us + CLIP_US)
    async with AsyncExitStack() as stack:
        try:
            opened = await request.open_clip(question, owner, stack)
        except NotFoundError as error:
            raise await no_footage(request, camera, question.profile, at_us, owner) from error
        if opened.size_bytes > MAX_CLIP_BYTES:
            raise PictureError(f"the group of pictures there has {opened.size_bytes} bytes, too many for a still")
        clip = b"".join([chunk async for chunk in opened.chunks()])
        jpeg = await front.snapshots.decode_clip(clip, width_px, request.masks(camera))
    capture_us = opened.layout.start_us
    return jpeg_response(request.raw, Snapshot(jpeg, (0, capture_us), capture_us), max_age_seconds=RECORDED_SECONDS)


def jpeg_response(request: web.Request, picture: Snapshot, *, max_age_seconds: int = 0) -> web.Response:
    """The picture, or 304 where the client has it."""
    etag = f'"{picture.order[0]:x}-{picture.order[1]:x}-{len(picture.jpeg):x}"'
    headers = {
        hdrs.ETAG: etag,
        hdrs.CACHE_CONTROL: f"private, max-age={max_age_seconds}" if max_age_seconds else "private, no-cache",
        "Pantau-Capture-Time": rfc3339(picture.capture_us),
    }
    if etag in request.headers.get(hdrs.IF_NONE_MATCH, ""):
        return web.Response(status=304, headers=headers)
    return web.Response(body=picture.jpeg, content_type="image/jpeg", headers=headers)
