"""``/api/v1/tours``: tours. The registry decides and keeps."""

from aiohttp import web
from pydantic import BaseModel

from services.contracts import subjects
from services.contracts.models import Model
from services.contracts.saved import SavedKey
from services.contracts.screens import (
    Tour,
    TourDone,
    TourEntry,
    TourInput,
    TourList,
    TourPatch,
    TourQuery,
    TourUpdate,
)
from services.mesh.rpc import call as ask
from services.wall.front.context import FrontRequest
from services.wall.front.http.route import json_response, revision_response


class ToursView(BaseModel):
    """The tours that one may see, by name."""

    tours: list[Tour]


async def list_tours(request: FrontRequest) -> web.Response:
    """The tours that the signed-in person may see."""
    answer = await ask(request.front.bus, _endpoint(request, "list"), TourQuery(), TourList, actor=request.actor)
    return json_response(ToursView(tours=[entry.tour for entry in answer.tours]))


async def save_tour(request: FrontRequest) -> web.Response:
    """Saves a new one."""
    return await _one(request, "save", await request.json(TourInput), new=True)


async def get_tour(request: FrontRequest) -> web.Response:
    """One tour."""
    return await _one(request, "get", _key(request))


async def update_tour(request: FrontRequest) -> web.Response:
    """Changes the given fields."""
    patch = await request.json(TourPatch)
    update = TourUpdate(id=_key(request).id, patch=patch, revision=request.expected_revision())
    return await _one(request, "update", update)


async def remove_tour(request: FrontRequest) -> web.Response:
    """Removes one."""
    await ask(request.front.bus, _endpoint(request, "remove"), _key(request), TourDone, actor=request.actor)
    return web.Response(status=204)


def _key(request: FrontRequest) -> SavedKey:
    return SavedKey(id=request.path_id("tour"))


def _endpoint(request: FrontRequest, verb: str) -> str:
    return subjects.rpc(request.front.home, "registry", f"tours-{verb}")


async def _one(request: FrontRequest, verb: str, question: Model, *, new: bool = False) -> web.Response:
    entry = await ask(request.front.bus, _endpoint(request, verb), question, TourEntry, actor=request.actor)
    created_at = f"/api/v1/tours/{entry.tour.id}" if new else ""
    return revision_response(entry.tour, entry.revision, created_at=created_at)
