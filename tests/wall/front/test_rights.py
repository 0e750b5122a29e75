"""Every route as every role, tried for real: what its permission and the grants say, both ways."""

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from services.contracts import subjects
from services.contracts.events import CameraOnline, StorageLow
from services.contracts.incidents import IncidentEntry, IncidentList, IncidentQuery
from services.contracts.models import Camera, Incident, PrivacyMask
from services.contracts.permissions import Actor, Right, Role
from services.contracts.rights import Grant, RightsBook, is_masked
from services.mesh import rpc
from services.mesh.buckets import Bucket
from services.mesh.bus import Bus
from services.mesh.event_stream import EventOutbox, ensure_stream
from services.mesh.settings import MeshSettings
from services.mesh.tasks import end
from services.wall.front.auth import accounts
from services.wall.front.context import Front, FrontRequest
from services.wall.front.http.route import Route
from services.wall.front.routes import ROUTES
from tests.wall.front.running import RunningFront, running_front

GRANTED, HIDDEN = "kota-1", "mall-1"
GRANT = Grant(
    id="grant-1",
    account="polisi",
    rights=frozenset({Right.LIVE, Right.CATALOGUE}),
    site="kota",
    purpose="patroli bersama",
)
_PARTS = {
    "camera": GRANTED,
    "session": "relay--0123456789abcdef",
    "name": "nama",
    "id": "id",
}
Headers = dict[str, str]


def camera(name: str, site: str) -> Camera:
    """A camera whose source nobody but an administrator is told."""
    profiles = {"main": {"url": f"rtsp://10.9.8.7/{name}?token=rahasia"}}
    return Camera.model_validate({"id": name, "site": site, "name": name, "profiles": profiles})


def people(folder: Path) -> tuple[Path, dict[str, Headers]]:
    """An accounts file with one of each role, and an agency that is granted something; the headers of each."""
    names = {role.value: role for role in Role} | {"polisi": Role.AGENCY}
    tokens = {name: accounts.new_token() for name in names}
    path = folder / "accounts.toml"
    kept = [
        accounts.Account(name=name, role=role, token=accounts.hash_token(tokens[name])) for name, role in names.items()
    ]
    accounts.write_accounts(path, kept)
    return path, {name: {"Authorization": f"Bearer {token}"} for name, token in tokens.items()}


async def put(bus: Bus) -> Bucket[Grant]:
    """Two cameras of two owners, and the agency's grant."""
    cameras = await Bucket.open(bus, subjects.CAMERAS_BUCKET, Camera)
    for name, site in ((GRANTED, "kota"), (HIDDEN, "mall")):
        await cameras.put(name, camera(name, site))
    grants = await Bucket.open(bus, subjects.GRANTS_BUCKET, Grant)
    await grants.put(GRANT.id, GRANT)
    return grants


def path_of(route: Route[FrontRequest], camera_id: str) -> str:
    """The route's path with its parts filled in."""
    path = route.path.replace("{camera}", camera_id)
    while "{" in path:
        part = path[path.index("{") + 1 : path.index("}")]
        path = path.replace("{" + part + "}", _PARTS.get(part, "sesuatu"))
    return path


async def ask(front: RunningFront, route: Route[FrontRequest], camera_id: str, headers: Headers) -> tuple[int, str]:
    """The status and the problem's code of a request to ``route``."""
    kind = next(iter(route.body), "")
    more: Headers = {"Content-Type": kind} if kind else {}
    async with front.http.request(
        route.method, path_of(route, camera_id), headers=headers | more, data=b"{}" if kind else None
    ) as answer:
        code = json.loads(await answer.text()).get("code", "") if "problem" in answer.content_type else ""
        return answer.status, code


