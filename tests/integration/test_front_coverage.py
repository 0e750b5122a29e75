"""Coverage over HTTP: two recorders, one statement; the daily statement on the bus."""

import asyncio
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from services.contracts.events import RecordingCoverage, parse
from services.contracts.recordings import GapCause
from services.mesh.bus import Bus
from services.mesh.clock import ManualClock
from services.mesh.event_stream import ensure_stream
from services.mesh.settings import MeshSettings
from services.recorder.reading.coverage import DAY_US
from services.recorder.storage.index import Index
from services.recorder.storage.paths import INDEX, RECORDINGS
from services.wall.front.http.times import rfc3339
from tests.integration.recorders import assign, camera, record, running, seen, until
from tests.recorder.units import pictures
from tests.wall.front.running import running_front, viewer_account

pytestmark = pytest.mark.integration

SECOND = 1_000_000
COVERAGE = "/api/v1/coverage"


async def test_two_recorders_make_one_statement_with_every_gap_and_its_cause(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    await ensure_stream(bus)
    start = time.time_ns() // 1_000_000_000 * SECOND - 300 * SECOND
    first, second = pictures(count=500, start_us=start), pictures(count=500, start_us=start + 40 * SECOND, epoch=2)
    async with (
        running(mesh_settings, tmp_path / "1", "rec-1") as one,
        running(mesh_settings, tmp_path / "2", "rec-2") as two,
        running_front(mesh_settings) as front,
    ):
        await assign(bus, [camera("cam-1"), camera("cam-2"), camera("cam-3", record=False)], "rec-1")
        await record(bus, "cam-1", first, one)
        await assign(bus, [camera("cam-1")], "rec-2")
        await until(lambda: "cam-1" not in one.recordings.feeds)
        await record(bus, "cam-1", second, two)
        await seen(front.bus, 2)
        query = f"from={rfc3339(start)}&to={rfc3339(start + 58 * SECOND)}"
        async with front.http.get(f"{COVERAGE}?{query}") as answer:
            assert answer.status == 200, await answer.text()
            body = await answer.json()
        assert body["complete"]
        assert [item["recorder"] for item in body["recorders"]] == ["rec-1", "rec-2"]
        assert all(item["capacity_bytes"] > item["used_bytes"] >= 0 for item in body["recorders"])
        by_id = {item["camera"]: item for item in body["cameras"]}
        cam = by_id["cam-1"]
        assert cam["percent"] == pytest.approx(100 * 38 / 58, abs=3)
        assert sum(gap["from"] < rfc3339(start + 39 * SECOND) for gap in cam["gaps"]) >= 1
        assert all(gap["cause"] for gap in cam["gaps"])
        assert cam["oldest_full"] is None or cam["oldest_full"] == rfc3339(start)
        assert (by_id["cam-2"]["percent"], by_id["cam-2"]["recording"]) == (0, True)
        assert by_id["cam-2"]["gaps"]
        assert (by_id["cam-3"]["recording"], by_id["cam-3"]["gaps"][0]["cause"]) == (False, "disabled")
        total = body["total"]
        assert (total["cameras"], total["percent"]) == (2, pytest.approx(cam["percent"] / 2, abs=0.01))
        assert total["missing"]
        async with front.http.get(f"{COVERAGE}?camera=cam-1") as answer:
            body = await answer.json()
            assert [item["camera"] for item in body["cameras"]] == ["cam-1"]
            assert body["cameras"][0]["gaps"][0]["cause"] == GapCause.NOT_KEPT
        told = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.cli", "coverage", "--url", front.url,
            "--from", rfc3339(start), "--to", rfc3339(start + 58 * SECOND), stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        rows = [line.split("\t") for line in (await told.communicate())[0].decode().splitlines()]
        assert told.returncode == 0
        assert [row[0] for row in rows] == ["ID", "cam-2", "cam-1", "cam-3"], "the least recorded first"
        assert (rows[2][1].removesuffix(" %"), rows[3][1]) == (f"{int(cam['percent'] * 100) / 100:g}", "off")
        async with front.http.get(f"{COVERAGE}?camera=nobody") as answer:
            assert answer.status == 404
        for wrong in (f"from={rfc3339(start)}&to={rfc3339(start)}", f"from={rfc3339(start - 40 * DAY_US)}"):
            async with front.http.get(f"{COVERAGE}?{wrong}") as answer:
                assert answer.status == 422


async def test_without_recorders_it_is_503_and_a_viewer_may_not_ask(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    file, headers = viewer_account(tmp_path)
    async with running_front(mesh_settings) as front, front.http.get(COVERAGE) as answer:
        assert answer.status == 503
    async with (
        running_front(mesh_settings, accounts_file=file) as front,
        front.http.get(COVERAGE, headers=headers) as answer,
    ):
        assert answer.status == 403


def day_is_marked(data: Path) -> bool:
    """Whether the recorder's first pass of upkeep knows which day it is."""
    with closing(Index.open_for_reading(data / RECORDINGS / INDEX)) as index:
        return index.get_meta("coverage_day") is not None


async def test_a_recorder_publishes_the_statement_of_the_day_that_ended(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    await ensure_stream(bus)
    events = await bus.js.subscribe("pantau.v1.*.recording.coverage.>", ordered_consumer=True)
    midnight = (time.time_ns() // 1000 // DAY_US) * DAY_US
    clock = ManualClock(midnight - 600 * SECOND)
    async with running(mesh_settings, tmp_path / "disk", "rec-1", clock=clock) as recorder:
        await assign(bus, [camera("cam-1")], "rec-1")
        await record(bus, "cam-1", pictures(count=1000, start_us=clock.now_us()), recorder)
        await until(lambda: day_is_marked(tmp_path / "disk"))
        clock.advance(601)
        recorder.hurry_housekeeping()
        message = await events.next_msg(timeout=30)
        event = parse(message.data, message.headers)
    assert isinstance(event, RecordingCoverage)
    assert (event.camera, event.recorder, event.to_us) == ("cam-1", "rec-1", midnight)
    assert event.percent == pytest.approx(100 * 40 / 86_400, abs=0.01)
    assert {gap.cause for gap in event.gaps} >= {GapCause.NOT_KEPT}
