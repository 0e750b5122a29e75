"""The feed of events through front and registry: what happened lately, and who has seen it, told to every page."""

import time

import pytest

from services.contracts.events import CameraHealth, CameraOffline, IncidentOpened
from services.contracts.models import Reason
from services.mesh.bus import Bus
from services.mesh.event_stream import EventOutbox
from services.mesh.settings import MeshSettings
from tests.registry.running import eventually, registry
from tests.wall.front.running import RunningFront, running_front

pytestmark = pytest.mark.integration
RECENT = "/api/v1/events/recent"


async def recent(front: RunningFront, **query: str) -> list[dict[str, object]]:
    async with front.http.get(RECENT, params=query) as response:
        assert response.status == 200, await response.text()
        events: list[dict[str, object]] = (await response.json())["events"]
        return events


async def test_what_an_operator_should_hear_of_is_listed_and_acknowledged_once_for_all(
    bus: Bus, mesh_settings: MeshSettings
) -> None:
    now_us = time.time_ns() // 1000
    incident = {"incident": "incident-1", "title": "Crash", "cameras": ("gate",), "from_us": now_us, "to_us": None}
    outbox = EventOutbox(bus, source="/test")
    async with registry(mesh_settings), running_front(mesh_settings) as front:
        outbox.post(CameraHealth(site="city", at_us=now_us, camera="gate", status="online", profiles={}))
        outbox.post(CameraOffline(site="city", at_us=now_us, camera="gate", reason=Reason.TIMEOUT, detail="no answer"))
        outbox.post(IncidentOpened.model_validate({"site": "city", "at_us": now_us, "actor": "siti", **incident}))
        sending = front.service.tasks.create_task(outbox.run())
        events = await eventually(lambda: recent(front), lambda found: len(found) == 2)
        sending.cancel()
        assert [(each["type"], each["subject"], each["seen"]) for each in events] == [
            ("incident.opened", "incident-1", None),
            ("camera.offline", "gate", None),
        ], "health is no news"
        assert events[1]["reason"] == "timeout"
        assert [each["type"] for each in await recent(front, limit="1")] == ["incident.opened"]

        async with front.http.get("/api/v1/events", params={"types": "events"}) as stream:
            order = {"events": [{"event": events[1]["id"], "at_us": now_us, "subject": "gate"}]}
            for _twice in range(2):
                async with front.http.post("/api/v1/events/acknowledge", json=order) as response:
                    assert response.status == 204, await response.text()
            while b"event: events.acknowledged" not in await stream.content.readline():
                pass
        seen = (await recent(front))[1]["seen"]
        assert isinstance(seen, dict)
        assert seen["by"] == "local"
        stale = {"events": [{"event": events[0]["id"], "at_us": now_us - 1, "subject": "incident-1"}]}
        async with front.http.post("/api/v1/events/acknowledge", json=stale) as response:
            assert response.status == 204
        assert (await recent(front))[0]["seen"] is None, "it was about an event of another stream"
