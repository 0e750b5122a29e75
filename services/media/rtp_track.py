"""One track of an RTSP session: its RTP stream received, depacketized, timed, and its RTCP taken and written."""

import math
import struct
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from services.media.depacketize.formats import declared_extradata, encoding_of, make_depacketizer
from services.media.depacketize.nal_units import NalDepacketizer
from services.media.depacketize.unit_sink import ArrivalClock
from services.media.rtcp import (
    Bye,
    RtcpError,
    SenderReport,
    pack_receiver_report,
    parse_rtcp,
    unix_us_from_ntp,
)
from services.media.rtcp import (
    Packet as RtcpPacket,
)
from services.media.rtp_receive import Depacketizer, RtpReceiver, RtpTime
from services.media.rtsp.framing import ChannelReceiver
from services.media.sdp import RtpFormat, SdpMedia

_RTCP_TYPES: Final = range(200, 207)
_LEAST_RTCP_BYTES: Final = 8
BYE_SECONDS: Final = 1.0
"""After a goodbye (RFC 3550, 6.6) packets may still come; without any for so long the stream is over."""


class TrackSink(Protocol):
    """Takes the access units or audio frames of one track."""

    def __call__(
        self,
        data: bytes | Sequence[bytes],
        pts_90k: int,
        arrival_us: int,
        rtcp_us: int | None,
        damaged: bool,
        lost: int,
        /,
    ) -> None:
        """A frame's bytes or a picture's NAL units.

        ``rtcp_us``: when it was sampled by the sender's clock, Unix time; None before a sender report. ``lost``: RTP
        packets that are missing between the unit before it and its end; at least 1 where it is not known.
        """


