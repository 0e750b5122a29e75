"""Footage of removed cameras is found, counted and handed out; that of a former owner of an id only as that owner's."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from services.contracts import frames, subjects
from services.contracts.frames import AccessUnit
from services.contracts.models import Assignment, Camera
from services.footage.evidence.verify import verify
from services.mesh.buckets import Bucket
from services.mesh.bus import Bus
from services.mesh.event_stream import ensure_stream
from services.mesh.settings import MeshSettings
from services.recorder.app import Recorder
from services.wall.front.http.times import rfc3339
from tests.integration.exports import exports_desk
from tests.integration.recorders import assign, camera, record, recording, running, seen, until, written
from tests.integration.test_evidence import pantau
from tests.integration.test_exports import known
from tests.recorder.units import pictures
from tests.wall.front.running import RunningFront, running_front, viewer_account

pytestmark = pytest.mark.integration
SECOND = 1_000_000


async def remove(bus: Bus, recorder: Recorder, front: RunningFront) -> None:
    """As the registry does; returns when recorder and front have heard of it."""
    await (await Bucket.open(bus, subjects.CAMERAS_BUCKET, Camera)).delete("cam-1")
    await (await Bucket.open(bus, subjects.ASSIGNMENTS_BUCKET, Assignment)).delete("recorder.cam-1")
    await until(lambda: "cam-1" not in recorder.recordings.feeds)
    async with asyncio.timeout(90):
        while True:
            async with front.http.get("/api/v1/cameras/cam-1") as answer:
                if answer.status == 404:
                    return
            await asyncio.sleep(0.05)


async def histories(front: RunningFront, query: str = "", count: int = 1) -> list[tuple[str, str, bool]]:
    """Camera, site and whether it was removed, of each history; waits until there are ``count``."""
    async with asyncio.timeout(90):
        while True:
            async with front.http.get(f"/api/v1/history?{query}") as answer:
                assert answer.status == 200, await answer.text()
                body = await answer.json()
            found = [(item["camera"], item["site"], item["removed"]) for item in body["cameras"]]
            if len(found) == count:
                return found
            await asyncio.sleep(0.1)


async def test_a_removed_cameras_footage_is_found_covered_and_handed_out_by_its_owner(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    await ensure_stream(bus)
    start = time.time_ns() // 1_000_000_000 * SECOND - 300 * SECOND
    old = pictures(count=250, start_us=start)
    new = pictures(count=250, start_us=start + 100 * SECOND, epoch=9)
    async with (
        running(mesh_settings, tmp_path / "1", "rec-1") as recorder,
        running_front(mesh_settings) as front,
        exports_desk(front, tmp_path / "wall"),
    ):
        await assign(bus, [camera("cam-1", site="mall", name="Mall")], "rec-1")
        await record_of(bus, "mall", old, recorder)
        await seen(front.bus, 1)
        await remove(bus, recorder, front)
        assert await histories(front) == [("cam-1", "mall", True)]
        assert await histories(front, "removed=false", 0) == []
        exit_status, listed = await pantau("cameras", "removed", "--url", front.url)
        assert (exit_status, [line.split("\t")[:2] for line in listed.splitlines()]) == (
            0,
            [["ID", "SITE"], ["cam-1", "mall"]],
        )
        span = f"from={rfc3339(start + SECOND)}&to={rfc3339(start + 9 * SECOND)}"
        for query in (span, f"{span}&camera=cam-1"):
            async with front.http.get(f"/api/v1/coverage?{query}") as answer:
                body = await answer.json()
            (item,) = body["cameras"]
            assert (item["camera"], item["removed"], item["recording"]) == ("cam-1", True, False)
            assert item["percent"] == pytest.approx(100, abs=5)
            assert body["total"]["cameras"] == ("camera=" in query), "what is asked for is counted"
        async with front.http.get(f"/api/v1/evidence.zip?camera=cam-1&{span}&reason=x") as answer:
            assert answer.status == 200
            bundle = tmp_path / "a.zip"
            await asyncio.to_thread(bundle.write_bytes, await answer.read())
        verdict = await asyncio.to_thread(verify, bundle)
        assert verdict.intact, verdict
        assert verdict.manifest is not None
        assert [(item.site, len(item.parts)) for item in verdict.manifest.cameras] == [("mall", 1)]

        await assign(bus, [camera("cam-1")], "rec-1")
        await record(bus, "cam-1", new, recorder)
        await known(front, "cam-1")
        async with front.http.get(f"/api/v1/cameras/cam-1/timeline?{span}") as answer:
            assert (await answer.json())["ranges"] == [], "the new owner's camera was not there yet"
        async with front.http.get(f"/api/v1/cameras/cam-1/clip.mp4?{span}") as answer:
            assert answer.status == 404
        async with front.http.get(f"/api/v1/cameras/cam-1/timeline?{span}&site=mall") as answer:
            assert len((await answer.json())["ranges"]) == 1
        async with front.http.get(f"/api/v1/cameras/cam-1/clip.mp4?{span}&site=mall") as answer:
            assert answer.status == 200
        assert ("cam-1", "mall", True) in await histories(front, "removed=true")
        body = {"kind": "clip", "cameras": ["cam-1"], "from": rfc3339(start), "to": rfc3339(start + 9 * SECOND)}
        for site, outcome in (("mall", "done"), ("city", "failed")):
            async with front.http.post("/api/v1/exports", json=body | {"site": site}) as answer:
                assert answer.status == 201
                made = await answer.json()
            assert made["cameras"][0]["site"] == site
            async with asyncio.timeout(90):
                while made["status"] not in ("done", "failed"):
                    async with front.http.get(f"/api/v1/exports/{made['id']}") as answer:
                        made = await answer.json()
                    await asyncio.sleep(0.1)
            assert made["status"] == outcome, made["detail"]
        async with front.http.post("/api/v1/exports", json=body | {"site": "village"}) as answer:
            assert answer.status == 404

        await remove(bus, recorder, front)
        assert len(await histories(front, "", 2)) == 2
        async with front.http.post("/api/v1/exports", json=body) as answer:
            assert answer.status == 422
            assert (await answer.json())["errors"][0]["field"] == "site"


async def record_of(bus: Bus, site: str, units: Sequence[AccessUnit], recorder: Recorder) -> None:
    """`record`, of a camera of another site."""
    await recording(recorder, "cam-1")
    for unit in units:
        await bus.publish(subjects.media(site, "main", "cam-1"), frames.encode(unit))
    await until(lambda: recorder.recordings.feeds["cam-1"].recording.frames == 250)
    await written(recorder)


async def test_who_may_not_export_is_told_no_histories(mesh_settings: MeshSettings, tmp_path: Path) -> None:
    path, headers = viewer_account(tmp_path)
    async with (
        running_front(mesh_settings, accounts_file=path) as front,
        front.http.get("/api/v1/history", headers=headers) as answer,
    ):
        assert answer.status == 403
