"""One outgoing video stream of a connection: sequence numbers, timestamps, packets out, retransmissions.

A track lives as long as its connection; what it shows changes under it.
"""

import random
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol

from services.contracts.frames import Codec
from services.media.rtcp import SenderReport
from services.media.rtp import abs_send_time, pack_extensions, pack_rtp
from services.mesh.metrics import counter
from services.wall.relay.engine.kernel_batch import KernelBatch
from services.wall.relay.engine.negotiate import VideoChoice
from services.wall.relay.engine.sdp import ABS_SEND_TIME, PLAYOUT_DELAY
from services.wall.relay.engine.template import PacketLayout, RtpRun
from services.wall.relay.kernel.structs import Peer, Stream, ffi, new_stream
from services.wall.relay.sending.catch_up import CatchUp, CatchUps
from services.wall.relay.sending.frame import Frame, LayOut, Shape
from services.wall.relay.sending.history import History, SentLayouts, SentRun
from services.wall.relay.sending.pacer import Pacer
from services.wall.relay.sending.timeline import RtpTimeline

LANE_LIMIT_BYTES: Final = 24 * 1024 * 1024
"""For one slot (R10): a replayed GOP of the longest kind, and live frames behind it."""

_frames_dropped = counter("relay_frames_dropped", "Frames dropped because a viewer's lane was full")
_retransmitted = counter("relay_packets_retransmitted", "Packets sent again on NACK")
_repeated = counter("relay_last_packets_repeated", "Last packets before a pause that were sent once more")
_not_found = counter("relay_nacks_too_late", "Packets asked for that are no longer remembered")


class VideoLink(Protocol):
    """The connection, as its tracks see it."""

    pacer: Pacer
    catch_ups: CatchUps
    tag_bytes: int
    peer: Peer
    lay_out: LayOut
    sent_layouts: SentLayouts

    @property
    def kernel_batch(self) -> KernelBatch | None:
        """What sends to the viewer in C; None where nothing can be sent yet, or Python sends."""

    def send_runs(
        self, runs: Sequence[RtpRun], payload_type: int, sequence: int, timestamp: int, ssrc: int, extension: bytes
    ) -> None:
        """Protects and sends runs, one behind the other; ``sequence`` is the first packet's."""

    def put_run(
        self, layout: PacketLayout, number: int, stream: Stream, now: float, stamp: int, sent24: int, *, keyframe: bool
    ) -> None:
        """Has C number, protect and send the ``number``-th run of a layout of its own."""

    def on_refused(self) -> None:
        """C could not protect a packet for this viewer."""

    def send_packet(self, packet: bytes) -> None:
        """Protects and sends one packet made elsewhere."""

    def wake_pacer(self) -> None:
        """Something waits: serve the pacer soon."""


class _Extension(NamedTuple):
    """A header extension block as a number, to put the time of sending into."""

    base: int
    shift: int
    mask: int
    size_bytes: int


class SteadyWay(NamedTuple):
    """What tracks have in common that one call of the kernel can serve."""

    batch: KernelBatch
    shapes: tuple[Shape, Shape]
    lay_out: LayOut
    sent_layouts: SentLayouts


class _Sending:
    """A frame on its way out, run by run."""

    __slots__ = ("_frame", "_layout", "_next", "_stamp", "_track", "size_bytes")

    def __init__(self, track: "RtpVideoTrack", frame: Frame, stamp: int) -> None:
        self._track = track
        self._frame = frame
        self._stamp = stamp
        self._layout: PacketLayout | None = None
        self._next = 0
        self.size_bytes = frame.size_bytes

    def send_next(self, now: float) -> int:
        layout = self._layout
        if layout is None:
            layout = self._layout = self._track.layout(self._frame)
        number = self._next
        if number >= layout.run_count:
            self._track.frame_out(now)
            return 0
        self._next += 1
        self._track.send_runs(layout, range(number, number + 1), self._frame, self._stamp, now)
        return layout.run_cost_bytes(number)


