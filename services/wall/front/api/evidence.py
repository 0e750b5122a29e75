"""``/api/v1/evidence.zip``: footage of several cameras with its proof, as one file that can be checked offline."""

from contextlib import aclosing
from typing import Annotated

from aiohttp import hdrs, web
from pydantic import BaseModel, Field, StringConstraints

from services.contracts import subjects
from services.contracts.errors import NotFoundError
from services.contracts.evidence.exchange import MAX_CAMERA_US
from services.contracts.incidents import ExportNote, IncidentEntry, IncidentKey
from services.contracts.models import Id, Incident
from services.contracts.permissions import Right
from services.contracts.requests import RequestId
from services.footage.evidence.export import BundleRequest
from services.footage.evidence.handing_out import open_evidence
from services.footage.owners import Owner
from services.mesh.rpc import call as ask
from services.wall.front.api.history import owned_camera
from services.wall.front.context import FrontRequest
from services.wall.front.http.downloads import send_chunks
from services.wall.front.http.errors import FieldError, FieldsError
from services.wall.front.http.times import Moment, rfc3339, to_us

Reason = Annotated[str, StringConstraints(strip_whitespace=True)]


class EvidenceQuery(BaseModel):
    """What to hand out, and why."""

    camera: tuple[Id, ...] = Field(min_length=1, max_length=64, description="Given once for each camera.")
    from_: Moment = Field(alias="from")
    to: Moment
    reason: Reason = Field(min_length=1, max_length=2000, description="Stands in the bundle and in the audit event.")
    incident: Id | None = Field(default=None, description="The incident that it is about.")
    site: Id | None = Field(default=None, description="Whose cameras, where an id had another owner before.")


async def evidence(request: FrontRequest) -> web.StreamResponse:
    """Streams the bundle; a GET, so that a browser writes it straight to disk."""
    query = request.query(EvidenceQuery)
    front = request.front
    owners = _owners(request, query)
    if owners.keys() != set(query.camera):
        front.require_recorders()
    wanted = await _wanted(request, query)
    incident = await ask_incident(request, query.incident)
    recorders = len(front.recorders())
    made = await open_evidence(front.bus, front.home, wanted, owners, recorders=recorders, clock=front.clock)
    detail = {
        "from": rfc3339(wanted.from_us),
        "to": rfc3339(wanted.to_us),
        "as": "evidence.zip",
        "bundle": made.name,
        "reason": query.reason,
        "incident": query.incident or "",
    }
    headers = {
        hdrs.CONTENT_TYPE: "application/zip",
        hdrs.CONTENT_DISPOSITION: f'attachment; filename="{made.name}.zip"',
        hdrs.ACCEPT_RANGES: "none",
    }
    try:
        if not request.is_head:
            absent = {each.camera for each in made.left_out}
            for camera in wanted.cameras:
                if camera not in absent:
                    request.audit("exported", camera, detail)
            if incident is not None:
                await tell_exported(request, incident)
        async with aclosing(made.chunks()) as chunks:
            with request.cut_at_sign_out():
                return await send_chunks(request.raw, web.StreamResponse(headers=headers), chunks)
    finally:
        await made.close()


def _owners(request: FrontRequest, query: EvidenceQuery) -> dict[Id, Owner]:
    """The owners of those cameras that are a joined site's; raises where the asker may not have a camera's evidence."""
    front, found = request.front, dict[Id, Owner]()
    for camera in query.camera:
        request.require(Right.EVIDENCE, camera, query.site)
        owner = Owner.of(front.cameras.get(camera), front.states.get(camera), Right.EVIDENCE)
        if owner is not None and query.site in (None, owner.site):
            found[camera] = owner
    return found


async def _wanted(request: FrontRequest, query: EvidenceQuery) -> BundleRequest:
    from_us, until_us = to_us(query.from_), to_us(query.to)
    cameras = dict.fromkeys(query.camera)
    if not 0 <= from_us < until_us:
        raise FieldsError([FieldError("to", "must be later than 'from', and both after 1970")])
    if (until_us - from_us) * len(cameras) > MAX_CAMERA_US:
        raise FieldsError([FieldError("to", f"a bundle takes at most {MAX_CAMERA_US // 3_600_000_000} camera hours")])
    named = {camera: await owned_camera(request, camera, query.site) for camera in cameras}
    return BundleRequest(named, from_us, until_us, request.actor, query.reason, query.incident or "")


async def ask_incident(request: FrontRequest, incident: Id | None) -> IncidentEntry | None:
    """The incident that an export names; raises `NotFoundError` where there is none of that id."""
    if incident is None:
        return None
    where = subjects.rpc(request.front.home, "registry", "incidents-get")
    entry = await ask(request.front.bus, where, IncidentKey(id=incident), IncidentEntry, actor=request.actor)
    return IncidentEntry(incident=shown_incident(request, entry.incident), revision=entry.revision)


def shown_incident(request: FrontRequest, incident: Incident) -> Incident:
    """The incident with the cameras whose incidents the asker may see; raises `NotFoundError` where they see none."""
    front = request.front
    seen = tuple(camera for camera in incident.cameras if request.may(Right.INCIDENTS, front.facts(camera)))
    if not seen and incident.cameras:
        raise NotFoundError(f"there is no incident {incident.id!r}")
    return incident if seen == incident.cameras else incident.model_copy(update={"cameras": seen})


async def tell_exported(request: FrontRequest, entry: IncidentEntry, request_id: RequestId | None = None) -> None:
    """Has the registry note that footage about an incident is handed out, before it is; once for a ``request_id``."""
    where = subjects.rpc(request.front.home, "registry", "incidents-exported")
    note = ExportNote(id=entry.incident.id, request_id=request_id)
    await ask(request.front.bus, where, note, IncidentEntry, actor=request.actor)