class RtpTrack:
    """Receives one track. ``receiver`` takes its RTP, `RtcpReceiver` its RTCP."""

    def __init__(
        self,
        media: SdpMedia,
        formats: Sequence[RtpFormat],
        clock: ArrivalClock,
        on_unit: TrackSink,
        on_codec: Callable[[], None],
    ) -> None:
        """``formats``: those of the section that can be read, not empty. ``on_codec`` is called when the stream turns
        out to be, or goes on, in another of them than `format` was: before the first unit of it."""
        self.format = formats[0]
        """What is read now."""
        self.bye_packets: int | None = None
        """How many packets had come when the sender said goodbye to them."""
        self.malformed_rtcp = 0
        self._silent_since: tuple[int, float] | None = None
        """How many packets had come at a goodbye that nothing has followed yet, and since when that is so."""
        self._formats = {known.payload_type: known for known in formats}
        self._clock = clock
        self._on_unit = on_unit
        self._on_codec = on_codec
        self._time = RtpTime(self.format.clock_rate_hz)
        self._depacketizer: Depacketizer | None = None
        self._lost = 0
        self._last_report: tuple[int, int] | None = None
        """Middle bits of the last sender report's NTP time, and when it came."""
        self._reported = (0, 0)
        ignored = [known.payload_type for known in media.formats if known.payload_type not in self._formats]
        self.receiver = RtpReceiver(self._formats, self._depacketizer_of, ignored_payload_types=ignored)

    @property
    def extradata(self) -> bytes:
        """What the description says of the format that is read now."""
        return declared_extradata(self.format)

    def flush(self, silent_seconds: float) -> None:
        """Nothing came for so long."""
        if self._depacketizer is not None:
            self._depacketizer.flush(silent_seconds)

    def has_ended(self, now: float) -> bool:
        """Whether the sender said goodbye and sent nothing for `BYE_SECONDS`; to be asked more often than that."""
        if self.bye_packets is None:
            return False
        self.end_loan()
        packets = self.receiver.packets
        if self.bye_packets != packets:
            self._silent_since = None
        elif self._silent_since is None or self._silent_since[0] != packets:
            self._silent_since = packets, now
        return self._silent_since is not None and now - self._silent_since[1] >= BYE_SECONDS

    def _depacketizer_of(self, payload_type: int) -> Depacketizer:
        self.flush(math.inf)
        known = self._formats.get(payload_type, next(iter(self._formats.values())))
        if known != self.format:
            self._change_format(known)
        self._depacketizer = make_depacketizer(known, self._take_unit, self._clock, self._on_other_codec)
        return self._depacketizer

    def _on_other_codec(
        self, encoding: str, buffer: bytearray, start: int, end: int, marker: bool, timestamp: int
    ) -> None:
        known = RtpFormat(self.format.payload_type, encoding, self.format.clock_rate_hz, 1, {})
        self._change_format(known)
        depacketizer = make_depacketizer(known, self._take_unit, self._clock, self._on_other_codec)
        self._depacketizer = depacketizer
        self.receiver.replace_depacketizer(depacketizer)
        depacketizer.push(buffer, start, end, marker, timestamp)

    def _change_format(self, known: RtpFormat) -> None:
        differs = encoding_of(known) != encoding_of(self.format) or known.clock_rate_hz != self.format.clock_rate_hz
        self.format = known
        if differs:
            self._time = RtpTime(known.clock_rate_hz)
            self._on_codec()

    def _take_unit(
        self, data: bytes | Sequence[bytes], timestamp: int, arrival_us: int, damaged: bool, after_hole: bool
    ) -> None:
        time = self._time
        extended = time.extend(timestamp)
        lost = self.receiver.lost
        missing = max(lost - self._lost, int(after_hole))
        self._lost = lost
        self._on_unit(data, time.ticks_90k(extended), arrival_us, time.unix_us(extended), damaged, missing)

    # Usual pictures, which the kernel takes (services/ingest/kernel)

    def lend(self, loan: Any) -> bool:
        """Puts what the next picture needs into a ``pi_connection``; False where Python has to take it."""
        depacketizer = self._depacketizer
        if not isinstance(depacketizer, NalDepacketizer) or self.receiver.lost != self._lost:
            return False
        return depacketizer.lend(loan) and self.receiver.lend(loan) and self._time.lend(loan)

    def take_back(self, loan: Any) -> None:
        """What pictures have made of it."""
        assert isinstance(self._depacketizer, NalDepacketizer)
        self._depacketizer.take_back(loan)
        self.receiver.take_back(loan)
        self._time.take_back(loan)

    def end_loan(self) -> None:
        """Takes back what is lent."""
        if self.receiver.borrower is not None:
            self.receiver.borrower.end_loan()

    # RTCP

    def take_rtcp(self, packet: bytes) -> None:
        """Takes a compound packet; what is wrong in it is dropped."""
        self.end_loan()
        found: Sequence[RtcpPacket]
        try:
            found = parse_rtcp(packet)
        except RtcpError as error:
            self.malformed_rtcp += 1
            found = error.before
        for part in found:
            if isinstance(part, SenderReport) and self.receiver.ssrc in (None, part.ssrc):
                self._last_report = part.ntp >> 16 & 0xFFFFFFFF, self._clock.arrival_us
                if part.ntp >> 32:
                    self._time.report(part.rtp_timestamp, unix_us_from_ntp(part.ntp))
            elif isinstance(part, Bye) and self.receiver.ssrc in part.ssrcs:
                self.bye_packets = self.receiver.packets

    def receiver_report(self, ssrc: int, now_us: int) -> bytes:
        """A receiver report (RFC 3550, 6.4.2) as ``ssrc``; empty before anything was received."""
        self.end_loan()
        receiver = self.receiver
        if receiver.ssrc is None or not receiver.started:
            return b""
        expected, lost = receiver.packets + receiver.lost, receiver.lost
        before_expected, before_lost = self._reported
        self._reported = expected, lost
        fresh = max(1, expected - before_expected)
        fraction = min(255, 256 * max(0, lost - before_lost) // fresh)
        middle, at_us = self._last_report or (0, now_us)
        delay = min(max(0, now_us - at_us) * 65536 // 1_000_000, 0xFFFFFFFF) if self._last_report else 0
        return pack_receiver_report(ssrc, receiver.ssrc, fraction, lost, receiver.highest_sequence, middle, delay)


class SharedReceiver:
    """Several receivers on one interleaved channel, told apart by what they know. See `ChannelReceiver`."""

    def __init__(self, receivers: Sequence[ChannelReceiver]) -> None:
        self._receivers = receivers

    @property
    def started(self) -> bool:
        return any(receiver.started for receiver in self._receivers)

    def receive(self, buffer: bytearray, start: int, end: int) -> bool:
        return any(receiver.receive(buffer, start, end) for receiver in self._receivers)

    def receive_unknown(self, buffer: bytearray, start: int, end: int) -> None:
        knowing = (receiver for receiver in self._receivers if receiver.knows(buffer, start, end))
        next(knowing, self._receivers[0]).receive_unknown(buffer, start, end)

    def knows(self, buffer: bytearray, start: int, end: int) -> bool:
        return any(receiver.knows(buffer, start, end) for receiver in self._receivers)


class RtcpReceiver:
    """Takes the RTCP of a track: the `ChannelReceiver` of an interleaved channel, or of datagrams."""

    def __init__(self, track: RtpTrack) -> None:
        self._track = track

    @property
    def started(self) -> bool:
        return self._track.receiver.started

    def receive(self, buffer: bytearray, start: int, end: int) -> bool:
        if not self.knows(buffer, start, end):
            return False
        self._track.take_rtcp(bytes(buffer[start:end]))
        return True

    def receive_unknown(self, buffer: bytearray, start: int, end: int) -> None:
        receiver = self._track.receiver
        if not receiver.knows(buffer, start, end):
            self._track.malformed_rtcp += 1
        elif not receiver.receive(buffer, start, end):  # some cameras exchange the two channels
            receiver.receive_unknown(buffer, start, end)

    def knows(self, buffer: bytearray, start: int, end: int) -> bool:
        if end - start < _LEAST_RTCP_BYTES:
            return False
        first, kind, words, ssrc = struct.unpack_from(">BBHI", buffer, start)
        own = self._track.receiver.ssrc
        return first >> 6 == 2 and kind in _RTCP_TYPES and words < 512 and own in (None, ssrc)
