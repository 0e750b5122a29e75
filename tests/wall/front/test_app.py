"""What holds for every path: problem details, permissions, security headers, an OpenAPI that agrees with the routes."""

import asyncio
import re
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from services.contracts.permissions import Role, permission_name
from services.mesh.admin import Health
from services.mesh.bus import Bus
from services.mesh.clock import SystemClock
from services.mesh.lifecycle import Service
from services.mesh.settings import MeshSettings, SettingsError
from services.wall.front import app
from services.wall.front.auth import cookies
from services.wall.front.http import openapi
from services.wall.front.routes import ROUTES
from services.wall.settings import WallSettings
from tests.wall.front.running import RunningFront, running_front

DOCS = Path(__file__).parents[3] / "docs" / "ref" / "http.md"


async def test_the_document_has_exactly_the_routes_that_are_served(mesh_settings: MeshSettings) -> None:
    async with running_front(mesh_settings) as front, front.http.get("/api/v1/openapi.json") as answer:
        document = await answer.json()
    described = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    served = {
        (route.method, route.resource.canonical)
        for route in app.build(_bare_front()).router.routes()
        if route.resource and route.method not in ("HEAD", "*")
    }
    assert described == served


def test_every_reference_of_the_document_leads_somewhere_and_operations_have_names_of_their_own() -> None:
    document = openapi.document(ROUTES, cookie=cookies.NAME)
    for reference in _references(document):
        assert reference.removeprefix("#/components/schemas/") in document["components"]["schemas"], reference
    names = [operation["operationId"] for item in document["paths"].values() for operation in item.values()]
    assert len(names) == len(set(names))


def test_the_document_says_what_each_route_needs() -> None:
    document = openapi.document(ROUTES, cookie=cookies.NAME)
    for route in ROUTES:
        operation = document["paths"][route.path][route.method.lower()]
        assert operation.get("x-permission") == (permission_name(route.permission) if route.permission else None)
        assert bool(operation["security"]) == (route.permission is not None)
        assert set(re.findall(r"{(\w+)}", route.path)) == {
            p["name"] for p in operation["parameters"] if p["in"] == "path"
        }


def test_every_path_of_the_api_needs_a_permission_and_changing_the_catalogue_needs_an_administrator() -> None:
    open_paths = {route.path for route in ROUTES if route.permission is None and route.path.startswith("/api/")}
    assert open_paths == {"/api/v1/openapi.json", "/api/v1/sign-in"}
    changes = [r for r in ROUTES if r.path.startswith("/api/v1/cameras") and r.method in ("POST", "PATCH", "DELETE")]
    assert {route.permission for route in changes} == {Role.ADMIN}


def test_the_guide_to_the_api_names_every_route() -> None:
    text = DOCS.read_text()
    for route in ROUTES:
        assert f"`{route.method} {route.path}`" in text, f"docs/ref/http.md does not name {route.method} {route.path}"
    for method, path in re.findall(r"`(GET|POST|PUT|PATCH|DELETE|OPTIONS) (/[^`]*)`", text):
        assert (method, path) in {(route.method, route.path) for route in ROUTES}, (
            f"docs/ref/http.md invents {method} {path}"
        )


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/v1/nothing", 404, "not-found"),
        ("GET", "/favicon.nothing", 404, "not-found"),
        ("PUT", "/api/v1/cameras", 405, "method-not-allowed"),
        ("GET", "/whep/cam-1", 405, "method-not-allowed"),
        ("GET", "/api/v1/cameras/none", 404, "not-found"),
        ("GET", "/api/v1/cameras/..%2f..", 404, "not-found"),
        ("GET", "/assets/..%2f..%2fapp.py", 404, "not-found"),
    ],
)
async def test_failures_are_problem_details(
    mesh_settings: MeshSettings, method: str, path: str, status: int, code: str
) -> None:
    async with running_front(mesh_settings) as front, front.http.request(method, path) as answer:
        problem = await answer.json()
        assert answer.content_type == "application/problem+json"
        assert (answer.status, problem["status"], problem["code"]) == (status, status, code)
        assert problem["title"]
        assert problem["detail"]
        if status == 405:
            assert answer.headers["Allow"]


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/api/v1/cameras/import", {"POST"}),
        ("/sign-out", {"POST"}),
        ("/page.css", {"GET", "HEAD"}),
        ("/", {"GET", "HEAD", "POST"}),
        ("/api/v1/cameras/cam-1", {"GET", "HEAD", "PATCH", "DELETE"}),
        ("/api/v1/cameras/cam-1/clip.mp4", {"GET", "HEAD"}),
        ("/api/v1/evidence.zip", {"GET", "HEAD"}),
        ("/api/v1/events", {"GET"}),
    ],
)
async def test_allow_names_the_methods_of_the_path_and_none_of_its_neighbours(
    mesh_settings: MeshSettings, path: str, methods: set[str]
) -> None:
    async with running_front(mesh_settings) as front:
        for method in {"OPTIONS", "PUT", "DELETE"} - methods:
            async with front.http.request(method, path) as answer:
                assert answer.status == 405
                assert {allowed.strip() for allowed in answer.headers["Allow"].split(",")} == methods


