"""Recordings over HTTP, with a real recorder behind it: timeline, clip, the picture of a moment."""

import asyncio
import time
import zipfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import pytest

from services.contracts import subjects
from services.contracts.events import Audit, parse
from services.contracts.frames import AccessUnit
from services.contracts.models import Camera, CameraState, Profile, Reason, Status
from services.contracts.sites import SERVICE, hub_id
from services.footage.evidence.verify import Verdict, verify
from services.mesh import rpc
from services.mesh.buckets import Bucket
from services.mesh.bus import Bus
from services.mesh.event_stream import EventOutbox, ensure_stream
from services.mesh.leases import Workers
from services.mesh.settings import MeshSettings
from services.registry.ledger import Ledgers
from services.registry.owner import OwnerAnswers
from services.wall.front.http.times import rfc3339
from tests.flushed import flushed
from tests.integration.recorders import assign, camera, record, running, seen
from tests.recorder.units import pictures
from tests.wall.front.running import RunningFront, running_front, viewer_account

pytestmark = pytest.mark.integration

PATH = "/api/v1/cameras/cam-1"
FRAME_US = 40_000


def brightness(frame: Any) -> int:
    """The number in a picture of `tests.media.encoded`."""
    return round(float(frame.to_ndarray(format="gray")[:6, :6].mean()))


def decode(data: bytes, format_: str) -> list[Any]:
    """All pictures that a player shows."""
    with av.open(BytesIO(data), "r", format=format_) as container:
        return list(container.decode(video=0))


@asynccontextmanager
async def recorded(
    mesh: MeshSettings, bus: Bus, folder: Path, **settings: Any
) -> AsyncIterator[tuple[RunningFront, Sequence[AccessUnit]]]:
    """Two hundred pictures on a recorder's disk, and a front."""
    await ensure_stream(bus)
    start_us = time.time_ns() // 1_000_000_000 * 1_000_000 - 60_000_000
    units = pictures(count=200, start_us=start_us)
    async with running(mesh, folder / "recorder", "rec-1") as recorder, running_front(mesh, **settings) as front:
        await assign(bus, [camera("cam-1")], "rec-1")
        await record(bus, "cam-1", units, recorder)
        await seen(front.bus, 1)
        yield front, units


def span(units: Sequence[AccessUnit], first: int, last: int) -> str:
    """A query from one picture to another."""
    return f"from={rfc3339(units[first].capture_us)}&to={rfc3339(units[last].capture_us)}"


async def test_the_timeline_tells_footage_and_gaps(mesh_settings: MeshSettings, bus: Bus, tmp_path: Path) -> None:
    async with recorded(mesh_settings, bus, tmp_path) as (front, units):
        around = f"from={rfc3339(units[0].capture_us - 10_000_000)}&to={rfc3339(units[-1].capture_us + 5_000_000)}"
        async with front.http.get(f"{PATH}/timeline?{around}") as answer:
            assert answer.status == 200
            body = await answer.json()
        assert body["camera"] == "cam-1"
        assert [item["tier"] for item in body["ranges"]] == ["full"]
        assert body["ranges"][0]["from"] == rfc3339(units[0].capture_us)
        assert all({"from", "to", "cause", "detail", "open"} <= set(gap) for gap in body["gaps"])
        assert body["activity"] == []
        local = f"from={rfc3339(units[0].capture_us)[:-1]}+00:00&to={rfc3339(units[-1].capture_us)}"
        async with front.http.get(f"{PATH}/timeline?{local}") as answer:  # an offset's + arrives as a blank
            assert answer.status == 200
        for bad in ("", "from=now&to=later", f"from={rfc3339(5)}&to={rfc3339(4)}", "from=2026-01-01T00:00:00"):
            async with front.http.get(f"{PATH}/timeline?{bad}") as answer:
                assert answer.status == 422, bad
        async with front.http.get(f"/api/v1/cameras/unknown/timeline?{around}") as answer:
            assert answer.status == 404


async def test_a_clip_is_the_stretch_and_is_audited(mesh_settings: MeshSettings, bus: Bus, tmp_path: Path) -> None:
    async with recorded(mesh_settings, bus, tmp_path) as (front, units):
        audits = await bus.js.subscribe("pantau.v1.*.audit.>", ordered_consumer=True)
        async with front.http.get(f"{PATH}/clip.mp4?{span(units, 60, 120)}") as answer:
            assert (answer.status, answer.content_type) == (200, "video/mp4")
            assert answer.headers["Content-Disposition"].startswith('attachment; filename="cam-1_')
            assert answer.headers["Pantau-Thinned"] == "false"
            data = await answer.read()
            assert len(data) == int(answer.headers["Content-Length"])
        frames = decode(data, "mp4")
        assert abs(len(frames) - 60) <= 1
        async with front.http.head(f"{PATH}/clip.mp4?{span(units, 60, 120)}") as answer:
            assert (answer.status, int(answer.headers["Content-Length"])) == (200, len(data))
            assert answer.headers["Content-Disposition"].startswith('attachment; filename="cam-1_')
        async with front.http.head(f"{PATH}/clip.mp4?{span(units, 0, 1)}".replace("cam-1", "cam-2")) as answer:
            assert answer.status == 404
        message = await audits.next_msg(timeout=30)
        event = parse(message.data, message.headers)
        assert isinstance(event, Audit)
        assert (event.action, event.target, event.actor, event.role) == ("exported", "cam-1", "local", "admin")
        with pytest.raises(TimeoutError):
            await audits.next_msg(timeout=0.5)  # HEAD hands nothing out
        async with front.http.get(f"{PATH}/clip.mp4?{span(units, 0, 1)}".replace("cam-1", "cam-2")) as answer:
            assert answer.status == 404
        later = f"from={rfc3339(units[0].capture_us - 90_000_000)}&to={rfc3339(units[0].capture_us - 80_000_000)}"
        async with front.http.get(f"{PATH}/clip.mp4?{later}") as answer:
            assert (answer.status, (await answer.json())["code"]) == (404, "not-found")


