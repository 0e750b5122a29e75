"""A viewer without a browser: full ICE towards one candidate, DTLS, SRTP, frames put together again.

It uses the relay's own DTLS wrapper as a client and pylibsrtp's public interface to unprotect; Chromium, aiortc and
libdatachannel test the same things with code that is not ours.
"""

import asyncio
import re
import secrets
import socket
import struct
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

from pylibsrtp import Error as SrtpSessionError

from services.contracts.permissions import SYSTEM, Actor
from services.contracts.sessions import Aim, SessionOpened
from services.media.rtp import RtpHeader, parse_rtp
from services.mesh.clock import SystemClock
from services.wall.relay.engine import stun
from services.wall.relay.engine.dtls import Certificates, DtlsSession, HandshakeLimiter, SrtpKeys, fingerprint
from services.wall.relay.engine.ice import CONSENT_SECONDS
from services.wall.relay.engine.sdp import ABS_SEND_TIME, PLAYOUT_DELAY
from tests.wall.relay.running import Front

H264, RTX = 102, 103
ABS_ID, PLAYOUT_ID = 3, 6


class Received(NamedTuple):
    """A packet as it came, unprotected."""

    header: RtpHeader
    payload: bytes


def make_offer(
    ufrag: str, password: str, digest: str, slots: int, *, playout_delay: bool = True, rtx: bool = True
) -> str:
    """An offer as a browser would write it, but short."""
    mids = [str(n) for n in range(slots)]
    lines = ["v=0", "o=- 1 2 IN IP4 127.0.0.1", "s=-", "t=0 0", f"a=group:BUNDLE {' '.join(mids)}"]
    for mid in mids:
        lines += [
            f"m=video 9 UDP/TLS/RTP/SAVPF {H264}" + (f" {RTX}" if rtx else ""),
            "c=IN IP4 0.0.0.0", f"a=ice-ufrag:{ufrag}", f"a=ice-pwd:{password}", f"a=fingerprint:sha-256 {digest}",
            "a=setup:actpass", f"a=mid:{mid}", f"a=extmap:{ABS_ID} {ABS_SEND_TIME}",
        ]  # fmt: skip
        if playout_delay:
            lines.append(f"a=extmap:{PLAYOUT_ID} {PLAYOUT_DELAY}")
        lines += [
            "a=recvonly", "a=rtcp-mux", f"a=rtpmap:{H264} H264/90000", f"a=rtcp-fb:{H264} nack",
            f"a=rtcp-fb:{H264} nack pli", f"a=rtcp-fb:{H264} goog-remb",
            f"a=fmtp:{H264} level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=640c1f",
        ]  # fmt: skip
        if rtx:
            lines += [f"a=rtpmap:{RTX} rtx/90000", f"a=fmtp:{RTX} apt={H264}"]
    return "\r\n".join(lines) + "\r\n"


