"""What a demo has to find: told once, by the clock, to a registry and a simulator that are really asked."""

import asyncio
from typing import Any

import pytest
from aiohttp import web

from services.contracts.incidents import IncidentList, IncidentQuery
from services.mesh.bus import Bus
from services.mesh.clock import TurnedClock
from services.mesh.settings import MeshSettings
from services.up import story
from tests.registry.running import add, ask, eventually, registry

pytestmark = pytest.mark.integration
ENTRIES = [{"id": f"cam-{number}", "name": f"Simpang {number}"} for number in range(1, 9)]


async def test_two_cameras_are_in_trouble_and_one_incident_waits_in_footage_that_is_there(
    bus: Bus, mesh_settings: MeshSettings
) -> None:
    broken: dict[str, Any] = {}

    async def take(request: web.Request) -> web.Response:
        broken[request.match_info["camera"]] = (await request.json())["fault"]
        return web.Response(status=204)

    simulator = web.Application()
    simulator.router.add_post("/cameras/{camera}/faults", take)
    runner = web.AppRunner(simulator)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    clock = TurnedClock()
    async with registry(mesh_settings):
        await add(bus, *(entry["id"] for entry in ENTRIES))

        async def incidents() -> IncidentList:
            return await ask(bus, "incidents-list", IncidentQuery(), IncidentList)

        async with asyncio.TaskGroup() as tasks:
            telling = tasks.create_task(story.tell(bus, "city", ENTRIES, port, clock))
            await eventually(_answered(broken), lambda count: count == 2)
            while not telling.done():
                clock.advance(story.RECORDED_SECONDS)
                await asyncio.sleep(0.02)
        assert broken == {"cam-8": "refuse", "cam-7": "drop"}
        (entry,) = (await incidents()).incidents
        assert entry.incident.cameras == ("cam-1", "cam-2")
        assert entry.incident.created_by == "demo"
        assert len(entry.incident.remarks) == 1
        await story.tell(bus, "city", ENTRIES, port, clock)
        assert len((await incidents()).incidents) == 1, "the next start finds it there"
    await runner.cleanup()


def _answered(broken: dict[str, Any]) -> Any:
    async def count() -> int:
        return len(broken)

    return count


async def test_a_small_demo_is_whole_and_of_a_large_one_a_quarter_has_another_owner(bus: Bus) -> None:
    await story.tell(bus, "city", ENTRIES[:7], 1, TurnedClock())  # nobody is asked
    assert story.with_owners(ENTRIES[:7]) == ENTRIES[:7]
    owners = [entry.get("site") for entry in story.with_owners(ENTRIES)]
    assert owners == [None] * 6 + [story.SECOND_SITE] * 2


async def test_a_simulator_and_a_registry_that_are_away_end_no_demo(bus: Bus) -> None:
    await story.tell(bus, "city", ENTRIES, 1, TurnedClock())
