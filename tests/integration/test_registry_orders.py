"""Workers are drained and retired over HTTP: the plan follows, and what still holds cameras is not retired."""

from typing import Any

from services.contracts import subjects
from services.contracts.models import Assignment
from services.mesh.buckets import Bucket
from services.mesh.bus import Bus
from services.mesh.settings import MeshSettings
from services.registry.settings import RegistrySettings
from tests.registry.running import Worker, add, eventually, registry
from tests.wall.front.running import RunningFront, running_front

QUICK = RegistrySettings(rebalance_after_seconds=0)
CAMERAS = tuple(f"Cam {number}" for number in range(8))


async def workers(front: RunningFront) -> dict[str, dict[str, Any]]:
    async with front.http.get("/api/v1/workers") as answer:
        assert answer.status == 200
        return {worker["worker"]: worker for worker in (await answer.json())["workers"]}


async def post(front: RunningFront, path: str) -> tuple[int, Any]:
    async with front.http.post(f"/api/v1{path}") as answer:
        return answer.status, await answer.json() if answer.content_type.endswith("json") else None


async def test_a_drained_worker_hands_over_gets_nothing_new_and_is_retired_when_it_holds_nothing(
    mesh_settings: MeshSettings, bus: Bus
) -> None:
    first, second = Worker(bus, "ingest", "first"), Worker(bus, "ingest", "second")
    async with registry(mesh_settings, QUICK), running_front(mesh_settings) as front:
        await first.start()
        await add(bus, *CAMERAS)
        await eventually(lambda: workers(front), lambda found: found["first"]["cameras"] == 8)
        status, worker = await post(front, "/workers/ingest/first/drain")
        assert (status, worker["state"], worker["wanted"]) == (200, "draining", "drain")
        status, problem = await post(front, "/workers/ingest/first/retire")
        assert (status, "first 8" in problem["detail"]) == (409, True)
        await second.start()
        found = await eventually(lambda: workers(front), lambda found: found["first"]["state"] == "drained")
        assert found["second"]["cameras"] == 8
        await add(bus, "New")
        await eventually(lambda: workers(front), lambda found: found["second"]["cameras"] == 9)
        status, worker = await post(front, "/workers/ingest/first/retire")
        assert (status, worker["state"]) == (200, "retired")
        await first.stop()
        assert (await workers(front))["first"]["state"] == "retired", "it is remembered"
        assert (await post(front, "/workers/ingest/first/undrain"))[0] == 204
        assert "first" not in await workers(front)
        for path in ("/workers/ingest/none/drain", "/workers/relay/first/drain", "/machines/none/drain"):
            assert (await post(front, path))[0] == 404
    await second.stop()


async def test_an_order_for_a_machine_is_for_all_on_it_and_outlives_the_registry(
    mesh_settings: MeshSettings, bus: Bus
) -> None:
    names = (("ingest", "one"), ("recorder", "rec-1"))
    running = [await Worker(bus, role, name, machine="rack-1.malang").start() for role, name in names]
    async with registry(mesh_settings, QUICK), running_front(mesh_settings) as front:
        await eventually(lambda: workers(front), lambda found: len(found) == 2)
        status, answer = await post(front, "/machines/rack-1.malang/drain")
        assert (status, {worker["state"] for worker in answer["workers"]}) == (200, {"drained"})
    async with registry(mesh_settings, QUICK), running_front(mesh_settings) as front:
        await add(bus, "Cam 1")
        found = await eventually(lambda: workers(front), lambda found: len(found) == 2)
        assert {worker["state"] for worker in found.values()} == {"drained"}
        await post(front, "/machines/rack-1.malang/undrain")
        await eventually(lambda: workers(front), lambda found: found["one"]["cameras"] == 1)
        bucket = await Bucket.open(bus, subjects.ASSIGNMENTS_BUCKET, Assignment)
        assert await bucket.get("ingest.cam-1") is not None
    for worker in running:
        await worker.stop()
