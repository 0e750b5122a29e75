"""WHEP as docs/ref/http.md and the draft promise it: status codes exactly."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from services.contracts import subjects
from services.contracts.errors import UnavailableError
from services.contracts.models import Camera, CameraState, Profile, Reason, Status
from services.contracts.sessions import Aim
from services.mesh.buckets import Bucket
from services.mesh.bus import Bus
from services.mesh.settings import MeshSettings
from services.wall.front.api.sessions import SDP, SDP_FRAGMENT
from tests.wall.front.running import OFFER, RunningFront, StubRelay, running_front, stub_relay

AS_SDP = {"Content-Type": SDP}
FRAGMENT = (
    "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\n"
    "a=candidate:1 1 udp 1 192.0.2.7 50000 typ host\r\na=end-of-candidates\r\n"
)
AS_FRAGMENT = {"Content-Type": SDP_FRAGMENT}


async def put_camera(bus: Bus, camera_id: str, status: Status | None, *, enabled: bool = True) -> None:
    """A camera in the catalogue, observed as ``status``."""
    profiles = {"main": Profile(url="rtsp://192.0.2.1/main")}
    camera = Camera(id=camera_id, site="city", name=f"Camera {camera_id}", profiles=profiles, enabled=enabled)
    await (await Bucket.open(bus, subjects.CAMERAS_BUCKET, Camera)).put(camera_id, camera)
    if status is not None:
        state = CameraState(camera=camera_id, site="city", status=status, reason=Reason.TIMEOUT, since_us=1)
        await (await Bucket.open(bus, subjects.STATE_BUCKET, CameraState)).put(camera_id, state)


@asynccontextmanager
async def whep(mesh: MeshSettings, bus: Bus, **settings: Any) -> AsyncIterator[tuple[RunningFront, StubRelay]]:
    """A front, a relay and two cameras: ``live`` and ``dark``."""
    await put_camera(bus, "live", Status.ONLINE)
    await put_camera(bus, "dark", Status.OFFLINE)
    async with running_front(mesh, **settings) as front, stub_relay(mesh) as relay:
        yield front, relay


async def test_post_is_201_with_location_answer_and_entity_tag(mesh_settings: MeshSettings, bus: Bus) -> None:
    async with whep(mesh_settings, bus) as (front, relay):
        async with front.http.post("/whep/live?profile=main", data=OFFER, headers=AS_SDP) as answer:
            assert (answer.status, answer.content_type) == (201, SDP)
            assert answer.headers["Location"].startswith("/whep/live/relay-1--")
            assert answer.headers["ETag"].startswith('"')
            assert answer.headers["Accept-Patch"] == SDP_FRAGMENT
            assert "Link" not in answer.headers
            assert (await answer.text()).startswith("v=0")
        assert relay.opened[0].kind == "whep"
        assert relay.opened[0].aims == (Aim(slot=0, camera="live", profile="main"),)


async def test_patch_is_204_delete_is_200_and_then_both_are_404(mesh_settings: MeshSettings, bus: Bus) -> None:
    async with whep(mesh_settings, bus) as (front, relay):
        async with front.http.post("/whep/live", data=OFFER, headers=AS_SDP) as answer:
            session, etag = answer.headers["Location"], answer.headers["ETag"]
        for condition in ({}, {"If-Match": etag}):
            async with front.http.patch(session, data=FRAGMENT, headers={**AS_FRAGMENT, **condition}) as answer:
                assert answer.status == 204
        async with front.http.delete(session) as answer:
            assert answer.status == 200
        assert relay.closed
        async with front.http.delete(session) as answer:
            assert answer.status == 404
        async with front.http.patch(session, data=FRAGMENT, headers=AS_FRAGMENT) as answer:
            assert answer.status == 404


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Content-Type": SDP_FRAGMENT, "If-Match": '"another"'}, FRAGMENT, 412),
        ({"Content-Type": SDP_FRAGMENT, "If-Match": "*"}, FRAGMENT, 422),
        ({"Content-Type": SDP}, FRAGMENT, 415),
        ({"Content-Type": SDP_FRAGMENT}, "hello", 400),
    ],
)
async def test_a_patch_that_is_no_trickle_of_this_session_is_refused(
    mesh_settings: MeshSettings, bus: Bus, headers: dict[str, str], body: str, status: int
) -> None:
    async with whep(mesh_settings, bus) as (front, _):
        async with front.http.post("/whep/live", data=OFFER, headers=AS_SDP) as answer:
            session = answer.headers["Location"]
        async with front.http.patch(session, data=body, headers=headers) as answer:
            assert answer.status == status
            assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize(
    ("path", "headers", "body", "status"),
    [
        ("/whep/unknown", AS_SDP, OFFER, 404),
        ("/whep/Not-An-Id", AS_SDP, OFFER, 404),
        ("/whep/live?profile=sub", AS_SDP, OFFER, 404),
        ("/whep/live?profile=4k", AS_SDP, OFFER, 422),
        ("/whep/live", AS_SDP, "hello", 406),
        ("/whep/live", AS_SDP, "", 406),
        ("/whep/live", {**AS_SDP, "Accept": "text/html"}, OFFER, 406),
        ("/whep/live", {"Content-Type": "application/json"}, OFFER, 415),
        ("/whep/dark", AS_SDP, OFFER, 409),
        ("/whep/dark", AS_SDP, "hello", 406),
    ],
)
async def test_refusals_have_the_promised_status(
    mesh_settings: MeshSettings, bus: Bus, path: str, headers: dict[str, str], body: str, status: int
) -> None:
    async with whep(mesh_settings, bus) as (front, relay):
        async with front.http.post(path, data=body, headers=headers) as answer:
            problem = await answer.json()
            assert (answer.status, problem["status"]) == (status, status)
            assert answer.content_type == "application/problem+json"
            if status == 409:
                assert int(answer.headers["Retry-After"]) > 0
                assert "offline (timeout)" in problem["detail"]
        assert not relay.opened


async def test_a_camera_of_which_nothing_is_known_yet_or_that_is_disabled_is_409(
    mesh_settings: MeshSettings, bus: Bus
) -> None:
    await put_camera(bus, "new", None)
    await put_camera(bus, "off", Status.ONLINE, enabled=False)
    async with whep(mesh_settings, bus) as (front, _):
        for camera in ("new", "off"):
            async with front.http.post(f"/whep/{camera}", data=OFFER, headers=AS_SDP) as answer:
                assert answer.status == 409, camera


async def test_overload_is_503_with_retry_after(mesh_settings: MeshSettings, bus: Bus) -> None:
    async with whep(mesh_settings, bus) as (front, relay):
        relay.refuse = UnavailableError("full")
        async with front.http.post("/whep/live", data=OFFER, headers=AS_SDP) as answer:
            assert answer.status == 503
            assert int(answer.headers["Retry-After"]) > 0


async def test_options_tells_what_is_taken(mesh_settings: MeshSettings, bus: Bus) -> None:
    async with whep(mesh_settings, bus) as (front, _):
        async with front.http.options("/whep/live") as answer:
            assert (answer.status, answer.headers["Accept-Post"]) == (200, SDP)
            assert "POST" in answer.headers["Allow"]
        async with front.http.options("/whep/live/relay-1--0123456789abcdef") as answer:
            assert (answer.status, answer.headers["Accept-Patch"]) == (200, SDP_FRAGMENT)


async def test_ice_servers_are_link_headers_with_credentials(mesh_settings: MeshSettings, bus: Bus) -> None:
    urls = ("stun:192.0.2.1", "turn:192.0.2.1?transport=tcp")
    async with whep(mesh_settings, bus, ice_servers=urls, turn_secret="s3cret") as (front, _):
        async with front.http.post("/whep/live", data=OFFER, headers=AS_SDP) as answer:
            stun, turn = answer.headers.getall("Link")
        assert stun == '<stun:192.0.2.1>; rel="ice-server"'
        assert turn.startswith('<turn:192.0.2.1?transport=tcp>; rel="ice-server"; username="')
        assert turn.endswith('; credential-type="password"')


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [("http://localhost:5173", True), ("https://monitor.example", True), ("https://evil.example", False)],
)
async def test_players_on_pages_of_this_machine_and_of_named_origins_may_play_and_others_not(
    mesh_settings: MeshSettings, bus: Bus, origin: str, allowed: bool
) -> None:
    async with whep(mesh_settings, bus, allowed_origins=("https://monitor.example",)) as (front, _):
        preflight = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        async with front.http.options("/whep/live", headers=preflight) as answer:
            assert answer.headers.get("Access-Control-Allow-Origin") == (origin if allowed else None)
            assert ("Access-Control-Allow-Methods" in answer.headers) == allowed
        async with front.http.post("/whep/live", data=OFFER, headers={**AS_SDP, "Origin": origin}) as answer:
            assert answer.status == (201 if allowed else 403)
            if allowed:
                assert answer.headers["Access-Control-Allow-Origin"] == origin
                assert "Location" in answer.headers["Access-Control-Expose-Headers"]
        async with front.http.post("/whep/unknown", data=OFFER, headers={**AS_SDP, "Origin": origin}) as answer:
            assert answer.status == (404 if allowed else 403)
            assert answer.headers.get("Access-Control-Allow-Origin") == (origin if allowed else None)
