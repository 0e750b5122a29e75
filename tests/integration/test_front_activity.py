"""Activity over HTTP, out of two recorders' footage from before they were started."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from services.contracts.frames import AccessUnit
from services.mesh.bus import Bus
from services.mesh.event_stream import ensure_stream
from services.mesh.settings import MeshSettings
from services.recorder.storage.paths import RecordedStream
from services.wall.front.http.times import rfc3339
from tests.integration.recorders import assign, camera, running
from tests.recorder.rig import Rig
from tests.recorder.units import pictures
from tests.wall.front.running import RunningFront, running_front

pytestmark = pytest.mark.integration

S = 1_000_000
# A whole minute: then it is known in which slots of 4 s the movement lies.
START_US = int(time.time()) // 60 * 60 * S - 600 * S
BUSY = {"cam-1": (60, 70), "cam-2": (150, 160)}
"""Seconds from the start in which something moves, by camera; each has a recorder of its own."""
FILLER = (2000).to_bytes(4, "big") + b"\x0c" + b"\xff" * 1998 + b"\x80"


def scene(camera_id: str) -> list[AccessUnit]:
    begin, end = BUSY[camera_id]
    units = pictures(count=180 * 25, gop=100, start_us=START_US)
    return [
        unit._replace(payload=unit.payload + FILLER) if begin * 25 <= number < end * 25 and not unit.keyframe else unit
        for number, unit in enumerate(units)
    ]


def record(folder: Path, camera_id: str) -> None:
    with Rig(folder) as rig:
        rig.feed(scene(camera_id), RecordedStream("city", camera_id, "main"))
        rig.settle()


async def get(front: RunningFront, path: str) -> Any:
    async with front.http.get(f"/api/v1/{path}") as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


def moment(second: float) -> str:
    return rfc3339(START_US + int(second * S))


async def test_activity_is_found_across_cameras_and_recorders(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    await ensure_stream(bus)
    for camera_id in BUSY:
        await asyncio.to_thread(record, tmp_path / camera_id, camera_id)
    both = "camera=cam-1&camera=cam-2"
    async with (
        running(mesh_settings, tmp_path / "cam-1", "rec-1"),
        running(mesh_settings, tmp_path / "cam-2", "rec-2"),
        running_front(mesh_settings) as front,
    ):
        await assign(bus, [camera("cam-1"), camera("cam-2")])
        async with asyncio.timeout(90):
            while True:
                busiest = f"activity/busiest?{both}&from={moment(0)}&to={moment(180)}&most=2"
                async with front.http.get(f"/api/v1/{busiest}") as answer:
                    minutes = (await answer.json()).get("minutes", []) if answer.status == 200 else []
                if {minute["from"] for minute in minutes} == {moment(60), moment(120)}:
                    break  # all segments are judged
                await asyncio.sleep(0.2)
        assert {minute["camera"] for minute in minutes} == set(BUSY)
        assert all(minute["level"] > 0 for minute in minutes)

        timeline = await get(front, f"cameras/cam-1/timeline?from={moment(0)}&to={moment(180)}")
        active = [item for item in timeline["activity"] if item["level"] >= 0.5]
        assert active[0]["from"] == moment(60)
        assert active[-1]["to"] <= moment(76)

        for at, direction, expected in (
            (0, "forwards", ("cam-1", 60)),
            (61, "forwards", ("cam-2", 148)),
            (180, "backwards", ("cam-2", 148)),
            (140, "backwards", ("cam-1", 60)),
            (170, "forwards", None),
            (30, "backwards", None),
        ):
            found = (await get(front, f"activity/next?{both}&at={moment(at)}&direction={direction}"))["activity"]
            assert (found and (found["camera"], found["from"])) == (expected and (expected[0], moment(expected[1]))), (
                at,
                direction,
            )

        for bad in (
            "activity/next?at=now",
            f"activity/next?{both}",
            f"activity/busiest?{both}&from={moment(9)}&to={moment(1)}",
        ):
            async with front.http.get(f"/api/v1/{bad}") as answer:
                assert answer.status == 422, bad
