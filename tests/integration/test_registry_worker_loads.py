"""An overload is an event on the bus, once, also where another registry leads by then; so is its end."""

from services.contracts.events import WorkerEvent, WorkerOverloaded, WorkerRecovered
from services.contracts.workers import OVERLOADED
from services.mesh.bus import Bus
from services.mesh.event_stream import last_event
from services.mesh.settings import MeshSettings
from tests.registry.running import Worker, collected, crash, eventually, registry


async def told(bus: Bus) -> list[WorkerEvent]:
    return [event for event in await collected(bus) if isinstance(event, WorkerEvent)]


async def test_an_overload_is_told_once_and_its_end_too_also_where_another_registry_leads_by_then(
    mesh_settings: MeshSettings, bus: Bus
) -> None:
    worker = Worker(bus, "ingest", "ingest-1", machine="rack-1")
    async with registry(mesh_settings, worker="registry-1") as first:
        await worker.start()
        worker.detail = {OVERLOADED: "its event loop is 1.2 s late"}
        found = await eventually(lambda: told(bus), bool)
        assert isinstance(found[0], WorkerOverloaded)
        assert found[0].nats_subject == "pantau.v1.city.worker.overloaded.ingest-1"
        assert (found[0].role, found[0].machine, found[0].detail) == (
            "ingest",
            "rack-1",
            "its event loop is 1.2 s late",
        )
        worker.detail = {OVERLOADED: "the bus did not take 3 frames"}
        await crash(first)
    async with registry(mesh_settings, worker="registry-2"):
        worker.detail = {}
        found = await eventually(lambda: told(bus), lambda found: len(found) > 1)
        assert isinstance(found[1], WorkerRecovered), "it was told twice"
        assert found[1].after_seconds == round((found[1].at_us - found[0].at_us) / 1e6, 3)
        worker.detail = {OVERLOADED: "it uses 99% of its CPU"}
        found = await eventually(lambda: told(bus), lambda found: len(found) > 2)
        assert await last_event(bus, WorkerOverloaded, "city", "ingest-1") == found[2]
    await worker.stop()
