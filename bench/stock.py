"""The stock sender: aiortc's own RTCPeerConnection with tracks that pass encoded pictures on, paced at the frame rate.

Run as a process, ``python -m bench.stock KIND``: an SDP offer in, as a line of JSON, an answer out.
"""

import asyncio
import json
import sys
import time
from fractions import Fraction

import av
import uvloop
from aiortc import MediaStreamTrack, RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from bench.pictures import KINDS
from services.media.nal import split_length_prefixed
from tests.wall.relay.camera import Clip, clip


class Passthrough(MediaStreamTrack):
    """A camera's pictures as they are, each when it is due."""

    kind = "video"

    def __init__(self, source: Clip) -> None:
        super().__init__()
        self._fps = source.fps
        self._pictures = [
            b"".join(b"\0\0\0\1" + bytes(unit) for unit in split_length_prefixed(payload))
            for payload, _ in source.frames
        ]
        self._began = time.monotonic()
        self._number = 0

    async def recv(self) -> "av.packet.Packet[av.stream.Stream]":
        """The next picture, in Annex B."""
        await asyncio.sleep(self._began + self._number / self._fps - time.monotonic())
        packet = av.Packet(self._pictures[self._number % len(self._pictures)])
        packet.pts = self._number * 90_000 // int(self._fps)
        packet.time_base = Fraction(1, 90_000)
        self._number += 1
        return packet


async def serve(kind: str) -> None:
    """Answers offers until standard input ends."""
    source = clip(0, **KINDS[kind].encoding)
    connections = []
    lines = asyncio.StreamReader(limit=1 << 22)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        connections.append(connection)
        await connection.setRemoteDescription(RTCSessionDescription(json.loads(line), "offer"))
        for transceiver in connection.getTransceivers():
            transceiver.sender.replaceTrack(Passthrough(source))
            transceiver.direction = "sendonly"
        await connection.setLocalDescription(await connection.createAnswer())
        print(json.dumps(connection.localDescription.sdp), flush=True)


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1]))
