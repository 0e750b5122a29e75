"""What tests ask of leases: who is there just now, and stand-ins that are."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.contracts.models import WorkerLease
from services.mesh.bus import Bus
from services.mesh.leases import Lease, Workers

HOME = "city"


class LeaseBook:
    """The live workers by ``<role>.<worker>``."""

    def __init__(self, bus: Bus) -> None:
        self.workers = Workers(bus, HOME)
        self._following = asyncio.create_task(self.workers.run())

    async def get(self, key: str) -> WorkerLease | None:
        """A live worker's last heartbeat."""
        await self.workers.ready.wait()
        return next((lease for lease in self.workers.all() if f"{lease.role}.{lease.worker}" == key), None)

    def close(self) -> None:
        """Follows no more."""
        self._following.cancel()


@asynccontextmanager
async def leasing(bus: Bus, lease: WorkerLease) -> AsyncIterator[Lease]:
    """A stand-in that goes on living until the end of the block."""
    own = Lease(bus, HOME, lambda: lease)
    living = asyncio.create_task(own.run())
    try:
        yield own
    finally:
        living.cancel()
        await own.release()
