"""``/api/v1/evidence.zip``: footage of several cameras, with what proves that it is what was recorded."""

import asyncio
from contextlib import aclosing
from typing import Annotated, Final

from aiohttp import hdrs, web
from pydantic import BaseModel, Field, StringConstraints

from services.mesh import subjects
from services.mesh.errors import PantauError, UnavailableError
from services.mesh.events import Audit, IncidentExported
from services.mesh.evidence.export import MAX_CAMERA_US, Bundle, Named, Request, open_bundle
from services.mesh.incidents import IncidentEntry, IncidentKey
from services.mesh.log import get_logger
from services.mesh.metrics import counter
from services.mesh.models import Id, Incident
from services.mesh.rpc import call as ask
from services.wall.front.call import Call
from services.wall.front.errors import FieldError, FieldsError
from services.wall.front.times import Moment, rfc3339, to_us

log = get_logger()
STALLED_SECONDS: Final = 60.0
"""A client that takes nothing for so long is given up."""

_sent = counter("front_evidence_bytes", "Bytes of evidence bundles sent")
_broken = counter("front_evidence_broken", "Evidence bundles that broke off: a recorder failed, or the client left")


class EvidenceQuery(BaseModel):
    """What is asked for, and why."""

    camera: tuple[Id, ...] = Field(min_length=1, max_length=100, description="May be given several times.")
    from_: Moment = Field(alias="from")
    to: Moment
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)] = Field(
        description="Who wants it and what for; stands in the bundle and in the audit trail."
    )
    incident: Id | None = Field(default=None, description="The incident that it belongs to.")


async def evidence(call: Call) -> web.StreamResponse:
    """A bundle, made as it is sent; a connection that ends before the last chunk means that it is not whole."""
    query = call.query(EvidenceQuery)
    front = call.front
    from_us, until_us = to_us(query.from_), to_us(query.to)
    cameras = tuple(dict.fromkeys(query.camera))
    if not 0 <= from_us < until_us:
        raise FieldsError([FieldError("to", "must be later than 'from', and both after 1970")])
    if (until_us - from_us) * len(cameras) > MAX_CAMERA_US:
        hours = MAX_CAMERA_US // 3_600_000_000
        raise FieldsError([FieldError("to", f"at most {hours} hours of footage, all cameras together")])
    if not front.recorders():
        raise UnavailableError("no recorder runs just now; try again shortly")
    incident = await _incident(call, query.incident) if query.incident else None
    named = {}
    for camera in cameras:  # recordings outlive their camera's entry in the catalogue
        entry = front.cameras.get(camera)
        named[camera] = Named(entry.site, entry.name) if entry else Named(front.home, camera)
    request = Request(named, from_us, until_us, call.actor, query.reason, query.incident or "")
    bundle = await open_bundle(front.bus, front.home, request, recorders=len(front.recorders()), clock=front.clock)
    _audit(call, request, bundle)
    response, whole = await _send(call, request, bundle)
    if incident is not None and whole:
        front.outbox.post(
            IncidentExported(
                site=front.home,
                at_us=front.clock.now_us(),
                incident=incident.id,
                title=incident.title,
                cameras=cameras,
                from_us=from_us,
                to_us=until_us,
                actor=call.actor.name,
            )
        )
    return response


async def _incident(call: Call, incident: Id) -> Incident:
    subject = subjects.rpc(call.front.home, "registry", "incidents-get")
    entry = await ask(call.front.bus, subject, IncidentKey(id=incident), IncidentEntry, actor=call.actor)
    return entry.incident


def _audit(call: Call, request: Request, bundle: Bundle) -> None:
    """For every camera, before anything is handed out: what a client took and then broke off counts."""
    front = call.front
    for camera, named in request.cameras.items():
        front.outbox.post(
            Audit(
                site=named.site,
                at_us=front.clock.now_us(),
                target=camera,
                action="exported",
                actor=call.actor.name,
                role=call.actor.role,
                detail={
                    "from": rfc3339(request.from_us),
                    "to": rfc3339(request.to_us),
                    "as": "evidence.zip",
                    "bundle": bundle.bundle,
                    "reason": request.reason,
                    "incident": request.incident,
                },
            )
        )


async def _send(call: Call, request: Request, bundle: Bundle) -> tuple[web.StreamResponse, bool]:
    """The answer, and whether the client got all of it."""
    response = web.StreamResponse(
        headers={
            hdrs.CONTENT_TYPE: "application/zip",
            hdrs.CONTENT_DISPOSITION: f'attachment; filename="{bundle.bundle}.zip"',
            hdrs.ACCEPT_RANGES: "none",
        }
    )
    await response.prepare(call.request)
    try:
        async with aclosing(bundle.chunks()) as chunks:
            async for chunk in chunks:
                async with asyncio.timeout(STALLED_SECONDS):
                    await response.write(chunk)
                _sent.inc(len(chunk))
        await response.write_eof()
    except (PantauError, TimeoutError, ConnectionError) as error:
        # Too late for a status: a connection that ends before the last chunk tells the client that this is not all.
        _broken.inc()
        log.warning("front.evidence_broken", bundle=bundle.bundle, cameras=len(request.cameras), error=error)
        if call.request.transport is not None:
            call.request.transport.abort()
        return response, False
    return response, True
