"""One profile's way from a source's packets to messages: assembled, re-timed, dated, numbered, cached.

No sockets and no tasks: packets in, messages out.
"""

from typing import Any, Final

from services.contracts.frames import Codec, Flags, FrameError, encode_fields
from services.ingest.gop import GopCache
from services.ingest.meter import Meter
from services.ingest.readers.source import Packet, Track
from services.ingest.timing.assemble import assembler
from services.ingest.timing.capture import CaptureClock
from services.ingest.timing.nal_assembler import H264Assembler, HevcAssembler
from services.ingest.timing.retiming import Retimer
from services.ingest.timing.source_clock import SourceClock
from services.ingest.timing.units import Assembler, Shape, Unit
from services.ingest.usual_pictures import UsualPictures
from services.media.nal import BitstreamError
from services.media.time import SECOND_90K, us_to_90k
from services.mesh.clock import Clock

HLS_LATENCY_US: Final = 15_000_000
"""A playlist runs two or three segments behind the camera, and says not how far."""
_HLS_DELAY_US: Final = 30_000_000
BURST_PAUSE: Final = 40 * SECOND_90K
"""Two segments of a playlist last at most so long."""
_KEYFRAME, _DISPOSABLE, _DISCONTINUITY = int(Flags.KEYFRAME), int(Flags.DISPOSABLE), int(Flags.DISCONTINUITY)
_DAMAGED = int(Flags.DAMAGED)


