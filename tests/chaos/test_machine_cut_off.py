"""A machine that is cut off, as a network namespace: another reads its cameras, and it is there again afterwards."""

import asyncio
import os
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from bench import machines
from bench.machines import PATIENCE_SECONDS, Client, import_cameras, network, simulator
from services.contracts import subjects
from services.contracts.frames import decode
from services.contracts.models import Assignment
from services.mesh.buckets import Bucket, Mirror
from services.mesh.leases import Workers
from tests.eventually import eventually

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]


async def test_cameras_of_a_machine_that_is_cut_off_are_read_by_another_until_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    monkeypatch.setattr(machines, "CAMERAS", 2)
    monkeypatch.setenv("PANTAU_REGISTRY_REBALANCE_AFTER_SECONDS", "1")
    async with network(tmp_path) as (lost, other, third), simulator(tmp_path) as content:
        for machine in (lost, other, third):
            await machine.start("nats")
        await third.start("registry")
        for machine in (lost, other):
            await machine.start("ingest")
        async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
            bus = (await Client.connect(third)).bus
            stack.push_async_callback(bus.close)
            assignments = Mirror(await Bucket.open(bus, subjects.ASSIGNMENTS_BUCKET, Assignment))
            workers = Workers(bus, machines.HOME)
            epochs: dict[str, int] = {}
            for camera in ("cam-001", "cam-002"):

                def take(payload: bytes, camera: str = camera) -> None:
                    epochs[camera] = max(epochs.get(camera, 0), decode(payload).epoch)

                await bus.subscribe_direct(subjects.media("*", "main", camera), take)
            following = [tasks.create_task(each.run()) for each in (assignments, workers)]

            def are_read_by(*readers: str) -> bool:
                """Whether each of these has cameras, nobody else has, and pictures read under that order come."""
                held = {key: entry for key, entry in assignments.entries.items() if key.startswith("ingest.")}
                found = {worker for assignment, _ in held.values() for worker in assignment.workers}
                return found == set(readers) and epochs == {
                    key[len("ingest.") :]: order for key, (_, order) in held.items()
                }

            await eventually(lambda: len(workers.alive("ingest")) == 2, PATIENCE_SECONDS)
            mine, others = (lease.worker for lease in workers.alive("ingest"))
            await import_cameras(bus, content)
            await eventually(lambda: are_read_by(mine, others), PATIENCE_SECONDS)
            lost.cut(off=True)
            await eventually(lambda: are_read_by(others), PATIENCE_SECONDS)
            lost.cut(off=False)
            await eventually(lambda: are_read_by(mine, others), PATIENCE_SECONDS)
            for task in following:
                task.cancel()
