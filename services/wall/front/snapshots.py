"""``/api/v1/cameras/{id}/snapshot.jpg``: a still."""

from datetime import UTC, datetime

from aiohttp import hdrs, web
from pydantic import BaseModel, Field

from services.mesh.models import Camera, CameraState, ProfileName
from services.wall.front.call import Call
from services.wall.front.liveness import require_live
from services.wall.front.snapshotcache import Snapshot


class SnapshotQuery(BaseModel):
    """Which picture."""

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


async def snapshot(call: Call) -> web.Response:
    """The newest keyframe as JPEG."""
    query = call.query(SnapshotQuery)
    camera = call.camera()
    require_live(call.front, camera)
    profile = choose_profile(camera, call.front.states.get(camera.id), query.width)
    picture = await call.front.snapshots.newest(camera, profile, query.width)
    return jpeg_response(call.request, picture)


def jpeg_response(request: web.Request, picture: Snapshot) -> web.Response:
    """The picture, or 304 where the client has it."""
    etag = f'"{picture.order[0]:x}-{picture.order[1]:x}-{len(picture.jpeg):x}"'
    taken = datetime.fromtimestamp(picture.capture_us / 1e6, UTC).isoformat(timespec="milliseconds")
    headers = {
        hdrs.ETAG: etag,
        hdrs.CACHE_CONTROL: "private, no-cache",
        "Pantau-Capture-Time": taken.replace("+00:00", "Z"),
    }
    if etag in request.headers.get(hdrs.IF_NONE_MATCH, ""):
        return web.Response(status=304, headers=headers)
    return web.Response(body=picture.jpeg, content_type="image/jpeg", headers=headers)