async def test_the_picture_of_a_moment_is_that_picture(mesh_settings: MeshSettings, bus: Bus, tmp_path: Path) -> None:
    async with recorded(mesh_settings, bus, tmp_path) as (front, units):
        for number in (50, 61, 73, 124):
            for into_us in (0, FRAME_US // 4, FRAME_US - 2000):
                at = rfc3339(units[number].capture_us + into_us)
                async with front.http.get(f"{PATH}/snapshot.jpg?at={at}") as answer:
                    assert (answer.status, answer.content_type) == (200, "image/jpeg"), await answer.text()
                    (frame,) = decode(await answer.read(), "jpeg_pipe")
                assert abs(brightness(frame) - (16 + 3 * (number % 100) % 220)) <= 3, (number, into_us)
        before = rfc3339(units[0].capture_us - 60_000_000)
        async with front.http.get(f"{PATH}/snapshot.jpg?at={before}") as answer:
            assert answer.status == 404
        at = rfc3339(units[60].capture_us)
        async with front.http.get(f"{PATH}/snapshot.jpg?at={at}&width=80") as answer:
            (frame,) = decode(await answer.read(), "jpeg_pipe")
            assert frame.width == 80


async def test_a_viewer_may_see_what_is_recorded_but_not_take_it_away(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    path, headers = viewer_account(tmp_path)
    async with recorded(mesh_settings, bus, tmp_path, accounts_file=path) as (front, units):
        async with front.http.get(f"{PATH}/timeline?{span(units, 0, 100)}", headers=headers) as answer:
            assert answer.status == 200
        async with front.http.get(f"{PATH}/clip.mp4?{span(units, 0, 100)}", headers=headers) as answer:
            assert answer.status == 403


async def test_without_any_recorder_the_answer_is_503(mesh_settings: MeshSettings, bus: Bus) -> None:
    await assign(bus, [camera("cam-1")], "rec-1")
    query = f"from={rfc3339(1_700_000_000_000_000)}&to={rfc3339(1_700_000_001_000_000)}"
    async with running_front(mesh_settings) as front:
        for what in ("timeline", "clip.mp4"):
            async with front.http.get(f"{PATH}/{what}?{query}") as answer:
                assert answer.status == 503
                assert answer.headers["Retry-After"]


async def test_an_evidence_bundle_verifies_offline_and_says_who_asked_and_why(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    async with recorded(mesh_settings, bus, tmp_path) as (front, units):
        path = f"/api/v1/evidence.zip?camera=cam-1&{span(units, 30, 120)}"
        async with front.http.get(path) as answer:
            assert answer.status == 422
            assert (await answer.json())["errors"][0]["field"] == "reason"
        audits = await bus.js.subscribe("pantau.v1.*.audit.>", ordered_consumer=True)
        async with front.http.head(f"{path}&reason=Laporan%20polisi%2017") as answer:
            assert (answer.status, answer.content_type) == (200, "application/zip")
        async with front.http.get(f"{path}&reason=Laporan%20polisi%2017") as answer:
            assert (answer.status, answer.content_type) == (200, "application/zip"), await answer.text()
            assert answer.headers["Content-Disposition"].startswith('attachment; filename="evidence-')
            data = await answer.read()
        event = parse(*((message := await audits.next_msg(timeout=30)).data, message.headers))
        assert isinstance(event, Audit)
        assert (event.detail["as"], event.detail["reason"]) == ("evidence.zip", "Laporan polisi 17")
        async with front.http.get(f"{path.replace('cam-1', 'cam-9')}&reason=x") as answer:
            assert answer.status == 404
        async with front.http.get(f"{path}&reason=x&incident=none") as answer:
            assert answer.status == 503, "nobody answers for incidents"
    bundle = tmp_path / "bundle.zip"
    await asyncio.to_thread(bundle.write_bytes, data)
    verdict = await asyncio.to_thread(verify, bundle)
    assert verdict.intact, verdict
    await asyncio.to_thread(bundle.write_bytes, data[:1000] + bytes([data[1000] ^ 1]) + data[1001:])
    assert not (await asyncio.to_thread(verify, bundle)).intact


async def test_a_joined_sites_recordings_come_from_its_owner_and_refusals_say_why(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    gate = hub_id("mall", "cam-1")
    path = f"/api/v1/cameras/{gate}"
    async with recorded(mesh_settings, bus, tmp_path) as (front, units), asyncio.TaskGroup() as tasks:
        stretch = span(units, 60, 120)
        asked = {
            "timeline": f"{path}/timeline?{stretch}",
            "clip": f"{path}/clip.mp4?{stretch}",
            "sheet": f"{path}/contact-sheet.jpg?{stretch}&rows=1",
            "keyframe": f"{path}/snapshot.jpg?at={rfc3339(units[80].capture_us)}&picture=keyframe",
            "still": f"{path}/snapshot.jpg?at={rfc3339(units[80].capture_us)}",
        }

        async def answers(*names: str) -> dict[str, tuple[int, str]]:
            found: dict[str, tuple[int, str]] = {}
            for name in names or asked:
                async with front.http.get(asked[name]) as answer:
                    code = (await answer.json())["code"] if answer.status >= 400 else answer.content_type
                    found[name] = (answer.status, code)
            return found

        async def seen_as(*reasons: str | None) -> None:
            """Returns when the front has the camera, with a state of one of these reasons; None: with no state."""
            async with asyncio.timeout(60):
                while True:
                    async with front.http.get(path) as answer:
                        body = await answer.json()
                    if answer.status == 200 and (body["state"] or {}).get("reason") in reasons:
                        return
                    await asyncio.sleep(0.05)

        # The recorder of this test is the owner's, too: it answers on the same subjects as one behind a leaf node.
        known = camera(gate, owner_id="cam-1", profiles={"main": Profile(url="")})
        await (await Bucket.open(bus, subjects.CAMERAS_BUCKET, Camera)).put(gate, known)
        await seen_as(None)
        assert set((await answers()).values()) == {(403, "not-granted")}
        ledgers, outbox = await Ledgers.open(bus, "city"), EventOutbox(bus, source="/test")
        owner = OwnerAnswers(bus=bus, home="city", ledgers=ledgers, workers=Workers(bus, "city"), outbox=outbox)
        service = await rpc.serve(bus, tasks, home="city", service=SERVICE, endpoints=owner.endpoints())
        await flushed(bus.client)
        audits = await bus.js.subscribe("pantau.v1.city.audit.exported.*", ordered_consumer=True)
        jpeg = (200, "image/jpeg")
        async with asyncio.timeout(60):
            found = await answers()
            while any(status == 503 for status, _ in found.values()):  # a busy recorder is asked again
                found = await answers()
        assert found == {
            "timeline": (200, "application/json"), "clip": (200, "video/mp4"), "sheet": jpeg, "keyframe": jpeg,
            "still": jpeg,
        }  # fmt: skip
        message = await audits.next_msg(timeout=30)
        event = parse(message.data, message.headers)
        assert isinstance(event, Audit)
        assert (event.target, event.actor) == (gate, "local")
        evidence = f"/api/v1/evidence.zip?camera={gate}&{stretch}&reason=x"

        async def bundle(path: str) -> Verdict:
            """The file's verdict; a busy recorder is asked again."""
            async with asyncio.timeout(60):
                while True:
                    async with front.http.get(path) as answer:
                        if answer.status != 503:
                            assert answer.status == 200, await answer.text()
                            file.write_bytes(await answer.read())
                            return await asyncio.to_thread(verify, file)

        file = tmp_path / "evidence.zip"
        verdict = await bundle(evidence)
        assert verdict.intact, verdict
        assert verdict.manifest is not None
        assert (verdict.manifest.asked_by, verdict.manifest.cameras[0].camera) == ("local@city", "cam-1")
        verdict = await bundle(f"{evidence}&camera=cam-1")
        assert verdict.intact, verdict
        assert [name.partition("/")[0] for name in verdict.bundles] == ["city", gate]
        since_us = units[0].capture_us
        away = CameraState(camera=gate, site="city", status=Status.OFFLINE, reason=Reason.SITE_AWAY, since_us=since_us)
        await bus.publish(subjects.state("city", gate), away.pack())
        await seen_as("site-away")
        assert set((await answers()).values()) == {(503, "site-away")}
        async with front.http.get(evidence) as answer:
            assert (answer.status, (await answer.json())["code"]) == (503, "site-away")
        verdict = await bundle(f"{evidence}&camera=cam-1")
        assert (verdict.intact, len(verdict.bundles)) == (True, 1), verdict
        with zipfile.ZipFile(file) as archive:
            assert f"{gate}: " in archive.read("README.txt").decode()
        async with front.http.get(asked["clip"]) as answer:
            assert datetime.fromtimestamp(since_us / 1e6, UTC).isoformat(timespec="seconds") in await answer.text()
        await service.stop()
