"""Fixtures of more than one module here."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from services.contracts.models import Assignment
from services.mesh.bus import Bus
from tests.integration.ingest_rig import Rig, RunningWorker, environment
from tests.registry.running import following


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def rig(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    """A nats-server with what stands around an ingest worker, for all tests of a module."""
    async with environment(tmp_path_factory.mktemp("ingest")) as (rig, _):
        yield rig


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def worker(rig: Rig, request: pytest.FixtureRequest) -> AsyncIterator[RunningWorker]:
    """An ingest worker for all tests of a module, with the settings that the module names in ``WORKER``."""
    async with rig.worker(**getattr(request.module, "WORKER", {})) as worker:
        yield worker


@pytest.fixture
async def assignments(bus: Bus) -> AsyncIterator[dict[str, tuple[Assignment, int]]]:
    """The assignments as they are: key → value and revision."""
    async with following(bus) as entries:
        yield entries
