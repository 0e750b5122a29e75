"""The catalogue over HTTP, with a real registry behind it."""

import asyncio
import json
import time
from typing import Any

import pytest

from services.contracts import subjects
from services.contracts.models import Camera, CameraState, Profile, Status
from services.mesh.buckets import Bucket
from services.mesh.bus import Bus
from services.mesh.settings import MeshSettings
from services.wall.front.api import cameras
from tests.registry.running import registry
from tests.wall.front.running import RunningFront, running_front

PATH = "/api/v1/cameras"
MAIN = Profile(url="rtsp://192.0.2.1/main")
CAMERA = {
    "id": "kayutangan-1",
    "name": "Kayutangan 1",
    "location": {"latitude": -7.98, "longitude": 112.63, "address": "Jl. Basuki Rahmat"},
    "tags": ["pusat", "simpang"],
    "profiles": {"main": {"url": "rtsp://192.0.2.10/main"}, "sub": {"url": "rtsp://192.0.2.10/sub"}},
    "credentials": {"username": "admin", "password": "rahasia-sekali"},
}


async def test_a_camera_is_added_read_changed_and_removed(mesh_settings: MeshSettings) -> None:
    async with registry(mesh_settings), running_front(mesh_settings) as front:
        async with front.http.post(PATH, json=CAMERA) as answer:
            added = await answer.json()
            assert (answer.status, answer.headers["Location"]) == (201, f"{PATH}/kayutangan-1")
            assert added["site"] == "city"
            assert added["has_credentials"] is True
            assert "rahasia" not in json.dumps(added)
        async with front.http.get(PATH) as answer:  # at once: a writer reads its own write
            listed = (await answer.json())["cameras"]
            assert [camera["id"] for camera in listed] == ["kayutangan-1"]
            assert "rahasia" not in json.dumps(listed)
        async with front.http.patch(f"{PATH}/kayutangan-1", json={"name": "Kayutangan Utara"}) as answer:
            assert (answer.status, (await answer.json())["name"]) == (200, "Kayutangan Utara")
        async with front.http.get(f"{PATH}/kayutangan-1") as answer:
            assert (await answer.json())["name"] == "Kayutangan Utara"
        async with front.http.delete(f"{PATH}/kayutangan-1") as answer:
            assert answer.status == 204
        async with front.http.get(f"{PATH}/kayutangan-1") as answer:
            assert answer.status == 404
        async with front.http.delete(f"{PATH}/kayutangan-1") as answer:
            assert answer.status == 404


async def test_a_camera_that_exists_is_409_and_a_lost_race_too(mesh_settings: MeshSettings) -> None:
    async with registry(mesh_settings), running_front(mesh_settings) as front:
        async with front.http.post(PATH, json=CAMERA) as answer:
            etag = answer.headers["ETag"]
        async with front.http.post(PATH, json=CAMERA) as answer:
            assert (answer.status, (await answer.json())["code"]) == (409, "conflict")
        one = f"{PATH}/kayutangan-1"
        async with front.http.patch(one, json={"name": "First"}, headers={"If-Match": etag}) as answer:
            assert answer.status == 200
        async with front.http.patch(one, json={"name": "Second"}, headers={"If-Match": etag}) as answer:
            assert answer.status == 409
        async with front.http.patch(one, json={"name": "Third"}, headers={"If-Match": '"abc"'}) as answer:
            assert answer.status == 412


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"id": "Not An Id"}, "id"),
        ({"profiles": {"main": {"url": "gopher://192.0.2.1"}}}, "profiles.main.url"),
        ({"location": {"latitude": 91}}, "location.latitude"),
        ({"copies": 3}, "copies"),
    ],
)
async def test_what_cannot_be_a_camera_is_422_and_names_the_field(
    mesh_settings: MeshSettings, change: dict[str, object], field: str
) -> None:
    async with running_front(mesh_settings) as front, front.http.post(PATH, json=CAMERA | change) as answer:
        problem = await answer.json()
        assert answer.status == 422
        assert field in [error["field"] for error in problem["errors"]]
        assert "rahasia" not in json.dumps(problem)