class RtpVideoTrack:
    """Sends frames on one SSRC. ``lane`` is its place in the connection's pacer."""

    def __init__(
        self,
        link: VideoLink,
        lane: int,
        choice: VideoChoice,
        extensions: dict[str, int],
        ssrc: int,
        rtx_ssrc: int | None,
    ) -> None:
        self.catch_up = CatchUp(lane, link.catch_ups)
        self.lane = lane
        self.ssrc = ssrc
        self.rtx_ssrc = rtx_ssrc
        self.stream = stream = new_stream()
        """What is sent next, shared with C."""
        self.history = History(stream, link.sent_layouts)
        self._link = link
        stream.peer, stream.ssrc = link.peer, ssrc
        self._payload_types = {int(Codec.of(name)): form.payload_type for name, form in choice.by_codec.items()}
        self._rtx = {repeated: rtx.payload_type for repeated, rtx in choice.rtx.items()}
        self.has_rtx = rtx_ssrc is not None and self._rtx.keys() >= set(self._payload_types.values())
        """Whether nothing that is asked for again is sent under its own number."""
        self._on_caught_up: Callable[[], None] = _nothing
        # Chosen low: were the first packets lost, a number that wraps soon would leave the receiver with another
        # rollover counter, and it could decrypt nothing (RFC 3711, section 3.3.1). (R2)
        stream.sequence = random.randrange(1, 0x4000)
        self._rtx_sequence = random.randrange(1, 0x4000)
        self._timeline = RtpTimeline(stream, random.randrange(1 << 31))
        self._abs_id = extensions.get(ABS_SEND_TIME)
        self._playout_id = extensions.get(PLAYOUT_DELAY)
        self._extensions = (self._extension(keyframe=False), self._extension(keyframe=True))
        self._shapes: tuple[Shape, Shape] | None = None
        """Of packets of other frames and of keyframes; see `_shape`."""

    @property
    def packets(self) -> int:
        """Sent."""
        return int(self.stream.packets)

    @property
    def frames(self) -> int:
        """Sent whole."""
        return int(self.stream.frames)

    @property
    def sent_at(self) -> float:
        """When the kernel sent the last frame by itself."""
        return float(self.stream.sent_at)

    def look_at(self, when: float) -> None:
        """The slot wants to see the first frame that is sent from ``when`` on."""
        self.stream.look_at = when

    def stamp_sent(self, frame: Frame) -> int:
        """The RTP timestamp of ``frame``, which the kernel has just sent."""
        return int(self.stream.decode + frame.unit.pts_90k - frame.unit.dts_90k) & 0xFFFFFFFF

    def steady_way(self) -> SteadyWay | None:
        """What the kernel has to know to send here by itself; None where it cannot."""
        batch = self._link.kernel_batch
        if batch is None or self._shapes is None:
            return None
        return SteadyWay(batch, self._shapes, self._link.lay_out, self._link.sent_layouts)

    def on_refused(self) -> None:
        """The kernel could not protect a packet: the connection ends."""
        self._link.on_refused()

    def accepts(self, codec: Codec) -> bool:
        """Whether the receiver negotiated it."""
        return codec in self._payload_types

    @property
    def plays_at_once(self) -> bool:
        """Whether the receiver can be told to play what comes without delay (playout-delay)."""
        return self._playout_id is not None

    def send_live(self, frame: Frame, now: float, *, anew: bool = False) -> int | None:
        """Sends a live frame, behind what waits; returns its RTP timestamp, None where the lane was full.

        ``anew``: its times have nothing to do with those of the frame before.
        """
        pacer = self._link.pacer
        # The rest of a replay leads up to this keyframe, which needs none of it.
        overtaken = frame.keyframe and self.catch_up.waiting
        if overtaken:
            self.drop_waiting()
        if pacer.queued_bytes > LANE_LIMIT_BYTES and pacer.waiting_bytes(self.lane) > LANE_LIMIT_BYTES:
            return None
        unit = frame.unit
        stamp = self._timeline.stamp_live(unit.dts_90k, now, unit.pts_90k - unit.dts_90k, anew=anew)
        shape = self._shapes[frame.keyframe] if self._shapes is not None else self._shape(frame)
        layout = frame.layouts.get(shape) or frame.layout(shape, self._link.lay_out)
        # Known from here on, so that C sends the next frame by it even where this one is dropped from its lane.
        self.stream.payload_type = self._payload_types[frame.codec]
        # Nearly every frame finds nothing waiting and leaves within this call, without becoming an item of a queue.
        if pacer.spend_bytes(layout.cost_bytes, layout.last_cost_bytes, now):
            self.send_runs(layout, range(layout.run_count), frame, stamp, now)
            self.stream.frames += 1
        elif pacer.push_frame(self.lane, _Sending(self, frame, stamp), now):
            self._link.wake_pacer()
        if overtaken:
            self._on_caught_up()
        return stamp & 0xFFFFFFFF

    def send_replay(
        self,
        frames: Sequence[Frame],
        now: float,
        on_caught_up: Callable[[], None],
        *,
        first_seconds: float,
        whole: bool = True,
    ) -> tuple[int, int]:
        """Sends a cached GOP as fast as the pacer and `CatchUp` allow, in place of what waits.

        Returns the oldest and the newest frame's RTP timestamps. The first packet leaves a tick of the pacer's timer
        later, so that the page is told first. ``on_caught_up`` is called when nothing of it waits any more.
        ``first_seconds`` and ``whole``: see `CatchUp.begin`.
        """
        self.drop_waiting()
        stamps = self._queue_replay(frames, now, on_caught_up)
        self.catch_up.begin(stamps[0], now, first_seconds, whole=whole, frames=len(frames))
        return stamps

    def send_more_of_replay(
        self, frames: Sequence[Frame], now: float, on_caught_up: Callable[[], None]
    ) -> tuple[int, int]:
        """As `send_replay`, behind what was sent of the same GOP."""
        stamps = self._queue_replay(frames, now, on_caught_up)
        self.catch_up.go_on(now, len(frames))
        if self.catch_up.held:
            self._link.pacer.hold(self.lane)
        return stamps

    def _queue_replay(self, frames: Sequence[Frame], now: float, on_caught_up: Callable[[], None]) -> tuple[int, int]:
        units = [frame.unit for frame in frames]
        stamps = self._timeline.stamp_replay(
            [unit.dts_90k for unit in units],
            now,
            [unit.pts_90k - unit.dts_90k for unit in units],
            compressed=self.plays_at_once,
        )
        self._on_caught_up = on_caught_up
        waiting = [_Sending(self, frame, stamp) for frame, stamp in zip(frames, stamps, strict=True)]
        self._link.pacer.queue_frames(self.lane, waiting)
        self._link.wake_pacer()
        return stamps[0] & 0xFFFFFFFF, stamps[-1] & 0xFFFFFFFF

    def drop_waiting(self) -> None:
        """Drops what waits to be sent."""
        self.catch_up.drop()
        if dropped := self._link.pacer.clear(self.lane):
            _frames_dropped.inc(dropped)

    def layout(self, frame: Frame) -> PacketLayout:
        """A frame's packets in this receiver's shape."""
        return frame.layout(self._shape(frame), self._link.lay_out)

    def _shape(self, frame: Frame) -> Shape:
        """Asked for first when the connection knows its keys, and the same from then on."""
        if self._shapes is None:
            deltas, keyframes = self._extensions
            tag_bytes = self._link.tag_bytes
            self._shapes = ((deltas.size_bytes, tag_bytes), (keyframes.size_bytes, tag_bytes))
        return self._shapes[frame.keyframe]

    def send_runs(self, layout: PacketLayout, numbers: range, frame: Frame, stamp: int, now: float) -> None:
        """Numbers (R1) and sends the next runs of ``frame``; called by the pacer, and where nothing waits there."""
        stream, link, history = self.stream, self._link, self.history
        stream.payload_type = payload_type = self._payload_types[frame.codec]
        history.reserve(len(numbers), now)
        link.sent_layouts.keep(layout, now)
        timestamp, sent24, keyframe = stamp & 0xFFFFFFFF, abs_send_time(now), frame.keyframe
        if layout.kernel is not None:
            for number in numbers:
                link.put_run(layout, number, stream, now, timestamp, sent24, keyframe=keyframe)
            return
        first, runs = int(stream.sequence), layout.runs[numbers.start : numbers.stop]
        for number, run in zip(numbers, runs, strict=True):
            history.add_run(layout, number, now, timestamp, payload_type, sent24, keyframe=keyframe)
            stream.sequence += run.count
            stream.octets += run.wire_bytes
            stream.packets += run.count
        link.send_runs(runs, payload_type, first, timestamp, self.ssrc, self._extension_block(sent24, keyframe))

    def _extension_block(self, sent24: int, keyframe: bool) -> bytes:
        base, shift, mask, size = self._extensions[keyframe]
        return (base | (sent24 & mask) << shift).to_bytes(size, "big")

    def frame_out(self, now: float) -> None:
        """The lane's first frame has been sent whole; called by the pacer."""
        self.stream.frames += 1
        pacer, catch_up = self._link.pacer, self.catch_up
        if catch_up.frame_out(now, more=pacer.waiting(self.lane) > 1):
            self._on_caught_up()
        if catch_up.held:
            pacer.hold(self.lane)

    def _extension(self, *, keyframe: bool) -> _Extension:
        """The header extensions; those of a keyframe tell the receiver to play at once (playout-delay 0/0)."""
        elements: dict[int, bytes] = {}
        if self._abs_id is not None:
            elements[self._abs_id] = bytes(3)
        if keyframe and self._playout_id is not None:
            elements[self._playout_id] = bytes(3)
        block = pack_extensions(elements)
        # abs-send-time is the first element: its value stands behind four bytes of profile and length, and its own one.
        shift = 8 * (len(block) - 8) if self._abs_id is not None else 0
        self.stream.ext_bytes[keyframe] = len(block)
        self.stream.abs_at[keyframe] = 5 if self._abs_id is not None else 0
        ffi.memmove(self.stream.ext[keyframe], block, len(block))
        return _Extension(int.from_bytes(block, "big"), shift, 0xFFFFFF if self._abs_id is not None else 0, len(block))

    def retransmit(self, sequences: Sequence[int]) -> int:
        """Sends packets again; returns the bytes that took."""
        total = 0
        for sequence in sequences:
            found = self.history.find_packet(sequence)
            if found is None:
                _not_found.inc()
                continue
            sent, packet = found
            rtx = self._rtx.get(sent.payload_type)
            if self.rtx_ssrc is not None and rtx is not None:
                data = pack_rtp(
                    rtx, self._rtx_sequence & 0xFFFF, sent.timestamp, self.rtx_ssrc,
                    sequence.to_bytes(2, "big") + sent.run.payload(packet), marker=_ends_frame(sent, packet),
                    extension=self._extension_block(sent.sent24, sent.keyframe),
                )  # fmt: skip
                self._rtx_sequence += 1
            else:
                data = self._same(sequence, sent, packet)
            self._link.send_packet(data)
            _retransmitted.inc()
            total += len(data)
        return total

    def repeat_last(self) -> None:
        """Sends the newest packet once more, under its own number (R3).

        Nothing follows the last packets before a pause, so a receiver does not notice their loss. If it has them, it
        drops this one as a replay (RFC 3711, section 3.3.2); if not, this one shows what to ask for.
        """
        sequence = (self.stream.sequence - 1) & 0xFFFF
        if (found := self.history.find_packet(sequence)) is not None:
            self._link.send_packet(self._same(sequence, *found))
            _repeated.inc()

    def _same(self, sequence: int, sent: SentRun, packet: int) -> bytes:
        """The packet as it was sent, byte for byte: GCM uses the number as its nonce (R3)."""
        return pack_rtp(
            sent.payload_type, sequence, sent.timestamp, self.ssrc, sent.run.payload(packet),
            marker=_ends_frame(sent, packet), extension=self._extension_block(sent.sent24, sent.keyframe),
        )  # fmt: skip

    def sender_report(self, ntp: int, now: float) -> SenderReport | None:
        """The sender report for now; None before anything was sent."""
        if not self.packets:
            return None
        stamp = self._timeline.stamp_at(now)
        octets = self.stream.octets & 0xFFFFFFFF
        return SenderReport(self.ssrc, ntp, stamp & 0xFFFFFFFF, self.packets & 0xFFFFFFFF, octets)


def _nothing() -> None:
    """Nobody waits for a replay that was never sent."""


def _ends_frame(sent: SentRun, packet: int) -> bool:
    return sent.run.ends_frame and packet == sent.run.count - 1
