"""Imports as jobs over HTTP: progress, refused rows, cancelling, and going on when the registry ends."""

import asyncio
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from services.contracts import subjects
from services.contracts.catalogue import ImportRequest
from services.contracts.errors import ConflictError, PantauError, UnavailableError
from services.contracts.imports import ImportFile, ImportJob, ImportKey, KeptImport, RefusedRows
from services.contracts.models import Camera
from services.mesh.buckets import Bucket
from services.mesh.bus import Bus
from services.mesh.sealing import OpeningKey, load_keys, seal
from services.mesh.settings import MeshSettings
from services.registry import imports
from tests.eventually import while_it_moves
from tests.registry.running import ask, crash, eventually, registry
from tests.wall.front.running import RunningFront, running_front

PATH = "/api/v1/imports"
TABLE = "id,name,url\ncam-a,Camera A,rtsp://192.0.2.1/a\ncam-b,B,nonsense\ncam-c,Camera C,rtsp://u:secret@192.0.2.1/c\n"


async def start(front: RunningFront, table: str, query: str = "") -> str:
    async with front.http.post(f"{PATH}{query}", data=table, headers={"Content-Type": "text/csv"}) as answer:
        assert answer.status == 202, await answer.text()
        location = answer.headers["Location"]
        assert location == f"{PATH}/{(await answer.json())['id']}"
        return location


async def get(front: RunningFront, path: str) -> Any:
    async with front.http.get(path) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json() if answer.content_type == "application/json" else await answer.text()


async def over(front: RunningFront, path: str) -> Any:
    """The job once it is over, however long its rows take."""
    return await while_it_moves(
        lambda: get(front, path),
        lambda job: job["status"] not in ("waiting", "running"),
        lambda job: (job["status"], job["done"]),
    )


async def test_a_job_tells_what_became_of_each_row_and_its_refused_rows_are_mended_and_imported(
    mesh_settings: MeshSettings, bus: Bus
) -> None:
    async with registry(mesh_settings), running_front(mesh_settings) as front:
        dry = await over(front, await start(front, TABLE, "?dry_run=true"))
        assert (dry["status"], dry["dry_run"], dry["added"], dry["refused"]) == ("done", True, 2, 1)
        job = await over(front, path := await start(front, TABLE))
        assert (job["rows"], job["done"], job["added"], job["refused"]) == (3, 3, 2, 1)
        assert [each["id"] for each in (await get(front, PATH))["imports"]] == [job["id"], dry["id"]]
        page = await get(front, f"{path}/rows?limit=2")
        assert ([row["row"] for row in page["rows"]], page["next"]) == ([2, 3], 3)
        page = await get(front, f"{path}/rows?limit=2&cursor={page['next']}")
        assert ([row["row"] for row in page["rows"]], page["next"]) == ([4], None)
        assert [row["code"] for row in (await get(front, f"{path}/rows?result=refused"))["rows"]] == ["invalid"]
        table = await get(front, f"{path}/refused.csv")
        assert "cam-b,B,nonsense" in table
        mended = await over(front, await start(front, table.replace("nonsense", "rtsp://192.0.2.1/b")))
        assert (mended["added"], mended["refused"], mended["ignored"]) == (1, 0, [])
        raw = await bus.js.get_last_msg(f"KV_{subjects.IMPORTS_BUCKET}", f"$KV.{subjects.IMPORTS_BUCKET}.{job['id']}")
        assert b"secret" not in (raw.data or b"")
        files = await Bucket.open(bus, subjects.IMPORT_FILES_BUCKET, ImportFile)
        await eventually(files.keys, lambda keys: keys == [])  # a file is kept no longer than its job runs
        failed = await over(front, await start(front, "nothing\n"))
        assert (failed["status"], "line 1" in failed["detail"]) == ("failed", True)
        async with front.http.delete(path) as answer:
            assert answer.status == 204
        async with front.http.get(path) as answer:
            assert answer.status == 404


async def test_a_job_goes_on_at_another_registry_when_its_own_dies(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "PROGRESS_SECONDS", 0.01)
    rows = "".join(f"cam-{number:04d},Camera {number},rtsp://u:secret@192.0.2.1/{number}\n" for number in range(1000))
    bucket = await Bucket.open(bus, subjects.IMPORTS_BUCKET, KeptImport)
    files = await Bucket.open(bus, subjects.IMPORT_FILES_BUCKET, ImportFile)
    elsewhere = mesh_settings.model_copy(update={"data": tmp_path / "elsewhere"})
    async with (
        registry(mesh_settings, worker="registry-1") as first,
        registry(elsewhere, worker="registry-2") as second,
    ):
        asked = await Bus.connect(mesh_settings, "asked")
        table = ImportRequest(format="csv", content=TABLE + rows)
        job = await ask(asked, "imports-start", table, ImportJob)
        kept = await eventually(lambda: bucket.get(job.id), lambda entry: entry is not None and entry[0].job.done > 0)
        assert kept is not None
        runner, other = (first, second) if kept[0].runner == "registry-1" else (second, first)
        kept_file = await files.get(job.id)
        assert kept_file is not None
        assert b"secret" not in kept_file[0].pack(), "a file with passwords stands sealed"
        await crash(runner)
        done = await eventually(
            lambda: ask(asked, "imports-get", ImportKey(id=job.id), ImportJob), lambda job: job.over
        )
        assert (done.status, done.rows, done.refused) == ("done", 1003, 1)
        assert done.added + done.updated + done.unchanged == 1002
        after = await bucket.get(job.id)
        assert after is not None
        assert after[0].runner == other.worker
        refused = await ask(asked, "imports-refused", ImportKey(id=job.id), RefusedRows)
        assert "cam-b,B,nonsense" in refused.csv
        await eventually(files.keys, lambda keys: keys == [])
        await asked.close()