class Viewer:
    """Connects to the relay over IPv4 loopback; collects packets by SSRC."""

    certificates = Certificates()

    def __init__(self, front: Front) -> None:
        self.front = front
        self.session: SessionOpened
        self.packets: defaultdict[int, list[Received]] = defaultdict(list)
        """By SSRC; a notice may be here before the first packet is."""
        self.ssrcs: list[int] = []
        self.rtx_ssrcs: list[int] = []
        self.rtcp: list[bytes] = []
        self.keys: SrtpKeys
        self.drop: Callable[[Received], bool] = lambda _: False
        """Which packets are lost on the way; looked at before they are counted."""
        self.lose: Callable[[bytes], bool] = lambda _: False
        """Which datagrams of media never come here; unlike `drop`, they are still protected, and may come again."""
        self.on_packet: Callable[[Received], None] = lambda _: None
        self.relay_host = "127.0.0.1"
        self.keep = True
        self.answers_checks = True
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
        self.sock.bind(("127.0.0.1", 0))
        self._ufrag, self._password = secrets.token_hex(4), secrets.token_hex(16)
        certificate = self.certificates.current(0.0)
        self._digest = fingerprint(certificate)
        self._dtls = DtlsSession(
            certificate, self.send, server=False, handshake_limiter=HandshakeLimiter(), clock=SystemClock()
        )
        self._answered = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self.sock, self._readable)
        self.connected = False
        self._early: list[bytes] = []
        self._renewing: asyncio.TimerHandle | None = None

    async def open(
        self,
        slots: int,
        *aims: Aim,
        playout_delay: bool = True,
        rtx: bool = True,
        connect: bool = True,
        kind: Literal["wall", "whep"] = "wall",
        actor: Actor = SYSTEM,
    ) -> None:
        """Offers, and connects."""
        offer = make_offer(
            self._ufrag, self._password, self._digest, slots, playout_delay=playout_delay, rtx=rtx
        )  # fmt: skip
        self.session = await self.front.open(offer, *aims, kind=kind, actor=actor)
        answer = self.session.answer
        self.ssrcs = [int(n) for n in dict.fromkeys(re.findall(r"a=ssrc:(\d+) cname", answer))]
        groups = re.findall(r"a=ssrc-group:FID (\d+) (\d+)", answer)
        if groups:
            self.ssrcs, self.rtx_ssrcs = [int(a) for a, _ in groups], [int(b) for _, b in groups]
        if connect:
            await self.connect()

    async def connect(self) -> None:
        """ICE and DTLS."""
        answer = self.session.answer
        for _ in range(20):
            self.check()
            try:
                async with asyncio.timeout(0.25):
                    await self._answered.wait()
                break
            except TimeoutError:
                continue
        digest = re.search(r"a=fingerprint:(\S+) (\S+)", answer)
        assert digest
        self.keys = await self._dtls.handshake([(digest[1], digest[2])])
        self.connected = True
        for data in self._early:
            self._on_srtp(data)
        self._renewing = self._loop.call_later(CONSENT_SECONDS / 6, self._renew_consent)

    def _renew_consent(self) -> None:
        """As a browser does: a test may last longer than consent that is not renewed."""
        self.check()
        self._renewing = self._loop.call_later(CONSENT_SECONDS / 6, self._renew_consent)

    def check(self, *, password: str | None = None) -> None:
        """Sends one binding request."""
        answer = self.session.answer
        ufrag = re.search(r"a=ice-ufrag:(\S+)", answer)
        theirs = re.search(r"a=ice-pwd:(\S+)", answer)
        assert ufrag
        assert theirs
        username = f"{ufrag[1]}:{self._ufrag}"
        secret = (password or theirs[1]).encode()
        self.send(stun.binding_request(secrets.token_bytes(12), username, secret, use_candidate=True))

    def send(self, datagram: bytes) -> None:
        """Sends to the relay."""
        self.sock.sendto(datagram, (self.relay_host, self.front.relay.udp.port))

    def move(self) -> None:
        """Takes another port, as a NAT that forgot would give."""
        self._loop.remove_reader(self.sock)
        self.sock.close()
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setblocking(False)
        self.sock.bind(("127.0.0.1", 0))
        self._loop.add_reader(self.sock, self._readable)

    def _datagrams(self) -> Iterator[bytes]:
        """Those that have come."""
        for _ in range(64):
            try:
                yield self.sock.recv(2048)
            except BlockingIOError:
                return

    def _readable(self) -> None:
        for data in self._datagrams():
            first = data[0]
            if first < 4:
                self._on_stun(data)
            elif first < 64:
                self._dtls.receive_datagram(data)
            elif self.lose(data):
                continue
            elif self.connected:
                self._on_srtp(data)
            else:  # media overtakes the end of the handshake here, which is two turns of the loop long
                self._early.append(data)

    def _on_stun(self, data: bytes) -> None:
        request = stun.parse_binding_request(data)
        if request is None:
            self._answered.set()
        elif self.answers_checks:
            self.send(
                stun.binding_success(
                    request.transaction, "127.0.0.1", self.front.relay.udp.port, self._password.encode()
                )
            )

    def _on_srtp(self, data: bytes) -> None:
        inbound = self.keys.owners[1]
        try:
            if 192 <= data[1] < 224:
                self.rtcp.append(inbound.unprotect_rtcp(data))
                return
            plain = inbound.unprotect(data)
        except SrtpSessionError:
            return
        header = parse_rtp(plain)
        received = Received(header, plain[header.payload_at : header.payload_end])
        if self.drop(received):
            return
        if self.keep:
            self.packets[header.ssrc].append(received)
        self.on_packet(received)

    def send_rtcp(self, packet: bytes) -> None:
        """Protects and sends RTCP."""
        self.send(self.keys.owners[0].protect_rtcp(packet))

    def nack(self, ssrc: int, *sequences: int) -> None:
        """Asks for packets again."""
        items = b"".join(struct.pack(">HH", sequence, 0) for sequence in sequences)
        self.send_rtcp(struct.pack(">BBHII", 0x81, 205, 2 + len(sequences), 1, ssrc) + items)

    def pli(self, ssrc: int) -> None:
        """Asks for a keyframe."""
        self.send_rtcp(struct.pack(">BBHII", 0x81, 206, 2, 1, ssrc))

    def report(self, ssrc: int, *, lost: int, highest: int) -> None:
        """A receiver report."""
        self.send_rtcp(struct.pack(">BBHIIIIIII", 0x81, 201, 7, 1, ssrc, lost & 0xFFFFFF, highest, 0, 0, 0))

    def remb(self, bitrate_bps: int) -> None:
        """A bandwidth estimate."""
        exponent = max(0, bitrate_bps.bit_length() - 18)
        mantissa = bitrate_bps >> exponent
        value = struct.pack(">I", 1 << 24 | exponent << 18 | mantissa)
        self.send_rtcp(struct.pack(">BBHII", 0x8F, 206, 5, 1, 0) + b"REMB" + value + struct.pack(">I", self.ssrcs[0]))

    def frames(self, slot: int = 0) -> list[tuple[int, bytes]]:
        """The slot's access units in Annex B with their timestamps, put together from packets without holes."""
        packets = sorted(self.packets.get(self.ssrcs[slot], ()), key=lambda p: p.header.sequence)
        return reassemble(packets)

    async def wait_packets(self, count: int, slot: int = 0, timeout_seconds: float = 90.0) -> list[Received]:
        """Until so many packets of a slot are there."""
        async with asyncio.timeout(timeout_seconds):
            while len(self.packets.get(self.ssrcs[slot], ())) < count:
                await asyncio.sleep(0.005)
        return self.packets[self.ssrcs[slot]]

    async def close(self, *, goodbye: bool = True) -> None:
        """Leaves, with DTLS close_notify or without a word."""
        if self._renewing is not None:
            self._renewing.cancel()
        if goodbye:
            await self._dtls.close()
        self._loop.remove_reader(self.sock)
        self.sock.close()


def reassemble(packets: list[Received]) -> list[tuple[int, bytes]]:
    """Access units from RFC 6184 packets in order; a frame with a missing packet is left out."""
    frames: list[tuple[int, bytes]] = []
    units: list[bytes] = []
    fragment = b""
    whole, before = True, None
    for header, payload in packets:
        if before is not None and header.sequence != (before + 1) & 0xFFFF:
            whole = False
        before = header.sequence
        kind = payload[0] & 0x1F
        if kind == 24:
            at = 1
            while at < len(payload):
                (size,) = struct.unpack_from(">H", payload, at)
                units.append(payload[at + 2 : at + 2 + size])
                at += 2 + size
        elif kind == 28:
            if payload[1] & 0x80:
                fragment = bytes((payload[0] & 0xE0 | payload[1] & 0x1F,))
            fragment += payload[2:]
            if payload[1] & 0x40:
                units.append(fragment)
        else:
            units.append(payload)
        if header.marker:
            if whole:
                frames.append((header.timestamp, b"".join(b"\0\0\0\1" + unit for unit in units)))
            units, fragment, whole = [], b"", True
    return frames
