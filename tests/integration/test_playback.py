"""Recordings played through a relay: a real recorder, a real relay, a viewer over sockets."""

import asyncio
import time
from pathlib import Path

import pytest

from services.contracts.frames import AccessUnit
from services.contracts.recordings import FootageGap
from services.contracts.sessions import ClockControl, ClockNotice
from services.media.rtp import parse_rtp
from services.mesh.bus import Bus
from services.mesh.settings import MeshSettings
from tests.integration.recorded_playback import SECOND, marks, opened, played, player, record, states, take
from tests.integration.recorders import on_disk, running, until
from tests.recorder.units import FRAME_US, pictures
from tests.wall.relay.running import running_relay

pytestmark = pytest.mark.integration
FRAMES = 300
"""Six GOPs of 2 s; the last one is not on disk before the next begins."""


def footage(start_us: int, count: int = FRAMES, first_sequence: int = 1) -> list[AccessUnit]:
    return pictures(count=count, gop=50, start_us=start_us, first_sequence=first_sequence)


async def test_a_history_is_read_forwards_by_keyframes_and_backwards(
    bus: Bus, mesh_settings: MeshSettings, tmp_path: Path
) -> None:
    start = (time.time_ns() // 1000) - 60 * SECOND
    units = footage(start)
    keyframes = [unit.capture_us for unit in units if unit.keyframe]
    async with running(mesh_settings, tmp_path / "disk", "recorder-1") as recorder:
        await record(bus, recorder, "cam-1", units)
        middle = keyframes[1] + 3 * FRAME_US
        frames = await take(player(bus, "cam-1"), middle, "frames", 20)
        begun = [item.capture_us for item in frames if isinstance(item, AccessUnit)]
        assert begun[0] == pytest.approx(keyframes[1], abs=100)
        assert begun == pytest.approx([keyframes[1] + n * FRAME_US for n in range(20)], abs=100)
        first = frames[0]
        assert isinstance(first, AccessUnit)
        assert first.keyframe
        sent = next(unit for unit in units if unit.capture_us == keyframes[1])
        assert first.payload == sent.payload
        only = await take(player(bus, "cam-1"), middle, "keyframes", 2)
        assert [i.capture_us for i in only if isinstance(i, AccessUnit)] == pytest.approx(keyframes[1:3], abs=100)
        back = await take(player(bus, "cam-1"), middle, "backwards", 2)
        assert [i.capture_us for i in back if isinstance(i, AccessUnit)] == pytest.approx(keyframes[1::-1], abs=100)


async def test_a_gap_is_told_and_footage_goes_on_after_it(
    bus: Bus, mesh_settings: MeshSettings, tmp_path: Path
) -> None:
    start = (time.time_ns() // 1000) - 60 * SECOND
    before, after = footage(start, 50), footage(start + 10 * SECOND, 100, first_sequence=1000)
    async with running(mesh_settings, tmp_path / "disk", "recorder-1") as recorder:
        await record(bus, recorder, "cam-1", [*before, *after])
        items = await take(player(bus, "cam-1"), start, "frames", 52)
    gaps = [item for item in items if isinstance(item, FootageGap)]
    assert len(gaps) == 1
    assert gaps[0].to_us == pytest.approx(start + 10 * SECOND, abs=1000)
    assert isinstance(items[-1], AccessUnit)
    assert items[-1].capture_us == pytest.approx(start + 10 * SECOND, abs=1000)


async def test_two_slots_follow_one_clock_through_seek_play_pause_and_steps(
    bus: Bus, mesh_settings: MeshSettings, tmp_path: Path
) -> None:
    start = (time.time_ns() // 1000) - 60 * SECOND
    async with (
        running(mesh_settings, tmp_path / "disk", "recorder-1") as recorder,
        running_relay(bus, mesh_settings) as front,
    ):
        for name in ("cam-1", "cam-2"):
            await front.add_camera(name)
            await record(bus, recorder, name, footage(start))
        viewer = await opened(front, "cam-1", "cam-2")
        session = viewer.session.session
        moment = start + 2 * SECOND + FRAME_US // 2

        async def control(**fields: object) -> None:
            await front.control(session, ClockControl.model_validate(fields))

        async def stand(after_us: int) -> None:
            """Returns when both show the picture so long after the first."""
            sought = [pytest.approx(start + after_us, abs=1000)] * 2
            await until(lambda: [marks(front, viewer, slot)[-1].capture_us for slot in (0, 1)] == sought)

        await control(action="seek", at_us=moment)
        await until(lambda: all(marks(front, viewer, slot) for slot in (0, 1)))
        await stand(2 * SECOND)  # paused: the picture of the moment, and no other
        await until(lambda: states(front, viewer, 0)[-1] == states(front, viewer, 1)[-1] == "paused")
        count = len(viewer.frames(0))

        for step, after_us in (("frame", FRAME_US), ("-frame", 0), ("keyframe", 2 * SECOND), ("-keyframe", 0)):
            await control(action="step", step=step)
            await stand(2 * SECOND + after_us)

        began = time.monotonic()
        await control(action="play", rate=2.0)
        await until(lambda: len(viewer.frames(0)) - count > 30)
        await control(action="pause")
        passed_us = (time.monotonic() - began) * SECOND

        def clock() -> ClockNotice:
            return [notice for notice in front.notices[session] if isinstance(notice, ClockNotice)][-1]

        await until(lambda: not clock().playing)
        assert SECOND < clock().at_us - (start + 2 * SECOND) < 2 * passed_us
        await until(lambda: states(front, viewer, 0)[-1] == "paused")
        await viewer.close()


async def test_a_lost_last_packet_of_a_standing_picture_comes_again_unasked(
    bus: Bus, mesh_settings: MeshSettings, tmp_path: Path
) -> None:
    start = (time.time_ns() // 1000) - 60 * SECOND
    lost: list[int] = []
    async with (
        running(mesh_settings, tmp_path / "disk", "recorder-1") as recorder,
        running_relay(bus, mesh_settings) as front,
    ):
        await front.add_camera("cam-1")
        await record(bus, recorder, "cam-1", footage(start))
        viewer = await opened(front, "cam-1")
        await front.control(
            viewer.session.session, ClockControl(action="seek", at_us=start + 2 * SECOND + FRAME_US // 2)
        )
        await until(lambda: bool(states(front, viewer, 0)) and states(front, viewer, 0)[-1] == "paused")
        shown = len(viewer.frames(0))

        def lose(datagram: bytes) -> bool:
            """The packet with the end of the picture, the first time."""
            header = parse_rtp(datagram)
            if not header.marker or header.ssrc != viewer.ssrcs[0] or lost:
                return False
            lost.append(header.sequence)
            return True

        viewer.lose = lose
        await front.control(
            viewer.session.session, ClockControl(action="seek", at_us=start + 4 * SECOND + FRAME_US // 2)
        )
        await until(lambda: len(viewer.frames(0)) > shown)
        assert lost
        await viewer.close()


async def test_the_last_picture_of_a_camera_stands_although_nothing_comes_after_it(
    bus: Bus, mesh_settings: MeshSettings, tmp_path: Path
) -> None:
    start = (time.time_ns() // 1000) - 8 * SECOND  # so that the hole after it reaches to the present
    async with (
        running(mesh_settings, tmp_path / "disk", "recorder-1") as recorder,
        running_relay(bus, mesh_settings) as front,
    ):
        await front.add_camera("cam-1")
        await record(bus, recorder, "cam-1", footage(start, 100))
        await on_disk(bus, "cam-1", start, start + 4 * SECOND)
        viewer = await opened(front, "cam-1")
        seek = ClockControl(action="seek", at_us=start + 4 * SECOND - FRAME_US // 2)
        await front.control(viewer.session.session, seek)
        last = pytest.approx(start + 4 * SECOND - FRAME_US, abs=1000)
        await until(lambda: [mark.capture_us for mark in marks(front, viewer, 0)][-1:] == [last])
        await until(lambda: states(front, viewer, 0)[-1] == "paused")
        await asyncio.sleep(0.5)
        assert states(front, viewer, 0)[-1] == "paused", "it gave way to the hole after it"
        await viewer.close()


async def test_the_end_of_a_camera_shows_as_a_gap_there_and_does_not_stop_the_other(
    bus: Bus, mesh_settings: MeshSettings, tmp_path: Path
) -> None:
    start = (time.time_ns() // 1000) - 60 * SECOND
    async with (
        running(mesh_settings, tmp_path / "disk", "recorder-1") as recorder,
        running_relay(bus, mesh_settings) as front,
    ):
        for name, frames in (("cam-1", 100), ("cam-2", FRAMES)):
            await front.add_camera(name)
            await record(bus, recorder, name, footage(start, frames))
        viewer = await opened(front, "cam-1", "cam-2")
        play = ClockControl(action="play", at_us=start + SECOND, rate=2.0)
        await front.control(viewer.session.session, play)
        await until(lambda: "gap" in played(front, viewer, 0))
        shown = len(viewer.frames(1))
        await until(lambda: len(viewer.frames(1)) > shown)
        assert "gap" not in played(front, viewer, 1)
        await viewer.close()
