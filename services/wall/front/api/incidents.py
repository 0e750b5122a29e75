"""``/api/v1/incidents``: what happened, and whose footage is held for it. The registry decides and keeps."""

from collections.abc import Mapping

from aiohttp import hdrs, web
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
)
from services.contracts.models import Id, Incident, IncidentStatus, Model
from services.mesh.rpc import call as ask
from services.wall.front.http.answers import expected_revision, json_response
from services.wall.front.http.request import Call


class IncidentsQuery(BaseModel):
    """Which incidents; newest first."""

    status: IncidentStatus | None = None
    camera: Id | None = None
    limit: int = Field(default=500, ge=1, le=5000)


class IncidentsView(BaseModel):
    """Incidents, newest first."""

    incidents: list[Incident]


async def list_incidents(call: Call) -> web.Response:
    """Incidents, newest first."""
    query = IncidentQuery.model_validate(call.query(IncidentsQuery).model_dump())
    answer = await ask(call.front.bus, _endpoint(call, "list"), query, IncidentList, actor=call.actor)
    return json_response(IncidentsView(incidents=[entry.incident for entry in answer.incidents]))


async def get_incident(call: Call) -> web.Response:
    """One incident."""
    return await _one(call, "get", _key(call))


async def open_incident(call: Call) -> web.Response:
    """Opens one: its cameras' footage is held from now on."""
    return await _one(call, "open", await call.json(IncidentInput), status=201)


async def update_incident(call: Call) -> web.Response:
    """Changes the given fields."""
    key = _key(call)
    patch = await call.json(IncidentPatch)
    return await _one(call, "update", IncidentUpdate(id=key.id, patch=patch, revision=expected_revision(call.request)))


async def close_incident(call: Call) -> web.Response:
    """Closes one: its hold ends after the grace period."""
    return await _one(call, "close", _key(call))


async def reopen_incident(call: Call) -> web.Response:
    """Opens a closed one again, while its footage is still held."""
    return await _one(call, "reopen", _key(call))


def _key(call: Call) -> IncidentKey:
    return IncidentKey(id=call.part("incident"))


def _endpoint(call: Call, verb: str) -> str:
    return subjects.rpc(call.front.home, "registry", f"incidents-{verb}")


async def _one(call: Call, verb: str, question: Model, *, status: int = 200) -> web.Response:
    entry = await ask(call.front.bus, _endpoint(call, verb), question, IncidentEntry, actor=call.actor)
    headers: Mapping[str, str] = {hdrs.ETAG: f'"{entry.revision}"'}
    if status == 201:
        headers = {**headers, "Location": f"/api/v1/incidents/{entry.incident.id}"}
    return json_response(entry.incident, status=status, headers=headers)
