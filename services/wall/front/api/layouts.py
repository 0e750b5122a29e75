"""``/api/v1/layouts``: saved walls. The registry decides and keeps."""

from aiohttp import web
from pydantic import BaseModel

from services.contracts import subjects
from services.contracts.layouts import (
    Layout,
    LayoutDone,
    LayoutEntry,
    LayoutInput,
    LayoutList,
    LayoutPatch,
    LayoutQuery,
    LayoutUpdate,
)
from services.contracts.models import Id, Model
from services.contracts.saved import SavedKey
from services.mesh.rpc import call as ask
from services.wall.front.context import FrontRequest
from services.wall.front.http.route import json_response, revision_response


class LayoutsView(BaseModel):
    """The saved walls that one may see, by name."""

    layouts: list[Layout]
    last: Id | None
    """The one that the signed-in person opened last: their page begins with it."""


async def list_layouts(request: FrontRequest) -> web.Response:
    """The saved walls that the signed-in person may see."""
    answer = await ask(request.front.bus, _endpoint(request, "list"), LayoutQuery(), LayoutList, actor=request.actor)
    return json_response(LayoutsView(layouts=[entry.layout for entry in answer.layouts], last=answer.last))


async def save_layout(request: FrontRequest) -> web.Response:
    """Saves a new one."""
    return await _one(request, "save", await request.json(LayoutInput), new=True)


async def get_layout(request: FrontRequest) -> web.Response:
    """One saved wall."""
    return await _one(request, "get", _key(request))


async def update_layout(request: FrontRequest) -> web.Response:
    """Changes the given fields."""
    patch = await request.json(LayoutPatch)
    update = LayoutUpdate(id=_key(request).id, patch=patch, revision=request.expected_revision())
    return await _one(request, "update", update)


async def remove_layout(request: FrontRequest) -> web.Response:
    """Removes one."""
    return await _done(request, "remove")


async def open_layout(request: FrontRequest) -> web.Response:
    """Remembers that the signed-in person opened one."""
    return await _done(request, "open")


def _key(request: FrontRequest) -> SavedKey:
    return SavedKey(id=request.path_id("layout"))


def _endpoint(request: FrontRequest, verb: str) -> str:
    return subjects.rpc(request.front.home, "registry", f"layouts-{verb}")


async def _done(request: FrontRequest, verb: str) -> web.Response:
    await ask(request.front.bus, _endpoint(request, verb), _key(request), LayoutDone, actor=request.actor)
    return web.Response(status=204)


async def _one(request: FrontRequest, verb: str, question: Model, *, new: bool = False) -> web.Response:
    entry = await ask(request.front.bus, _endpoint(request, verb), question, LayoutEntry, actor=request.actor)
    created_at = f"/api/v1/layouts/{entry.layout.id}" if new else ""
    return revision_response(entry.layout, entry.revision, created_at=created_at)
