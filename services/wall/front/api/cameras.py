"""``/api/v1/cameras``: the catalogue with what is observed of each camera.

Reads are answered from this front's mirrors of the buckets, so they work while no registry runs. Changes go to the
registry and are answered when the mirror has them, so that a client reads what it wrote.
"""

import asyncio
from typing import Final

from aiohttp import web
from pydantic import BaseModel, Field

from services.contracts import subjects
from services.contracts.catalogue import (
    MAX_IMPORT_BYTES,
    CameraEntry,
    CameraInput,
    CameraPatch,
    CameraRemovalReply,
    CameraRemove,
    CameraUpdate,
    ImportReport,
    ImportRequest,
)
from services.contracts.errors import UnavailableError
from services.contracts.models import Camera, CameraState, Id
from services.contracts.permissions import Right, Role
from services.mesh.rpc import call as ask
from services.wall.front.context import FrontRequest
from services.wall.front.http.route import json_response, revision_response

SEEN_SECONDS: Final = 1.0
IMPORT_SECONDS: Final = 600.0
MAX_IMPORT_BODY_BYTES: Final = MAX_IMPORT_BYTES + 1
"""One byte more, so that the import refuses with its own message."""


class CameraView(Camera):
    """A camera with its observed state."""

    state: CameraState | None = None
    """None: nothing has been observed yet."""
    recorders: tuple[Id, ...] = ()
    """Who records it."""


class CamerasView(BaseModel):
    """The catalogue."""

    cameras: list[CameraView]


class CamerasQuery(BaseModel):
    """Which cameras; all filters hold together."""

    site: Id | None = Field(default=None, description="Only cameras of this site.")
    tag: str | None = Field(default=None, description="Only cameras with this tag.")
    text: str = Field(default="", description="Occurs in the id, name, address or a tag; case does not matter.")


class ImportQuery(BaseModel):
    """How to import."""

    dry_run: bool = Field(default=False, description="Only say what would happen.")


async def list_cameras(request: FrontRequest) -> web.Response:
    """All cameras, by id."""
    query = request.query(CamerasQuery)
    front = request.front
    if not front.cameras.ready.is_set():
        raise UnavailableError("the wall is starting and has not read the catalogue yet; try again shortly")
    wanted = [each for each in front.cameras.values() if each.matches(**query.model_dump())]
    wanted = [each for each in wanted if request.may(Right.CATALOGUE, each)]
    views = [_view(request, camera) for camera in sorted(wanted, key=lambda camera: camera.id)]
    return json_response(CamerasView.model_construct(cameras=views))


async def get_camera(request: FrontRequest) -> web.Response:
    """One camera, with its revision as ``ETag``."""
    camera = request.camera()
    return revision_response(_view(request, camera), request.front.cameras.entries[camera.id][1])


async def add_camera(request: FrontRequest) -> web.Response:
    """Takes a camera into the catalogue."""
    camera = await request.json(CameraInput)
    entry = await ask(request.front.bus, _endpoint(request, "add"), camera, CameraEntry, actor=request.actor)
    await _seen(request, entry.camera.id, entry.revision)
    created_at = f"/api/v1/cameras/{entry.camera.id}"
    return revision_response(_view(request, entry.camera), entry.revision, created_at=created_at)


async def update_camera(request: FrontRequest) -> web.Response:
    """Changes the given fields; with ``If-Match`` only where the revision is still that one."""
    camera_id = request.path_id("camera")
    patch = await request.json(CameraPatch)
    question = CameraUpdate(id=camera_id, patch=patch, revision=request.expected_revision())
    entry = await ask(request.front.bus, _endpoint(request, "update"), question, CameraEntry, actor=request.actor)
    await _seen(request, camera_id, entry.revision)
    return revision_response(_view(request, entry.camera), entry.revision)


async def remove_camera(request: FrontRequest) -> web.Response:
    """Takes a camera out of the catalogue; its recordings stay until retention takes them."""
    camera_id = request.path_id("camera")
    question = CameraRemove(id=camera_id, revision=request.expected_revision())
    await ask(request.front.bus, _endpoint(request, "remove"), question, CameraRemovalReply, actor=request.actor)
    await _seen(request, camera_id, None)
    return web.Response(status=204)


async def import_cameras(request: FrontRequest) -> web.Response:
    """Adds and changes many cameras, and reports row by row."""
    query = request.query(ImportQuery)
    question = ImportRequest.of(await request.body(), request.body_type(), dry_run=query.dry_run)
    report = await ask(
        request.front.bus,
        _endpoint(request, "import"),
        question,
        ImportReport,
        actor=request.actor,
        timeout_seconds=IMPORT_SECONDS,
    )
    return json_response(report)


def _endpoint(request: FrontRequest, verb: str) -> str:
    return subjects.rpc(request.front.home, "registry", f"cameras-{verb}")


def _view(request: FrontRequest, camera: Camera) -> CameraView:
    """The camera as the asker may see it: the addresses of its streams are for administrators, and a partner is not
    told what stands in the way of one, which may name addresses."""
    front = request.front
    shown = dict(camera)
    state = front.states.get(camera.id)
    assigned = front.assignments.get(f"recorder.{camera.id}")
    if not request.actor.may(Role.ADMIN):
        hidden = {"url": ""}
        shown["profiles"] = {name: profile.model_copy(update=hidden) for name, profile in camera.profiles.items()}
    if not request.actor.may(Role.VIEWER):
        assigned = None
        if state is not None:
            profiles = {name: report.model_copy(update={"detail": ""}) for name, report in state.profiles.items()}
            state = state.model_copy(update={"detail": "", "worker": "", "profiles": profiles})
    return CameraView.model_construct(**shown, state=state, recorders=assigned.workers if assigned else ())


async def _seen(request: FrontRequest, camera_id: str, revision: int | None) -> None:
    """Returns when the mirror has ``revision`` or a later one (None: no such camera any more), or after a second."""
    entries = request.front.cameras.entries
    deadline = request.front.clock.monotonic() + SEEN_SECONDS
    while request.front.clock.monotonic() < deadline:
        entry = entries.get(camera_id)
        if entry is None if revision is None else entry is not None and entry[1] >= revision:
            return
        await asyncio.sleep(0.005)
