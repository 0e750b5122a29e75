"""Bytes that no client of ours would send, at every route: refused by a documented status, never with 500."""

import asyncio
import json
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

import pytest

from services.contracts.errors import InvalidInputError
from services.contracts.incidents import IncidentPatch
from services.contracts.models import Location
from services.contracts.sessions import SessionControl
from services.mesh.settings import MeshSettings
from services.wall.front.context import FrontRequest
from services.wall.front.http.openapi import refusals
from services.wall.front.http.route import Route, parse_number
from services.wall.front.routes import ROUTES
from tests.registry.running import registry
from tests.wall.front.running import RunningFront, StubRelay, running_front, viewer_account

LONG: Final = b"9" * 5000
HEADERS: Final = (
    (b"Authorization", b"Basic \xff\xfe"),
    (b"Authorization", b"Basic /////w=="),
    (b"Authorization", b"Bearer \xc3\x28"),
    (b"Authorization", b"Bearer " + b"a" * 7000),
    (b"Cookie", b"pantau_session=YW5p." + LONG + b".\xff"),
    (b"Cookie", b"pantau_session=\xed\xa0\x80.1.1; pantau_session=YW5p.\xd9\xa1.x"),
    (b"Cookie", b"pantau_session=a.\xff; pantau_device=\xff"),
    (b"If-Match", b'"' + LONG + b'"'),
    (b"If-Match", b'"99999999999999999999"'),
    (b"If-Match", "\u0663".encode()),
    (b"If-None-Match", b"\xff"),
    (b"Range", b"bytes=" + LONG + b"-"),
    (b"Last-Event-ID", LONG),
    (b"Last-Event-ID", b"\xff"),
    (b"Origin", b"http://[::1"),
    (b"Origin", b"\xff"),
    (b"Host", b"[::1"),
    (b"Content-Encoding", b"gzip"),
    (b"Content-Length", b"-1"),
    (b"Transfer-Encoding", b"chunked, gzip"),
)
BODIES: Final = (
    b"",
    b"\xff\xfe",
    b"\0",
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b"1" * 10_000,
    b'{"title":"a","cameras":["a"],"from_us":18446744073709551616}',
    b'{"title":"a","cameras":["a"],"from_us":9223372036854775807,"to_us":1e999}',
    b'{"title":"\\ud800","cameras":["a"],"from_us":1}',
    b'{"name":"\\u0000","location":{"latitude":NaN},"profiles":{"main":{"url":"rtsp://a\\u0000/"}}}',
    b'{"name":"a","copies":99999999999999999999999,"profiles":{"main":{"url":"rtsp://a/"}}}',
    b'{"sdp":"v=0","slots":[{"slot":-99999999999999999999}]}',
    b'{"sdp":"v=0\\u0000","slots":99999999999999999999}',
    b"v=0\r\nm=video \xff\r\n",
    b"&".join([b"name=a"] * 20),
)
QUERIES: Final = (
    b"camera=%ff&at=%00&from=\xff&to=",
    b"limit=99999999999999999999&last_event_id=99999999999999999999&width=-1",
    b"at=9999-12-31T23:59:59-23:59&from=0001-01-01T00:00:00%2B23:59&to=9999-12-31T23:59:59-23:59",
    b"from=0001-01-01T00:00:00Z&to=9999-12-31T23:59:59Z&camera=a&at=0001-01-01T00:00:00Z",
)


async def status(
    front: RunningFront, method: str, target: bytes, headers: list[tuple[bytes, bytes]], body: bytes
) -> int:
    """The status of one request, sent as it stands; the connection is closed behind it."""
    url = urlsplit(front.url)
    names = {name.lower() for name, _ in headers}
    given = [(b"Host", url.netloc.encode())] if b"host" not in names else []
    if body and not names & {b"content-length", b"transfer-encoding"}:
        given.append((b"Content-Length", str(len(body)).encode()))
    head = b"".join(name + b": " + value + b"\r\n" for name, value in [*given, *headers])
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    try:
        writer.write(method.encode() + b" " + target + b" HTTP/1.1\r\n" + head + b"\r\n" + body)
        line = await reader.readline()
        return int(line.split()[1])
    finally:
        writer.close()


