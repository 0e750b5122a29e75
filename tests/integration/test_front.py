"""The wall as its clients meet it: aiortc as WHEP player, relays that die and drain, an end within two seconds."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from services.contracts import subjects
from services.contracts.models import Camera, CameraState, Profile, Status, WorkerLease
from services.mesh.buckets import Bucket
from services.mesh.bus import Bus
from services.mesh.settings import MeshSettings
from tests.integration.wall_process import until, wall_process
from tests.wall.relay.camera import BITS, SITE, BusCamera, clip

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

SESSIONS = "/api/v1/wall/sessions"


@asynccontextmanager
async def filmed(bus: Bus, camera: str, number: int) -> AsyncIterator[BusCamera]:
    """A camera that is registered, observed online, and live on the bus with ``number`` in its pictures."""
    profiles = {"main": Profile(url=f"rtsp://192.0.2.1/{camera}")}
    entry = Camera.model_validate({"id": camera, "site": SITE, "name": camera, "profiles": profiles})
    await (await Bucket.open(bus, subjects.CAMERAS_BUCKET, Camera)).put(camera, entry)
    state = CameraState(camera=camera, site=SITE, status=Status.ONLINE, since_us=1)
    await (await Bucket.open(bus, subjects.STATE_BUCKET, CameraState)).put(camera, state)
    async with BusCamera(bus, camera, clip(number)) as live:
        yield live


def numbers(picture: Any) -> tuple[int, int]:
    """The camera's and the frame's number in a picture of `tests.wall.relay.camera`."""
    block = picture.shape[1] // BITS
    bits = [int(np.median(picture[2:14, i * block + 4 : (i + 1) * block - 4]) > 127) for i in range(BITS)]
    value = int("".join(map(str, bits)), 2)
    return value >> 16, value & 0xFFFF


class Player:
    """A WHEP player made of aiortc, which shares no code with the wall's own engine."""

    def __init__(self, http: aiohttp.ClientSession, path: str, configuration: RTCConfiguration | None = None) -> None:
        self.http = http
        self.path = path
        self.resource = ""
        self.etag = ""
        self.links: list[str] = []
        self.connection = RTCPeerConnection(configuration or RTCConfiguration(iceServers=[]))
        self.tracks: asyncio.Queue[MediaStreamTrack] = asyncio.Queue()
        self.connection.on("track", self.tracks.put_nowait)

    async def play(self) -> MediaStreamTrack:
        """Negotiates; returns the video."""
        self.connection.addTransceiver("video", direction="recvonly")
        await self.connection.setLocalDescription(await self.connection.createOffer())
        offer = self.connection.localDescription.sdp
        async with self.http.post(self.path, data=offer, headers={"Content-Type": "application/sdp"}) as answer:
            assert answer.status == 201, await answer.text()
            assert answer.content_type == "application/sdp"
            self.resource, self.etag = answer.headers["Location"], answer.headers["ETag"]
            self.links = answer.headers.getall("Link", [])
            sdp = await answer.text()
        assert "a=candidate:" in sdp
        await self.connection.setRemoteDescription(RTCSessionDescription(sdp, "answer"))
        return await asyncio.wait_for(self.tracks.get(), 30)

    async def stop(self) -> None:
        """Leaves as the protocol says."""
        async with self.http.delete(self.resource) as answer:
            assert answer.status == 200
        await self.connection.close()


async def frames(track: MediaStreamTrack, count: int) -> list[tuple[int, int]]:
    """The numbers in the next ``count`` decoded pictures."""
    found: list[tuple[int, int]] = []
    async with asyncio.timeout(30):
        while len(found) < count:
            frame: Any = await track.recv()
            found.append(numbers(frame.to_ndarray(format="gray")))
    return found


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
        steps = [(after - before) % 100 for (_, before), (_, after) in pairwise(seen)]
        assert set(steps) == {1}, seen  # no picture is missing or out of order
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
        before = wall.children()
        assert len(before) == 2
        for pid in before[:1]:
            os.kill(pid, signal.SIGKILL)
        again = [Player(http, "/whep/cam-1") for _ in range(2)]
        for player in again:  # the dead one's lease still stands: whoever is placed there goes on to the other
            await frames(await player.play(), 1)
        await until(lambda: len(set(wall.children()) - set(before)) == 1)
        await wall.until_relays(3)
        for player in (first, *again):
            await player.connection.close()


@pytest.mark.alone
async def test_the_wall_ends_within_two_seconds_of_sigterm_with_viewers_on_it(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    async with (
        filmed(bus, "cam-1", 1),
        wall_process(mesh_settings, tmp_path) as wall,
        aiohttp.ClientSession(base_url=wall.url) as http,
    ):
        player = Player(http, "/whep/cam-1")
        await frames(await player.play(), 1)
        relays = wall.children()
        async with http.get("/api/v1/events") as stream:
            await stream.content.readline()
            started = time.monotonic()
            wall.process.terminate()
            await asyncio.wait_for(wall.process.wait(), 30)
        assert time.monotonic() - started < 2.5
        assert wall.process.returncode == 0
        assert not any(alive(pid) for pid in relays)
        await player.connection.close()


async def test_relays_end_with_a_wall_that_was_killed_so_that_their_ports_are_free(
    mesh_settings: MeshSettings, tmp_path: Path
) -> None:
    async with wall_process(mesh_settings, tmp_path) as wall:
        relays = wall.children()
        wall.process.kill()
        await wall.process.wait()
        await until(lambda: not any(alive(pid) for pid in relays))


@pytest.mark.alone
async def test_a_drained_relay_hands_its_page_over_and_a_front_elsewhere_places_it_on_the_other(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    async with (
        filmed(bus, "cam-1", 1),
        wall_process(mesh_settings, tmp_path / "a", role="relay") as leaving,
        wall_process(mesh_settings, tmp_path / "front", role="front") as front,
        aiohttp.ClientSession(base_url=front.url) as http,
    ):
        first = await open_wall(http)
        leases = await Bucket.open(bus, subjects.LEASES_BUCKET, WorkerLease)
        async with (
            http.ws_connect(first["control"]) as control,
            wall_process(mesh_settings, tmp_path / "b", role="relay"),
        ):
            while sum(key.startswith("relay.") for key in await leases.kv.keys()) < 2:
                await asyncio.sleep(0.05)
            started = time.monotonic()
            leaving.process.terminate()
            while (await control.receive_json(timeout=30))["type"] != "drain":
                pass
            second = await open_wall(http)
            assert second["relay"] != first["relay"]
            assert time.monotonic() - started < 2
            async with http.delete(f"{SESSIONS}/{second['id']}") as answer:
                assert answer.status == 204


async def open_wall(http: aiohttp.ClientSession) -> dict[str, str]:
    """A wall session of one slot that nobody watches."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection.addTransceiver("video", direction="recvonly")
    await connection.setLocalDescription(await connection.createOffer())
    question = {"sdp": connection.localDescription.sdp, "slots": [{"slot": 0, "camera": "cam-1"}]}
    async with http.post(SESSIONS, json=question) as answer:
        assert answer.status == 201, await answer.text()
        body: dict[str, str] = await answer.json()
    await connection.close()
    return body


def alive(pid: int) -> bool:
    """Whether a process still runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
