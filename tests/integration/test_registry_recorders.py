"""Recorders' assignments through absences, and everybody's through the bus's own."""

import asyncio
import contextlib

import pytest

from services.contracts.errors import ConflictError, UnavailableError
from services.contracts.models import Assignment
from services.mesh.bus import Bus
from services.mesh.nats_server import NatsServer
from services.mesh.settings import MeshSettings
from services.registry.settings import RegistrySettings
from tests.registry.running import Worker, add, holder, registry, until

pytestmark = pytest.mark.integration
IMPATIENT = RegistrySettings(recorder_away_seconds=1.5, rebalance_after_seconds=0.5)


async def test_a_camera_goes_to_another_recorder_after_the_patience_and_comes_home(
    bus: Bus, mesh_settings: MeshSettings, assignments: dict[str, tuple[Assignment, int]]
) -> None:
    async with registry(mesh_settings, IMPATIENT.model_copy(update={"recorder_away_seconds": 6.0})):
        first = await Worker(bus, "recorder", "recorder-1").start()
        second = await Worker(bus, "recorder", "recorder-2").start()
        await add(bus, "a", "b", "c", "d")
        keys = [f"recorder.{name}" for name in "abcd"]
        await until(lambda: all(key in assignments for key in keys))
        homes = {key: holder(assignments, key) for key in keys}
        assert sorted(homes.values()) == [("recorder-1",)] * 2 + [("recorder-2",)] * 2
        await first.stop()
        await asyncio.sleep(1)
        assert {key: holder(assignments, key) for key in keys} == homes, "moved before the patience was over"
        await until(lambda: all(holder(assignments, key) == ("recorder-2",) for key in keys))
        assert {key: assignments[key][0].homes for key in keys} == homes
        await first.start()
        await until(lambda: {key: holder(assignments, key) for key in keys} == homes)
        await first.stop()
        await second.stop()


async def test_cameras_move_to_a_new_ingest_worker_until_it_has_its_share(
    bus: Bus, mesh_settings: MeshSettings, assignments: dict[str, tuple[Assignment, int]]
) -> None:
    async with registry(mesh_settings, IMPATIENT):
        first = await Worker(bus, "ingest", "ingest-1").start()
        await add(bus, *"abcdef")
        await until(lambda: len(assignments) == 6)
        second = await Worker(bus, "ingest", "ingest-2").start()
        await until(lambda: sum(holder(assignments, key) == ("ingest-2",) for key in assignments) == 3)
        rested = {key: revision for key, (_, revision) in assignments.items()}
        await asyncio.sleep(2)
        assert {key: revision for key, (_, revision) in assignments.items()} == rested
        await first.stop()
        await second.stop()


async def test_a_restart_of_the_bus_moves_nothing_and_loses_nothing(
    bus: Bus,
    nats_server: NatsServer,
    mesh_settings: MeshSettings,
    assignments: dict[str, tuple[Assignment, int]],
) -> None:
    # With its usual patience for recorders: each of these connections is back in its own time.
    async with registry(mesh_settings, RegistrySettings(rebalance_after_seconds=0.5)):
        workers = [await Worker(bus, role, f"{role}-{n}").start() for role in ("ingest", "recorder") for n in (1, 2)]
        await add(bus, "a", "b", "c", "d")
        await until(lambda: len(assignments) == 8)
        before = dict(assignments)
        await nats_server.kill()
        await asyncio.sleep(1)
        await nats_server.start()

        async with asyncio.timeout(90):
            while "ingest.e" not in assignments:
                with contextlib.suppress(UnavailableError, ConflictError):  # not back yet; added already
                    await add(bus, "e")
                await asyncio.sleep(0.2)
        await asyncio.sleep(3)
        assert {key: assignments[key] for key in before} == before, "a restart of the bus moved cameras"
        for worker in workers:
            await worker.stop()
