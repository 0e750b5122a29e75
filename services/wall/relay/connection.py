"""One viewer's connection: ICE, DTLS and SRTP on the shared port, its tracks, and what the receiver reports."""

import asyncio
import secrets
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from services.media import rtcp
from services.mesh.clock import Clock
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
from services.wall.relay.engine.dtls import ffi as srtp_ffi
from services.wall.relay.engine.ice import Address, IceAgent
from services.wall.relay.engine.kernel_batch import KernelBatch
from services.wall.relay.engine.sdp import HostCandidate, LocalTransport, PeerTransport
from services.wall.relay.engine.send_batch import Destination
from services.wall.relay.engine.srtp import SrtpError, protect_packet, protect_rtcp, unprotect_rtcp
from services.wall.relay.engine.template import PacketLayout, RtpRun
from services.wall.relay.engine.udp import UdpPort
from services.wall.relay.kernel.structs import DEAD, Stream, ffi, new_peer, set_address
from services.wall.relay.sending.catch_up import CatchUps
from services.wall.relay.sending.feedback import LinkStats
from services.wall.relay.sending.frame import LayOut
from services.wall.relay.sending.history import SentLayouts
from services.wall.relay.sending.pace import LEAST_BPS, BulkPace
from services.wall.relay.sending.pacer import Pacer
from services.wall.relay.sending.pacer_timer import PacerTimer
from services.wall.relay.sending.sound import RtpSoundTrack
from services.wall.relay.sending.track import RtpVideoTrack

log = get_logger()

RETRANSMIT_BPS: Final = 20_000_000
"""For retransmissions: a receiver that asks for everything again must not double the load (R10)."""
REPORTS_PER_PACKET: Final = 36
"""Sender reports in one SRTCP packet: about a kilobyte."""
HELD_DATAGRAMS: Final = 8
"""Of DTLS, until their address may be sent as much. A flight is one to three; what is left out comes again (RFC 6347,
4.2.4)."""

_rtcp_bad = counter("relay_rtcp_dropped", "SRTCP packets that were not authentic, or malformed")
_keyframe_requests = counter("relay_keyframe_requests", "PLI and FIR received")
_nacks = counter("relay_nacked_packets", "Packets asked for again")


@dataclass(frozen=True)
class ViewerPort:
    """What all connections of this relay share."""

    udp: UdpPort
    candidates: tuple[HostCandidate, ...]
    certificates: Certificates
    handshake_limiter: HandshakeLimiter
    pacer_timer: PacerTimer
    pace_bps: float
    """How fast bursts are sent to one viewer."""
    lay_out: LayOut
    """Python's or C's; the port sends with the same."""
    sent_layouts: SentLayouts
    clock: Clock


class KeyframeRequests(Protocol):
    """What shows something on a video track."""

    track: RtpVideoTrack

    def on_keyframe_request(self) -> None:
        """The receiver sent a PLI or FIR for the track."""

    def leave_steady(self) -> None:
        """C must not send to it by itself as it did."""


