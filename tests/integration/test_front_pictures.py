"""Pictures of the past over HTTP: thumbnails of every codec, thinned footage too, and contact sheets."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from services.contracts.events import Audit, parse
from services.contracts.frames import AccessUnit, Codec
from services.contracts.recordings import TimelineQuestion
from services.footage.timeline import ask_timeline
from services.mesh.bus import Bus
from services.mesh.event_stream import ensure_stream
from services.mesh.settings import MeshSettings
from services.wall.front.http.times import rfc3339
from tests.integration.recorders import assign, camera, record, running, seen
from tests.recorder.units import FRAME_US, pictures
from tests.wall.front.running import RunningFront, running_front, viewer_account

pytestmark = pytest.mark.integration

CODECS = {"cam-h264": Codec.H264, "cam-h265": Codec.HEVC, "cam-mjpeg": Codec.MJPEG}
SECOND = 1_000_000
GOP_US = 25 * FRAME_US
COUNT = 25 * 70
"""Longer than a segment, so that one is closed."""


def brightness(jpeg: bytes) -> int:
    """The number in a picture of `tests.media.encoded`."""
    return round(float(np.asarray(Image.open(BytesIO(jpeg)).convert("L"))[:6, :6].mean()))


def number_at(index: int) -> int:
    """What `brightness` finds in the picture that was fed as number ``index``."""
    return 16 + 3 * (index % 100) % 220


@asynccontextmanager
async def recorded(
    mesh: MeshSettings,
    bus: Bus,
    folder: Path,
    codecs: dict[str, Codec],
    *,
    retention: str = "full 10d",
    **front: Any,
) -> AsyncIterator[tuple[RunningFront, Sequence[AccessUnit]]]:
    """Seventy seconds of each camera on a recorder's disk, and a front; yields the last camera's units."""
    await ensure_stream(bus)
    start_us = time.time_ns() // 1_000_000_000 * SECOND - 300 * SECOND
    units: Sequence[AccessUnit] = []
    async with (
        running(mesh, folder / "recorder", "rec-1", retention=retention) as recorder,
        running_front(mesh, **front) as running_one,
    ):
        for name, codec in codecs.items():
            units = pictures(codec, count=COUNT, start_us=start_us)
            await assign(bus, [camera(name)], "rec-1")
            await record(bus, name, units, recorder)
        recorder.hurry_housekeeping()
        await seen(running_one.bus, 1)
        yield running_one, units


def path(name: str, what: str, **query: object) -> str:
    return f"/api/v1/cameras/{name}/{what}?" + "&".join(f"{key}={value}" for key, value in query.items())


async def test_a_thumbnail_is_the_keyframe_at_or_before_the_moment_in_every_codec(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    async with recorded(mesh_settings, bus, tmp_path, CODECS) as (front, units):
        start_us = units[0].capture_us
        for name, codec in CODECS.items():
            for index in (0, 30, 99, 100, 1501):
                at = rfc3339(units[index].capture_us + FRAME_US // 2)
                async with front.http.get(path(name, "snapshot.jpg", at=at, picture="keyframe", width=80)) as answer:
                    assert (answer.status, answer.content_type) == (200, "image/jpeg"), await answer.text()
                    jpeg = await answer.read()
                    taken, etag = answer.headers["Pantau-Capture-Time"], answer.headers["ETag"]
                    assert "max-age=3600" in answer.headers["Cache-Control"]
                keyframe = index if codec is Codec.MJPEG else index // 25 * 25
                expected = start_us + keyframe * FRAME_US
                assert abs(brightness(jpeg) - number_at(keyframe)) <= 6, (name, index)
                assert taken[:23] == rfc3339(expected)[:23]
                assert Image.open(BytesIO(jpeg)).width == 80
                again = path(name, "snapshot.jpg", at=at, picture="keyframe", width=80)
                async with front.http.get(again, headers={"If-None-Match": etag}) as answer:
                    assert answer.status == 304


async def test_a_keyframe_is_decoded_once_however_often_its_moments_are_asked_for(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    from services.wall.front.pictures import snapshot_cache

    async with recorded(mesh_settings, bus, tmp_path, {"cam-1": Codec.H264}) as (front, units):
        decoded = snapshot_cache._decoded
        before = decoded._value.get()

        async def ask(index: int) -> int:
            at = rfc3339(units[index].capture_us)
            async with front.http.get(path("cam-1", "snapshot.jpg", at=at, picture="keyframe", width=160)) as answer:
                await answer.read()
                return answer.status

        assert await asyncio.gather(*(ask(index) for index in range(50, 75))) == [200] * 25
        assert decoded._value.get() - before == 1


async def test_a_moment_without_footage_says_why_and_where_the_nearest_is(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    async with recorded(mesh_settings, bus, tmp_path, {"cam-1": Codec.H264}) as (front, units):
        first = units[0].capture_us
        for picture in ("keyframe", "exact"):
            at = rfc3339(first - 3600 * SECOND)
            async with front.http.get(path("cam-1", "snapshot.jpg", at=at, picture=picture)) as answer:
                problem = await answer.json()
                assert (answer.status, problem["code"]) == (404, "no-footage")
                assert answer.headers["Pantau-Nearest"] == rfc3339(first)
                assert rfc3339(first) in problem["detail"]
        at = rfc3339(first - 400 * 86_400 * SECOND)
        async with front.http.get(path("cam-1", "snapshot.jpg", at=at, picture="keyframe")) as answer:
            assert (await answer.json())["code"] == "no-footage"
            assert "Pantau-Nearest" not in answer.headers
        async with front.http.get(path("nobody", "snapshot.jpg", at=at, picture="keyframe")) as answer:
            assert (await answer.json())["code"] == "not-found"


async def test_thinned_footage_has_pictures_and_sheets_say_so(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    ladder = "full 1s, keyframes 30d every 5s"
    async with recorded(mesh_settings, bus, tmp_path, {"cam-1": Codec.H264}, retention=ladder) as (front, units):
        first = units[0].capture_us
        question = TimelineQuestion(camera="cam-1", from_us=first, to_us=first + 30 * SECOND)
        async with asyncio.timeout(90):
            while (await ask_timeline(bus, "city", question, recorders=1))[0].ranges[0].tier != "keyframes":
                await asyncio.sleep(0.1)
        at = rfc3339(first + 9 * SECOND)
        async with front.http.get(path("cam-1", "snapshot.jpg", at=at, picture="keyframe")) as answer:
            assert answer.status == 200, await answer.text()
            taken = answer.headers["Pantau-Capture-Time"]
        assert rfc3339(first + 4 * SECOND) <= taken <= at, "at most one kept keyframe away"
        span = {"from": rfc3339(first), "to": rfc3339(first + 40 * SECOND)}
        async with front.http.get(path("cam-1", "contact-sheet.jpg", columns=2, rows=2, width=160, **span)) as answer:
            assert answer.status == 200, await answer.text()
            await answer.read()


async def test_a_contact_sheet_shows_the_range_with_its_gaps_and_is_audited(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    async with recorded(mesh_settings, bus, tmp_path, {"cam-1": Codec.H264}) as (front, units):
        audits = await bus.js.subscribe("pantau.v1.*.audit.>", ordered_consumer=True)
        first = units[0].capture_us
        span = {"from": rfc3339(first - 20 * SECOND), "to": rfc3339(first + 20 * SECOND)}
        async with front.http.get(path("cam-1", "contact-sheet.jpg", columns=2, rows=2, width=160, **span)) as answer:
            assert (answer.status, answer.content_type) == (200, "image/jpeg"), await answer.text()
            sheet = np.asarray(Image.open(BytesIO(await answer.read())).convert("L")).astype(int)
        height = round(160 * 90 / 162 / 2) * 2
        gap, shown = sheet[36 : 34 + height - 4, 6:166], sheet[36 + height + 28 : 34 + 2 * height + 22, 6:166]
        assert gap.max() < 200 < shown.max(), "ten seconds before the footage are a gap, its first picture is none"
        event = parse(*((message := await audits.next_msg(timeout=30)).data, message.headers))
        assert isinstance(event, Audit)
        assert event.detail["as"] == "contact-sheet.jpg"
        before = {"from": rfc3339(first - 90 * SECOND), "to": rfc3339(first - 20 * SECOND)}
        async with front.http.get(path("cam-1", "contact-sheet.jpg", **before)) as answer:
            assert (answer.status, (await answer.json())["code"]) == (404, "no-footage")
        for wrong in ({"columns": 12, "rows": 11}, {"columns": 12, "width": 900}, {"columns": 0}):
            async with front.http.get(path("cam-1", "contact-sheet.jpg", **span, **wrong)) as answer:
                assert answer.status == 422, wrong


async def test_a_viewer_may_look_at_keyframes_and_sheets(mesh_settings: MeshSettings, bus: Bus, tmp_path: Path) -> None:
    file, headers = viewer_account(tmp_path)
    async with recorded(mesh_settings, bus, tmp_path, {"cam-1": Codec.H264}, accounts_file=file) as (front, units):
        at = rfc3339(units[30].capture_us)
        for picture, status in (("keyframe", 200), ("exact", 403)):
            url = path("cam-1", "snapshot.jpg", at=at, picture=picture, width=80)
            async with front.http.get(url, headers=headers) as answer:
                assert answer.status == status
        span = {"from": at, "to": rfc3339(units[200].capture_us)}
        async with front.http.get(path("cam-1", "contact-sheet.jpg", **span), headers=headers) as answer:
            assert answer.status == 200
