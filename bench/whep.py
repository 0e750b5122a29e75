"""A WHEP viewer that decodes nothing: it tells when each packet came."""

import time
from collections.abc import Callable
from typing import Any

import aiohttp
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.rtp import RtpPacket

OnPacket = Callable[[RtpPacket, float], None]
"""The packet, and when it came: Unix seconds."""


class Viewer:
    """One WHEP session on aiortc, its jitter buffer and decoder left out."""

    def __init__(self, on_packet: OnPacket) -> None:
        self._on_packet = on_packet
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._location = ""

    async def open(self, client: aiohttp.ClientSession, url: str, camera: str, profile: str = "main") -> None:
        """Negotiates and returns when packets may come."""
        transceiver = self._connection.addTransceiver("video", direction="recvonly")

        async def take(packet: RtpPacket, arrival_time_ms: int) -> None:
            self._on_packet(packet, time.time())

        receiver: Any = transceiver.receiver
        receiver._handle_rtp_packet = take
        await self._connection.setLocalDescription(await self._connection.createOffer())
        target = f"{url}/whep/{camera}?profile={profile}"
        offer = self._connection.localDescription.sdp
        async with client.post(target, data=offer, headers={"Content-Type": "application/sdp"}) as answer:
            if answer.status != 201:
                raise RuntimeError(f"WHEP answered {answer.status}: {await answer.text()}")
            self._location = answer.headers["Location"]
            sdp = await answer.text()
        await self._connection.setRemoteDescription(RTCSessionDescription(sdp, "answer"))

    async def close(self, client: aiohttp.ClientSession, url: str) -> None:
        """Says goodbye."""
        async with client.delete(url + self._location):
            pass
        await self._connection.close()
