"""Export jobs with real parts: made, seen, ended, downloaded again, over the death of everything that takes part."""

import asyncio
import hashlib
import os
import signal
import time
import zipfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import pytest

from services.contracts import subjects
from services.contracts.errors import UnavailableError
from services.contracts.events import Audit, Event, parse
from services.contracts.exports import ExportedCamera, ExportJob, ExportStatus
from services.contracts.frames import AccessUnit
from services.contracts.incidents import IncidentEntry, IncidentInput, IncidentKey
from services.contracts.models import PrivacyMask
from services.contracts.permissions import Role
from services.footage.evidence.verify import verify
from services.mesh.buckets import Bucket
from services.mesh.bus import Bus
from services.mesh.clock import TurnedClock
from services.mesh.event_stream import ensure_stream
from services.mesh.settings import MeshSettings
from services.wall.exports.desk import LOOK_SECONDS, SILENT_SECONDS
from services.wall.front.auth import accounts
from services.wall.front.http.times import rfc3339
from tests.eventually import while_it_moves
from tests.integration.exports import exports_desk
from tests.integration.recorders import assign, camera, record, running, seen
from tests.integration.test_front_pictures import brightness
from tests.processes import children, command_line
from tests.recorder.units import pictures
from tests.registry.running import ask, collected, eventually, registry
from tests.wall.front.running import RunningFront, running_front

pytestmark = pytest.mark.integration

EXPORTS = "/api/v1/exports"


@asynccontextmanager
async def recorded(
    mesh: MeshSettings, bus: Bus, folder: Path, *cameras: str, **settings: Any
) -> AsyncIterator[tuple[RunningFront, Sequence[AccessUnit]]]:
    """Two hundred pictures of each camera on a recorder's disk, and a front."""
    await ensure_stream(bus)
    start_us = time.time_ns() // 1_000_000_000 * 1_000_000 - 60_000_000
    units = pictures(count=200, start_us=start_us)
    cameras = cameras or ("cam-1",)
    async with running(mesh, folder / "recorder", "rec-1") as recorder, running_front(mesh, **settings) as front:
        await assign(bus, [camera(name) for name in cameras], "rec-1")
        for name in cameras:
            await record(bus, name, units, recorder)
        await seen(front.bus, 1)
        yield front, units


def wanted(units: Sequence[AccessUnit], **more: object) -> dict[str, object]:
    """A clip of cam-1 of two seconds."""
    span = {"from": rfc3339(units[50].capture_us), "to": rfc3339(units[100].capture_us)}
    return {"kind": "clip", "cameras": ["cam-1"], "reason": "Laporan 17", **span, **more}


async def post(front: RunningFront, body: dict[str, object], **more: Any) -> dict[str, Any]:
    async with front.http.post(EXPORTS, json=body, **more) as answer:
        assert answer.status == 201, await answer.text()
        made: dict[str, Any] = await answer.json()
        assert answer.headers["Location"] == f"{EXPORTS}/{made['id']}"
        return made


async def get(front: RunningFront, job: str, **more: Any) -> dict[str, Any]:
    async with front.http.get(f"{EXPORTS}/{job}", **more) as answer:
        assert answer.status == 200, await answer.text()
        made: dict[str, Any] = await answer.json()
        return made


async def until_status(front: RunningFront, job: str, *statuses: str, **more: Any) -> dict[str, Any]:
    """The job once it is one of ``statuses``. A process of low priority makes it."""
    return await while_it_moves(
        lambda: get(front, job, **more),
        lambda found: found["status"] in statuses,
        lambda found: (found["status"], found["progress"], found["detail"]),
    )


async def known(front: RunningFront, name: str) -> None:
    """Returns when the front knows the camera."""
    async with asyncio.timeout(60):
        while True:
            async with front.http.get(f"/api/v1/cameras/{name}") as answer:
                if answer.status == 200:
                    return
            await asyncio.sleep(0.05)