async def test_an_import_reports_row_by_row_and_a_dry_run_changes_nothing(mesh_settings: MeshSettings) -> None:
    table = "id,name,url\ncam-a,Camera A,rtsp://192.0.2.1/a\ncam-b,,rtsp://192.0.2.1/b\ncam-c,Camera C,nonsense\n"
    async with registry(mesh_settings), running_front(mesh_settings) as front:
        as_csv = {"Content-Type": "text/csv"}
        async with front.http.post(f"{PATH}/import?dry_run=true", data=table, headers=as_csv) as answer:
            assert answer.status == 200
            assert {row["id"]: row["result"] for row in (await answer.json())["rows"]}["cam-a"] == "added"
        async with front.http.get(PATH) as answer:
            assert (await answer.json())["cameras"] == []
        async with front.http.post(f"{PATH}/import", data=table, headers=as_csv) as answer:
            rows = (await answer.json())["rows"]
            assert [row["row"] for row in rows] == [2, 3, 4]
            assert rows[2]["result"] == "refused"
        async with front.http.get(f"{PATH}/cam-a") as answer:
            assert answer.status == 200
        async with front.http.post(f"{PATH}/import", data=table, headers={"Content-Type": "text/html"}) as answer:
            assert answer.status == 415


async def test_the_list_carries_observed_state_and_works_without_a_registry(
    mesh_settings: MeshSettings, bus: Bus
) -> None:
    async with running_front(mesh_settings) as front:
        async with registry(mesh_settings), front.http.post(PATH, json=CAMERA) as answer:
            assert answer.status == 201
        now_us = time.time_ns() // 1000  # later than a state that the registry may have told before it ended
        state = CameraState(camera="kayutangan-1", site="city", status=Status.DEGRADED, since_us=now_us)
        await (await Bucket.open(bus, subjects.STATE_BUCKET, CameraState)).put("kayutangan-1", state)

        async def status() -> str | None:
            async with front.http.get(PATH) as answer:
                found = (await answer.json())["cameras"][0]["state"]
                return found["status"] if found else None

        async with asyncio.timeout(90):
            while await status() != "degraded":
                await asyncio.sleep(0.02)
        async with front.http.post(PATH, json=CAMERA | {"id": "other"}) as answer:
            assert answer.status == 503
            assert "Retry-After" in answer.headers


async def test_the_list_can_be_filtered(mesh_settings: MeshSettings) -> None:
    async with registry(mesh_settings), running_front(mesh_settings) as front:
        await front.http.post(PATH, json=CAMERA)
        await front.http.post(
            PATH, json=CAMERA | {"id": "alun-alun", "name": "Alun-alun", "tags": [], "site": "police"}
        )
        for query, expected in (
            ("", ["alun-alun", "kayutangan-1"]),
            ("?site=police", ["alun-alun"]),
            ("?tag=simpang", ["kayutangan-1"]),
            ("?text=BASUKI&tag=simpang", ["kayutangan-1"]),
            ("?text=nothing", []),
        ):
            async with front.http.get(PATH + query) as answer:
                assert [camera["id"] for camera in (await answer.json())["cameras"]] == expected, query


async def test_incidents_are_opened_changed_closed_and_listed(mesh_settings: MeshSettings) -> None:
    path = "/api/v1/incidents"
    async with registry(mesh_settings), running_front(mesh_settings) as front:
        await front.http.post(PATH, json=CAMERA)
        given = {"title": "Tabrakan", "cameras": ["kayutangan-1"], "from_us": 1_700_000_000_000_000}
        async with front.http.post(path, json=given) as answer:
            incident = await answer.json()
            assert answer.status == 201
            assert answer.headers["Location"] == f"{path}/{incident['id']}"
            assert (incident["status"], incident["created_by"]) == ("open", "local")
        one = f"{path}/{incident['id']}"
        async with front.http.patch(one, json={"notes": "dua kendaraan"}) as answer:
            assert (answer.status, (await answer.json())["notes"]) == (200, "dua kendaraan")
        async with front.http.post(f"{one}/close") as answer:
            closed = await answer.json()
            assert (answer.status, closed["status"]) == (200, "closed")
            assert closed["release_us"]
        async with front.http.get(f"{path}?status=closed") as answer:
            assert [entry["id"] for entry in (await answer.json())["incidents"]] == [incident["id"]]
        async with front.http.get(f"{path}/none") as answer:
            assert answer.status == 404
        async with front.http.post(path, json={"title": ""}) as answer:
            assert answer.status == 422


