"""aiortc as a viewer: a full ICE agent, DTLS and RTP receiver that are not ours."""

import asyncio

import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription
from av import VideoFrame

from services.contracts.sessions import Aim
from services.mesh.bus import Bus
from tests.wall.relay.camera import BITS, BusCamera, clip
from tests.wall.relay.running import Front

pytestmark = pytest.mark.integration


def camera_in(frame: VideoFrame) -> int:
    """The camera's number in a decoded picture."""
    row = frame.to_ndarray(format="rgb24")[8]
    block = frame.width // BITS
    number = 0
    for bit in range(8):
        number = number * 2 + int(row[bit * block + block // 2].mean() > 128)
    return number


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_an_independent_client_plays_a_camera(bus: Bus, front: Front) -> None:
    await front.add_camera("cam-5")
    async with BusCamera(bus, "cam-5", clip(5, size=(480, 270), profile="baseline")):
        peer = RTCPeerConnection()
        peer.addTransceiver("video", direction="recvonly")
        peer.addTransceiver("audio", direction="recvonly")
        await peer.setLocalDescription(await peer.createOffer())
        opened = await front.open(peer.localDescription.sdp, Aim(slot=0, camera="cam-5"), kind="whep")
        await peer.setRemoteDescription(RTCSessionDescription(opened.answer, "answer"))
        track = peer.getTransceivers()[0].receiver.track
        async with asyncio.timeout(90):
            frames = [await track.recv() for _ in range(20)]
        assert all(isinstance(frame, VideoFrame) for frame in frames)
        assert {camera_in(frame) for frame in frames if isinstance(frame, VideoFrame)} == {5}
        await peer.close()
