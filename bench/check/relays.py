"""How soon a wall's processes end, and a viewer's next session is placed on another relay."""

import asyncio
import time

import aiohttp

from bench.check.bus import own_mesh
from bench.check.promise import Promise
from tests.integration.wall_clients import SESSIONS, Player, filmed, frames, open_wall
from tests.integration.wall_process import wall_process
from tests.support.leases import LeaseBook

PATIENCE_SECONDS = 60.0


async def measure(*, quick: bool) -> list[Promise]:
    """Both."""
    count = 2 if quick else 5
    return [await ended(count), await placed_elsewhere(count)]


async def ended(count: int) -> Promise:
    """A front with its relay, a WHEP player and an open stream of events."""
    took = []
    for _ in range(count):
        async with (
            own_mesh() as mesh,
            filmed(mesh.bus, "cam-1", 1),
            wall_process(mesh.settings, mesh.folder) as wall,
            aiohttp.ClientSession(base_url=wall.url) as http,
        ):
            player = Player(http, "/whep/cam-1")
            await frames(await player.play(), 1)
            async with http.get("/api/v1/events") as stream:
                await stream.content.readline()
                began = time.monotonic()
                wall.process.terminate()
                await asyncio.wait_for(wall.process.wait(), PATIENCE_SECONDS)
            took.append(time.monotonic() - began)
            await player.connection.close()
    return Promise("from SIGTERM to the end of a wall with viewers", "s", took, 2.5)


async def placed_elsewhere(count: int) -> Promise:
    """A relay drains; its page is told, and opens its next session on the other."""
    took = []
    for _ in range(count):
        async with (
            own_mesh() as mesh,
            filmed(mesh.bus, "cam-1", 1),
            wall_process(mesh.settings, mesh.folder / "a", role="relay") as leaving,
            wall_process(mesh.settings, mesh.folder / "front", role="front") as front,
            aiohttp.ClientSession(base_url=front.url) as http,
        ):
            first = await open_wall(http)
            leases = LeaseBook(mesh.bus)
            async with (
                http.ws_connect(first["control"]) as control,
                wall_process(mesh.settings, mesh.folder / "b", role="relay"),
            ):
                while len(leases.workers.alive("relay")) < 2:
                    await asyncio.sleep(0.05)
                began = time.monotonic()
                leaving.process.terminate()
                while (await control.receive_json(timeout=PATIENCE_SECONDS))["type"] != "drain":
                    pass
                second = await open_wall(http)
                took.append(time.monotonic() - began)
                async with http.delete(f"{SESSIONS}/{second['id']}"):
                    pass
    return Promise("from a relay's SIGTERM to a session on another", "s", took, 2.0)
