"""Fail-over as a user sees it: real processes, simulated cameras, kill -9, and the frames on the bus."""

from pathlib import Path

import pytest

from services.mesh.bus import Bus
from services.mesh.settings import MeshSettings
from tests.integration.failover import fail_over

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]


async def test_the_other_worker_takes_a_killed_ones_cameras_and_frames_come_from_it(
    bus: Bus, mesh_settings: MeshSettings, tmp_path: Path
) -> None:
    """How soon, `bench check` measures."""
    # passes if nothing raises
    await fail_over(bus, mesh_settings, tmp_path)  # passes if nothing raises
