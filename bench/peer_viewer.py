"""A WHEP viewer of any server on this machine, on sockets of our own, so that many of them cost little."""

import asyncio
import re
import time
from types import SimpleNamespace
from typing import Any, cast

import aiohttp

from bench.receivers import Counters
from services.media.h264 import NalType
from services.mesh.clock import SystemClock
from services.wall.relay.engine.dtls import DtlsSession, HandshakeLimiter
from tests.wall.relay.viewer import Received, Viewer, make_offer

FIRST_SECONDS = 30.0
_AGGREGATE, _FRAGMENT = 24, 28
"""STAP-A and FU-A (RFC 6184)."""


class PeerViewer(Viewer):
    """Offers, connects, and takes what comes."""

    def __init__(self) -> None:
        super().__init__(cast("Any", SimpleNamespace(relay=SimpleNamespace(udp=SimpleNamespace(port=0)))))
        self.keep = False
        self.on_packet = self._look
        self._keyframe = asyncio.Event()
        self._began = False

    async def open_at(self, client: aiohttp.ClientSession, url: str) -> float:
        """Connects; returns when the offer was sent. Raises ``RuntimeError`` where the server refuses it."""
        offer = make_offer(self._ufrag, self._password, self._digest, 1)
        at = time.monotonic()
        async with client.post(url, data=offer, headers={"Content-Type": "application/sdp"}) as response:
            answer = await response.text()
            if response.status not in (200, 201):
                raise RuntimeError(f"{url} answered {response.status}: {answer[:200]}")
        found = re.search(r"^a=candidate:\S+ 1 udp \d+ 127\.0\.0\.1 (\d+) ", answer, re.MULTILINE | re.IGNORECASE)
        if found is None:
            raise RuntimeError(f"{url} gives no address on this machine: {answer[:400]}")
        self.front.relay.udp.port = int(found[1])
        self.session = cast("Any", SimpleNamespace(answer=answer))
        if "a=setup:active" in answer:
            own = self.certificates.current(0.0)
            self._dtls = DtlsSession(
                own, self.send, server=True, handshake_limiter=HandshakeLimiter(), clock=SystemClock()
            )
        await self.connect()
        return at

    async def first_keyframe(self, client: aiohttp.ClientSession, url: str) -> float:
        """Seconds from the offer to the last packet of the first keyframe."""
        at = await self.open_at(client, url)
        async with asyncio.timeout(FIRST_SECONDS):
            await self._keyframe.wait()
        return time.monotonic() - at

    def count_in(self, counters: Counters) -> None:
        """Leaves the socket to be counted."""
        self._loop.remove_reader(self.sock)
        counters.add(self.sock)

    def _look(self, packet: Received) -> None:
        kind = packet.payload[0] & 0x1F
        if kind == _FRAGMENT:
            kind = packet.payload[1] & 0x1F
        self._began |= kind == NalType.IDR or (kind == _AGGREGATE and packet.payload[3] & 0x1F == NalType.SPS)
        if self._began and packet.header.marker:
            self._keyframe.set()
