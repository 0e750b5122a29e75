"""``/api/v1/evidence.zip``: footage of several cameras with its proof, as one file that can be checked offline."""

from contextlib import aclosing
from typing import Annotated

from aiohttp import hdrs, web
from pydantic import BaseModel, Field, StringConstraints

from services.contracts import subjects
from services.contracts.events import IncidentExported
from services.contracts.incidents import IncidentEntry, IncidentKey
from services.contracts.models import Id
from services.footage.evidence.export import MAX_CAMERA_US, Named, Request, open_bundle
from services.mesh.rpc import call as ask
from services.wall.front.api.recordings import require_recorders
from services.wall.front.http.downloads import audit, send
from services.wall.front.http.errors import FieldError, FieldsError
from services.wall.front.http.request import Call
from services.wall.front.http.times import Moment, rfc3339, to_us

Reason = Annotated[str, StringConstraints(strip_whitespace=True)]


class EvidenceQuery(BaseModel):
    """What to hand out, and why."""

    camera: tuple[Id, ...] = Field(min_length=1, max_length=64, description="Given once for each camera.")
    from_: Moment = Field(alias="from")
    to: Moment
    reason: Reason = Field(min_length=1, max_length=2000, description="Stands in the bundle and in the audit event.")
    incident: Id | None = Field(default=None, description="The incident that it is about.")


async def evidence(call: Call) -> web.StreamResponse:
    """Streams the bundle; a GET, so that a browser writes it straight to disk."""
    query = call.query(EvidenceQuery)
    front = call.front
    request = _request(call, query)
    require_recorders(front)
    incident: IncidentEntry | None = None
    if query.incident is not None:
        where = subjects.rpc(front.home, "registry", "incidents-get")
        incident = await ask(front.bus, where, IncidentKey(id=query.incident), IncidentEntry, actor=call.actor)
    bundle = await open_bundle(front.bus, front.home, request, recorders=len(front.recorders()), clock=front.clock)
    detail = {
        "from": rfc3339(request.from_us),
        "to": rfc3339(request.to_us),
        "as": "evidence.zip",
        "bundle": bundle.bundle,
        "reason": query.reason,
        "incident": query.incident or "",
    }
    for camera in request.cameras:
        audit(call, "exported", camera, detail)
    if incident is not None:
        _tell(call, incident)
    headers = {
        hdrs.CONTENT_TYPE: "application/zip",
        hdrs.CONTENT_DISPOSITION: f'attachment; filename="{bundle.bundle}.zip"',
        hdrs.ACCEPT_RANGES: "none",
    }
    async with aclosing(bundle.chunks()) as chunks:
        return await send(call, web.StreamResponse(headers=headers), chunks)


def _request(call: Call, query: EvidenceQuery) -> Request:
    from_us, until_us = to_us(query.from_), to_us(query.to)
    cameras = dict.fromkeys(query.camera)
    if not 0 <= from_us < until_us:
        raise FieldsError([FieldError("to", "must be later than 'from', and both after 1970")])
    if (until_us - from_us) * len(cameras) > MAX_CAMERA_US:
        raise FieldsError([FieldError("to", f"a bundle takes at most {MAX_CAMERA_US // 3_600_000_000} camera hours")])
    named: dict[Id, Named] = {}
    for camera_id in cameras:
        camera = call.front.cameras.get(camera_id)
        # A camera that left the catalogue still has footage, under its id.
        named[camera_id] = Named(camera.site, camera.name) if camera else Named(call.front.home, camera_id)
    return Request(named, from_us, until_us, call.actor, query.reason, query.incident or "")


def _tell(call: Call, entry: IncidentEntry) -> None:
    incident = entry.incident
    call.front.outbox.post(
        IncidentExported(
            site=call.front.home,
            at_us=call.front.clock.now_us(),
            incident=incident.id,
            title=incident.title,
            cameras=incident.cameras,
            from_us=incident.from_us,
            to_us=incident.to_us,
            actor=call.actor.name,
        )
    )
