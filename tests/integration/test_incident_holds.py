"""An incident from its opening to its release, with a recorder whose retention presses all the while."""

import asyncio
import time
from pathlib import Path

import pytest

from services.contracts.events import Audit, IncidentExported
from services.footage.evidence.verify import verify
from services.mesh.bus import Bus
from services.mesh.clock import TurnedClock
from services.mesh.event_stream import ensure_stream
from services.mesh.settings import MeshSettings
from services.recorder.app import Recorder
from services.registry.settings import RegistrySettings
from services.wall.front.http.times import rfc3339
from tests.integration.recorders import running, seen, until
from tests.integration.test_evidence import checked, kept
from tests.recorder.units import pictures
from tests.registry.running import add, collected, registry
from tests.wall.front.running import running_front

pytestmark = pytest.mark.integration
SECOND = 1_000_000
GRACE_SECONDS = 3600.0


def closed(recorder: Recorder, camera: str) -> int:
    """How many closed segments there are of a camera."""
    growing = {file.path for disk in recorder.disks.all for file in disk.open_files()}
    return len([path for path in (recorder.directories[0] / "recordings").rglob(f"{camera}/main/**/*.mp4")
                if path not in growing])  # fmt: skip


async def test_held_footage_outlives_retention_until_the_incident_is_closed_and_the_grace_is_over(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    start_us = (time.time_ns() // 10**9 - 600) * SECOND
    units = pictures(count=25 * 130, start_us=start_us)
    await ensure_stream(bus)
    clock = TurnedClock()
    async with (
        registry(mesh_settings, RegistrySettings(incident_grace_days=GRACE_SECONDS / 86400), clock=clock),
        running(mesh_settings, tmp_path / "rec", "rec-1", clock=clock, retention="full 1m") as recorder,
        running_front(mesh_settings) as front,
    ):
        await add(bus, "cam-1", "cam-2")
        await seen(front.bus, 1)
        opening = {"title": "Tabrakan", "cameras": ["cam-1"], "from_us": start_us - SECOND}
        async with front.http.post("/api/v1/incidents", json=opening) as answer:
            assert answer.status == 201, await answer.text()
            incident = (await answer.json())["id"]
        for name in ("cam-1", "cam-2"):  # all of it is recorded after the opening, and past its retention already
            await kept(bus, [recorder], name, units)
        await until(lambda: closed(recorder, "cam-1") == 2)
        recorder.hurry_housekeeping()
        await until(lambda: closed(recorder, "cam-2") == 0)
        recorder.hurry_housekeeping()
        await asyncio.sleep(0.5)
        assert closed(recorder, "cam-1") == 2

        span = {"from": rfc3339(start_us + SECOND), "to": rfc3339(start_us + 100 * SECOND)}
        query = {"camera": "cam-1", "reason": "polisi", "incident": incident, **span}
        async with front.http.get("/api/v1/evidence.zip", params=query) as answer:
            assert answer.status == 200, await answer.text()
            verdict = await asyncio.to_thread(checked, tmp_path / "bundle.zip", await answer.read())
        assert verdict.findings == []
        assert verdict.manifest is not None
        assert verdict.manifest.incident == incident
        assert verify(tmp_path / "bundle.zip").intact

        async with front.http.post(f"/api/v1/incidents/{incident}/close") as answer:
            assert answer.status == 200, await answer.text()
        recorder.hurry_housekeeping()
        await asyncio.sleep(0.5)
        assert closed(recorder, "cam-1") == 2, "the grace is not over"
        clock.advance(GRACE_SECONDS)

        def gone() -> bool:
            recorder.hurry_housekeeping()
            return closed(recorder, "cam-1") == 0

        await until(gone)

        async with asyncio.timeout(90):
            while not any(
                isinstance(event, Audit) and event.action == "incident-released" for event in await collected(bus)
            ):
                await asyncio.sleep(0.05)
        events = await collected(bus)
        steps = [event.action for event in events if isinstance(event, Audit) and event.target in (incident, "cam-1")]
        assert [step for step in steps if step.startswith("incident") or step == "exported"] == [
            "incident-opened", "exported", "incident-closed", "incident-released",
        ]  # fmt: skip
        assert any(isinstance(event, IncidentExported) and event.incident == incident for event in events)