async def test_a_job_that_was_interrupted_is_begun_anew_by_its_registry_and_fails_where_nobody_can_open_its_file(
    mesh_settings: MeshSettings, bus: Bus
) -> None:
    async with registry(mesh_settings):
        pass  # makes its key
    bucket = await Bucket.open(bus, subjects.IMPORTS_BUCKET, KeptImport)
    files = await Bucket.open(bus, subjects.IMPORT_FILES_BUCKET, ImportFile)
    mine = load_keys(mesh_settings.data / imports.KEY_FILE).current
    file_key, others = OpeningKey(bytes(range(32))), OpeningKey(bytes(32))
    for name, opens in (("import-1", mine), ("import-2", others)):
        job = ImportJob(id=name, status="running", actor="siti", created_us=1, expires_us=1 << 60)
        boxes = {opens.id: seal(opens.public, file_key.private, name)}
        await files.put(name, ImportFile(box=seal(file_key.public, zlib.compress(TABLE.encode()), name)))
        runner = "registry-1" if opens is mine else "gone"
        await bucket.create(name, KeptImport(job=job, role="admin", runner=runner, format="csv", boxes=boxes))
    async with registry(mesh_settings), running_front(mesh_settings) as front:
        done = await over(front, f"{PATH}/import-1")
        assert (done["status"], done["added"], done["refused"]) == ("done", 2, 1)
        lost_job = await over(front, f"{PATH}/import-2")
        assert (lost_job["status"], "import it again" in lost_job["detail"]) == ("failed", True)


async def test_a_cancelled_job_ends_and_its_refused_rows_wait_until_it_is_over(mesh_settings: MeshSettings) -> None:
    rows = "".join(f"Camera {number},rtsp://192.0.2.1/{number}\n" for number in range(3000))
    async with registry(mesh_settings), running_front(mesh_settings) as front:
        path = await start(front, "name,url\n" + rows)
        async with front.http.get(f"{path}/refused.csv") as answer:
            assert answer.status == 409
        async with front.http.delete(path) as answer:
            assert answer.status in (204, 409)  # 409: its progress was written meanwhile
            cancelled = answer.status == 204
        job = await over(front, path)
        assert job["status"] == "cancelled" or not cancelled
        assert job["done"] < 3000 or not cancelled
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("at_start", "error"), [(False, UnavailableError("the answer was lost")), (True, ConflictError("written before"))]
)
async def test_a_write_that_came_through_without_its_answer_does_not_end_the_job(
    mesh_settings: MeshSettings, bus: Bus, monkeypatch: pytest.MonkeyPatch, at_start: bool, error: PantauError
) -> None:
    update = Bucket.update
    lost: list[str] = []

    async def lossy(self: Bucket[KeptImport], key: str, value: KeptImport, revision: int) -> int:
        written = await update(self, key, value, revision)
        if (
            key.startswith("import-")
            and value.job.status == "running"
            and at_start != bool(value.job.rows)
            and not lost
        ):
            lost.append(key)
            raise error
        return written

    monkeypatch.setattr(Bucket, "update", lossy)
    monkeypatch.setattr(imports, "PROGRESS_SECONDS", 0.01)
    rows = "".join(f"Camera {number},rtsp://192.0.2.1/{number}\n" for number in range(200))
    async with registry(mesh_settings), running_front(mesh_settings) as front:
        job = await over(front, await start(front, "name,url\n" + rows))
    assert (job["status"], job["added"], len(lost)) == ("done", 200, 1)


async def test_rows_that_the_bus_does_not_take_or_answer_are_tried_again_and_all_are_added_once(
    mesh_settings: MeshSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = Bucket.create
    refused: Counter[str] = Counter()

    async def lossy(self: Bucket[Camera], key: str, value: Camera) -> int:
        number = int(key.rpartition("-")[2]) if key.startswith("camera-") else 0
        if number % 10 == 3 and refused[key] < 2:
            refused[key] += 1
            raise UnavailableError("the question was lost")
        written = await create(self, key, value)
        if number % 10 == 7 and key not in refused:
            refused[key] += 1
            raise UnavailableError("the answer was lost")
        return written

    update = Bucket.update
    unanswered: set[str] = set()

    async def unheard(self: Bucket[Camera], key: str, value: Camera, revision: int) -> int:
        written = await update(self, key, value, revision)
        if key.startswith("camera-") and key.endswith("7") and isinstance(value, Camera) and key not in unanswered:
            unanswered.add(key)
            raise UnavailableError("the answer was lost")
        return written

    monkeypatch.setattr(Bucket, "create", lossy)
    rows = "".join(f"Camera {number},rtsp://ani:pw@192.0.2.1/{number}\n" for number in range(100))
    async with registry(mesh_settings), running_front(mesh_settings) as front:
        job = await over(front, await start(front, "name,url\n" + rows))
        async with front.http.get("/api/v1/cameras") as answer:
            cameras = (await answer.json())["cameras"]
        monkeypatch.setattr(Bucket, "update", unheard)
        changed = await over(front, await start(front, "name,url\n" + rows.replace("192.0.2.1", "192.0.2.2")))
    assert (job["status"], job["added"], job["refused"]) == ("done", 100, 0)
    assert (changed["updated"], changed["unchanged"], len(unanswered)) == (100, 0, 10)
    assert len(refused) == 20
    assert [camera["id"] for camera in cameras if not camera["has_credentials"]] == []
