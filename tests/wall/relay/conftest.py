"""A relay on a free port, and the front that speaks to it."""

from collections.abc import AsyncIterator
from typing import Final

import pytest

from services.mesh.bus import Bus
from services.mesh.settings import MeshSettings
from services.wall.relay.engine import kernel_batch
from tests.wall.relay.kernel.built import compiler_trouble, kernel, needs_compiler
from tests.wall.relay.running import Front, running_relay

WITH: Final = pytest.param("auto", id="kernel", marks=needs_compiler)
WITHOUT: Final = pytest.param("off", id="python")
IN_BOTH_WAYS: Final = ("test_session", "test_robustness", "test_aiortc_client")
"""The modules whose tests are of sending: they run with the send kernel and without."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Relays of the other modules have the kernel where there is a compiler."""
    if "kernel_setting" in metafunc.fixturenames and metafunc.module.__name__.endswith(IN_BOTH_WAYS):
        metafunc.parametrize("kernel_setting", [WITH, WITHOUT])


@pytest.fixture
def kernel_setting() -> str:
    """`RelaySettings.kernel`."""
    return "auto"


@pytest.fixture
async def front(
    bus: Bus, mesh_settings: MeshSettings, kernel_setting: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Front]:
    """A front, and behind it a running relay."""
    if not compiler_trouble():
        monkeypatch.setattr(kernel_batch, "find_kernel", kernel)
    async with running_relay(bus, mesh_settings, kernel=kernel_setting) as front:
        assert (front.relay.udp.kernel is not None) is (kernel_setting == "auto" and not compiler_trouble())
        yield front
