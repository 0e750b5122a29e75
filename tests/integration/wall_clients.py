"""What watches a wall in tests: a WHEP player, a page's session, and the cameras that they see."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import aiohttp
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from services.contracts import subjects
from services.contracts.models import Camera, CameraState, Profile, Status
from services.mesh.buckets import Bucket
from services.mesh.bus import Bus
from tests.wall.relay.camera import BITS, SITE, BusCamera, clip

LOOP_FRAMES, GOP_FRAMES = 100, 50
"""Of the pictures that `tests.wall.relay.camera` sends."""
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
    async with asyncio.timeout(90):
        while len(found) < count:
            frame: Any = await track.recv()
            found.append(numbers(frame.to_ndarray(format="gray")))
    return found


def assert_none_is_missing(numbers: list[int]) -> None:
    """Raises where a picture is missing or out of order.

    What a catch-up leads to is left out where the next keyframe overtakes it (`RtpVideoTrack.send_live`): so one step,
    within the first GOP, may lead on to a keyframe.
    """
    steps = list(pairwise(numbers))
    if jumps := [at for at, (before, after) in enumerate(steps) if (after - before) % LOOP_FRAMES != 1]:
        assert len(jumps) == 1, numbers
        assert jumps[0] < GOP_FRAMES, numbers
        assert steps[jumps[0]][1] % GOP_FRAMES == 0, numbers


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
