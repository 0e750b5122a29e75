"""The wall as its clients meet it: aiortc as WHEP player, relays that die and drain, an end in order."""

import asyncio
import os
import signal
from pathlib import Path

import aiohttp
import pytest

from services.mesh.bus import Bus
from services.mesh.settings import MeshSettings
from tests.integration.wall_clients import SESSIONS, Player, assert_none_is_missing, filmed, frames, open_wall
from tests.integration.wall_process import until, wall_process
from tests.processes import runs
from tests.support.leases import LeaseBook

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]


async def test_an_independent_whep_player_sees_the_right_camera_in_order(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    async with (
        filmed(bus, "cam-9", 9),
        wall_process(mesh_settings, tmp_path) as wall,
        aiohttp.ClientSession(base_url=wall.url) as http,
    ):
        player = Player(http, "/whep/cam-9")
        track = await player.play()
        seen = await frames(track, 60)
        assert {camera for camera, _ in seen} == {9}
        assert_none_is_missing([number for _, number in seen])
        fragment = {"Content-Type": "application/trickle-ice-sdpfrag", "If-Match": player.etag}
        async with http.patch(player.resource, data="a=end-of-candidates\r\n", headers=fragment) as answer:
            assert answer.status == 204
        await player.stop()
        async with http.delete(player.resource) as answer:
            assert answer.status == 404


async def test_a_killed_relay_comes_back_and_sessions_go_to_the_other_meanwhile(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    async with (
        filmed(bus, "cam-1", 1),
        wall_process(mesh_settings, tmp_path, relays=2) as wall,
        aiohttp.ClientSession(base_url=wall.url) as http,
    ):
        first = Player(http, "/whep/cam-1")
        await frames(await first.play(), 1)
        before = wall.relays()
        assert len(before) == 2
        for pid in before[:1]:
            os.kill(pid, signal.SIGKILL)
        again = [Player(http, "/whep/cam-1") for _ in range(2)]
        for player in again:  # the dead one's lease still stands: a session placed there goes on to the other
            await frames(await player.play(), 1)
        await until(lambda: len(set(wall.relays()) - set(before)) == 1)
        await wall.until_relays(3)
        for player in (first, *again):
            await player.connection.close()


async def test_the_wall_ends_in_order_at_sigterm_with_viewers_on_it(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    async with (
        filmed(bus, "cam-1", 1),
        wall_process(mesh_settings, tmp_path) as wall,
        aiohttp.ClientSession(base_url=wall.url) as http,
    ):
        player = Player(http, "/whep/cam-1")
        await frames(await player.play(), 1)
        relays = wall.relays()
        async with http.get("/api/v1/events") as stream:
            await stream.content.readline()
            wall.process.terminate()
            await asyncio.wait_for(wall.process.wait(), 60)
        assert wall.process.returncode == 0
        assert not any(runs(pid) for pid in relays)
        await player.connection.close()


async def test_relays_end_with_a_wall_that_was_killed_so_that_their_ports_are_free(
    mesh_settings: MeshSettings, tmp_path: Path
) -> None:
    # passes if nothing raises
    async with wall_process(mesh_settings, tmp_path) as wall:
        relays = wall.relays()
        wall.process.kill()
        await wall.process.wait()
        await until(lambda: not any(runs(pid) for pid in relays))


async def until_drained(control: aiohttp.ClientWebSocketResponse) -> None:
    while (await control.receive_json(timeout=120))["type"] != "drain":
        pass


async def test_a_drained_relay_hands_its_page_over_and_a_front_elsewhere_places_it_on_the_other(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    async with (
        filmed(bus, "cam-1", 1),
        wall_process(mesh_settings, tmp_path / "a", role="relay", PANTAU_WORKER="relay-a") as one,
        wall_process(mesh_settings, tmp_path / "b", role="relay", PANTAU_WORKER="relay-b") as other,
        wall_process(mesh_settings, tmp_path / "front", role="front") as front,
        aiohttp.ClientSession(base_url=front.url) as http,
    ):
        leases = LeaseBook(bus)
        while len(leases.workers.alive("relay")) < 2:
            await asyncio.sleep(0.05)
        first = await open_wall(http)
        leaving = {"relay-a": one, "relay-b": other}[first["relay"]]
        async with http.ws_connect(first["control"]) as control:
            await control.receive_json(timeout=120)  # the relay knows of the socket, and has told it of the slot
            reading = asyncio.create_task(until_drained(control))  # who does not answer pings is taken for gone
            leaving.process.terminate()
            await reading
            second = await open_wall(http)
            assert second["relay"] != first["relay"]
            async with http.delete(f"{SESSIONS}/{second['id']}") as answer:
                assert answer.status == 204
