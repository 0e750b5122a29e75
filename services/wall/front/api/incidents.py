"""``/api/v1/incidents``: what happened, and whose footage is held for it. The registry decides and keeps."""

from collections.abc import Iterable
from contextlib import suppress

from aiohttp import web
from pydantic import BaseModel, Field

from services.contracts import subjects
from services.contracts.errors import NotFoundError
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
from services.contracts.permissions import Right
from services.mesh.rpc import call as ask
from services.wall.front.api.evidence import shown_incident
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
    hold_days: float | None = Field(
        default=None, description="How long an incident without days of its own is held after it was closed."
    )


async def list_incidents(request: FrontRequest) -> web.Response:
    """Incidents, newest first."""
    query = IncidentQuery.model_validate(request.query(IncidentsQuery).model_dump())
    answer = await ask(request.front.bus, _endpoint(request, "list"), query, IncidentList, actor=request.actor)
    shown = []
    for entry in answer.incidents:
        with suppress(NotFoundError):
            shown.append(shown_incident(request, entry.incident))
    if query.camera is not None:  # the filter tells nobody of a camera that is not shown to them
        shown = [incident for incident in shown if query.camera in incident.cameras]
    return json_response(IncidentsView(incidents=shown, hold_days=answer.hold_days))


async def get_incident(request: FrontRequest) -> web.Response:
    """One incident."""
    return await _one(request, "get", _key(request))


async def open_incident(request: FrontRequest) -> web.Response:
    """Opens one: its cameras' footage is held from now on."""
    given = await request.json(IncidentInput)
    _require_incidents(request, given.cameras)
    return await _one(request, "open", given, new=True)


async def update_incident(request: FrontRequest) -> web.Response:
    """Changes the given fields."""
    key = _key(request)
    patch = await request.json(IncidentPatch)
    before, seen = await _before(request, key)
    if patch.cameras is not None:
        _require_incidents(request, patch.cameras)
        hidden = tuple(camera for camera in before.cameras if camera not in seen.cameras)
        patch = patch.model_copy(update={"cameras": tuple(dict.fromkeys(patch.cameras + hidden))})
    return await _one(request, "update", IncidentUpdate(id=key.id, patch=patch, revision=request.expected_revision()))


async def add_remark(request: FrontRequest) -> web.Response:
    """Adds a remark in the signed-in person's name."""
    key = _key(request)
    await _before(request, key)
    remark = await request.json(RemarkInput)
    return await _one(request, "remark", RemarkNote(id=key.id, text=remark.text, request_id=remark.request_id))


async def close_incident(request: FrontRequest) -> web.Response:
    """Closes one: its hold ends after the grace period."""
    await _before(request, _key(request))
    return await _one(request, "close", _key(request))


async def reopen_incident(request: FrontRequest) -> web.Response:
    """Opens a closed one again, while its footage is still held."""
    await _before(request, _key(request))
    return await _one(request, "reopen", _key(request))


def _key(request: FrontRequest) -> IncidentKey:
    return IncidentKey(id=request.path_id("incident"))


def _endpoint(request: FrontRequest, verb: str) -> str:
    return subjects.rpc(request.front.home, "registry", f"incidents-{verb}")


def _require_incidents(request: FrontRequest, cameras: Iterable[Id]) -> None:
    for camera in cameras:
        request.require(Right.INCIDENTS, camera)


async def _before(request: FrontRequest, key: IncidentKey) -> tuple[Incident, Incident]:
    """The incident, and what the asker sees of it; raises `NotFoundError` where that is nothing."""
    entry = await ask(request.front.bus, _endpoint(request, "get"), key, IncidentEntry, actor=request.actor)
    return entry.incident, shown_incident(request, entry.incident)


async def _one(request: FrontRequest, verb: str, question: Model, *, new: bool = False) -> web.Response:
    entry = await ask(request.front.bus, _endpoint(request, verb), question, IncidentEntry, actor=request.actor)
    created_at = f"/api/v1/incidents/{entry.incident.id}" if new else ""
    return revision_response(shown_incident(request, entry.incident), entry.revision, created_at=created_at)
