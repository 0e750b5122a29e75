"""What all handlers of one front share. Nothing in it outlives the process or is missed by another front."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from services.contracts.errors import NotFoundError, PantauError, UnavailableError
from services.contracts.models import Camera, CameraState, WorkerLease
from services.contracts.permissions import Actor
from services.mesh.buckets import Mirror
from services.mesh.bus import Bus
from services.mesh.clock import Clock
from services.mesh.event_stream import EventOutbox
from services.mesh.leases import Workers
from services.wall.front.auth import cookies
from services.wall.front.auth.identity import AccountsIdentity, Identity
from services.wall.front.event_feed import EventFeed
from services.wall.front.http.guard import Guard
from services.wall.front.ice import IceServers
from services.wall.front.pictures.snapshot_cache import Snapshots
from services.wall.front.pictures.thumbnails import Thumbnails
from services.wall.front.relays import Relays
from services.wall.settings import WallSettings


@dataclass(frozen=True)
class Front:
    """The front's parts."""

    bus: Bus
    home: str
    settings: WallSettings
    clock: Clock
    cameras: Mirror[Camera]
    states: Mirror[CameraState]
    relays: Relays
    identity: Identity
    guard: Guard
    ice: IceServers
    workers: Workers
    feed: EventFeed
    outbox: EventOutbox
    snapshots: Snapshots
    thumbnails: Thumbnails
    stopping: asyncio.Event
    static: Path
    """Folder of the built web app."""
    openapi: dict[str, Any]
    """The document, made once."""

    def renew_cookie(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        """Gives a browser whose sign-in is half over a fresh cookie."""
        if isinstance(self.identity, AccountsIdentity) and (value := self.identity.renewal(request)):
            cookies.put(request, response, value)

    async def still(self, request: web.BaseRequest, actor: Actor) -> bool:
        """Whether a long-lived request's person may go on: accounts are changed and removed meanwhile."""
        try:
            return await self.identity.identify(request, going_on=True) == actor
        except PantauError:
            return False

    def recorders(self) -> list[WorkerLease]:
        """The recorders that hold a lease."""
        return self.workers.alive("recorder")

    def camera(self, camera_id: str) -> Camera:
        """A camera of the catalogue; raises `NotFoundError`, or `UnavailableError` before the catalogue has arrived."""
        camera = self.cameras.get(camera_id)
        if camera is None:
            if not self.cameras.ready.is_set():
                raise UnavailableError("the wall is starting and has not read the catalogue yet; try again shortly")
            raise NotFoundError(f"there is no camera {camera_id!r}")
        return camera
