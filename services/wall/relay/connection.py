"""One viewer's connection: ICE, DTLS and SRTP on the shared port, its tracks, and what the receiver reports."""

import secrets
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from services.media import rtcp
from services.mesh.log import get_logger
from services.mesh.metrics import counter
from services.wall.relay.engine.dtls import (
    SMALL_WINDOW_PACKETS,
    WINDOW_PACKETS,
    Certificates,
    DtlsSession,
    HandshakeLimiter,
    SrtpKeys,
    fingerprint,
)
from services.wall.relay.engine.ice import IceAgent
from services.wall.relay.engine.sdp import HostCandidate, LocalTransport, Offer
from services.wall.relay.engine.send_batch import Destination
from services.wall.relay.engine.srtp import SrtpError, protect_packet, protect_rtcp, unprotect_rtcp
from services.wall.relay.engine.template import RtpRun
from services.wall.relay.engine.udp import UdpPort
from services.wall.relay.sending.feedback import LinkStats
from services.wall.relay.sending.pacer import Pacer
from services.wall.relay.sending.track import RtpVideoTrack
from services.wall.relay.sources.sound import RtpSoundTrack

log = get_logger()

RETRANSMIT_BPS: Final = 20_000_000
"""What retransmissions may take: a receiver that asks for everything again must not double the load."""
REPORTS_PER_PACKET: Final = 36
"""Sender reports in one SRTCP packet: about a kilobyte."""

_rtcp_bad = counter("relay_rtcp_dropped", "SRTCP packets that were not authentic, or malformed")
_keyframe_requests = counter("relay_keyframe_requests", "PLI and FIR received")
_nacks = counter("relay_nacked_packets", "Packets asked for again")


class PacerWaker(Protocol):
    """Serves the pacers of all connections."""

    def wake(self, connection: "ViewerConnection") -> None:
        """The connection's pacer has something waiting."""


