"""A viewer behind a strict firewall: through Debian's coturn, with the credentials that the front hands out."""

import asyncio
import shutil
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aioice import turn
from aioice.stun import TransactionFailed
from aiortc import RTCConfiguration, RTCIceServer, RTCIceTransportPolicy

from services.mesh.bus import Bus
from services.mesh.settings import MeshSettings
from services.wall.front.ice import turn_credentials
from tests.integration.wall_clients import Player, filmed, frames
from tests.integration.wall_process import wall_process
from tests.support.ports import free_port

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(240),
    pytest.mark.skipif(shutil.which("turnserver") is None, reason="coturn is not installed"),
]

SECRET = "north wind"


@asynccontextmanager
async def coturn(folder: Path) -> AsyncIterator[int]:
    """A TURN server on a free loopback port that takes credentials made with `SECRET`."""
    port = free_port(socket.SOCK_DGRAM)
    options = (
        f"--listening-ip=127.0.0.1 --relay-ip=127.0.0.1 --listening-port={port} --use-auth-secret --realm=test "
        "--no-cli --allow-loopback-peers --no-tls --no-dtls --log-file=stdout --simple-log"
    ).split()
    process = await asyncio.create_subprocess_exec(
        "turnserver",
        "-n",
        *options,
        f"--static-auth-secret={SECRET}",
        f"--pidfile={folder / 'turn.pid'}",
        f"--userdb={folder / 'turn.db'}",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await asyncio.to_thread(wait_until_it_answers, port)
        yield port
    finally:
        process.kill()
        await process.wait()


def wait_until_it_answers(port: int) -> None:
    """Sends STUN binding requests (RFC 8489, section 5) until one is answered."""
    request = b"\0\1\0\0\x21\x12\xa4\x42" + bytes(12)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.1", port))
        client.settimeout(0.1)
        for _ in range(300):
            try:
                client.send(request)
                client.recv(2048)
            except OSError:  # nobody is there yet, or no answer in time
                time.sleep(0.05)
                continue
            return
    raise AssertionError("coturn does not answer")


async def allocate(port: int, username: str, password: str) -> None:
    """Asks for an address on the TURN server; raises what it answers."""
    transport, _ = await turn.create_turn_endpoint(
        asyncio.DatagramProtocol, server_addr=("127.0.0.1", port), username=username, password=password
    )
    transport.close()


async def test_coturn_takes_our_credentials_until_they_expire_and_no_others(tmp_path: Path) -> None:
    expires = int(time.time()) + 600
    async with coturn(tmp_path) as port:
        good = turn_credentials(SECRET, "budi", expires)
        await allocate(port, *good)
        for bad in (
            turn_credentials(SECRET, "budi", 1_600_000_000),  # expired
            turn_credentials("another", "budi", expires),
            (good[0].replace("budi", "eve"), good[1]),
        ):
            with pytest.raises(TransactionFailed):
                await allocate(port, *bad)


async def test_a_player_that_may_only_use_turn_plays_with_what_the_link_header_says(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    async with (
        coturn(tmp_path) as port,
        filmed(bus, "cam-5", 5),
        wall_process(
            mesh_settings,
            tmp_path / "wall",
            PANTAU_WALL_ICE_SERVERS=f"turn:127.0.0.1:{port}",
            PANTAU_WALL_TURN_SECRET=SECRET,
        ) as wall,
        aiohttp.ClientSession(base_url=wall.url) as http,
    ):
        async with http.get("/api/v1/me") as answer:
            (server,) = (await answer.json())["ice_servers"]
        configuration = RTCConfiguration(
            iceServers=[RTCIceServer(server["urls"], server["username"], server["credential"])],
            iceTransportPolicy=RTCIceTransportPolicy.RELAY,
        )
        player = Player(http, "/whep/cam-5", configuration)
        assert {camera for camera, _ in await frames(await player.play(), 10)} == {5}
        offered = [line for line in player.connection.localDescription.sdp.splitlines() if "a=candidate" in line]
        assert offered
        assert all(" typ relay" in line for line in offered)
        (link,) = player.links
        assert link.startswith(f'<turn:127.0.0.1:{port}>; rel="ice-server"; username="')
        await player.stop()
