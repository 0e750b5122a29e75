"""Playback where footage ends or is still being written: at the present, and in holes."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from services.contracts.frames import AccessUnit
from services.contracts.recordings import FootageGap, TimelineQuestion
from services.contracts.sessions import ClockControl, ClockNotice
from services.footage.timeline import ask_timeline
from services.mesh.bus import Bus
from services.mesh.clock import TurnedClock
from services.mesh.settings import MeshSettings
from services.recorder.app import Recorder
from services.wall.relay.sources.playback import EDGE_US
from tests.integration.recorded_playback import SECOND, marks, opened, played, player, record, states, take
from tests.integration.recorders import Ingest, on_disk, running, until
from tests.integration.test_playback import footage
from tests.recorder.units import FRAME_US
from tests.wall.relay.running import Front, running_relay

pytestmark = pytest.mark.integration
PATIENCE_SECONDS = 60.0
SLACK_SECONDS = 4
"""The relay's clock is behind by them: so much later than on a quiet machine may footage be on disk."""


@asynccontextmanager
async def being_recorded(bus: Bus, settings: MeshSettings, disk: Path) -> AsyncIterator[tuple[Front, int]]:
    """A relay's front, and "cam-1", which a recorder has had for 12 s and goes on with; when that began, Unix µs."""
    clock = TurnedClock()
    clock.advance(-SLACK_SECONDS)
    async with (
        running(settings, disk, "recorder-1") as recorder,
        running_relay(bus, settings, clock=clock) as front,
        recording(bus, recorder, "cam-1", 300) as start_us,
    ):
        await front.add_camera("cam-1")
        yield front, start_us


