"""The recorder on a real bus."""

import asyncio
import time
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from services.contracts import subjects
from services.contracts.events import RecordingGap, SegmentClosed, parse
from services.contracts.frames import AccessUnit, Codec
from services.contracts.models import Assignment, Camera
from services.mesh.buckets import Bucket
from services.mesh.bus import Bus
from services.mesh.event_stream import ensure_stream
from services.mesh.nats_server import NatsServer
from services.mesh.settings import MeshSettings
from services.recorder.storage.fsck import check
from services.recorder.storage.index import ENDLESS_US, Index
from services.recorder.storage.paths import INDEX, RECORDINGS, RecordedStream
from services.recorder.storage.rows import Segment
from tests.integration.recorders import Ingest, assign, camera, keeping, recording, running, until
from tests.recorder.rig import decode
from tests.recorder.units import pictures, sounds
from tests.support.leases import LeaseBook

pytestmark = pytest.mark.integration


def segments(data: Path) -> list[Segment]:
    index = Index.open_for_reading(data / RECORDINGS / INDEX)
    try:
        return index.closed_segments()
    finally:
        index.close()


def live(count: int, **options: object) -> list[AccessUnit]:
    """Pictures whose last one is being taken now."""
    start_us = time.time_ns() // 1000 - count * 40_000
    return pictures(count=count, start_us=start_us, **options)  # type: ignore[arg-type]  # handed on