async def test_every_route_lets_in_whom_its_permission_and_the_grants_name_and_nobody_else(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    await put(bus)
    path, headers = people(tmp_path)
    book = RightsBook([GRANT])
    async with running_front(mesh_settings, accounts_file=path) as front:
        wrong: list[Any] = []
        for route in ROUTES:
            if route.permission is None:
                continue
            status, code = await ask(front, route, GRANTED, {})
            if (status, code) != (401, "unauthorized"):
                wrong.append((route.method, route.path, "nobody", status, code))
            for name, known in headers.items():
                role = Role.AGENCY if name == "polisi" else Role(name)
                actor = Actor(name, role)
                actor = actor._replace(rights=book.rights_of(actor, 0))
                for camera_id in (GRANTED, HIDDEN) if "{camera}" in route.path else (GRANTED,):
                    found = camera(camera_id, "kota" if camera_id == GRANTED else "mall")
                    let_in = actor.may(route.permission)
                    if let_in and isinstance(route.permission, Right) and "{camera}" in route.path:
                        let_in = book.may(actor, route.permission, found, 0)
                    status, code = await ask(front, route, camera_id, known)
                    if (code in ("forbidden", "unauthorized")) is let_in and not (
                        not let_in and code == "not-found" and not book.may_see(actor, found, 0)
                    ):
                        wrong.append((route.method, route.path, name, camera_id, status, code, let_in))
        assert wrong == []


def test_footage_from_under_another_site_has_the_masks_of_the_present_camera() -> None:
    masks = (PrivacyMask(x=0, y=0, width=1, height=1),)
    present = camera(GRANTED, "kota").model_copy(update={"privacy_masks": masks, "unmasked_roles": (Role.SUPERVISOR,)})
    front = cast("Front", SimpleNamespace(cameras={GRANTED: present}))
    for site in (None, "kota", "mall"):
        facts = Front.facts(front, GRANTED, site)
        assert facts.site == (site or "kota")
        assert is_masked(facts, Actor("o", Role.OPERATOR)), site
        assert not is_masked(facts, Actor("s", Role.SUPERVISOR)), site
    assert not is_masked(Front.facts(front, HIDDEN, "mall"), Actor("o", Role.OPERATOR))


async def test_a_partner_sees_the_cameras_that_it_is_granted_and_only_administrators_see_their_addresses(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    grants = await put(bus)
    path, headers = people(tmp_path)
    async with running_front(mesh_settings, accounts_file=path) as front:

        async def seen(name: str) -> list[str]:
            async with front.http.get("/api/v1/cameras", headers=headers[name]) as answer:
                text = await answer.text()
                assert ("10.9.8.7" in text) is (name == "admin" and answer.status == 200), name
                return [each["id"] for each in json.loads(text).get("cameras", [])]

        assert await seen("admin") == await seen("supervisor") == await seen("viewer") == [GRANTED, HIDDEN]
        assert await seen("polisi") == [GRANTED]
        assert await seen("agency") == []
        async with front.http.get(f"/api/v1/cameras/{HIDDEN}", headers=headers["polisi"]) as answer:
            hidden = await answer.json()
        async with front.http.get("/api/v1/cameras/none", headers=headers["polisi"]) as answer:
            unknown = await answer.json()
        assert hidden["detail"].replace(HIDDEN, "none") == unknown["detail"], "it is told that the camera is there"
        for what in ("timeline?from=2026-01-01T00:00:00Z&to=2026-01-01T01:00:00Z", "snapshot.jpg"):
            async with front.http.get(f"/api/v1/cameras/{GRANTED}/{what}", headers=headers["polisi"]) as answer:
                assert answer.status == 403, what
        await grants.delete(GRANT.id)
        async with asyncio.timeout(60):
            while await seen("polisi"):
                await asyncio.sleep(0.02)


async def test_a_partners_event_stream_tells_of_its_cameras_alone_until_the_grant_is_taken_away(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    grants = await put(bus)
    await ensure_stream(bus)
    outbox = EventOutbox(bus, source="/test")
    sending = asyncio.create_task(outbox.run())
    path, headers = people(tmp_path)

    def told(camera_id: str, site: str) -> CameraOnline:
        return CameraOnline(site=site, at_us=1, camera=camera_id)

    async with (
        running_front(mesh_settings, accounts_file=path) as front,
        front.http.get("/api/v1/events", headers=headers["polisi"]) as stream,
    ):
        outbox.post(told(HIDDEN, "mall"))
        outbox.post(StorageLow(site="kota", at_us=1, recorder="r", directory="/d", free_bytes=0, because="floor"))
        outbox.post(told(GRANTED, "kota"))
        read: list[str] = []
        async with asyncio.timeout(60):
            while not read or "data:" not in read[-1]:
                read.append((await stream.content.readline()).decode())
        assert GRANTED in read[-1]
        assert HIDDEN not in "".join(read)
        assert "storage_low" not in "".join(read)
    await end([sending])
    await grants.delete(GRANT.id)


async def test_a_partner_does_not_learn_by_a_filter_which_hidden_cameras_an_incident_has(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    grants = await put(bus)
    await grants.put(GRANT.id, GRANT.model_copy(update={"rights": frozenset({Right.INCIDENTS})}))
    path, headers = people(tmp_path)
    incident = Incident(id="incident-1", title="Tabrakan", cameras=(GRANTED, HIDDEN), from_us=1, created_us=1)

    async def listed(_query: IncidentQuery, _actor: Actor) -> IncidentList:
        return IncidentList(incidents=(IncidentEntry(incident=incident, revision=1),))

    async with running_front(mesh_settings, accounts_file=path) as front, asyncio.TaskGroup() as tasks:
        endpoint = rpc.Endpoint("incidents-list", IncidentQuery, listed, Right.INCIDENTS)
        micro = await rpc.serve(bus, tasks, home=mesh_settings.site, service="registry", endpoints=(endpoint,))

        async def cameras(name: str, query: str = "") -> list[list[str]]:
            async with front.http.get(f"/api/v1/incidents{query}", headers=headers[name]) as answer:
                return [each["cameras"] for each in (await answer.json())["incidents"]]

        assert await cameras("polisi") == await cameras("polisi", f"?camera={GRANTED}") == [[GRANTED]]
        assert await cameras("polisi", f"?camera={HIDDEN}") == []
        assert await cameras("viewer", f"?camera={HIDDEN}") == [[GRANTED, HIDDEN]]
        await micro.stop()
    await grants.delete(GRANT.id)
