"""A nats-server of one measurement's own."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from services.mesh.bus import Bus
from services.mesh.nats_server import NatsServer
from services.mesh.settings import MeshSettings


class Mesh(NamedTuple):
    """A connection to it, settings that point at it, and an empty folder."""

    bus: Bus
    settings: MeshSettings
    folder: Path


@asynccontextmanager
async def own_mesh() -> AsyncIterator[Mesh]:
    """Until the end of the block."""
    with tempfile.TemporaryDirectory(prefix="pantau-bench-") as name:
        folder = Path(name)
        async with NatsServer(folder / "nats") as server:
            settings = MeshSettings(nats_url=server.url, data=folder / "data", admin_port=0)
            bus = await Bus.connect(settings, "bench")
            try:
                yield Mesh(bus, settings, folder)
            finally:
                await bus.close()