@asynccontextmanager
async def recording(bus: Bus, recorder: Recorder, camera: str, before: int) -> AsyncIterator[int]:
    """Records ``before`` pictures up to now, and then goes on at the camera's pace; gives the first one's time, µs."""
    start_us = time.time_ns() // 1000 - before * FRAME_US
    units = footage(start_us, 3000)
    await record(bus, recorder, camera, units[: before + 1])

    async def go_on() -> None:
        ingest = Ingest(bus, camera)
        for unit in units[before + 1 :]:
            await asyncio.sleep(max(0.0, (unit.capture_us - time.time_ns() // 1000) / 1e6))
            await ingest.send([unit])

    task = asyncio.create_task(go_on())
    try:
        yield start_us
    finally:
        task.cancel()


async def test_the_end_of_what_is_recorded_is_an_open_gap_and_later_footage_follows_it(
    bus: Bus, mesh_settings: MeshSettings, tmp_path: Path
) -> None:
    start_us = time.time_ns() // 1000 - 20 * SECOND
    later = footage(start_us + 10 * SECOND, 100, first_sequence=1000)
    async with running(mesh_settings, tmp_path / "disk", "recorder-1") as recorder:
        await record(bus, recorder, "cam-1", footage(start_us, 51))
        async with aclosing(player(bus, "cam-1").read(start_us, "frames")) as items, asyncio.timeout(PATIENCE_SECONDS):
            first = [await anext(items) for _ in range(51)]
            assert all(isinstance(item, AccessUnit) for item in first[:50])
            end = first[50]
            assert isinstance(end, FootageGap)
            assert end.to_us is None, "footage may still come"
            await record(bus, recorder, "cam-1", later)
            played: list[int] = []
            async for item in items:  # the open gap may come again, and then closed
                played += [item.capture_us] if isinstance(item, AccessUnit) else []
                if len(played) == 51:
                    break
        # The first is the picture that waited for the end of its GOP when the hole began.
        assert played[1:] == pytest.approx([unit.capture_us for unit in later[:50]], abs=100)


async def test_a_hole_of_days_is_one_gap_with_its_true_end_and_before_the_first_footage_there_is_an_end(
    bus: Bus, mesh_settings: MeshSettings, tmp_path: Path
) -> None:
    start_us = time.time_ns() // 1000 - 20 * SECOND
    async with running(mesh_settings, tmp_path / "disk", "recorder-1") as recorder:
        await record(bus, recorder, "cam-1", footage(start_us, 51))
        gap, first = await take(player(bus, "cam-1"), start_us - 3 * 86_400 * SECOND, "frames", 2)
        assert isinstance(gap, FootageGap)
        assert gap.to_us == pytest.approx(start_us, abs=1000)
        assert isinstance(first, AccessUnit)
        async with (
            asyncio.timeout(PATIENCE_SECONDS),
            aclosing(player(bus, "cam-1").read(start_us, "backwards")) as back,
        ):
            items = [item async for item in back]
        assert [type(item) for item in items] == [
            AccessUnit,
            FootageGap,
            FootageGap,
        ]  # up to an hour before, and a year before


async def test_who_catches_up_with_the_recorder_watches_on_at_the_cameras_pace_without_a_gap(
    bus: Bus, mesh_settings: MeshSettings, tmp_path: Path
) -> None:
    async with being_recorded(bus, mesh_settings, tmp_path / "disk") as (front, start_us):
        viewer = await opened(front, "cam-1")
        session = viewer.session.session
        asked_us = time.time_ns() // 1000
        await front.control(session, ClockControl(action="play", at_us=start_us + SECOND, rate=4.0))

        def clocks() -> list[ClockNotice]:
            return [notice for notice in front.notices[session] if isinstance(notice, ClockNotice)]

        await until(lambda: clocks()[-1].playing and clocks()[-1].rate == 1.0, PATIENCE_SECONDS)
        caught = clocks()[-1]
        behind_us = time.time_ns() // 1000 - caught.at_us  # and as long as the notice was on its way
        assert behind_us > EDGE_US - SECOND // 2
        assert caught.at_us > asked_us - EDGE_US - (SLACK_SECONDS + 1) * SECOND, (
            "it had not caught up even with what there was at first"
        )
        count = len(marks(front, viewer, 0))
        # Three GOPs that were not on disk when the reading began.
        until_us = caught.at_us + 6 * SECOND
        await until(lambda: marks(front, viewer, 0)[-1].capture_us > until_us, PATIENCE_SECONDS)
        assert "gap" not in played(front, viewer, 0)
        for mark in marks(front, viewer, 0)[count:]:
            assert caught.at_us - SECOND < mark.capture_us
        await viewer.close()


async def test_a_moment_that_no_recorder_can_have_yet_is_answered_with_the_newest_footage(
    bus: Bus, mesh_settings: MeshSettings, tmp_path: Path
) -> None:
    async with being_recorded(bus, mesh_settings, tmp_path / "disk") as (front, start_us):
        await on_disk(bus, "cam-1", start_us, start_us + 11 * SECOND)
        viewer = await opened(front, "cam-1")
        asked_us = time.time_ns() // 1000
        question = TimelineQuestion(camera="cam-1", from_us=start_us, to_us=asked_us)
        found, _ = await ask_timeline(bus, "city", question, recorders=1)
        await front.control(viewer.session.session, ClockControl(action="seek", at_us=asked_us + 60 * SECOND))
        await until(lambda: bool(marks(front, viewer, 0)), PATIENCE_SECONDS)
        answered_us = time.time_ns() // 1000
        await until(lambda: states(front, viewer, 0)[-1] == "paused", PATIENCE_SECONDS)
        there_us = min(asked_us - EDGE_US - SLACK_SECONDS * SECOND, found.ranges[-1].to_us)
        # What it shows on the way there is told as well, and not in step with the states.
        await until(lambda: marks(front, viewer, 0)[-1].capture_us > there_us - SECOND // 2, PATIENCE_SECONDS)
        newest_us = marks(front, viewer, 0)[-1].capture_us
        assert newest_us < answered_us - EDGE_US + SECOND // 2
        await viewer.close()