def target_of(route: Route[FrontRequest], part: str = "x") -> bytes:
    path = route.path
    for name in ("camera", "export", "incident", "layout", "screen", "session", "tour", "name"):
        path = path.replace(f"{{{name}}}", part)
    return path.encode()


def documented(route: Route[FrontRequest]) -> set[int]:
    return {*route.answers, *refusals(route)}


ALWAYS: Final = {400, 405}
"""Of requests that cannot be read at all."""


@pytest.mark.parametrize("accounts", [False, True], ids=["local", "accounts"])
async def test_no_header_breaks_any_route(mesh_settings: MeshSettings, tmp_path: Path, accounts: bool) -> None:
    file = viewer_account(tmp_path)[0] if accounts else None
    async with running_front(mesh_settings, accounts_file=file) as front:
        for route in ROUTES:
            for name, value in HEADERS:
                found = await status(front, route.method, target_of(route), [(name, value)], b"")
                assert found in documented(route) | ALWAYS, (route.method, route.path, name, value[:40], found)
                assert found != 500, (route.method, route.path, name, value[:40])


async def test_no_body_query_or_path_breaks_any_route(mesh_settings: MeshSettings) -> None:
    async with registry(mesh_settings), running_front(mesh_settings) as front:
        for route in ROUTES:
            for kind in route.body:
                for body in BODIES:
                    headers = [(b"Content-Type", kind.encode())]
                    found = await status(front, route.method, target_of(route), headers, body)
                    assert found in documented(route) - {500}, (route.method, route.path, body[:40], found)
            queries = QUERIES if route.query and not route.body else ()
            for query in queries:
                found = await status(front, route.method, target_of(route) + b"?" + query, [], b"")
                assert found in documented(route) - {500}, (route.method, route.path, query, found)
            if "{" in route.path and not route.body:
                for part in ("%00", "%ff", "..%2f..", "a" * 300, quote("\u0663")):
                    found = await status(front, route.method, target_of(route, part), [], b"")
                    assert found in documented(route) - {500}, (route.method, route.path, part, found)


async def test_no_message_breaks_the_control_socket(mesh_settings: MeshSettings) -> None:
    async with running_front(mesh_settings) as front, asyncio.TaskGroup() as tasks:
        relay = StubRelay(front.bus, "city", "relay-1")
        await relay.start(tasks)
        relay.sessions.add("relay-1--0123456789abcdef")
        async with front.http.ws_connect("/api/v1/wall/sessions/relay-1--0123456789abcdef/control") as socket:
            small = [body for body in BODIES if len(body) < 60_000]
            for body in (*small, b"[" * 60_000, b'{"type":"clock","action":"seek","at_us":99999999999999999999}'):
                await socket.send_str(body.decode("utf-8", "replace"))
                answer = json.loads(await socket.receive_str())
                assert (answer["type"], answer["code"]) == ("error", "invalid-input"), body[:40]
            await socket.send_str('{"type":"listen","slot":-70}')
            assert json.loads(await socket.receive_str())["code"] == "invalid-input"
        await relay.die()


def test_what_cannot_be_packed_is_invalid_input() -> None:
    with pytest.raises(InvalidInputError):
        IncidentPatch.model_construct(from_us=1 << 64, _fields_set={"from_us"}).pack()
    with pytest.raises(InvalidInputError):
        Location(address="\ud800").pack()
    assert SessionControl(session="a").pack()


def test_a_number_has_18_ascii_digits_at_most() -> None:
    assert parse_number("9" * 18) == 10**18 - 1
    assert [parse_number(text) for text in ("9" * 19, "\u0663", "-1", "")] == [None] * 4
