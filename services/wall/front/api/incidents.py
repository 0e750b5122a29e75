"""``/api/v1/incidents``: what happened, and whose footage is held for it. The registry decides and keeps."""

from aiohttp import web
from pydantic import BaseModel, Field

from services.contracts import subjects
from services.contracts.incidents import (
    IncidentEntry,
    IncidentInput,
    IncidentKey,
    IncidentList,
    IncidentPatch,
    IncidentQuery,
    IncidentUpdate,
    RemarkInput,
    RemarkNote,
)
from services.contracts.models import Id, Incident, IncidentStatus, Model
from services.mesh.rpc import call as ask
from services.wall.front.context import FrontRequest
from services.wall.front.http.route import json_response, revision_response


class IncidentsQuery(BaseModel):
    """Which incidents; newest first."""

    status: IncidentStatus | None = None
    camera: Id | None = None
    limit: int = Field(default=500, ge=1, le=5000)


class IncidentsView(BaseModel):
    """Incidents, newest first."""

    incidents: list[Incident]


async def list_incidents(request: FrontRequest) -> web.Response:
    """Incidents, newest first."""
    query = IncidentQuery.model_validate(request.query(IncidentsQuery).model_dump())
    answer = await ask(request.front.bus, _endpoint(request, "list"), query, IncidentList, actor=request.actor)
    return json_response(IncidentsView(incidents=[entry.incident for entry in answer.incidents]))


async def get_incident(request: FrontRequest) -> web.Response:
    """One incident."""
    return await _one(request, "get", _key(request))


async def open_incident(request: FrontRequest) -> web.Response:
    """Opens one: its cameras' footage is held from now on."""
    return await _one(request, "open", await request.json(IncidentInput), new=True)


async def update_incident(request: FrontRequest) -> web.Response:
    """Changes the given fields."""
    key = _key(request)
    patch = await request.json(IncidentPatch)
    return await _one(request, "update", IncidentUpdate(id=key.id, patch=patch, revision=request.expected_revision()))


async def add_remark(request: FrontRequest) -> web.Response:
    """Adds a remark in the signed-in person's name."""
    key = _key(request)
    remark = await request.json(RemarkInput)
    return await _one(request, "remark", RemarkNote(id=key.id, text=remark.text))


async def close_incident(request: FrontRequest) -> web.Response:
    """Closes one: its hold ends after the grace period."""
    return await _one(request, "close", _key(request))


async def reopen_incident(request: FrontRequest) -> web.Response:
    """Opens a closed one again, while its footage is still held."""
    return await _one(request, "reopen", _key(request))


def _key(request: FrontRequest) -> IncidentKey:
    return IncidentKey(id=request.path_id("incident"))


def _endpoint(request: FrontRequest, verb: str) -> str:
    return subjects.rpc(request.front.home, "registry", f"incidents-{verb}")


async def _one(request: FrontRequest, verb: str, question: Model, *, new: bool = False) -> web.Response:
    entry = await ask(request.front.bus, _endpoint(request, verb), question, IncidentEntry, actor=request.actor)
    created_at = f"/api/v1/incidents/{entry.incident.id}" if new else ""
    return revision_response(entry.incident, entry.revision, created_at=created_at)