async def test_what_ingest_kept_and_what_follows_is_on_disk_and_announced(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    await ensure_stream(bus)
    events = []
    closed = await bus.js.subscribe("pantau.v1.city.recording.>", ordered_consumer=True)
    units = live(200)
    async with keeping(bus, tmp_path / "spool", "cam-1", "rec-1") as ingest:
        await ingest.send(units[75:90])  # before anybody records
        async with running(mesh_settings, tmp_path / "data", "rec-1") as recorder:
            await assign(bus, [camera("cam-1")], "rec-1")
            await until(lambda: "cam-1" in recorder.recordings.feeds)
            await ingest.send(units[90:])
            await until(lambda: recorder.recordings.feeds["cam-1"].recording.frames == 125)
            assert ingest.keep is not None
            await until(lambda: sum(len(kept.chunks) for kept in ingest.keep.cameras.values()) == 1)
    (segment,) = segments(tmp_path / "data")
    assert segment.frames == 125
    assert segment.start_us == units[75].capture_us
    path = tmp_path / "data" / RECORDINGS / segment.path
    assert len(decode(path)) == 125
    message = await closed.next_msg(timeout=30)
    events.append(parse(message.data, message.headers))
    event = events[0]
    assert isinstance(event, SegmentClosed)
    assert (event.camera, event.recorder, event.frames) == ("cam-1", "rec-1", 125)
    assert (tmp_path / "data" / RECORDINGS / event.path) == path


async def test_only_what_is_assigned_is_recorded_and_only_as_long(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    mine, other, off = camera("cam-1"), camera("cam-2"), camera("cam-3", record=False)
    async with running(mesh_settings, tmp_path / "data", "rec-1") as recorder:
        await assign(bus, [mine, off], "rec-1")
        await assign(bus, [other], "rec-2")
        await recording(recorder, "cam-1")
        units = live(100)
        for name in ("cam-1", "cam-2", "cam-3"):
            await Ingest(bus, name).send(units[:50])
        await until(lambda: recorder.recordings.feeds["cam-1"].recording.frames == 50)
        await assign(bus, [mine], "rec-2")
        await until(lambda: not recorder.recordings.feeds)
        await Ingest(bus, "cam-1").send(units[50:])
        await until(lambda: segments(tmp_path / "data"))
    assert [(s.stream.camera, s.frames) for s in segments(tmp_path / "data")] == [("cam-1", 50)]


async def test_sound_of_a_camera_that_has_it(mesh_settings: MeshSettings, bus: Bus, tmp_path: Path) -> None:
    async with running(mesh_settings, tmp_path / "data", "rec-1") as recorder:
        await assign(bus, [camera("cam-1", audio=True), camera("cam-2")], "rec-1")
        await recording(recorder, "cam-1", "cam-2")
        units = live(100)
        heard = sounds(Codec.PCM_ALAW, count=200, start_us=units[0].capture_us - 40_000)
        for name in ("cam-1", "cam-2"):
            both = sorted([*units, *heard], key=lambda unit: unit.capture_us)
            await Ingest(bus, name).send(both, pause_seconds=0.001)
        await until(lambda: all(feed.recording.frames == 100 for feed in recorder.recordings.feeds.values()))
    audio = {s.stream.camera: s.audio for s in segments(tmp_path / "data")}
    assert audio == {"cam-1": "pcm_alaw", "cam-2": ""}


async def test_a_restart_is_a_gap_and_the_disks_keep_the_recorder_s_name(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    await ensure_stream(bus)
    units = live(200, gop=25)
    ingest = Ingest(bus, "cam-1")
    async with running(mesh_settings, tmp_path / "data", "rec-1") as recorder:
        await assign(bus, [camera("cam-1")], "rec-1")
        await recording(recorder, "cam-1")
        await ingest.send(units[:50])
        await until(lambda: recorder.recordings.feeds["cam-1"].recording.frames == 50)
    gaps = await bus.js.subscribe("pantau.v1.city.recording.gap.cam-1", ordered_consumer=True)
    async with running(mesh_settings, tmp_path / "data", "rec-1") as recorder:
        await recording(recorder, "cam-1")
        await ingest.send(live(50, first_sequence=1000))
        await until(lambda: recorder.recordings.feeds["cam-1"].recording.frames == 50)
        message = await gaps.next_msg(timeout=30)
    gap = parse(message.data, message.headers)
    assert isinstance(gap, RecordingGap)
    first, second = segments(tmp_path / "data")
    assert (gap.from_us, gap.to_us, gap.cause) == (first.end_us, second.start_us, "recorder-down")


async def test_a_stand_in_accounts_for_what_nobody_recorded_since_the_other_was_heard_last(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    silent_since_us = time.time_ns() // 1000 - 30_000_000
    catalogue = await Bucket.open(bus, subjects.CAMERAS_BUCKET, Camera)
    assignments = await Bucket.open(bus, subjects.ASSIGNMENTS_BUCKET, Assignment)
    await catalogue.put("cam-1", camera("cam-1"))
    made = Assignment(
        camera="cam-1", site="city", workers=("rec-2",), incarnations=(0,), homes=("rec-1",),
        silent_since_us=silent_since_us,
    )  # fmt: skip
    await assignments.put("recorder.cam-1", made)
    async with running(mesh_settings, tmp_path / "data", "rec-2") as recorder:
        await recording(recorder, "cam-1")
        await Ingest(bus, "cam-1").send(live(50))
        await until(lambda: recorder.recordings.feeds["cam-1"].recording.frames == 50)
    (segment,) = segments(tmp_path / "data")
    with closing(Index.open_for_reading(tmp_path / "data" / RECORDINGS / INDEX)) as index:
        (gap,) = index.gaps(RecordedStream("city", "cam-1", "main"), 0, ENDLESS_US)
    assert (gap.from_us, gap.to_us, gap.cause) == (silent_since_us, segment.start_us, "recorder-lost")


async def test_neither_a_bus_nor_a_recorder_that_restarts_costs_a_frame_that_ingest_keeps(
    mesh_settings: MeshSettings, nats_server: NatsServer, bus: Bus, tmp_path: Path
) -> None:
    units = live(200)
    data = tmp_path / "data"
    async with keeping(bus, tmp_path / "spool", "cam-1", "rec-1") as ingest:
        async with running(mesh_settings, data, "rec-1") as recorder:
            await assign(bus, [camera("cam-1")], "rec-1")
            await until(lambda: "cam-1" in recorder.recordings.feeds)
            await ingest.send(units[:90])
            await until(lambda: recorder.recordings.feeds["cam-1"].recording.frames == 90)
            await nats_server.stop()
            await until(lambda: not bus.connected and not recorder.service.bus.connected)
            ingest.keep_units(units[90:120])  # nobody hears it
            await nats_server.start()
            await until(lambda: bus.connected and recorder.service.bus.connected)
            await until(lambda: recorder.recordings.feeds["cam-1"].recording.frames == 120)
            await ingest.send(units[120:160])
            await until(lambda: recorder.recordings.feeds["cam-1"].recording.frames == 160)
            assert recorder.recordings.feeds["cam-1"].recording.lost == 0
        # It leaves the GOP that it has not written to ingest, and begins with it.
        ingest.keep_units(units[160:180])
        async with running(mesh_settings, data, "rec-1") as recorder:
            await until(lambda: "cam-1" in recorder.recordings.feeds)
            await ingest.send(units[180:])
            await until(lambda: recorder.recordings.feeds["cam-1"].feed.positions.get(1) == units[-1].sequence)
    found = segments(data)
    assert sum(segment.frames for segment in found) == 175  # the last GOP is ingest's again
    assert all(a.end_us <= b.start_us for a, b in pairwise(found))


async def test_what_a_worker_kept_that_was_cut_off_goes_into_the_past_when_it_is_back(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    units = live(200)
    cut_off, other = units[:100], live(100, epoch=2, first_sequence=10_000)
    other = [unit._replace(capture_us=units[75].capture_us + (unit.capture_us - other[0].capture_us)) for unit in other]
    data = tmp_path / "data"
    async with running(mesh_settings, data, "rec-1") as recorder:
        await assign(bus, [camera("cam-1")], "rec-1")
        await recording(recorder, "cam-1")
        await Ingest(bus, "cam-1").send(cut_off[:50])
        await until(lambda: recorder.recordings.feeds["cam-1"].recording.frames == 50)
        await Ingest(bus, "cam-1").send(other)
        await until(lambda: recorder.recordings.feeds["cam-1"].recording.frames == 150)
        async with keeping(bus, tmp_path / "spool", "cam-1", "rec-1") as ingest:
            ingest.keep_units(cut_off)
            assert ingest.keep is not None
            kept = ingest.keep.camera("city", "cam-1")
            kept.end_reading()
            await until(lambda: not kept.chunks)  # acknowledged
    found = segments(data)
    assert [segment.frames for segment in found] == [50, 25, 100]
    assert all(abs(b.start_us - a.end_us) < 40_000 for a, b in pairwise(found))
    assert check(data, verify=True).clean


async def test_two_recorders_keep_out_of_each_other_s_directory(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    del bus
    from services.recorder.storage.identity import DirectoryTakenError

    async with running(mesh_settings, tmp_path / "data", "rec-1") as recorder:
        await until(lambda: recorder.disks.all[0].usable)
        with pytest.raises(ExceptionGroup) as refused:
            async with running(mesh_settings, tmp_path / "data", "rec-2"):
                await asyncio.sleep(90)
        assert refused.group_contains(DirectoryTakenError)


async def test_the_recorder_is_seen_by_its_lease(mesh_settings: MeshSettings, bus: Bus, tmp_path: Path) -> None:
    leases = LeaseBook(bus)
    async with running(mesh_settings, tmp_path / "data", "rec-1", capacity=7):
        async with asyncio.timeout(90):
            while (found := await leases.get("recorder.rec-1")) is None:
                await asyncio.sleep(0.05)
        assert (found.role, found.capacity) == ("recorder", 7)
    await until(lambda: not leases.workers.alive("recorder"))
    leases.close()
