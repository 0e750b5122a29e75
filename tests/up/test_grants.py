"""Grants to a hub, at their times."""

import asyncio
from pathlib import Path

import pytest

from services.contracts.errors import UnavailableError
from services.mesh.authority import Authority
from services.mesh.clock import ManualClock
from services.mesh.hub import Hub
from services.mesh.settings import MeshSettings
from services.mesh.tasks import end
from services.up.grants import LOOK_SECONDS, follow_grants


class Unreached(Hub):
    """nats-server is not there at the first call."""

    calls = 0

    async def follow_times(self) -> None:
        self.calls += 1
        if self.calls == 1:
            raise UnavailableError("away")


@pytest.mark.asyncio
async def test_a_grant_that_nats_server_could_not_be_told_of_is_told_at_the_next_look(tmp_path: Path) -> None:
    hub, clock = Unreached(Authority.open(tmp_path, "city"), MeshSettings()), ManualClock()
    following = asyncio.create_task(follow_grants(hub, clock))
    async with asyncio.timeout(60):
        while hub.calls < 2:
            clock.advance(LOOK_SECONDS)
            await asyncio.sleep(0)
    await end([following])
