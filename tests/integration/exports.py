"""A wall's exports desk beside a front that runs in the same process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from services.mesh.clock import Clock
from services.mesh.lifecycle import Service
from services.mesh.tasks import end
from services.wall.exports.desk import ExportDesk
from services.wall.settings import WallSettings
from tests.wall.front.running import RunningFront


@asynccontextmanager
async def exports_desk(
    front: RunningFront, data: Path, clock: Clock | None = None, **settings: Any
) -> AsyncIterator[None]:
    """A wall's exports desk beside the front; ending the block kills it as the end of its process does."""
    service = front.service
    mesh = service.settings.model_copy(update={"data": data})
    own = Service("wall", mesh, service.bus, service.tasks, clock=clock or service.clock)
    task = service.tasks.create_task(_run(ExportDesk(own, WallSettings(**settings))))
    try:
        yield
    finally:
        await end([task])


async def _run(made: ExportDesk) -> None:
    try:
        await made.run()
    except asyncio.CancelledError:
        return