class ViewerConnection:
    """A peer on the shared port. `connect` makes it usable; `close` takes it away."""

    def __init__(self, peer: PeerTransport, port: ViewerPort) -> None:
        now = port.clock.monotonic()
        self.agent = IceAgent(peer.ufrag, peer.password, now)
        self.path_found = asyncio.Event()
        """Set when the first check of the peer was answered."""
        self.catch_ups = CatchUps()
        self.peer = new_peer()
        """The keys, the address and the bucket, shared with C."""
        self.pacer = Pacer(port.pace_bps, now, self.peer)
        self.bulk_pace = BulkPace(port.pace_bps)
        self.lay_out = port.lay_out
        self.sent_layouts = port.sent_layouts
        self.stats = LinkStats()
        self.keys: SrtpKeys | None = None
        self.tag_bytes = 16
        self.cname = secrets.token_hex(8)
        self._slots: dict[int, KeyframeRequests] = {}
        """By SSRC."""
        self._sounds: list[RtpSoundTrack] = []
        self._destination: Destination | None = None
        """Where media goes: a proven address."""
        self._dtls_waiting: deque[bytes] = deque(maxlen=HELD_DATAGRAMS)
        self._dtls_addresses: set[Address] = set()
        """Where DTLS was sent."""
        self._port = port
        self._udp = port.udp
        self._retransmit_allowance = 0.0
        self._retransmit_at = now
        self._fingerprints = peer.fingerprints
        # The active peer sends the first flight. As the server we choose AES-GCM, which takes half the time.
        self._server = peer.setup != "passive"
        certificate = port.certificates.current(now)
        self._fingerprint = fingerprint(certificate)
        self.dtls = DtlsSession(
            certificate,
            self._send_dtls,
            server=self._server,
            handshake_limiter=port.handshake_limiter,
            clock=port.clock,
        )
        self._udp.add_peer(self)

    @property
    def sent_bytes(self) -> int:
        """All that was protected and sent, but for reports."""
        return int(self.peer.sent_bytes)

    @property
    def kernel_batch(self) -> KernelBatch | None:
        """What sends to the viewer in C; None where nothing can be sent yet, or Python sends."""
        return self._destination.kernel_batch if self._destination is not None and self.keys is not None else None

    def add_slot(self, slot: KeyframeRequests) -> None:
        """Reports on the slot's track, and tells the slot of requests for keyframes."""
        self._slots[slot.track.ssrc] = slot

    def add_sound(self, track: RtpSoundTrack) -> None:
        """Reports on the track."""
        self._sounds.append(track)

    def local(self) -> LocalTransport:
        """Our side, for the answer."""
        setup = "passive" if self._server else "active"
        return LocalTransport(self.agent.ufrag, self.agent.password, self._fingerprint, setup, self._port.candidates)

    async def connect(self) -> None:
        """Completes DTLS; raises `dtls.DtlsError`. Begin when the first check has come in."""
        small = all(slot.track.has_rtx for slot in self._slots.values())
        window = SMALL_WINDOW_PACKETS if small else WINDOW_PACKETS
        keys = await self.dtls.handshake(self._fingerprints, window_packets=window)
        if len(self._dtls_addresses) == 1:  # the peer's last flight repeats what was told there alone
            self.agent.prove(*self._dtls_addresses)
            self.on_path()
        self.use_keys(keys)

    def use_keys(self, keys: SrtpKeys) -> None:
        """Packets are protected from now on."""
        self.tag_bytes = keys.tag_bytes
        self.keys = keys
        self.peer.srtp = ffi.cast("void *", int(srtp_ffi.cast("uintptr_t", keys.outbound)))

    async def close(self) -> None:
        """Says goodbye, and forgets the peer."""
        self.pacer.clear_all()
        self._forget_keys()
        await self.dtls.close()
        self._udp.remove_peer(self)
        self._slots.clear()

    # What the port tells us.

    def on_path(self) -> None:
        """A check or an answer came: media goes where the agent has selected, once that is proven (R9)."""
        self._send_waiting_dtls()
        selected = self.agent.selected
        if selected is not None and self.agent.is_proven(selected):
            self._send_to(selected, self.agent.paths[selected].via)
        self.path_found.set()

    def _send_to(self, address: Address, via: int) -> None:
        """Media goes to ``address``, by our socket ``via``, from now on."""
        before = self._destination
        if before is not None and (before.address, before.via) == (address, via):
            return
        for slot in self._slots.values():
            slot.leave_steady()
        self._destination = destination = self._udp.destination(address, via)
        if destination is not None:
            set_address(self.peer, destination.packed)

    def on_dtls(self, datagram: bytes) -> None:
        """DTLS records for the handshake, or a goodbye."""
        self._send_waiting_dtls()
        self.dtls.receive_datagram(datagram)

    def on_rtcp(self, datagram: bytes) -> None:
        """The receiver's reports, NACKs, keyframe requests and estimate. Others' packets are dropped and counted."""
        if self.keys is None:
            return
        try:
            packets = rtcp.parse_rtcp(unprotect_rtcp(self.keys, datagram))
        except (SrtpError, rtcp.RtcpError):
            _rtcp_bad.inc()
            return
        for packet in packets:
            if isinstance(packet, rtcp.ReceiverReport):
                now_ntp = rtcp.ntp_from_unix_us(self._port.clock.now_us())
                for block in packet.blocks:
                    if block.ssrc in self._slots:
                        self.stats.add_report(block, now_ntp)
            elif isinstance(packet, rtcp.Nack):
                self._on_nack(packet)
            elif isinstance(packet, rtcp.KeyframeRequest):
                _keyframe_requests.inc()
                if slot := self._slots.get(packet.ssrc):
                    slot.on_keyframe_request()
            elif isinstance(packet, rtcp.Remb):
                self.stats.estimate_bps = packet.bitrate_bps

    def _on_nack(self, nack: rtcp.Nack) -> None:
        slot = self._slots.get(nack.ssrc)
        if slot is None:
            return
        _nacks.inc(len(nack.sequences))
        now = self._port.clock.monotonic()
        self.bulk_pace.note_loss(now)
        allowance = self._retransmit_allowance + (now - self._retransmit_at) * RETRANSMIT_BPS / 8
        self._retransmit_at = now
        self._retransmit_allowance = min(allowance, RETRANSMIT_BPS / 8)
        if self._retransmit_allowance > 0:
            self._retransmit_allowance -= slot.track.retransmit(nack.sequences)

    # What tracks ask for.

    def send_runs(
        self, runs: Sequence[RtpRun], payload_type: int, sequence: int, timestamp: int, ssrc: int, extension: bytes
    ) -> None:
        """Protects runs for this viewer and sends them. A full socket drops them; the receiver's NACKs bring them
        back."""
        keys, destination = self.keys, self._destination
        if keys is None or destination is None:
            return
        send_batch = destination.send_batch
        try:
            for run in runs:
                send_batch.scratch.protect(keys, run, payload_type, sequence, timestamp, ssrc, extension)
                send_batch.add_run(run, destination)
                self.peer.sent_bytes += run.wire_bytes
                sequence += run.count
        except SrtpError as error:
            log.error("relay.srtp_failed", status=error.args[0], ssrc=ssrc)  # noqa: TRY400 (the trace says no more)
            self._forget_keys()
            self.dtls.closed.set()

    def put_run(
        self, layout: PacketLayout, number: int, stream: Stream, now: float, stamp: int, sent24: int, *, keyframe: bool
    ) -> None:
        """Has C number, protect and send the ``number``-th run of a layout of its own."""
        batch = self.kernel_batch
        if batch is not None and batch.put_run(layout, number, stream, now, stamp, sent24, keyframe=keyframe) == DEAD:
            self.on_refused()

    def on_refused(self) -> None:
        """libsrtp refused a packet that C gave it. Numbers are used up that nobody got: nothing more is sent."""
        if self.keys is not None:
            log.error("relay.srtp_failed")
            self._forget_keys()
            self.dtls.closed.set()

    def _forget_keys(self) -> None:
        """Nothing is protected any more, neither here nor in C."""
        self.peer.srtp = ffi.NULL
        self.keys = None

    def send_packet(self, packet: bytes) -> None:
        """Protects and sends one RTP packet: a retransmission, or sound."""
        if self.keys is None or self._destination is None:
            return
        try:
            view = protect_packet(self.keys, packet)
        except SrtpError:  # too old to be sent once more under its own number
            return
        self.peer.sent_bytes += len(view)
        self._destination.send_batch.send(view, self._destination.address)

    def set_pace(self, full_bps: float, live_bps: float) -> None:
        """How fast anything is sent, and how fast at least: ``live_bps`` is somewhat more than live frames take."""
        self.bulk_pace.full_bps = full_bps
        self.bulk_pace.least_bps = max(LEAST_BPS, live_bps)
        self.pacer.rate_bytes = full_bps / 8

    def wake_pacer(self) -> None:
        """Serves the pacer from the next tick on."""
        self._port.pacer_timer.wake(self)

    def serve_pacer(self, now: float) -> bool:
        """Sends what may be sent now; whether anything still waits."""
        for catch_up in self.catch_ups.let_on(now):
            self.pacer.release(catch_up.lane)
        pace = self.bulk_pace
        self.pacer.rate_bytes = (pace.rate_bps(now) if self.catch_ups.any_rest else pace.full_bps) / 8
        if self.pacer.serve(now):
            return True
        pace.end()
        self.pacer.rate_bytes = pace.full_bps / 8
        return False

    def send_reports(self) -> None:
        """Sender reports of all tracks, in as few packets as they fit into."""
        if self.keys is None or self._destination is None:
            return
        clock = self._port.clock
        ntp, now = rtcp.ntp_from_unix_us(clock.now_us()), clock.monotonic()
        tracks: list[RtpVideoTrack | RtpSoundTrack] = [*(slot.track for slot in self._slots.values()), *self._sounds]
        reports = [report for track in tracks if (report := track.sender_report(ntp, now))]
        for begin in range(0, len(reports), REPORTS_PER_PACKET):
            packet = rtcp.pack_sender_reports(reports[begin : begin + REPORTS_PER_PACKET], self.cname)
            self._destination.send_batch.send(protect_rtcp(self.keys, packet), self._destination.address)

    def _send_dtls(self, datagram: bytes) -> None:
        self._dtls_waiting.append(datagram)
        self._send_waiting_dtls()

    def _send_waiting_dtls(self) -> None:
        """As much as the address may be sent."""
        waiting, address = self._dtls_waiting, self.agent.selected
        path = self.agent.paths.get(address) if address is not None else None
        while waiting and address is not None and path is not None and path.take(len(waiting[0])):
            self._dtls_addresses.add(address)
            self._udp.send(waiting.popleft(), address, path.via)
