"""``/api/v1/cameras``: the catalogue with what is observed of each camera.

Reads are answered from this front's mirrors of the buckets, so they work while no registry runs. Changes go to the
registry and are answered when the mirror has them, so that a client reads what it wrote.
"""

import asyncio
import json
from bisect import bisect_right
from collections import Counter
from typing import Final, Literal

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
from services.wall.front.http.route import json_response, revision_response, tagged_response

SEEN_SECONDS: Final = 1.0
PAGE_BYTES: Final = 1024 * 1024
"""A page of the list ends here: about a thousand cameras."""
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
    """A page of the catalogue."""

    cameras: list[CameraView]
    """By id."""
    next: str | None
    """The cursor of the next page; None: this was the last one."""
    total: int
    """How many cameras match all filters."""
    counts: dict[str, int]
    """By status, of the cameras that match all filters but ``status``; ``unknown``: nothing has been observed yet."""


ListedStatus = Literal["connecting", "online", "degraded", "offline", "disabled", "unknown"]


class CamerasQuery(BaseModel):
    """Which cameras; all filters hold together."""

    site: Id | None = Field(default=None, description="Only cameras of this site.")
    tag: str | None = Field(default=None, description="Only cameras with this tag.")
    text: str = Field(default="", description="Occurs in the id, name, address or a tag; case does not matter.")
    status: tuple[ListedStatus, ...] = Field(default=(), description="Only cameras of these statuses.")
    pin: str | None = Field(default=None, description="Only cameras that are pinned to this worker or machine.")
    record: bool | None = Field(default=None, description="Only cameras that are recorded, or are not.")
    limit: int = Field(default=1000, ge=1, le=5000, description="How many at most. A page also ends at 1 MiB.")
    cursor: Id | None = Field(default=None, description="`next` of the page before.")
    fields: Literal["all", "brief"] = Field(
        default="all", description="`brief`: of the state only what changes with it, without profiles and figures."
    )

    def matches(self, camera: Camera) -> bool:
        """Whether all filters but ``status`` match."""
        if (self.pin is not None and camera.pin != self.pin) or self.record not in (None, camera.record):
            return False
        return camera.matches(site=self.site, tag=self.tag, text=self.text)


class ImportQuery(BaseModel):
    """How to import."""

    dry_run: bool = Field(default=False, description="Only say what would happen.")


async def list_cameras(request: FrontRequest) -> web.Response:
    """A page of cameras, by id; with an ``ETag`` of what it says."""
    query = request.query(CamerasQuery)
    front = request.front
    if not front.cameras.ready.is_set():
        raise UnavailableError("the wall is starting and has not read the catalogue yet; try again shortly")
    seen = (each for each in front.cameras.values() if query.matches(each) and request.may(Right.CATALOGUE, each))
    matching = sorted(seen, key=lambda camera: camera.id)
    statuses = {camera.id: _status(front.states.get(camera.id)) for camera in matching}
    wanted = [camera for camera in matching if not query.status or statuses[camera.id] in query.status]
    begin = bisect_right(wanted, query.cursor, key=lambda camera: camera.id) if query.cursor else 0
    page: list[bytes] = []
    size = 0
    for camera in wanted[begin : begin + query.limit]:
        view = _view(request, camera, brief=query.fields == "brief").model_dump_json(by_alias=True).encode()
        size += len(view)
        if page and size > PAGE_BYTES:
            break
        page.append(view)
    end = begin + len(page)
    rest = {
        "next": wanted[end - 1].id if end < len(wanted) else None,
        "total": len(wanted),
        "counts": dict(sorted(Counter(statuses.values()).items())),
    }
    body = b'{"cameras":[' + b",".join(page) + b"]," + json.dumps(rest, separators=(",", ":")).encode()[1:]
    return tagged_response(request.raw, body)


def _status(state: CameraState | None) -> str:
    return state.status if state is not None else "unknown"


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


def _view(request: FrontRequest, camera: Camera, *, brief: bool = False) -> CameraView:
    """The camera as the asker may see it: the addresses of its streams are for administrators, and a partner is not
    told what stands in the way of one, which may name addresses."""
    front = request.front
    shown = dict(camera)
    state = front.states.get(camera.id)
    assigned = front.assignments.get(f"recorder.{camera.id}")
    if state is not None and brief:
        state = state.model_copy(update={"profiles": {}, "detail": ""})
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
