"""Administrators are told which sites have joined."""

import asyncio

from services.contracts import subjects
from services.contracts.models import Camera
from services.contracts.permissions import Actor, Role
from services.contracts.sites import JoinedSite, JoinedSites
from services.mesh import rpc
from services.mesh.buckets import Bucket
from services.mesh.bus import Bus
from services.mesh.settings import MeshSettings
from tests.wall.front.running import running_front

SINCE_US, UNTIL_US = 1_700_000_000_000_000, 1_800_000_000_000_000
SITES = (
    JoinedSite(site="mall", until_us=UNTIL_US, since_us=SINCE_US, invited_by="ani", linked=True, heard=True),
    JoinedSite(site="office", until_us=UNTIL_US, since_us=SINCE_US, heard=True),
    JoinedSite(site="school", until_us=UNTIL_US, since_us=SINCE_US),
)


async def test_each_joined_site_says_how_it_is_since_when_and_how_many_cameras_it_has(
    mesh_settings: MeshSettings, bus: Bus
) -> None:
    async def sites(_question: rpc.Nothing, _actor: Actor) -> JoinedSites:
        return JoinedSites(sites=SITES)

    cameras = await Bucket.open(bus, subjects.CAMERAS_BUCKET, Camera)
    for name, site, owner_id in (("mall--gate", "mall", "gate"), ("hall", "mall", None), ("gate", "kota", None)):
        camera = {
            "id": name,
            "site": site,
            "name": name,
            "owner_id": owner_id,
            "profiles": {"main": {"url": "rtsp://h/"}},
        }
        await cameras.put(name, Camera.model_validate(camera))
    async with asyncio.TaskGroup() as tasks:
        endpoint = rpc.Endpoint("sites-list", rpc.Nothing, sites, Role.ADMIN)
        micro = await rpc.serve(bus, tasks, home=mesh_settings.site, service="registry", endpoints=(endpoint,))
        async with running_front(mesh_settings) as front, front.http.get("/api/v1/sites") as answer:
            assert answer.status == 200
            found = (await answer.json())["sites"]
        await micro.stop()
    assert [(each["site"], each["state"], each["cameras"]) for each in found] == [
        ("mall", "linked", 1), ("office", "away", 0), ("school", "invited", 0),
    ]  # fmt: skip
    assert (found[0]["since"], found[0]["until"], found[0]["invited_by"]) == (
        "2023-11-14T22:13:20.000Z", "2027-01-15T08:00:00.000Z", "ani",
    )  # fmt: skip
