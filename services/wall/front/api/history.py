"""``/api/v1/history``: of which cameras there is footage, also of those that were removed or had another owner."""

from aiohttp import web
from pydantic import BaseModel, Field

from services.contracts.errors import NotFoundError
from services.contracts.models import Id
from services.contracts.permissions import Right
from services.footage.evidence.export import NamedCamera
from services.footage.history import ask_history
from services.wall.front.context import FrontRequest
from services.wall.front.http.errors import FieldError, FieldsError
from services.wall.front.http.route import json_response
from services.wall.front.http.times import TimedView, TimeUs


class HistoryQuery(BaseModel):
    """Of which cameras."""

    camera: Id | None = Field(default=None, description="One id, of all its owners; default: all.")
    site: Id | None = Field(default=None, description="Cameras of this site alone.")
    removed: bool | None = Field(
        default=None, description="true: cameras that the catalogue does not have any more; false: those that it has."
    )


class CameraHistoryView(TimedView):
    """The footage of one camera of one site."""

    camera: Id
    site: Id
    name: str = Field(description="As in the catalogue; of a removed camera its id.")
    removed: bool = Field(description="The catalogue has no such camera of this site any more.")
    from_us: TimeUs
    to_us: TimeUs
    size_bytes: int = Field(description="On disks; footage that only the archive has is not counted.")


class HistoryView(BaseModel):
    """Cameras with footage, by id and site."""

    cameras: list[CameraHistoryView]


async def history(request: FrontRequest) -> web.Response:
    """Cameras with footage. A camera's id with another site is another camera."""
    query, front = request.query(HistoryQuery), request.front
    front.require_recorders()
    found = await ask_history(
        front.bus, front.home, camera=query.camera, recorders=len(front.recorders()), actor=request.actor
    )
    views = []
    for item in found:
        camera = front.cameras.get(item.camera)
        present = camera is not None and camera.site == item.site
        may = request.may(Right.PLAYBACK, front.facts(item.camera, item.site))
        if may and query.site in (None, item.site) and query.removed in (None, not present):
            name = camera.name if camera is not None and present else item.camera
            views.append(CameraHistoryView(**item.model_dump(), name=name, removed=not present))
    return json_response(HistoryView(cameras=views))


async def owned_camera(request: FrontRequest, camera_id: Id, site: Id | None) -> NamedCamera:
    """A camera of the catalogue, or one that was removed and has footage; ``site``: of that owner.

    Raises `NotFoundError`, and `FieldsError` where several owners had a removed camera's id and ``site`` names none.
    """
    front = request.front
    camera = front.cameras.get(camera_id)
    if camera is not None and site in (None, camera.site):
        return NamedCamera(camera.site, camera.name)
    found = await ask_history(
        front.bus, front.home, camera=camera_id, recorders=len(front.recorders()), actor=request.actor
    )
    sites = [item.site for item in found if site in (None, item.site)]
    if not sites:
        raise NotFoundError(f"there is no camera {camera_id!r}, and no footage of one")
    if len(sites) > 1:
        raise FieldsError([FieldError("site", f"{camera_id} had several owners, so name one of {', '.join(sites)}")])
    return NamedCamera(sites[0], camera_id)
