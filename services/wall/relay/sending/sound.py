"""One outgoing sound stream of a connection: G.711 and Opus as cameras send them (RFC 3551, RFC 7587)."""

import random
from collections.abc import Sequence
from typing import Final, Protocol

from services.contracts.frames import AccessUnit, Codec, Flags
from services.media.codecs import AUDIO
from services.media.rtcp import SenderReport
from services.media.rtp import pack_rtp
from services.media.time import SECOND_90K, rescale
from services.wall.relay.engine.sdp import Format

PIECE_BYTES: Final = 320
"""G.711 travels in packets of at most 40 ms (RFC 3551, section 4.2, recommends 20 ms)."""
JUMP_SECONDS: Final = 0.5
"""Sound whose time stamps run away from the clock by more begins anew: a receiver would wait for it, or drop it."""
_NAMES: Final = {
    name: Codec.of(codec.name) for codec in AUDIO.values() if codec.in_browsers for name in codec.rtp_names
}


class SoundLink(Protocol):
    """The connection, as the sound sees it."""

    def send_packet(self, packet: bytes) -> None:
        """Protects and sends."""


class RtpSoundTrack:
    """Sends frames on one SSRC. The clock rate is that of the codec sent last (RFC 3551: 8 kHz, RFC 7587: 48 kHz)."""

    def __init__(self, link: SoundLink, formats: Sequence[Format], ssrc: int) -> None:
        self.ssrc = ssrc
        self.packets = 0
        self._link = link
        self._formats = {_NAMES[f.codec]: f for f in reversed(formats)}
        self._octets = 0
        self._sequence = random.randrange(1, 0x4000)  # low: (R2)
        self._rate_hz = 0
        self._stamp = random.randrange(1 << 31)
        """Of the newest packet's first sample; unwrapped."""
        self._stamped_at = 0.0
        self._offset: int | None = None
        """From media time at the clock rate to RTP timestamps; None: the next frame begins a new stretch."""

    def accepts(self, codec: Codec) -> bool:
        """Whether the receiver negotiated it."""
        return codec in self._formats

    def takes(self, unit: AccessUnit) -> bool:
        """Whether the unit can be sent as it is: browsers play G.711 at 8 kHz and in one channel alone."""
        return unit.codec in self._formats and (unit.codec is Codec.OPUS or not unit.extradata)

    def pause(self) -> None:
        """What comes next has nothing to do with what came last."""
        self._offset = None

    def send_unit(self, unit: AccessUnit, now: float) -> None:
        """Sends one frame that the receiver takes."""
        if not unit.payload:
            return
        form = self._formats[unit.codec]
        opus = unit.codec is Codec.OPUS
        media = rescale(unit.pts_90k, SECOND_90K, form.clock_rate)
        elapsed = round((now - self._stamped_at) * form.clock_rate) if self.packets else 1
        begins = self._offset is None or form.clock_rate != self._rate_hz or bool(unit.flags & Flags.DISCONTINUITY)
        if not begins and self._offset is not None:
            ahead = media + self._offset - self._stamp
            begins = ahead <= 0 or abs(ahead - elapsed) > JUMP_SECONDS * form.clock_rate
        if begins or self._offset is None:
            self._offset = self._stamp + max(1, elapsed) - media
            self._rate_hz = form.clock_rate
        stamp = media + self._offset
        payload = unit.payload
        for at in range(0, len(payload), len(payload) if opus else PIECE_BYTES):
            piece = payload if opus else payload[at : at + PIECE_BYTES]
            packet = pack_rtp(
                form.payload_type, self._sequence & 0xFFFF, (stamp + at * (not opus)) & 0xFFFFFFFF, self.ssrc, piece,
                marker=begins and at == 0,
            )  # fmt: skip
            self._link.send_packet(packet)
            self._sequence += 1
            self.packets += 1
            self._octets += len(piece)
        self._stamp, self._stamped_at = stamp, now

    def sender_report(self, ntp: int, now: float) -> SenderReport | None:
        """The sender report for now, by the same clock as the pictures'; None before anything was sent."""
        if not self.packets:
            return None
        stamp = self._stamp + round((now - self._stamped_at) * self._rate_hz)
        return SenderReport(self.ssrc, ntp, stamp & 0xFFFFFFFF, self.packets & 0xFFFFFFFF, self._octets & 0xFFFFFFFF)
