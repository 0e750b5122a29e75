"""A relay on a free port, and the front that speaks to it; once with the send kernel, once without."""

from collections.abc import AsyncIterator

import pytest

from services.mesh.bus import Bus
from services.mesh.settings import MeshSettings
from services.wall.relay.engine import kernel_batch
from tests.wall.relay.kernel.built import kernel, needs_compiler
from tests.wall.relay.running import Front, running_relay


@pytest.fixture(params=[pytest.param("auto", id="kernel", marks=needs_compiler), pytest.param("off", id="python")])
async def front(
    bus: Bus, mesh_settings: MeshSettings, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Front]:
    """A front, and behind it a running relay."""
    monkeypatch.setattr(kernel_batch, "find_kernel", kernel)
    async with running_relay(bus, mesh_settings, kernel=request.param) as front:
        assert (front.relay.udp.kernel is not None) is (request.param == "auto")
        yield front
