"""Several directories end to end: placed by free space; one that goes costs its own recordings alone, and says so."""

import asyncio
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from services.contracts.events import StorageLow, parse
from services.contracts.frames import AccessUnit
from services.contracts.recordings import FootageTimeline, TimelineQuestion
from services.footage.timeline import ask_timeline
from services.mesh.bus import Bus
from services.mesh.clock import TurnedClock
from services.mesh.event_stream import ensure_stream
from services.mesh.settings import MeshSettings
from services.recorder.app import Recorder
from services.recorder.storage import disks
from tests.integration.recorders import Ingest, assign, camera, caught_up, running, until, written
from tests.recorder.units import FRAME_US, pictures

pytestmark = pytest.mark.chaos
GOP_US = 1_080_000
"""And what is told of a GOP is told when the next one begins."""
NOTICED_US = 40_000_000
"""A disk's failure is noticed within a second or two; meanwhile footage comes here many times as fast as live."""
CAMERAS = ("cam-1", "cam-2", "cam-3", "cam-4")


async def timeline(bus: Bus, name: str, units: list[AccessUnit]) -> FootageTimeline:
    question = TimelineQuestion(camera=name, from_us=units[0].capture_us, to_us=units[-1].capture_us + FRAME_US)
    return (await ask_timeline(bus, "city", question, recorders=1))[0]


async def send(bus: Bus, recorder: Recorder, units: list[AccessUnit], names: tuple[str, ...] = CAMERAS) -> None:
    """A second at a time, and waits until all of it has come and is written."""
    for start in range(0, len(units), 25):
        some = units[start : start + 25]
        for name in names:
            await Ingest(bus, name).send(some)
        last_us = some[-1].capture_us
        await until(lambda us=last_us: all(caught_up(recorder, n)._last_capture_us >= us for n in names))
        await written(recorder)
        await asyncio.sleep(0.01)  # a disk that fails is told from its thread


def lasting(history: FootageTimeline) -> set[str]:
    """Causes of the gaps that last. One without a length remarks what a slow machine first took for a gap."""
    return {gap.cause for gap in history.gaps if gap.to_us != gap.from_us}


def metric(name: str, directory: Path) -> float:
    return REGISTRY.get_sample_value(f"pantau_{name}", {"directory": str(directory)}) or 0.0


def run(*command: object) -> None:
    subprocess.run([str(part) for part in command], check=True)


@pytest.mark.parametrize("what", ["gone", "read-only"])
async def test_a_directory_that_goes_costs_its_own_recordings_alone_and_comes_back_with_them(
    what: str,
    mesh_settings: MeshSettings,
    bus: Bus,
    tmp_path: Path,
    disk_pair: list[Path],
) -> None:
    clock = TurnedClock()
    await ensure_stream(bus)
    told = await bus.js.subscribe("pantau.v1.city.recording.storage_low.rec-1", ordered_consumer=True)
    stays, goes = disk_pair
    aside = tmp_path / "aside"
    aside.mkdir()
    run("mount", "--bind", goes, aside)  # so that it can come back
    units = pictures(count=25 * 150, start_us=time.time_ns() // 1000 - 150_000_000)
    first, second, third = units[: 25 * 65], units[25 * 65 : 25 * 135], units[25 * 135 :]
    try:
        async with running(
            mesh_settings, tmp_path / "data", "rec-1", directories=(stays, goes), clock=clock
        ) as recorder:
            await assign(bus, [camera(name) for name in CAMERAS], "rec-1")
            await until(lambda: set(recorder.recordings.feeds) == set(CAMERAS))
            for name in CAMERAS:
                await send(bus, recorder, first[:25], (name,))
            await send(bus, recorder, first[25:])
            where = {stream.camera: disk.directory for stream, disk in recorder.disks.streams.items()}
            # Always where there is more room for each.
            assert Counter(where.values()) == {stays: 2, goes: 2}, where

            run("umount", "-l", goes)
            if what == "read-only":
                run("mount", "-o", "bind,ro", aside, goes)
            await send(bus, recorder, second)
            failed = next(disk for disk in recorder.disks.all if disk.directory == goes)
            assert failed.failure is not None
            assert metric("recorder_disk_failures_total", goes) >= 1
            await until(lambda: metric("recorder_disk_usable", goes) == 0)
            assert metric("recorder_disk_usable", stays) == 1
            message = await told.next_msg(timeout=30)
            event = parse(message.data, message.headers)
            assert isinstance(event, StorageLow)
            assert (event.directory, event.free_bytes) == (str(goes), 0)
            assert ("[Errno 2]" if what == "gone" else "[Errno 30]") in event.because
            for name in CAMERAS:
                (found,) = (await timeline(bus, name, units)).ranges
                assert found.to_us == pytest.approx(second[-1].capture_us, abs=GOP_US)
                if where[name] == stays:
                    assert found.from_us == units[0].capture_us
                else:  # it goes on elsewhere, and what was there is not there now
                    assert first[-1].capture_us < found.from_us < second[-1].capture_us - 5 * GOP_US

            if what == "read-only":
                run("umount", goes)
            run("mount", "--bind", aside, goes)
            clock.advance(disks.RETRY_SECONDS)
            await until(lambda: failed.failure is None)
            await send(bus, recorder, third)
            for name in CAMERAS:
                history = await timeline(bus, name, units)
                async with asyncio.timeout(90):
                    # Gaps are written at the next pass of the syncer; until then a hole is of unknown cause.
                    while where[name] == goes and lasting(history) != {"disk-failed"}:
                        await asyncio.sleep(0.1)
                        history = await timeline(bus, name, units)
                assert history.ranges[0].from_us == units[0].capture_us
                assert history.ranges[-1].to_us == pytest.approx(units[-1].capture_us, abs=GOP_US)
                if where[name] == stays:
                    assert (len(history.ranges), lasting(history)) == (1, set())
                else:
                    assert lasting(history) == {"disk-failed"}
                    lost_us = sum((gap.to_us or 0) - gap.from_us for gap in history.gaps)
                    assert 0 < lost_us < NOTICED_US
    finally:
        run("umount", "-l", aside)