async def download(front: RunningFront, job: str, **headers: str) -> tuple[int, bytes, dict[str, str]]:
    async with front.http.get(f"{EXPORTS}/{job}/file", headers=headers) as answer:
        return answer.status, await answer.read(), dict(answer.headers)


def frames(data: bytes) -> list[Any]:
    with av.open(BytesIO(data), "r", format="mp4") as container:
        return list(container.decode(video=0))


async def test_a_clip_is_made_as_a_job_and_can_be_had_again_and_in_parts(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    async with recorded(mesh_settings, bus, tmp_path) as (front, units), exports_desk(front, tmp_path / "wall"):
        audits = await bus.js.subscribe("pantau.v1.*.audit.>", ordered_consumer=True)
        made = await post(front, wanted(units))
        assert (made["status"], made["file"], made["conversion"]) == ("waiting", None, "")
        done = await until_status(front, made["id"], "done", "failed")
        assert (done["status"], done["progress"], done["detail"]) == ("done", 1.0, "")
        file = done["file"]
        assert (await download(front, made["id"], Range="bytes=1-"))[0] == 206, "it is in the audit like the whole file"
        status, data, headers = await download(front, made["id"])
        assert (status, len(data), headers["Content-Type"]) == (200, file["size_bytes"], "video/mp4")
        assert hashlib.sha256(data).hexdigest() == file["sha256"]
        assert file["name"] in headers["Content-Disposition"]
        assert "Pantau-Converted" not in headers
        assert abs(len(frames(data)) - 50) <= 1
        async with front.http.get(f"/api/v1/cameras/cam-1/clip.mp4?from={done['from']}&to={done['to']}") as answer:
            assert abs(len(await answer.read()) - len(data)) < 200, "the same footage, described by another info"
        again = await download(front, made["id"], Range=f"bytes={len(data) // 2}-")
        assert (again[0], again[1]) == (206, data[len(data) // 2 :])
        assert again[2]["Content-Range"] == f"bytes {len(data) // 2}-{len(data) - 1}/{len(data)}"
        assert (await download(front, made["id"], Range="bytes=-100"))[1] == data[-100:]
        stale = await download(front, made["id"], **{"Range": "bytes=5-", "If-Range": '"another"'})
        assert (stale[0], stale[1]) == (200, data)
        status, _, headers = await download(front, made["id"], Range=f"bytes={len(data)}-")
        assert (status, headers["Content-Range"]) == (416, f"bytes */{len(data)}")
        async with front.http.head(f"{EXPORTS}/{made['id']}/file", headers={"Range": "bytes=5-"}) as answer:
            assert (answer.status, int(answer.headers["Content-Length"])) == (200, len(data))
        actions: list[Audit] = []
        while [each.action for each in actions].count("export-downloaded") < 3:  # from byte 1, whole, whole as stale
            message = await audits.next_msg(timeout=30)
            event = parse(message.data, message.headers)
            assert isinstance(event, Audit)
            actions.append(event)
        assert actions[0].action == "exported"
        assert actions[0].detail["export"] == made["id"]
        assert actions[0].detail["reason"] == "Laporan 17"
        async with front.http.delete(f"{EXPORTS}/{made['id']}") as answer:
            assert answer.status == 204
        assert (await download(front, made["id"]))[0] == 404
        async with front.http.get(EXPORTS) as answer:
            assert (await answer.json())["exports"] == []


async def test_several_cameras_are_a_zip_of_clips_or_one_bundle_that_verifies(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    async with (
        recorded(mesh_settings, bus, tmp_path, "cam-1", "cam-2") as (front, units),
        exports_desk(front, tmp_path / "wall"),
    ):
        await assign(bus, [camera("cam-3")], "rec-1")
        await known(front, "cam-3")
        clips = await post(front, wanted(units, cameras=["cam-1", "cam-2", "cam-3"]))
        bundle = await post(front, wanted(units, kind="bundle", cameras=["cam-1", "cam-2"]))
        done = await until_status(front, clips["id"], "done", "failed")
        assert (done["status"], done["detail"]) == ("done", "no footage in this range: cam-3")
        with zipfile.ZipFile(BytesIO((await download(front, clips["id"]))[1])) as archive:
            assert archive.testzip() is None
            names = archive.namelist()
            assert [name.partition("_")[0] for name in names] == ["cam-1", "cam-2"]
            assert all(abs(len(frames(archive.read(name))) - 50) <= 1 for name in names)
        assert (await until_status(front, bundle["id"], "done", "failed"))["status"] == "done"
        path = tmp_path / "bundle.zip"
        path.write_bytes((await download(front, bundle["id"]))[1])
        verdict = await asyncio.to_thread(verify, path)
        assert verdict.intact, verdict


async def test_name_and_time_are_burnt_in_where_asked_and_the_file_says_that_it_was_converted(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    async with recorded(mesh_settings, bus, tmp_path) as (front, units), exports_desk(front, tmp_path / "wall"):
        plain, burnt = await post(front, wanted(units)), await post(front, wanted(units, burn_in=True))
        await until_status(front, plain["id"], "done", "failed")
        done = await until_status(front, burnt["id"], "done", "failed")
        assert done["status"] == "done", done["detail"]
        assert "libx264" in done["conversion"]
        assert done["file"]["name"].endswith("_converted.mp4")
        _, data, headers = await download(front, burnt["id"])
        assert headers["Pantau-Converted"] == done["conversion"]
        with av.open(BytesIO(data)) as container:
            assert done["conversion"] in container.metadata["comment"]
        before, after = frames((await download(front, plain["id"]))[1]), frames(data)
        assert len(after) == len(before)
        for one, other in zip(before, after, strict=True):
            assert abs(one.time - other.time) < 0.002, "pictures keep their times"
            old, new = one.to_ndarray(format="gray"), other.to_ndarray(format="gray")
            assert abs(float(old[-8:].mean()) - float(new[-8:].mean())) < 6, "below the text the picture is the same"


async def test_jobs_are_seen_and_ended_by_whose_they_are_and_by_supervisors(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    tokens = {name: accounts.new_token() for name in ("ani", "budi", "citra", "dewi")}
    roles = {"ani": Role.OPERATOR, "budi": Role.OPERATOR, "citra": Role.SUPERVISOR, "dewi": Role.VIEWER}
    path = tmp_path / "accounts.toml"
    accounts.write_accounts(
        path,
        [
            accounts.Account(name=name, role=roles[name], token=accounts.hash_token(token))
            for name, token in tokens.items()
        ],
    )
    headers = {name: {"Authorization": f"Bearer {token}"} for name, token in tokens.items()}
    async with recorded(mesh_settings, bus, tmp_path, accounts_file=path) as (front, units):
        made = await post(front, wanted(units), headers=headers["ani"])
        assert made["actor"] == "ani"
        for name, listed, status in (("ani", 1, 200), ("budi", 0, 404), ("citra", 1, 200)):
            async with front.http.get(f"{EXPORTS}/{made['id']}", headers=headers[name]) as answer:
                assert answer.status == status
            async with front.http.get(EXPORTS, headers=headers[name]) as answer:
                assert len((await answer.json())["exports"]) == listed
            async with front.http.get(f"{EXPORTS}/{made['id']}/file", headers=headers[name]) as answer:
                assert answer.status == (409 if status == 200 else 404)
        async with front.http.post(EXPORTS, json=wanted(units), headers=headers["dewi"]) as answer:
            assert answer.status == 403
        async with front.http.delete(f"{EXPORTS}/{made['id']}", headers=headers["budi"]) as answer:
            assert answer.status == 404
        async with front.http.delete(f"{EXPORTS}/{made['id']}", headers=headers["citra"]) as answer:
            assert answer.status == 204
        async with exports_desk(front, tmp_path / "wall"):
            await until_status(front, made["id"], "cancelled", headers=headers["ani"])


async def test_an_export_that_is_asked_for_again_after_a_lost_answer_is_one_job(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    async with recorded(mesh_settings, bus, tmp_path) as (front, units):
        first = await post(front, wanted(units, request_id="0123456789abcdef"))
        assert (await post(front, wanted(units, request_id="0123456789abcdef")))["id"] == first["id"]
        assert (await post(front, wanted(units, request_id="fedcba9876543210")))["id"] != first["id"]
        async with front.http.get(EXPORTS) as answer:
            assert len((await answer.json())["exports"]) == 2


async def test_one_export_is_noted_and_audited_once_also_where_two_ask_at_once_or_an_answer_is_lost(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = Bucket[ExportJob].create
    lost: list[str] = []

    async def without_an_answer(bucket: Bucket[ExportJob], key: str, value: ExportJob) -> int:
        revision = await create(bucket, key, value)
        if isinstance(value, ExportJob) and not lost:
            lost.append(key)
            raise UnavailableError("the answer was lost")
        return revision

    async with recorded(mesh_settings, bus, tmp_path) as (front, units), registry(mesh_settings):
        given = IncidentInput(title="Collision", cameras=("cam-1",), from_us=units[0].capture_us)
        incident = (await ask(bus, "incidents-open", given, IncidentEntry)).incident.id
        once = wanted(units, incident=incident, request_id="0123456789abcdef")
        one, other = await asyncio.gather(post(front, once), post(front, once))
        assert one["id"] == other["id"]
        monkeypatch.setattr(Bucket, "create", without_an_answer)
        again = wanted(units, incident=incident, request_id="fedcba9876543210")
        async with front.http.post(EXPORTS, json=again) as answer:
            assert answer.status == 503
        assert (await post(front, again))["id"] == lost[0]
        found = (await ask(bus, "incidents-get", IncidentKey(id=incident), IncidentEntry)).incident
        assert [step.action for step in found.history] == ["opened", "exported", "exported"]

        async def audited() -> list[Event]:
            return [each for each in await collected(bus) if isinstance(each, Audit) and each.action == "exported"]

        assert len(await eventually(audited, lambda each: len(each) > 1)) == 2


async def test_what_cannot_be_exported_is_refused_by_its_field(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    async with recorded(mesh_settings, bus, tmp_path) as (front, units):
        day = rfc3339(units[50].capture_us + 25 * 3_600_000_000)
        for changes, field in (
            ({"kind": "film"}, "kind"),
            ({"cameras": []}, "cameras"),
            ({"to": rfc3339(units[0].capture_us)}, "to"),
            ({"to": day}, "to"),
            ({"kind": "bundle", "to": day}, "to"),
            ({"kind": "bundle", "reason": " "}, "reason"),
            ({"kind": "bundle", "burn_in": True}, "burn_in"),
            ({"kind": "bundle", "profile": "sub"}, "profile"),
            ({"burnin": True}, "burnin"),
            ({"from": "now"}, "from"),
        ):
            async with front.http.post(EXPORTS, json=wanted(units, **changes)) as answer:
                assert answer.status == 422, changes
                assert (await answer.json())["errors"][0]["field"] == field
        async with front.http.post(EXPORTS, json=wanted(units, cameras=["cam-9"])) as answer:
            assert answer.status == 404
        async with front.http.get(f"{EXPORTS}/export-1") as answer:
            assert answer.status == 404


async def test_a_job_outlives_its_process_its_desk_and_its_recorder(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    await ensure_stream(bus)
    start_us = time.time_ns() // 1_000_000_000 * 1_000_000 - 60_000_000
    units = pictures(count=200, start_us=start_us)
    async with running_front(mesh_settings) as front:
        async with running(mesh_settings, tmp_path / "recorder", "rec-1") as recorder:
            await assign(bus, [camera("cam-1")], "rec-1")
            await record(bus, "cam-1", units, recorder)
            await seen(front.bus, 1)
            made = await post(front, wanted(units))
        async with exports_desk(front, tmp_path / "wall"):  # the recorder is away
            await until_status(front, made["id"], "running")
            os.kill(await _process_of_an_export(), signal.SIGKILL)
            waits = await until_status(front, made["id"], "waiting")
            assert "tried again" in waits["detail"]
            await until_status(front, made["id"], "running")
        # Its desk died, maybe where an attempt had just failed.
        assert (await get(front, made["id"]))["status"] in ("running", "waiting")
        async with (
            running(mesh_settings, tmp_path / "recorder", "rec-1"),
            exports_desk(front, tmp_path / "wall"),
        ):
            done = await until_status(front, made["id"], "done", "failed")
            assert done["status"] == "done", done["detail"]
        async with exports_desk(front, tmp_path / "wall"):  # no recorder any more
            async with asyncio.timeout(90):
                while (answer := await download(front, made["id"]))[0] == 503:  # the desk is not heard yet
                    await asyncio.sleep(0.1)
            status, data, _ = answer
            assert (status, hashlib.sha256(data).hexdigest()) == (200, done["file"]["sha256"])
        assert (await download(front, made["id"]))[0] == 503, "nobody keeps it just now"
        (file,) = (tmp_path / "wall" / "exports").glob("*.mp4")
        file.unlink()
        async with exports_desk(front, tmp_path / "wall"):
            failed = await until_status(front, made["id"], "failed")
            assert "gone" in failed["detail"]


async def _process_of_an_export() -> int:
    """The process id of this process's child that makes an export."""
    async with asyncio.timeout(90):
        while not (found := await asyncio.to_thread(_children_that_export)):
            await asyncio.sleep(0.05)
        return found[0]


def _children_that_export() -> list[int]:
    return [pid for pid in children(os.getpid()) if "services.wall.exports" in command_line(pid)]


async def test_what_expired_or_has_no_room_is_told_and_leaves_no_file(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    async with recorded(mesh_settings, bus, tmp_path) as (front, units):
        folder = tmp_path / "wall" / "exports"
        async with exports_desk(front, tmp_path / "wall", exports_gigabytes=1e-6):
            made = await post(front, wanted(units))
            failed = await until_status(front, made["id"], "failed", "done")
            assert failed["code"] == "exports-full"
            assert "PANTAU_WALL_EXPORTS_GIGABYTES" in failed["detail"]
        clock = TurnedClock()
        async with exports_desk(front, tmp_path / "wall", clock, exports_hours=1):
            made = await post(front, wanted(units))
            assert (await until_status(front, made["id"], "done"))["file"]["size_bytes"] > 0
            clock.advance(3700)
            async with asyncio.timeout(90):
                while (await download(front, made["id"]))[0] != 404 or list(folder.glob("*.mp4")):
                    await asyncio.sleep(0.1)
        assert [path.name for path in sorted(folder.iterdir())] == ["exports.lock", "maker"]


async def test_the_job_of_a_folder_that_fell_silent_is_made_by_another(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    async with recorded(mesh_settings, bus, tmp_path) as (front, units):
        jobs = await Bucket.open(bus, subjects.EXPORTS_BUCKET, ExportJob)
        now_us = front.service.clock.now_us()
        job = ExportJob(
            id="export-1",
            kind="clip",
            cameras=(ExportedCamera(camera="cam-1", site="city", name="cam-1"),),
            from_us=units[50].capture_us,
            to_us=units[100].capture_us,
            actor="local",
            role=Role.ADMIN,
            created_us=now_us,
            expires_us=now_us + 3600 * 1_000_000,
            status=ExportStatus.RUNNING,
            maker="exports-elsewhere",
        )
        await jobs.create(job.id, job)
        clock = TurnedClock()
        async with exports_desk(front, tmp_path / "wall", clock):
            await asyncio.sleep(3 * LOOK_SECONDS)
            clock.advance(SILENT_SECONDS - 20)
            await asyncio.sleep(3 * LOOK_SECONDS)
            assert (await get(front, "export-1"))["status"] == "running", "its maker may still be at work"
            clock.advance(20)
            await until_status(front, "export-1", "done")


def operator_and_admin(folder: Path) -> tuple[Path, dict[str, dict[str, str]]]:
    """An accounts file, and the headers by which each is known."""
    tokens = {role: accounts.new_token() for role in (Role.OPERATOR, Role.ADMIN)}
    path = folder / "accounts.toml"
    known_by = {role: accounts.hash_token(token) for role, token in tokens.items()}
    accounts.write_accounts(
        path, [accounts.Account(name=str(role), role=role, token=token) for role, token in known_by.items()]
    )
    return path, {str(role): {"Authorization": f"Bearer {token}"} for role, token in tokens.items()}


async def test_who_may_not_see_through_masks_has_recordings_with_them_and_no_evidence(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    path, headers = operator_and_admin(tmp_path)
    known_as: dict[str, Any] = {"headers": headers["operator"]}
    admin: dict[str, Any] = {"headers": headers["admin"]}
    corner = (PrivacyMask(x=0, y=0, width=0.5, height=0.5),)
    async with (
        recorded(mesh_settings, bus, tmp_path, accounts_file=path) as (front, units),
        exports_desk(front, tmp_path / "wall"),
    ):
        await assign(bus, [camera("cam-1", privacy_masks=corner)], "rec-1")
        async with asyncio.timeout(60):
            while True:
                async with front.http.get("/api/v1/cameras/cam-1", **admin) as answer:
                    if answer.status == 200 and (await answer.json())["privacy_masks"]:
                        break
                await asyncio.sleep(0.05)

        body = wanted(units)
        span = f"from={body['from']}&to={body['to']}"
        async with front.http.get(f"/api/v1/cameras/cam-1/clip.mp4?{span}", **known_as) as answer:
            assert (answer.status, "POST /api/v1/exports" in (await answer.json())["detail"]) == (403, True)
        async with front.http.post(EXPORTS, json=wanted(units, kind="bundle"), **known_as) as answer:
            assert (answer.status, "privacy masks" in (await answer.json())["detail"]) == (403, True)
        for kind in ("exact", "keyframe"):
            still = f"/api/v1/cameras/cam-1/snapshot.jpg?at={rfc3339(units[60].capture_us + 1000)}&picture={kind}"
            shown = []
            for who in (admin, known_as, admin):  # neither is answered with the other's out of a cache
                async with front.http.get(still, **who) as answer:
                    assert answer.status == 200, await answer.text()
                    shown.append(brightness(await answer.read()))
            assert (shown[0] > 30, shown[1] < 20, shown[2]) == (True, True, shown[0]), kind
        async with front.http.get(f"/api/v1/cameras/cam-1/contact-sheet.jpg?{span}", **known_as) as answer:
            assert answer.status == 200

        made = await post(front, body, **known_as)
        done = await until_status(front, made["id"], "done", "failed", **known_as)
        assert (done["status"], "privacy masks" in done["conversion"]) == ("done", True), done["detail"]
        async with front.http.get(f"{EXPORTS}/{made['id']}/file", **known_as) as answer:
            assert "privacy masks" in answer.headers["Pantau-Converted"]
            pictures_of_it = frames(await answer.read())
        assert len(pictures_of_it) > 40
        assert {round(float(each.to_ndarray(format="gray")[:6, :6].mean())) for each in pictures_of_it} == {0}

        # A file that was made before another mask was drawn lacks that mask.
        more = (*corner, PrivacyMask(x=0.5, y=0.5, width=0.5, height=0.5))
        await assign(bus, [camera("cam-1", privacy_masks=more)], "rec-1")
        async with asyncio.timeout(60):
            while True:
                async with front.http.get(f"{EXPORTS}/{made['id']}/file", **known_as) as answer:
                    if answer.status == 404:
                        break
                await asyncio.sleep(0.05)
        assert (await get(front, made["id"], **admin))["status"] == "done"