async def test_every_answer_carries_the_security_headers(mesh_settings: MeshSettings) -> None:
    async with running_front(mesh_settings) as front:
        for path in ("/", "/api/v1/me", "/api/v1/nothing", "/page.css"):
            async with front.http.get(path) as answer:
                policy = answer.headers["Content-Security-Policy"]
                assert "default-src 'self'" in policy
                assert "frame-ancestors 'none'" in policy
                assert "unsafe" not in policy
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
                assert "Server" not in answer.headers or "aiohttp" not in answer.headers["Server"].lower()


async def test_a_failing_handler_is_a_500_that_tells_nothing_of_its_inside(mesh_settings: MeshSettings) -> None:
    async with running_front(mesh_settings) as front:

        async def broken(_call: object) -> web.Response:
            raise RuntimeError("secret at rtsp://user:password@camera")

        async def request() -> web.StreamResponse:
            from aiohttp.test_utils import make_mocked_request

            from services.wall.front.http import problems

            return await problems.middleware(make_mocked_request("GET", "/"), broken)

        response = await request()
        assert response.status == 500
        assert isinstance(response, web.Response)
        assert "secret" not in (response.text or "")
        assert front.url


async def test_me_names_the_local_administrator_and_the_site(mesh_settings: MeshSettings) -> None:
    async with running_front(mesh_settings) as front, front.http.get("/api/v1/me") as answer:
        me = await answer.json()
        assert (me["name"], me["role"], me["site"], me["ice_servers"]) == ("local", "admin", "city", [])
        assert me["time_zone"] == "Asia/Jakarta"


async def test_me_hands_out_turn_credentials_that_expire(mesh_settings: MeshSettings) -> None:
    urls = ("stun:192.0.2.1:3478", "turn:192.0.2.1:3478")
    async with (
        running_front(mesh_settings, ice_servers=urls, turn_secret="s3cret") as front,
        front.http.get("/api/v1/me") as answer,
    ):
        stun, turn = (await answer.json())["ice_servers"]
        assert stun["urls"] == ["stun:192.0.2.1:3478"]
        expires, _, name = turn["username"].partition(":")
        assert name == "local"
        assert 3500 < int(expires) - time.time() <= 3600
        assert turn["credential"]


async def test_the_built_app_is_served_with_caching_as_its_names_allow(
    mesh_settings: MeshSettings, tmp_path: Path
) -> None:
    static = tmp_path / "static"
    (static / "assets").mkdir(parents=True)
    (static / "index.html").write_text("<!doctype html><title>Pantau</title>")
    (static / "icon.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (static / "assets" / "app-1a2b.js").write_text("export {}")
    async with running_front(mesh_settings, static=static) as front:
        async with front.http.get("/") as answer:
            assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-cache")
            assert "Pantau" in await answer.text()
        async with front.http.get("/assets/app-1a2b.js") as answer:
            assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
            assert "javascript" in answer.content_type
        async with front.http.get("/icon.svg") as answer:
            assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-cache")
        async with front.http.head("/") as answer:
            assert answer.status == 200
        for missing in ("/assets/none.js", "/index.htm", "/.hidden"):
            async with front.http.get(missing) as answer:
                assert answer.status == 404


async def test_without_a_built_app_the_page_says_what_to_do(mesh_settings: MeshSettings, tmp_path: Path) -> None:
    async with (
        running_front(mesh_settings, static=tmp_path) as front,
        front.http.get("/", headers={"Accept-Language": "id"}) as answer,
    ):
        assert answer.status == 503
        assert "make web" in await answer.text()
        assert answer.headers["Content-Language"] == "id"


async def test_the_front_ends_with_open_streams_and_sockets(mesh_settings: MeshSettings) -> None:
    async with running_front(mesh_settings) as front:
        stream = await front.http.get("/api/v1/events")
        await stream.content.readline()
        front.service.stopping.set()
        async with asyncio.timeout(90):
            assert await stream.content.read() is not None  # the stream's end
            while await listens(front):
                await asyncio.sleep(0.05)
        stream.close()


async def test_other_addresses_are_refused_without_accounts(mesh_settings: MeshSettings, bus: Bus) -> None:
    async with asyncio.TaskGroup() as tasks:
        service = Service("wall", mesh_settings, bus, tasks, asyncio.Event(), Health(), SystemClock())
        with pytest.raises(SettingsError, match="pantau accounts add"):
            await app.run(service, WallSettings(http="0.0.0.0:0"))


async def listens(front: RunningFront) -> bool:
    """Whether the front takes connections."""
    try:
        async with front.http.get("/api/v1/me"):
            return True
    except aiohttp.ClientError:
        return False


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        found = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return found + [reference for value in node.values() for reference in _references(value)]
    if isinstance(node, list):
        return [reference for value in node for reference in _references(value)]
    return []


def _bare_front() -> Any:
    """Enough to build the application, not to serve a request."""
    return object()