async def listed(front: RunningFront, query: str = "", etag: str = "") -> tuple[int, Any, str]:
    headers = {"If-None-Match": etag} if etag else {}
    async with front.http.get(f"{PATH}{query}", headers=headers) as answer:
        return answer.status, await answer.json() if answer.status == 200 else None, answer.headers.get("ETag", "")


async def test_the_list_comes_in_pages_that_end_by_number_or_bytes_and_lose_none(
    mesh_settings: MeshSettings, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = await Bucket.open(bus, subjects.CAMERAS_BUCKET, Camera)
    names = [f"cam-{number:02d}" for number in range(25)]
    for name in names:
        await bucket.create(name, Camera(id=name, site="city", name=name, profiles={"main": MAIN}))
    async with running_front(mesh_settings) as front:
        _, whole, _ = await listed(front)
        assert [camera["id"] for camera in whole["cameras"]] == names
        assert (whole["next"], whole["total"], whole["counts"]) == (None, 25, {"unknown": 25})
        for limit, page_bytes in ((10, 1024**2), (100, 2500)):
            monkeypatch.setattr(cameras, "PAGE_BYTES", page_bytes)
            found: list[str] = []
            pages, query = 0, f"?limit={limit}"
            while True:
                _, page, _ = await listed(front, query)
                found += [camera["id"] for camera in page["cameras"]]
                pages += 1
                assert page["total"] == 25
                if page["next"] is None:
                    break
                query = f"?limit={limit}&cursor={page['next']}"
            assert found == names
            assert pages > 2
        _, after, _ = await listed(front, "?cursor=cam-05-gone&limit=1")
        assert after["cameras"][0]["id"] == "cam-06", "a cursor outlives its camera"


async def test_filters_and_counts_are_of_the_whole_catalogue(mesh_settings: MeshSettings, bus: Bus) -> None:
    bucket = await Bucket.open(bus, subjects.CAMERAS_BUCKET, Camera)
    states = await Bucket.open(bus, subjects.STATE_BUCKET, CameraState)
    for number, status in enumerate((Status.ONLINE, Status.ONLINE, Status.OFFLINE, None)):
        name = f"cam-{number}"
        given = {"record": number != 0, "pin": "rack-1" if number == 1 else ""}
        await bucket.create(name, Camera(id=name, site="city", name=name, profiles={"main": MAIN}, **given))
        if status is not None:
            await states.put(name, CameraState(camera=name, site="city", status=status, since_us=1, detail="why"))
    async with running_front(mesh_settings) as front:
        counts = {"online": 2, "offline": 1, "unknown": 1}
        for query, ids in (
            ("?status=online&limit=1", ["cam-0"]),
            ("?status=offline&status=unknown", ["cam-2", "cam-3"]),
            ("?record=false", ["cam-0"]),
            ("?pin=rack-1", ["cam-1"]),
        ):
            _, page, _ = await listed(front, query)
            assert [camera["id"] for camera in page["cameras"]] == ids, query
            if "status" in query:
                assert (page["counts"], page["total"]) == (counts, 2)
        _, page, _ = await listed(front, "?status=offline")
        assert page["cameras"][0]["state"]["detail"] == "why"
        _, page, _ = await listed(front, "?status=offline&fields=brief")
        assert (page["cameras"][0]["state"]["detail"], page["cameras"][0]["state"]["status"]) == ("", "offline")
        for bad in ("?limit=0", "?limit=5001", "?status=asleep", "?cursor=Not%20An%20Id"):
            assert (await listed(front, bad))[0] == 422


async def test_who_has_a_page_gets_304_until_it_says_something_else(mesh_settings: MeshSettings, bus: Bus) -> None:
    async with registry(mesh_settings), running_front(mesh_settings) as front:
        await front.http.post(PATH, json=CAMERA)
        status, _, etag = await listed(front)
        assert status == 200
        assert (await listed(front, etag=etag))[0] == 304
        assert (await listed(front, etag=f'"x", W/{etag}'))[0] == 304
        await front.http.patch(f"{PATH}/kayutangan-1", json={"name": "Other"})
        status, _, other = await listed(front, etag=etag)
        assert (status, other != etag) == (200, True)
