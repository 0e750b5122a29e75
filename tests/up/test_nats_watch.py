"""The embedded nats-server is ended where it hangs, or where its store stays in an error."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
from aiohttp import web

from services.mesh.nats_server import NatsServer
from services.up import nats_watch
from services.up.nats_watch import NatsWatch


async def ended(server: NatsServer) -> int:
    async with asyncio.timeout(60):
        return await server.wait()


async def test_a_server_that_is_stopped_is_killed_and_one_that_is_well_is_left_alone(nats_server: NatsServer) -> None:
    watching = asyncio.create_task(NatsWatch(nats_server).run())
    await asyncio.sleep(1)
    assert nats_server.running
    os.kill(nats_server.pid, signal.SIGSTOP)
    assert await ended(nats_server) == -signal.SIGKILL
    await nats_server.start()
    await asyncio.sleep(1)
    assert nats_server.running
    watching.cancel()


async def test_a_store_that_stays_in_its_error_is_read_anew_once_there_is_room(
    nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of a server that answers so; tests/chaos shows it with a full disk."""

    async def unwell(_request: web.Request) -> web.Response:
        return web.Response(status=503, text="JetStream stream '$G > KV_x' write error: no space left on device")

    app = web.Application()
    app.router.add_get("/healthz", unwell)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    room = False
    monkeypatch.setattr(nats_server, "has_room", lambda: room)
    nats_server.health_url = f"http://127.0.0.1:{runner.addresses[0][1]}/healthz"
    watching = asyncio.create_task(NatsWatch(nats_server).run())
    await asyncio.sleep(nats_watch.STORE_SECONDS + 1)
    assert nats_server.running
    room = True
    await ended(nats_server)
    watching.cancel()
    await runner.cleanup()