class Pipeline:
    """Makes a profile's messages. Its sequence goes on over reconnects, and over restarts: it begins at the time."""

    def __init__(self, clock: Clock, *, gop_bytes: int) -> None:
        self.meter = Meter()
        self.gop = GopCache(max_bytes=gop_bytes)
        self.bad_timestamps = 0
        self.damaged = 0
        """Frames that were published with the mark."""
        self.lost_packets = 0
        self.clock = SourceClock()
        self.bad_units = 0
        """Packets that could not be read, and frames too large for the bus."""
        self.codec: Codec | None = None
        self._clock = clock
        self._sequence = clock.now_us()
        self._epoch = 0
        self._assembler: Assembler | None = None
        self._retimer = Retimer()
        self._capture = CaptureClock()
        self._new_run = True
        self._placed = False
        self._broken = False
        self._damaged = False

    @property
    def shape(self) -> Shape:
        """Size and claims of the pictures; zeros before the first keyframe."""
        return self._assembler.shape if self._assembler else Shape()

    def begin(self, track: Track, *, bursts: bool = False) -> None:
        """The source is open anew; ``bursts``: it comes a segment at a time."""
        self.codec = track.codec
        self._assembler = assembler(track)
        self._capture = (
            CaptureClock(latency_us=HLS_LATENCY_US, longest_delay_us=_HLS_DELAY_US) if bursts else CaptureClock()
        )
        self._retimer.pause_between(BURST_PAUSE if bursts else 0)
        self.clock.reset()
        self.meter.reset()
        self.gop.clear()
        self._damaged = False
        self._new_run = True
        self._placed = False
        self._broken = False

    def end(self) -> None:
        """The source is over: what is cached is no longer live."""
        self._assembler = None
        self.gop.clear()
        self.meter.reset()

    def skipped(self) -> None:
        """Packets were lost on the way here: what refers to them is held back until the next keyframe."""
        self._broken = True
        self.gop.clear()

    def feed(self, packet: Packet, epoch: int) -> list[bytes]:
        """The messages that ``packet`` yields: none while holding back, seldom more than one.

        A new ``epoch`` counts from the next keyframe on: consumers take it as a new beginning.
        """
        if self._assembler is None or self.codec is None:
            return []
        self.lost_packets += packet.lost
        if packet.damaged or packet.lost:
            self._damaged = True
        try:
            units = self._assembler.assemble(packet.data)
        except BitstreamError:
            self.bad_units += 1
            return []
        messages = []
        for unit in units:
            message = self._finish(self._assembler, self.codec, packet, unit, epoch)
            if message is not None:
                messages.append(message)
        return messages

    def _finish(self, assembler: Assembler, codec: Codec, packet: Packet, unit: Unit, epoch: int) -> bytes | None:
        if self._broken:
            if not unit.keyframe:
                self._sequence += 1
                return None
            self._broken = False
        wall_us = self._clock.now_us() - (round(self._clock.monotonic() * 1e6) - packet.arrival_us)
        if unit.keyframe:
            self._damaged = packet.damaged
        self.clock.add(packet.pts_90k, packet.arrival_us, wall_us, packet.rtcp_us)
        if not self._placed:
            self._retimer.begin(us_to_90k(wall_us))
            self._placed = True
        if unit.keyframe:
            self._retimer.expect(assembler.shape.reorder, assembler.shape.frame_rate)
        behind = self._retimer.behind(packet.pts_90k, packet.dts_90k)
        timing = self._retimer.stamp(
            packet.pts_90k,
            packet.dts_90k,
            us_to_90k(packet.arrival_us),
            b_picture=behind and assembler.is_b_picture(unit),
        )
        self.bad_timestamps += timing.bad
        capture = self._capture.stamp(timing.pts_90k, packet.arrival_us, wall_us, packet.rtcp_us)

        begins = self._new_run or unit.new_parameters
        if unit.keyframe or self._new_run:
            self._epoch = epoch
        # An IntFlag's own operators would take a tenth of the whole pipeline's time.
        flags = (
            _KEYFRAME * unit.keyframe
            | _DISPOSABLE * unit.disposable
            | _DISCONTINUITY * begins
            | _DAMAGED * self._damaged
        )
        self.damaged += self._damaged
        self._sequence += 1
        try:
            message = encode_fields(
                flags, codec, self._epoch, self._sequence, timing.pts_90k, timing.dts_90k,
                capture.at_us, capture.uncertainty_us, capture.clock, unit.payload, unit.extradata,
            )  # fmt: skip
        except FrameError:
            self.bad_units += 1
            self.skipped()
            return None
        self._new_run = False
        self.gop.add(message, keyframe=unit.keyframe)
        self.meter.add_run((packet.arrival_us,), (timing.dts_90k,), (len(unit.payload),), (unit.keyframe,))
        return message

    # Usual pictures, which the kernel makes messages of (services/ingest/kernel)

    def lend(self, loan: Any, epoch: int) -> bool:
        """Puts what the next message needs into a ``pi_connection``; False where Python has to make it.

        ``epoch``: as `feed`.
        """
        assembler = self._assembler
        if not isinstance(assembler, H264Assembler | HevcAssembler) or assembler.holding or not self._placed:
            return False
        if self._broken or self._damaged or self._new_run:
            return False
        if not (self.clock.lend(loan) and self._retimer.lend(loan) and self._capture.lend(loan)):
            return False
        loan.epoch, loan.key_epoch, loan.sequence = self._epoch, epoch, self._sequence
        sets, shape = assembler.usual_sets, assembler.shape
        if len(sets) > len(loan.sets) or not self._retimer.lend_keyframes(loan, shape.reorder, shape.frame_rate):
            sets = b""
        loan.sets[0 : len(sets)] = sets
        loan.sets_bytes = len(sets)
        return True

    def take_back(self, loan: Any) -> None:
        """What messages have made of it."""
        self.clock.take_back(loan)
        self._retimer.take_back(loan)
        self._capture.take_back(loan)
        self._epoch, self._sequence = loan.epoch, loan.sequence
        if loan.keyframes:
            assert isinstance(self._assembler, H264Assembler | HevcAssembler)
            self._assembler.took_keyframe()

    def usual(self, pictures: UsualPictures) -> None:
        """The kernel has made messages."""
        self.gop.add_run(pictures.messages, pictures.keyframes)
        self.meter.add_run(pictures.arrivals_us, pictures.dts_90k, pictures.payload_bytes, pictures.keyframes)
