"""A relay on a free port, and the front that speaks to it."""

from collections.abc import AsyncIterator

import pytest

from services.mesh.bus import Bus
from services.mesh.settings import MeshSettings
from tests.wall.relay.running import Front, running_relay


@pytest.fixture
async def front(bus: Bus, mesh_settings: MeshSettings) -> AsyncIterator[Front]:
    """A front, and behind it a running relay."""
    async with running_relay(bus, mesh_settings) as front:
        yield front
