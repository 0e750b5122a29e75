"""``pantau cameras`` as a process, through a real front to a real registry."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from services.mesh.settings import MeshSettings
from tests.registry.running import Worker, eventually, registry
from tests.wall.front.running import RunningFront, running_front

pytestmark = pytest.mark.integration


class Done(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture
async def front(mesh_settings: MeshSettings) -> AsyncIterator[RunningFront]:
    async with registry(mesh_settings), running_front(mesh_settings) as running:
        yield running


async def cameras(url: str, *arguments: str, stdin: str = "") -> Done:
    return await pantau(url, "cameras", *arguments, stdin=stdin)


async def pantau(url: str, *arguments: str, stdin: str = "") -> Done:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.cli",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PANTAU_URL": url},
    )
    out, err = await asyncio.wait_for(process.communicate(stdin.encode()), 90)
    return Done(process.returncode or 0, out.decode(), err.decode())


async def test_a_catalogue_is_imported_listed_and_removed(front: RunningFront, tmp_path: Path) -> None:
    file = tmp_path / "cameras.csv"
    file.write_text(
        "name,main_url,latitude,longitude,tags\n"
        "Kayutangan,rtsp://admin:hunter2@10.0.0.1/1,-7.98,112.63,road|north\n"
        "Broken,nonsense,,,\n"
        "Pasar Besar,rtsp://10.0.0.2/1,,,\n"
    )
    dry = await cameras(front.url, "import", "--dry-run", str(file))
    assert dry.status == 1
    assert "would be: 2 added" in dry.err
    assert (await cameras(front.url, "list", "--json")).out.strip() == json.dumps({"cameras": []}, indent=2)
    done = await cameras(front.url, "import", str(file))
    assert done.status == 1
    lines = [line.split("\t") for line in done.out.splitlines()]
    assert [line[:3] for line in lines] == [
        ["ROW", "RESULT", "ID"],
        ["2", "added", "kayutangan"],
        ["3", "refused", "broken"],
        ["4", "added", "pasar-besar"],
    ]
    assert "source URL" in lines[2][3]
    listed = await cameras(front.url, "list", "--tag", "north")
    assert [line.split("\t")[0] for line in listed.out.splitlines()] == ["ID", "kayutangan"]
    assert "hunter2" not in done.out + done.err + listed.out
    removed = await cameras(front.url, "remove", "kayutangan", "nobody", "--yes")
    assert (removed.status, removed.out) == (1, "kayutangan\n")
    assert "nobody" in removed.err


async def test_a_camera_is_added_with_its_password_from_stdin(front: RunningFront) -> None:
    arguments = ("add", "Alun-Alun", "rtsp://10.0.0.1/1", "--username", "admin", "--password-file", "-", "--no-record")
    done = await cameras(front.url, *arguments, stdin="hunter2\n")
    assert (done.status, done.out) == (0, "alun-alun\n"), done.err
    (camera,) = json.loads((await cameras(front.url, "list", "--json")).out)["cameras"]
    assert (camera["has_credentials"], camera["record"]) == (True, False)
    twice = await cameras(front.url, *arguments, stdin="hunter2\n")
    assert twice.status == 1
    assert "already" in twice.err
    assert "Traceback" not in twice.err


async def test_a_listing_can_be_imported_again_and_changes_nothing(front: RunningFront) -> None:
    await cameras(front.url, "add", "A", "rtsp://10.0.0.1/1", "--sub-url", "rtsp://10.0.0.1/2", "--address", "Jl. A")
    listing = await cameras(front.url, "list", "--json")
    done = await cameras(front.url, "import", "-", "--format", "json", "--json", stdin=listing.out)
    report = json.loads(done.out)
    assert (done.status, report["unchanged"], report["notes"]) == (0, 1, [])


async def test_what_cannot_be_reached_or_understood_is_said_in_one_line() -> None:
    gone = await cameras("http://127.0.0.1:9", "list")
    assert gone.status == 3
    assert gone.err.count("\n") == 1
    assert "http://127.0.0.1:9" in gone.err
    assert (await cameras("ftp://nowhere", "list")).status == 2
    assert (await cameras("http://127.0.0.1:9", "add", "only-a-name")).status == 2


async def test_a_worker_is_drained_and_retired_from_a_shell(front: RunningFront) -> None:
    worker = await Worker(front.bus, "ingest", "ingest-1", machine="rack-1").start()
    await eventually(lambda: pantau(front.url, "workers", "list"), lambda done: "ingest-1" in done.out)
    assert (await pantau(front.url, "workers", "drain", "rack-1", "--machine")).status == 0
    listed = (await pantau(front.url, "workers", "list")).out.splitlines()
    assert [line.split("\t")[:5] for line in listed[1:]] == [["ingest", "ingest-1", "rack-1", "drained", "0"]]
    assert (await pantau(front.url, "workers", "retire", "ingest-1")).status == 0
    refused = await pantau(front.url, "workers", "drain", "nobody")
    assert (refused.status, "no worker nobody" in refused.err) == (1, True)
    await worker.stop()
