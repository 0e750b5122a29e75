"""The routes table: every path of the front, what it needs, takes and answers with. `openapi` is made of it."""

from typing import Final

from services.mesh.catalogue import CameraInput, CameraPatch, ImportReport
from services.mesh.incidents import IncidentInput, IncidentPatch
from services.mesh.models import Incident
from services.mesh.permissions import Role
from services.wall.front import (
    cameras,
    control,
    events,
    incidents,
    me,
    openapi,
    sessions,
    signin,
    snapshots,
    static,
    whep,
)
from services.wall.front.offers import MAX_OFFER_BYTES, SDP, SDP_FRAGMENT
from services.wall.front.route import JSON, Answer, Route

_CAMERA: Final = "/api/v1/cameras/{camera}"
_INCIDENT: Final = "/api/v1/incidents/{incident}"
_SESSION: Final = "/api/v1/wall/sessions/{session}"
_WHEP: Final = "/whep/{camera}"
_WHEP_SESSION: Final = "/whep/{camera}/{session}"

ROUTES: Final[tuple[Route, ...]] = (
    Route("GET", "/api/v1/me", me.me, Role.VIEWER, "Who is signed in, and the ICE servers",
          {200: Answer("The signed-in person", JSON, me.Me)}),
    Route("GET", "/api/v1/cameras", cameras.list_cameras, Role.VIEWER, "The catalogue, with what is observed",
          {200: Answer("All cameras, by id", JSON, cameras.CamerasView)}, query=cameras.CamerasQuery),
    Route("POST", "/api/v1/cameras", cameras.add_camera, Role.ADMIN, "Add a camera",
          {201: Answer("The camera", JSON, cameras.CameraView, ("Location", "ETag"))}, (409,),
          body={JSON: CameraInput}),
    Route("POST", "/api/v1/cameras/import", cameras.import_cameras, Role.ADMIN, "Add and change many cameras",
          {200: Answer("What became of each row", JSON, ImportReport)}, query=cameras.ImportQuery,
          body={"text/csv": None, JSON: None}, max_body_bytes=cameras.MAX_IMPORT_BODY_BYTES),
    Route("GET", _CAMERA, cameras.get_camera, Role.VIEWER, "One camera, with what is observed",
          {200: Answer("The camera", JSON, cameras.CameraView, ("ETag",))}),
    Route("PATCH", _CAMERA, cameras.update_camera, Role.ADMIN, "Change the given fields of a camera",
          {200: Answer("The camera", JSON, cameras.CameraView, ("ETag",))}, (409, 412), body={JSON: CameraPatch}),
    Route("DELETE", _CAMERA, cameras.remove_camera, Role.ADMIN, "Remove a camera; its recordings stay",
          {204: Answer("It is gone")}, (409, 412)),
    Route("GET", f"{_CAMERA}/snapshot.jpg", snapshots.snapshot, Role.VIEWER, "A still of the camera",
          {200: Answer("The newest keyframe", "image/jpeg", None, ("ETag", "Pantau-Capture-Time")),
           304: Answer("The client has it")}, (409, 502), query=snapshots.SnapshotQuery),
    Route("POST", "/api/v1/wall/sessions", sessions.open_session, Role.VIEWER, "Open a viewing session",
          {201: Answer("The session, in the form that the offer had", JSON, sessions.SessionView, ("Location",))},
          (406,), body={JSON: sessions.SessionRequest, SDP: None}, max_body_bytes=MAX_OFFER_BYTES),
    Route("DELETE", _SESSION, sessions.close_session, Role.VIEWER, "Close a viewing session",
          {204: Answer("It is closed")}),
    Route("GET", f"{_SESSION}/control", control.control, Role.VIEWER, "The WebSocket that steers a session",
          {101: Answer("JSON messages, docs/ref/page-protocol.md")}, (426,), streamed=True),
    Route("POST", _WHEP, whep.play, Role.VIEWER, "Play a camera (WHEP)",
          {201: Answer("SDP answer with all candidates", SDP, None, ("Location", "ETag", "Link", "Accept-Patch"))},
          (406, 409), query=whep.WhepQuery, body={SDP: None}, max_body_bytes=MAX_OFFER_BYTES, cross_origin=True),
    Route("OPTIONS", _WHEP, whep.endpoint_options, None, "What the WHEP endpoint takes",
          {200: Answer("Nothing but headers", headers=("Accept-Post", "Allow"))}, cross_origin=True),
    Route("PATCH", _WHEP_SESSION, whep.trickle, Role.VIEWER, "Trickle candidates to a WHEP session",
          {204: Answer("Accepted", headers=("ETag",))}, (412, 422), body={SDP_FRAGMENT: None}, cross_origin=True),
    Route("DELETE", _WHEP_SESSION, whep.stop, Role.VIEWER, "End a WHEP session",
          {200: Answer("It has ended")}, cross_origin=True),
    Route("OPTIONS", _WHEP_SESSION, whep.session_options, None, "What a WHEP session takes",
          {200: Answer("Nothing but headers", headers=("Accept-Patch", "Allow"))}, cross_origin=True),
    Route("GET", "/api/v1/events", events.events, Role.VIEWER, "The bus's events, as one may see them",
          {200: Answer("Server-sent events: id is the event's number, event its type, data its body",
                       "text/event-stream")}, query=events.EventsQuery, streamed=True),
    Route("GET", "/api/v1/incidents", incidents.list_incidents, Role.VIEWER, "Incidents, newest first",
          {200: Answer("Incidents", JSON, incidents.IncidentsView)}, query=incidents.IncidentsQuery),
    Route("POST", "/api/v1/incidents", incidents.open_incident, Role.OPERATOR,
          "Open an incident: its cameras' footage is held from now on",
          {201: Answer("The incident", JSON, Incident, ("Location", "ETag"))}, (404,), body={JSON: IncidentInput}),
    Route("GET", _INCIDENT, incidents.get_incident, Role.VIEWER, "One incident",
          {200: Answer("The incident", JSON, Incident, ("ETag",))}),
    Route("PATCH", _INCIDENT, incidents.update_incident, Role.OPERATOR, "Change the given fields of an incident",
          {200: Answer("The incident", JSON, Incident, ("ETag",))}, (409, 412), body={JSON: IncidentPatch}),
    Route("POST", f"{_INCIDENT}/close", incidents.close_incident, Role.SUPERVISOR,
          "Close an incident: its hold ends after the grace period",
          {200: Answer("The incident", JSON, Incident, ("ETag",))}, (409,)),
    Route("POST", f"{_INCIDENT}/reopen", incidents.reopen_incident, Role.SUPERVISOR, "Open a closed incident again",
          {200: Answer("The incident", JSON, Incident, ("ETag",))}, (409,)),
    Route("GET", "/api/v1/openapi.json", openapi.openapi, None, "This document",
          {200: Answer("OpenAPI 3.1", JSON)}),
    Route("GET", "/", static.index, None, "The operators' web app",
          {200: Answer("The app", "text/html"), 401: Answer("The sign-in page", "text/html"),
           503: Answer("What to do where the app is not built", "text/html")}),
    Route("POST", "/", signin.sign_in, None, "Sign in with the page's form",
          {303: Answer("Signed in", headers=("Location", "Set-Cookie")), 401: Answer("The page again", "text/html"),
           429: Answer("Too many wrong attempts", "text/html")}, (404,),
          body={signin.FORM: None}, max_body_bytes=4096),
    Route("POST", "/sign-out", signin.sign_out, None, "Forget the browser's sign-in",
          {303: Answer("Signed out", headers=("Location", "Set-Cookie"))}),
    Route("GET", "/page.css", signin.style, None, "Style of the sign-in page", {200: Answer("Style", "text/css")}),
    Route("GET", "/assets/{name}", static.asset, None, "A file of the app, never changed under its name",
          {200: Answer("The file", "application/octet-stream")}),
    Route("GET", "/{name}", static.root_file, None, "A file beside the app",
          {200: Answer("The file", "application/octet-stream")}),
)  # fmt: skip
