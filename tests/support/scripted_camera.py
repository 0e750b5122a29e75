"""A camera that is scripted: an RTSP server over TCP and UDP whose every answer and packet a test may make odd.

It shares no code with the reader: requests are taken apart and packets made here, so that a mistake of the one is not
hidden by the same in the other.
"""

import asyncio
import re
import socket
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Literal

from services.media.nal import split_annex_b
from tests.media import encoded

SSRC = 0x0BADCAFE
PICTURES = 60
PICTURE_SECONDS = 0.006
TICKS = 3600
Codec = Literal["h264", "h265"]


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    method: str
    url: str
    head: str
    number: int
    """Which request of this method it is on this server, from 0."""

    def header(self, name: str) -> str:
        found = re.search(rf"(?im)^{name}:\s*(.*?)\r?$", self.head)
        return found[1] if found else ""


@dataclass(frozen=True)
class RtpPacket:
    """One RTP packet of a picture."""

    picture: int
    payload: bytes
    timestamp: int
    marker: bool
    sequence: int
    payload_type: int = 96
    ssrc: int = SSRC
    first_byte: int = 0x80
    before_payload: bytes = b""
    """Sources and extensions."""
    behind_payload: bytes = b""
    """Padding."""

    def wire(self) -> bytes:
        second = self.marker << 7 | self.payload_type
        head = struct.pack(">BBHII", self.first_byte, second, self.sequence & 0xFFFF, self.timestamp, self.ssrc)
        return head + self.before_payload + self.payload + self.behind_payload


@cache
def pictures(codec: Codec = "h264", slices: int = 1) -> tuple[tuple[bytes, ...], ...]:
    """The NAL units of each picture, parameter sets with every tenth."""
    if codec == "h264":
        options = (("x264-params", f"repeat-headers=1:slices={slices}"),)
        made = encoded.video("libx264", frames=PICTURES, gop=10, size=(320, 192), options=options)
    else:
        made = encoded.video(
            "libx265", frames=PICTURES, gop=10, size=(320, 192),
            options=(("x265-params", "repeat-headers=1:log-level=none:keyint=10:min-keyint=10:scenecut=0:bframes=0"),),
        )  # fmt: skip
    return tuple(tuple(split_annex_b(packet.data)) for packet in made.packets)


def is_slice(nal: bytes, codec: Codec = "h264") -> bool:
    return 1 <= nal[0] & 31 <= 5 if codec == "h264" else nal[0] & 0x40 == 0


def is_keyframe(nal: bytes, codec: Codec = "h264") -> bool:
    return nal[0] & 31 == 5 if codec == "h264" else 16 <= nal[0] >> 1 & 63 <= 21


def payloads(nals: tuple[bytes, ...], codec: Codec = "h264", limit: int = 60) -> list[bytes]:
    """Single NAL unit packets and fragments (RFC 6184, 5.6 and 5.8; RFC 7798, 4.4.1 and 4.4.3)."""
    found: list[bytes] = []
    for nal in nals:
        if len(nal) <= limit:
            found.append(nal)
            continue
        header = 1 if codec == "h264" else 2
        kind = nal[0] & 31 if codec == "h264" else nal[0] >> 1 & 63
        indicator = bytes((nal[0] & 0xE0 | 28,)) if codec == "h264" else bytes((nal[0] & 0x81 | 98, nal[1]))
        pieces = [nal[at : at + limit] for at in range(header, len(nal), limit)]
        for number, piece in enumerate(pieces):
            flags = 0x80 * (number == 0) | 0x40 * (number == len(pieces) - 1)
            found.append(indicator + bytes((flags | kind,)) + piece)
    return found


def packets(codec: Codec = "h264", *, slices: int = 1, limit: int = 60) -> list[RtpPacket]:
    """All pictures as a good camera sends them."""
    return packetized(pictures(codec, slices), codec, limit=limit)


def packetized(
    made: Sequence[tuple[bytes, ...]], codec: Codec = "h264", *, limit: int = 60, times: Sequence[int] | None = None
) -> list[RtpPacket]:
    """Pictures as a good camera sends them; ``times``: when each is shown, in pictures."""
    found: list[RtpPacket] = []
    for number, nals in enumerate(made):
        parts = payloads(nals, codec, limit)
        at_ticks = 1000 + (number if times is None else times[number]) * TICKS
        found += [
            RtpPacket(number, data, at_ticks, at == len(parts) - 1, 65_000 + len(found) + at)
            for at, data in enumerate(parts)
        ]
    return found


def renumbered(found: list[RtpPacket]) -> list[RtpPacket]:
    """With consecutive sequence numbers."""
    return [replace(packet, sequence=65_000 + at) for at, packet in enumerate(found)]


def framed(data: bytes, channel: int = 0) -> bytes:
    """Behind the interleaved header (RFC 2326, 10.12)."""
    return b"$" + bytes((channel,)) + len(data).to_bytes(2, "big") + data


