"""Which server the client takes next, and when it leaves one."""

import asyncio
import os
import signal
from urllib.parse import urlparse

from nats.aio.client import Server

from services.mesh import nats_client
from services.mesh.bus import Bus
from services.mesh.nats_client import NatsClient
from services.mesh.nats_server import NatsServer


def test_the_server_that_was_tried_last_comes_last_and_after_a_pause() -> None:
    client = NatsClient()
    servers = [Server(urlparse(f"nats://node-{number}:4222")) for number in range(3)]
    taken = [client.next_server(servers, {}) for _ in range(4)]
    assert [servers.index(server) for server, _ in taken] == [0, 1, 2, 0]
    assert [wait for _, wait in taken[:3]] == [0, 0, 0]
    assert 0 < taken[3][1] <= nats_client.TRY_AGAIN_SECONDS


async def test_the_only_server_is_not_left_because_it_is_silent_for_a_moment(bus: Bus, nats_server: NatsServer) -> None:
    os.kill(nats_server.pid, signal.SIGSTOP)
    await asyncio.sleep(nats_client.SILENT_SECONDS + 2 * nats_client.LOOK_SECONDS)
    await bus.try_other_node("a test")
    os.kill(nats_server.pid, signal.SIGCONT)
    await bus.client.flush()
    assert bus.connected
    assert bus.reconnects == 0
