"""Evidence from the recorders' disks to a verdict: handed out whole, every change found, what is missing told."""

import asyncio
import os
import random
import sys
import time
import zipfile
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from services.contracts.events import Audit, SegmentClosed, parse
from services.contracts.frames import AccessUnit
from services.footage.evidence.verify import Verdict, verify
from services.mesh.bus import Bus
from services.mesh.event_stream import ensure_stream
from services.mesh.settings import MeshSettings
from services.recorder.app import Recorder
from services.recorder.storage.rows import Tier
from services.wall.front.http.times import rfc3339
from tests.integration.exports import exports_desk
from tests.integration.recorders import assign, camera, record, running, seen, until
from tests.integration.test_front_recordings import decode
from tests.integration.test_recorder import segments as rows
from tests.recorder.units import pictures
from tests.wall.front.running import RunningFront, running_front, viewer_account

pytestmark = pytest.mark.integration
SECOND = 1_000_000


def units_of(count: int, ago_seconds: int = 120) -> list[AccessUnit]:
    start_us = (time.time_ns() // 1_000_000_000 - ago_seconds) * SECOND
    return pictures(count=count, start_us=start_us)


def segments(folder: Path) -> list[Path]:
    return list(folder.rglob("main/**/*.mp4"))


async def kept(bus: Bus, recorders: Sequence[Recorder], camera_id: str, units: Sequence[AccessUnit]) -> None:
    """Assigns a camera to ``recorders``; returns when each has written ``units``."""
    await assign(bus, [camera(camera_id, name=f"Jl. {camera_id}")], *(recorder.name for recorder in recorders))
    await record(bus, camera_id, units, *recorders)


@asynccontextmanager
async def site(
    mesh: MeshSettings, bus: Bus, folder: Path, *names: str, recorder: dict[str, Any] | None = None, **settings: Any
) -> AsyncIterator[tuple[RunningFront, list[Recorder]]]:
    """A front, and recorders under these names."""
    await ensure_stream(bus)
    async with AsyncExitStack() as stack:
        recorders = [
            await stack.enter_async_context(running(mesh, folder / name, name, **(recorder or {}))) for name in names
        ]
        front = await stack.enter_async_context(running_front(mesh, **settings))
        await seen(front.bus, len(names))
        yield front, recorders


def checked(path: Path, data: bytes) -> Verdict:
    path.write_bytes(data)
    return verify(path)


async def fetch(front: RunningFront, path: Path, units: Sequence[AccessUnit], *cameras: str, **more: str) -> Verdict:
    """Exports what lies between two seconds after the first and one before the last of ``units``; checks it."""
    query = [("camera", name) for name in cameras]
    query += [("from", rfc3339(units[0].capture_us + 2 * SECOND)), ("to", rfc3339(units[-1].capture_us - SECOND))]
    query += list(({"reason": "tabrak lari"} | more).items())
    async with front.http.get("/api/v1/evidence.zip", params=query) as answer:
        assert (answer.status, answer.content_type) == (200, "application/zip"), await answer.text()
        data = await answer.read()
    return await asyncio.to_thread(checked, path, data)


async def test_a_bundle_of_two_cameras_is_intact_playable_and_told(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    units = units_of(25 * 70)
    path = tmp_path / "bundle.zip"
    async with site(mesh_settings, bus, tmp_path, "rec-1") as (front, recorders):
        told = await bus.js.subscribe("pantau.v1.>", ordered_consumer=True)
        for name in ("cam-1", "cam-2"):
            await kept(bus, recorders, name, units)
        (disk,) = recorders[0].disks.all  # until both first segments are closed they are signed as growing
        await until(lambda: len(segments(tmp_path)) == 4 and len(disk.open_files()) == 2)
        verdict = await fetch(front, path, units, "cam-1", "cam-2")
        public = (tmp_path / "rec-1" / "recorder-key.pub").read_text().strip()
        assert verdict.findings == []
        assert verify(path, trusted_keys=frozenset({public})).intact
        manifest = verdict.manifest
        assert manifest is not None
        assert (manifest.asked_by, manifest.role, manifest.reason) == ("local", "admin", "tabrak lari")
        assert [item.name for item in manifest.cameras] == ["Jl. cam-1", "Jl. cam-2"]
        for item in manifest.cameras:
            first, second = item.parts  # a whole minute closed and signed, the next still growing
            assert first.from_us <= manifest.from_us < first.from_us + 2 * SECOND
            assert second.to_us >= manifest.to_us
            assert second.statement.previous == first.statement.last_link
        with zipfile.ZipFile(path) as archive:
            part = manifest.cameras[0].parts[0]
            frames = decode(archive.read(part.file), "mp4")
            assert len(frames) == pytest.approx((part.to_us - part.from_us) / 40_000, abs=1)
        closed: list[SegmentClosed] = []
        audits: list[Audit] = []
        while len(closed) < 2 or len(audits) < 2:  # of each camera
            message = await told.next_msg(timeout=60)
            event = parse(message.data, message.headers)
            closed += [event] if isinstance(event, SegmentClosed) else []
            audits += [event] if isinstance(event, Audit) else []
        part = manifest.cameras[0].parts[0]
        announced = next(event for event in closed if event.camera == "cam-1")
        assert (announced.chain_hash, announced.signature, announced.key_id) == (
            part.statement.last_link, part.signature, part.key_id,
        )  # fmt: skip
        assert announced.public_key == public  # a subscriber that kept the event gives it to `pantau verify --key`
        events = tmp_path / "events.jsonl"
        events.write_text("".join(f"{event.model_dump_json()}\n" for event in closed))
        status, said = await pantau("verify", str(path), "--key", public, "--events", str(events))
        assert (status, "no event speaks of them" in said.splitlines()[0]) == (0, True), said  # what was still growing
        assert "growing" not in part.statement.model_dump()
        assert manifest.cameras[0].parts[1].statement.growing
        assert {event.target for event in audits} == {"cam-1", "cam-2"}
        assert {event.detail["bundle"] for event in audits} == {manifest.bundle}

    whole = path.read_bytes()
    chance = random.Random(4)
    for _ in range(20):
        changed = bytearray(whole)
        changed[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        path.write_bytes(changed)
        assert not verify(path).intact


async def test_footage_that_was_changed_on_disk_is_left_out_and_told(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    units = units_of(25 * 70)
    async with site(mesh_settings, bus, tmp_path, "rec-1") as (front, recorders):
        await kept(bus, recorders, "cam-1", units)
        (disk,) = recorders[0].disks.all
        await until(lambda: len(segments(tmp_path)) == 2 and len(disk.open_files()) == 1)
        first = min(segments(tmp_path))
        data = bytearray(first.read_bytes())
        data[len(data) // 2] ^= 1
        first.write_bytes(data)
        verdict = await fetch(front, tmp_path / "bundle.zip", units, "cam-1")
        assert verdict.findings == []
        assert verdict.manifest is not None
        (item,) = verdict.manifest.cameras
        assert [gap.cause for gap in item.gaps] == ["altered"]
        assert len(item.parts) == 3
        data[-1] ^= 1  # now the signature is wrong as well: nothing of the segment can be answered for
        first.write_bytes(data)
        verdict = await fetch(front, tmp_path / "bundle.zip", units, "cam-1")
        assert verdict.findings == []
        assert verdict.manifest is not None
        assert len(verdict.manifest.cameras[0].parts) == 1


async def test_two_recorders_footage_makes_one_bundle(mesh_settings: MeshSettings, bus: Bus, tmp_path: Path) -> None:
    units = units_of(25 * 30)
    async with site(mesh_settings, bus, tmp_path, "rec-1", "rec-2") as (front, recorders):
        await kept(bus, recorders[:1], "cam-1", units[:375])
        await kept(bus, recorders[:1], "cam-2", units)
        await assign(bus, [camera("cam-1")], "rec-2")
        await until(lambda: "cam-1" not in recorders[0].recordings.feeds)
        await record(bus, "cam-1", units[375:], recorders[1])
        verdict = await fetch(front, tmp_path / "bundle.zip", units, "cam-1", "cam-2")
    assert verdict.findings == []
    assert verdict.manifest is not None
    assert len(verdict.manifest.keys) == 2
    assert [part.statement.recorder for part in verdict.manifest.cameras[0].parts] == ["rec-1", "rec-2"]


async def test_who_may_not_or_asks_amiss_gets_nothing(mesh_settings: MeshSettings, bus: Bus, tmp_path: Path) -> None:
    path, headers = viewer_account(tmp_path)
    at = f"from={rfc3339(1_700_000_000 * SECOND)}&to={rfc3339(1_700_000_060 * SECOND)}"
    async with (
        site(mesh_settings, bus, tmp_path, "rec-1", accounts_file=path) as (front, _),
        front.http.get(f"/api/v1/evidence.zip?camera=cam-1&{at}&reason=x", headers=headers) as answer,
    ):
        assert answer.status == 403
    async with site(mesh_settings, bus, tmp_path, "rec-1") as (front, _):
        for query, status in (
            (f"camera=cam-1&{at}&reason=x", 404),
            (f"camera=cam-1&{at}&reason=%20", 422),
            (f"{at}&reason=x", 422),
            (f"camera=cam-1&from={rfc3339(0)}&to={rfc3339(1_700_000_060 * SECOND)}&reason=x", 422),
        ):
            async with front.http.get(f"/api/v1/evidence.zip?{query}") as answer:
                assert answer.status == status, query


async def pantau(*arguments: str) -> tuple[int, str]:
    """Exit status and what the command said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.cli", *arguments, stdout=PIPE, stderr=STDOUT
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


async def test_export_from_a_shell_gives_a_clip_or_a_bundle_that_verify_takes(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    units = units_of(25 * 20)
    async with (
        site(mesh_settings, bus, tmp_path, "rec-1") as (front, recorders),
        exports_desk(front, tmp_path / "wall"),
    ):
        for name in ("cam-1", "cam-2"):
            await kept(bus, recorders, name, units)
        span = ["--from", rfc3339(units[50].capture_us), "--to", rfc3339(units[300].capture_us), "--url", front.url]
        clip, bundle = tmp_path / "a.mp4", tmp_path / "a.zip"
        status, said = await pantau("export", "--camera", "cam-1", *span, "-o", str(clip))
        assert status == 0, said
        assert len(decode(await asyncio.to_thread(clip.read_bytes), "mp4")) == pytest.approx(250, abs=1)
        two = ["--camera", "cam-1", "--camera", "cam-2"]
        status, said = await pantau("export", *two, *span, "-o", str(bundle), "--reason", "for a test")
        assert (status, "pantau verify" in said) == (0, True), said
        status, said = await pantau("export", "--camera", "cam-9", *span, "-o", str(tmp_path / "b.zip"))
        assert (status, "no footage" in said) == (1, True), said
        assert not (tmp_path / "b.zip").exists()
        status, said = await pantau("export", *two, *span, "-o", str(tmp_path / "b.mp4"))
        assert (status, "one camera" in said) == (2, True), said
        status, said = await pantau(
            "export", "--camera", "cam-1", *span, "--burn-in", "--no-wait", "-o", str(tmp_path / "c.mp4")
        )
        assert status == 0, said
        url = ["--url", front.url]
        status, got = await pantau("exports", "get", said.strip(), *url, "-o", str(tmp_path / "c.mp4"))
        assert (status, "encoded anew" in got) == (0, True), got
        assert len(decode(await asyncio.to_thread((tmp_path / "c.mp4").read_bytes), "mp4")) == pytest.approx(250, abs=1)
        status, listed = await pantau("exports", "list", *url)
        assert [line.split("\t")[1:4] for line in listed.splitlines()[1:]] == [
            ["done", "100 %", "clip"], ["done", "100 %", "bundle"], ["done", "100 %", "clip"],
        ]  # fmt: skip
        assert (await pantau("exports", "delete", said.strip(), *url))[0] == 0
        status, said = await pantau("exports", "get", said.strip(), *url)
        assert (status, "no such export" in said) == (1, True), said
        assert not [name for name in await asyncio.to_thread(os.listdir, tmp_path) if name.endswith(".part")]
    status, said = await pantau("verify", str(bundle))
    assert (status, "for a test" in said, "intact" in said) == (0, True, True), said


async def test_thinned_footage_is_handed_out_as_such(mesh_settings: MeshSettings, bus: Bus, tmp_path: Path) -> None:
    units = units_of(25 * 130, ago_seconds=600)
    ladder = "full 1m, keyframes 60d every 10s"
    async with site(mesh_settings, bus, tmp_path, "rec-1", recorder={"retention": ladder}) as (front, recorders):
        await kept(bus, recorders, "cam-1", units)
        await until(lambda: len(segments(tmp_path)) == 3 and len(recorders[0].disks.all[0].open_files()) == 1)
        recorders[0].hurry_housekeeping()
        await until(lambda: [row.tier for row in rows(tmp_path / "rec-1")] == [Tier.KEYFRAMES] * 2)
        verdict = await fetch(front, tmp_path / "bundle.zip", units, "cam-1")
        page = await asyncio.to_thread(lambda: zipfile.ZipFile(tmp_path / "bundle.zip").read("report.html").decode())
    assert verdict.findings == []
    assert verdict.manifest is not None
    assert verdict.manifest.thinned
    first, second, growing = verdict.manifest.cameras[0].parts
    assert [part.statement.tier for part in (first, second, growing)] == ["keyframes", "keyframes", "full"]
    assert second.statement.previous == first.statement.thinned_from
    assert growing.statement.previous == second.statement.thinned_from
    assert "thinned by retention" in page