def answer(asked: Asked, status: str = "200 OK", *headers: str, body: str = "") -> bytes:
    """A response."""
    lines = [f"RTSP/1.0 {status}", f"CSeq: {asked.header('cseq')}", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


Script = Callable[["ScriptedCamera", Asked], bytes | None]
"""Answers a request; None: not at all."""


@dataclass
class ScriptedCamera:
    """A camera of one video track; what is odd about it are its fields. Listens while its context is entered."""

    sends: list[RtpPacket] = field(default_factory=packets)
    script: dict[str, Script] = field(default_factory=dict)
    sdp: str = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:track1\r\n"
    base: str | None = "{url}/"
    """Content-Base; {url}: what was asked for."""
    frame: Callable[["ScriptedCamera", int, bytes], bytes] = lambda camera, _number, data: framed(data, camera.channel)
    """The bytes for the packet of that number."""
    before_play_answer: int = 0
    """So many packets are sent before PLAY is answered."""
    greeting: bytes | None = None
    """Sent, instead of any answer, when a connection comes."""
    needs_keep_alive_seconds: float | None = None
    ends: bool = True
    """Closes the connection behind the last packet."""
    ends_after_seconds: float = 0.05
    """… so long behind it; 0: at once."""
    picture_seconds: float = PICTURE_SECONDS
    channel: int = 0
    datagrams: Callable[[int], list[tuple[int, bytes]]] = lambda _number: []
    """Over UDP: what is sent besides, before the packet of that number; 0: to the port of RTP, 1: of RTCP."""
    sends_from: str = "127.0.0.1"
    """The address that datagrams come from."""
    piece_bytes: int = 0
    """Over TCP: so many bytes are written at once; 0: all."""
    hangs_up: Callable[[Asked, bytes], bool] = lambda _asked, _reply: False
    """Whether it closes the connection behind a reply."""
    connections: int = 0
    asked: list[Asked] = field(default_factory=list)

    async def __aenter__(self) -> "ScriptedCamera":
        self._counts: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._client_ports: tuple[int, int] | None = None
        self._writers: list[asyncio.StreamWriter] = []
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.close()

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/live"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._unheard_seconds = 0.0
        try:
            if self.greeting is not None:
                writer.write(self.greeting)
                writer.close()
                return
            while True:
                first = await reader.readexactly(1)
                if first == b"$":
                    _, size = struct.unpack(">BH", await reader.readexactly(3))
                    await reader.readexactly(size)
                    continue
                head = (first + await reader.readuntil(b"\r\n\r\n")).decode()
                if head.startswith("RTSP/"):
                    self.asked.append(Asked("ANSWER", "", head, 0))
                    continue
                await self._take(head, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def _take(self, head: str, writer: asyncio.StreamWriter) -> None:
        method, url, _ = head.split(" ", 2)
        number = self._counts.get(method, 0)
        self._counts[method] = number + 1
        asked = Asked(method, url, head, number)
        self.asked.append(asked)
        self._unheard_seconds = 0.0
        reply = self.script.get(method, ScriptedCamera.good)(self, asked)
        if method == "PLAY" and reply is not None and re.search(rb"RTSP/\d\.\d 200", reply):
            out = self._socket() if self._client_ports else None
            for at, packet in enumerate(self.sends[: self.before_play_answer]):
                self._send(at, packet, writer, out)
            if out is not None:
                out.close()
            writer.write(reply)
            task = asyncio.create_task(self._play(writer))
            self._tasks.add(task)
        elif reply is not None:
            for at in range(0, len(reply), self.piece_bytes or len(reply) or 1):
                writer.write(reply[at : at + (self.piece_bytes or len(reply))])
                await asyncio.sleep(0)
        if reply is not None and self.hangs_up(asked, reply):
            await asyncio.sleep(0.01)
            writer.close()

    def _socket(self) -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind((self.sends_from, 0))
        return made

    def _send(self, number: int, packet: RtpPacket, writer: asyncio.StreamWriter, out: socket.socket | None) -> None:
        if out is None:
            writer.write(self.frame(self, number, packet.wire()))
            return
        assert self._client_ports is not None
        for port, data in (*self.datagrams(number), (0, packet.wire())):
            out.sendto(data, ("127.0.0.1", self._client_ports[port]))

    def good(self, asked: Asked) -> bytes:
        """What a camera that keeps to RFC 2326 answers."""
        match asked.method:
            case "OPTIONS":
                return answer(asked, "200 OK", "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER")
            case "DESCRIBE":
                headers = [] if self.base is None else [f"Content-Base: {self.base.format(url=asked.url)}"]
                body = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=x\r\nt=0 0\r\n" + self.sdp
                return answer(asked, "200 OK", "Content-Type: application/sdp", *headers, body=body)
            case "SETUP":
                return self.set_up(asked)
            case _:
                return answer(asked, "200 OK", "Session: 77")

    def set_up(self, asked: Asked, transport: str | None = None) -> bytes:
        """Answers SETUP as asked, or with ``transport``."""
        wanted = asked.header("transport")
        if ports := re.search(r"client_port=(\d+)-(\d+)", wanted):
            self._client_ports = int(ports[1]), int(ports[2])
            wanted += ";server_port=0-0"
        return answer(asked, "200 OK", f"Transport: {transport or wanted}", "Session: 77;timeout=60")

    async def _play(self, writer: asyncio.StreamWriter) -> None:
        out = self._socket() if self._client_ports else None
        picture = 0
        try:
            for number, packet in enumerate(self.sends[self.before_play_answer :], self.before_play_answer):
                if packet.picture > picture:
                    picture = packet.picture
                    await asyncio.sleep(self.picture_seconds)
                    # By what it sent, not by the clock: a process without its turn keeps the client's requests as well.
                    self._unheard_seconds += self.picture_seconds
                    limit = self.needs_keep_alive_seconds
                    if limit is not None and self._unheard_seconds > limit:
                        break
                if out is None and self.piece_bytes:
                    wire = self.frame(self, number, packet.wire())
                    for at in range(0, len(wire), self.piece_bytes):
                        writer.write(wire[at : at + self.piece_bytes])
                        await asyncio.sleep(0)
                else:
                    self._send(number, packet, writer, out)
            if self.ends:
                if self.ends_after_seconds:
                    await asyncio.sleep(self.ends_after_seconds)
                writer.close()
        except ConnectionError:
            return
        finally:
            if out is not None:
                out.close()
