"""The simulator's admin port: health, metrics, and switching faults at run time.

==========================================  ==========================================================================
``GET /cameras``                            each camera with its URLs, readiness, clients, frames sent and faults
``POST /cameras/{camera}/faults``           ``{"fault": "stall", "value": 3, "profile": "main"}``; the last two may miss
``DELETE /cameras/{camera}/faults``         ends all of them (``?profile=sub``: one profile's)
``DELETE /cameras/{camera}/faults/{name}``  ends one
==========================================  ==========================================================================

``{camera}`` may be ``*``. No permission is needed: it listens on loopback by default, and simulated cameras guard
nothing.
"""

from json import JSONDecodeError
from typing import Any

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from pydantic import BaseModel, ConfigDict, ValidationError

from services.contracts.models import ProfileName
from services.sim.faults import Fault
from services.sim.simulator import Simulator


class FaultRequest(BaseModel):
    """The body of ``POST``."""

    model_config = ConfigDict(extra="forbid")

    fault: Fault
    value: float | None = None
    profile: ProfileName | None = None


def application(sim: Simulator) -> web.Application:
    """The routes for ``sim``."""
    registry = CollectorRegistry()
    _gauge(registry, "pantau_sim_cameras_ready", "Cameras whose clips are there", lambda: sim.ready_cameras)
    _gauge(registry, "pantau_sim_frames_dropped", "Frames not sent to clients that do not read",
           lambda: sim.counters.frames_dropped)  # fmt: skip
    _gauge(registry, "pantau_sim_datagrams_lost", "Datagrams lost on purpose or because a buffer was full",
           lambda: sim.counters.datagrams_lost)  # fmt: skip
    _gauge(registry, "pantau_sim_frames_skipped", "Frames whose time had passed", lambda: sim.frames_skipped)

    async def livez(_request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_request: web.Request) -> web.Response:
        missing = sim.settings.cameras - sim.ready_cameras
        return web.Response(text=f"{missing} cameras to come\n" if missing else "ok\n", status=503 if missing else 200)

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def cameras(_request: web.Request) -> web.Response:
        return web.json_response([_camera(sim, camera) for camera in sim.camera_ids])

    async def add(request: web.Request) -> web.Response:
        try:
            wanted = FaultRequest.model_validate(await request.json())
        except (ValidationError, JSONDecodeError) as error:
            raise web.HTTPUnprocessableEntity(text=f"{error}\n") from error
        try:
            sim.fault(request.match_info["camera"], wanted.fault, wanted.value, profile=wanted.profile)
        except KeyError as error:
            raise web.HTTPNotFound(text="no such camera\n") from error
        return web.Response(status=204)

    async def remove(request: web.Request) -> web.Response:
        name = request.match_info.get("name")
        try:
            fault = Fault(name) if name else None
            sim.clear(request.match_info["camera"], fault, profile=request.query.get("profile"))
        except (KeyError, ValueError) as error:
            raise web.HTTPNotFound(text="no such camera, profile or fault\n") from error
        return web.Response(status=204)

    app = web.Application()
    app.add_routes(
        [
            web.get("/livez", livez),
            web.get("/readyz", readyz),
            web.get("/metrics", metrics),
            web.get("/cameras", cameras),
            web.post("/cameras/{camera}/faults", add),
            web.delete("/cameras/{camera}/faults", remove),
            web.delete("/cameras/{camera}/faults/{name}", remove),
        ]
    )
    return app


def _gauge(registry: CollectorRegistry, name: str, text: str, read: Any) -> None:
    Gauge(name, text, registry=registry).set_function(read)


def _camera(sim: Simulator, camera: str) -> dict[str, Any]:
    profiles = {}
    for profile in ("main", "sub"):
        stream = sim.stream(camera, profile)
        profiles[profile] = {
            "url": sim.url(camera, profile),
            "ready": stream.ready.is_set(),
            "clients": len(stream.watchers),
            "frames_sent": sum(track.frames_sent for track in stream.tracks[:1]),
            "sent": [run for track in stream.tracks[:1] for run in track.runs_sent],
            "faults": stream.faults.as_dict(),
        }
    return {"id": camera, "profiles": profiles}