class ViewerConnection:
    """A peer on the shared port. `connect` makes it usable; `close` takes it away."""

    def __init__(
        self,
        offer: Offer,
        udp: UdpPort,
        pacer_timer: PacerWaker,
        certificates: Certificates,
        handshake_limiter: HandshakeLimiter,
        pace_bps: float,
        on_path: Callable[[], None],
        on_keyframe_request: Callable[[RtpVideoTrack], None],
    ) -> None:
        now = time.monotonic()
        self.agent = IceAgent(offer.ufrag, now)
        self.tracks: dict[int, RtpVideoTrack] = {}
        """By SSRC."""
        self.sound: RtpSoundTrack | None = None
        self.pacer = Pacer(pace_bps, now)
        self.stats = LinkStats()
        self.keys: SrtpKeys | None = None
        self.tag_bytes = 16
        self.cname = secrets.token_hex(8)
        self.sent_bytes = 0
        self._destination: Destination | None = None
        self._udp = udp
        self._pacer_timer = pacer_timer
        self._on_path = on_path
        self._on_keyframe_request = on_keyframe_request
        self._retransmit_allowance = 0.0
        self._retransmit_at = now
        self._fingerprints = offer.fingerprints
        # The peer that is active sends the first flight, and as the server we get AES-GCM, which is twice as fast.
        self._server = offer.setup != "passive"
        certificate = certificates.current()
        self._fingerprint = fingerprint(certificate)
        self.dtls = DtlsSession(certificate, self._send_dtls, server=self._server, handshake_limiter=handshake_limiter)
        udp.add_peer(self)

    def local(self, candidates: tuple[HostCandidate, ...]) -> LocalTransport:
        """Our side, for the answer."""
        setup = "passive" if self._server else "active"
        return LocalTransport(self.agent.ufrag, self.agent.password, self._fingerprint, setup, candidates)

    async def connect(self) -> None:
        """Completes DTLS; raises `dtls.DtlsError`. Begin when the first check has come in."""
        small = all(track.has_rtx for track in self.tracks.values())
        window = SMALL_WINDOW_PACKETS if small else WINDOW_PACKETS
        keys = await self.dtls.handshake(self._fingerprints, window_packets=window)
        self.tag_bytes = keys.tag_bytes
        self.keys = keys

    async def close(self) -> None:
        """Says goodbye, and forgets the peer."""
        self.pacer.clear_all()
        self.keys = None
        await self.dtls.close()
        self._udp.remove_peer(self)
        self.tracks.clear()

    # What the port tells us.

    def on_path(self) -> None:
        """See `Peer.on_path`."""
        selected = self.agent.selected
        if selected is not None and (self._destination is None or self._destination.address != selected):
            self._destination = self._udp.destination(selected)
        self._on_path()

    def on_dtls(self, datagram: bytes) -> None:
        """See `Peer.on_dtls`."""
        self.dtls.receive_datagram(datagram)

    def on_rtcp(self, datagram: bytes) -> None:
        """See `Peer.on_rtcp`."""
        if self.keys is None:
            return
        try:
            packets = rtcp.parse_rtcp(unprotect_rtcp(self.keys, datagram))
        except (SrtpError, rtcp.RtcpError):
            _rtcp_bad.inc()
            return
        for packet in packets:
            if isinstance(packet, rtcp.ReceiverReport):
                now_ntp = rtcp.ntp_from_unix_us(time.time_ns() // 1000)
                for block in packet.blocks:
                    if block.ssrc in self.tracks:
                        self.stats.add_report(block, now_ntp)
            elif isinstance(packet, rtcp.Nack):
                self._on_nack(packet)
            elif isinstance(packet, rtcp.KeyframeRequest):
                _keyframe_requests.inc()
                if track := self.tracks.get(packet.ssrc):
                    self._on_keyframe_request(track)
            elif isinstance(packet, rtcp.Remb):
                self.stats.estimate_bps = packet.bitrate_bps

    def _on_nack(self, nack: rtcp.Nack) -> None:
        track = self.tracks.get(nack.ssrc)
        if track is None:
            return
        _nacks.inc(len(nack.sequences))
        now = time.monotonic()
        allowance = self._retransmit_allowance + (now - self._retransmit_at) * RETRANSMIT_BPS / 8
        self._retransmit_at = now
        self._retransmit_allowance = min(allowance, RETRANSMIT_BPS / 8)
        if self._retransmit_allowance > 0:
            self._retransmit_allowance -= track.retransmit(nack.sequences)

    # What tracks ask for.

    def send_runs(
        self, runs: Sequence[RtpRun], payload_type: int, sequence: int, timestamp: int, ssrc: int, extension: bytes
    ) -> None:
        """Protects runs for this viewer and sends them. What finds the socket full is dropped: NACK repairs that."""
        keys, destination = self.keys, self._destination
        if keys is None or destination is None:
            return
        send_batch = destination.send_batch
        try:
            for run in runs:
                send_batch.scratch.protect(keys, run, payload_type, sequence, timestamp, ssrc, extension)
                send_batch.add_run(run, destination)
                self.sent_bytes += run.wire_bytes
                sequence += run.count
        except SrtpError as error:
            log.error("relay.srtp_failed", status=error.args[0], ssrc=ssrc)  # noqa: TRY400 (the trace says no more)
            self.keys = None
            self.dtls.closed.set()

    def send_packet(self, packet: bytes) -> None:
        """Protects and sends one RTP packet: a retransmission, or sound."""
        if self.keys is None or self.agent.selected is None:
            return
        try:
            view = protect_packet(self.keys, packet)
        except SrtpError:  # too old to be sent once more under its own number
            return
        self.sent_bytes += len(view)
        self._udp.send(view, self.agent.selected)

    def wake_pacer(self) -> None:
        """See `VideoLink.wake_pacer`."""
        self._pacer_timer.wake(self)

    def send_reports(self) -> None:
        """Sender reports of all tracks, in as few packets as they fit into."""
        if self.keys is None or self.agent.selected is None:
            return
        ntp, now = rtcp.ntp_from_unix_us(time.time_ns() // 1000), time.monotonic()
        tracks: list[RtpVideoTrack | RtpSoundTrack] = list(self.tracks.values())
        if self.sound is not None:
            tracks.append(self.sound)
        reports = [report for track in tracks if (report := track.sender_report(ntp, now))]
        for begin in range(0, len(reports), REPORTS_PER_PACKET):
            packet = rtcp.pack_sender_reports(reports[begin : begin + REPORTS_PER_PACKET], self.cname)
            self._udp.send(protect_rtcp(self.keys, packet), self.agent.selected)

    def _send_dtls(self, datagram: bytes) -> None:
        if self.agent.selected is not None:
            self._udp.send(datagram, self.agent.selected)
