"""Every rate and step, in decoded pictures; sixteen cameras at once, by the times at which their pictures arrive."""

import asyncio
import time
from pathlib import Path

import pytest

from services.contracts.sessions import Lateness
from services.mesh.bus import Bus
from services.mesh.settings import MeshSettings
from tests.integration.recorded_playback import FPS, GOP, PATIENCE_SECONDS, Playing, playing, rests
from tests.integration.recorders import until
from tests.integration.test_playback_converted import notice, seen

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

CAMERAS = 16


async def shows(wall: Playing, slot: int, number: int) -> None:
    """Returns when a slot's newest picture is that one."""
    await until(lambda: seen(wall.viewer, slot)[-1:] == [number], PATIENCE_SECONDS)


async def further(wall: Playing, before: int, begin: int, count: int) -> list[int]:
    """The next pictures after ``before``, but for number ``begin``, which is shown again where reading changes."""
    found: list[int] = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(found) < count:
            await asyncio.sleep(0.02)
            found = [number for number in seen(wall.viewer, since=before) if number != begin]
    return found[:count]


async def test_every_rate_shows_its_pictures_at_its_pace(bus: Bus, mesh_settings: MeshSettings, tmp_path: Path) -> None:
    async with playing(bus, mesh_settings, tmp_path, 1) as wall:
        for rate in (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, -0.5, -2.0, -16.0):
            begin = 6 * GOP
            wall.viewer.packets.clear()  # all that came before would be decoded again at every look
            await wall.control(action="seek", at_us=wall.at(begin))
            await shows(wall, 0, begin)
            before, began = len(seen(wall.viewer)), time.monotonic()
            await wall.control(action="play", rate=rate)
            by_keyframes = rate < 0 or rate >= 8
            count = 2 if by_keyframes else max(4, round(12 * rate))
            numbers = await further(wall, before, begin, count)
            took = time.monotonic() - began
            await wall.control(action="pause")
            step = 1 if not by_keyframes else GOP if rate > 0 else -GOP
            assert numbers == [begin + step * (1 + n) for n in range(count)], rate
            # The clock began in the middle of a picture. None comes before its time.
            assert took >= (abs(numbers[-1] - begin) - 0.5) / FPS / abs(rate) - 1 / FPS, rate


async def test_at_32_times_a_slot_is_sent_ten_keyframes_a_second_and_no_more(
    bus: Bus, mesh_settings: MeshSettings, tmp_path: Path
) -> None:
    async with playing(bus, mesh_settings, tmp_path, 1) as wall:
        await wall.control(action="seek", at_us=wall.at(0))
        await shows(wall, 0, 0)
        before = len(seen(wall.viewer))
        await wall.control(action="play", rate=32.0)
        assert await further(wall, before, 0, 2) == [4 * GOP, 8 * GOP]


async def test_steps_go_by_one_picture_and_by_one_keyframe_both_ways(
    bus: Bus, mesh_settings: MeshSettings, tmp_path: Path
) -> None:
    # passes if nothing raises
    async with playing(bus, mesh_settings, tmp_path, 2) as wall:
        await wall.control(action="seek", at_us=wall.at(110))
        for step, number in (
            ("", 110), ("frame", 111), ("frame", 112), ("-frame", 111), ("-keyframe", 100), ("-frame", 99),
            ("keyframe", 100), ("keyframe", 125), ("-keyframe", 100), ("-keyframe", 75), ("frame", 76),
        ):  # fmt: skip
            if step:
                await wall.control(action="step", step=step)
            for slot in (0, 1):
                await shows(wall, slot, number)


async def test_a_page_that_is_late_is_sent_keyframes_alone_and_all_again_when_it_goes_slower(
    bus: Bus, mesh_settings: MeshSettings, tmp_path: Path
) -> None:
    async with playing(bus, mesh_settings, tmp_path, 2) as wall:
        session = wall.viewer.session.session

        def limited() -> list[str]:
            return [notice(wall.front, wall.viewer, slot).limited for slot in (0, 1)]

        async def told(late_ms: float, wanted: str) -> None:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while limited() != [wanted] * 2:
                    await wall.front.control(session, Lateness(late_ms=late_ms))
                    await asyncio.sleep(0.2)

        await wall.control(action="play", at_us=wall.at(0), rate=1.0)
        await told(900, "keyframes")
        assert notice(wall.front, wall.viewer).limited_by == "decoding"
        wall.viewer.packets.clear()
        await until(lambda: len(seen(wall.viewer)) > 1, PATIENCE_SECONDS)
        assert [number % GOP for number in seen(wall.viewer)] == [0] * len(seen(wall.viewer))
        await wall.control(action="play", rate=0.5)
        await told(0, "none")
        before = len(seen(wall.viewer))
        await until(lambda: len(seen(wall.viewer)) > before + 3, PATIENCE_SECONDS)


async def test_sixteen_cameras_play_and_stop_at_the_same_moment(
    bus: Bus, mesh_settings: MeshSettings, tmp_path: Path
) -> None:
    """How close together their pictures arrive while they play, `bench check` measures."""
    async with playing(bus, mesh_settings, tmp_path, CAMERAS) as wall:
        await wall.control(action="seek", at_us=wall.at(10))
        for slot in range(CAMERAS):
            await wall.stands(slot, 10)
        begun = [len(wall.viewer.frames(slot)) for slot in range(CAMERAS)]
        await wall.control(action="play", rate=1.0)
        for slot, before in enumerate(begun):
            await until(lambda s=slot, n=before: len(wall.viewer.frames(s)) > n + FPS, PATIENCE_SECONDS)
        await wall.control(action="pause")
        await rests(wall.viewer)

        def newest() -> set[int]:
            return {seen(wall.viewer, slot)[-1] for slot in range(CAMERAS)}

        await until(lambda: len(newest()) == 1, PATIENCE_SECONDS)
        assert newest() != {10}
