"""Two viewers with the same keys: C sends to one, Python to the other, and each keeps what it was sent.

What both were sent, and what both structs hold in the end, has to be the same byte for byte.
"""

import random
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

from pylibsrtp import Policy, Session

from services.contracts.frames import AccessUnit, CaptureClockSource, Codec, Flags
from services.media.rtp import abs_send_time
from services.mesh.clock import SystemClock
from services.wall.relay.engine.dtls import SrtpKeys
from services.wall.relay.engine.dtls import ffi as srtp_ffi
from services.wall.relay.engine.kernel_batch import KernelBatch, StreamArray
from services.wall.relay.engine.negotiate import VideoChoice
from services.wall.relay.engine.sdp import ABS_SEND_TIME, PLAYOUT_DELAY, Format
from services.wall.relay.engine.send_batch import Destination
from services.wall.relay.engine.srtp import SrtpError, protect_packet
from services.wall.relay.engine.template import PacketLayout, RtpRun
from services.wall.relay.engine.udp import UdpPort
from services.wall.relay.kernel.library import SendKernel
from services.wall.relay.kernel.structs import DEAD, SLOW, Stream, ffi, new_peer, set_address
from services.wall.relay.sending.catch_up import CatchUps
from services.wall.relay.sending.frame import Frame, LayOut, lay_out_by_kernel, lay_out_by_python
from services.wall.relay.sending.history import SentLayouts
from services.wall.relay.sending.pacer import Pacer
from services.wall.relay.sending.track import RtpVideoTrack

H264: Final = Format(102, "H264", 90_000, 1, {"packetization-mode": "1"}, frozenset({"nack"}), "packetization-mode=1")
H265: Final = Format(104, "H265", 90_000, 1, {}, frozenset({"nack"}), "")
KEY: Final = bytes(range(28))
PATIENCE_SECONDS: Final = 2.0


class Twin:
    """A viewer's link, and the socket that the viewer receives on."""

    tag_bytes = 16

    def __init__(self, port: UdpPort, kernel: SendKernel | None, *, extensions: dict[str, int], seed: int) -> None:
        self.receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.receiver.bind(("127.0.0.1", 0))
        self.receiver.setblocking(False)
        destination = port.destination(self.receiver.getsockname())
        assert destination is not None
        self.destination: Destination = destination
        policy = Policy(key=KEY, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=Policy.SRTP_PROFILE_AEAD_AES_128_GCM)
        policy.allow_repeat_tx = True
        self.owner = Session(policy)
        self.keys = SrtpKeys(self.owner._srtp[0], None, 16, "", (self.owner,))
        self.peer = new_peer()
        self.peer.srtp = ffi.cast("void *", int(srtp_ffi.cast("uintptr_t", self.keys.outbound)))
        set_address(self.peer, destination.packed)
        self.pacer = Pacer(20e6, 0.0, self.peer)
        self.catch_ups = CatchUps()
        self.lay_out: LayOut = lay_out_by_kernel(kernel) if kernel is not None else lay_out_by_python
        self.sent_layouts = SentLayouts()
        self.refused = 0
        self.sent: list[bytes] = []
        random.seed(seed)
        choice = VideoChoice({"h264": H264, "hevc": H265}, {})
        self.track = RtpVideoTrack(self, 0, choice, extensions, 0x1234567, None)
        self.track.look_at(1e9)
        self.array = StreamArray([self.track.stream])

    @property
    def kernel_batch(self) -> KernelBatch | None:
        return self.destination.kernel_batch

    def send_runs(
        self, runs: Sequence[RtpRun], payload_type: int, sequence: int, timestamp: int, ssrc: int,
        extension: bytes,
    ) -> None:  # fmt: skip
        batch = self.destination.send_batch
        for run in runs:
            batch.scratch.protect(self.keys, run, payload_type, sequence, timestamp, ssrc, extension)
            batch.add_run(run, self.destination)
            self.peer.sent_bytes += run.wire_bytes
            sequence += run.count

    def put_run(
        self, layout: PacketLayout, number: int, stream: Stream, now: float, stamp: int, sent24: int, *, keyframe: bool
    ) -> None:
        assert self.kernel_batch is not None
        if self.kernel_batch.put_run(layout, number, stream, now, stamp, sent24, keyframe=keyframe) == DEAD:
            self.on_refused()

    def on_refused(self) -> None:
        self.refused += 1

    def send_packet(self, packet: bytes) -> None:
        try:
            view = protect_packet(self.keys, packet)
        except SrtpError:
            return
        self.flush()
        self.destination.send_batch.send(view, self.destination.address)

    def wake_pacer(self) -> None:
        pass

    def flush(self) -> None:
        """What waits for the end of the loop's turn leaves now."""
        self.destination.send_batch.flush()
        if self.kernel_batch is not None:
            self.kernel_batch.flush()

    def show(self, frame: Frame, now: float, sent24: int) -> int:
        """A live frame, as it goes to a steady viewer: C is asked first. Returns the status."""
        if self.kernel_batch is None or not self.track.stream.started:
            return self._slowly(frame, now)
        layout, unit = self.track.layout(frame), frame.unit
        shift = unit.pts_90k - unit.dts_90k
        others = self.kernel_batch.send_frame(
            layout, self.array, now, unit.dts_90k, shift, sent24, keyframe=frame.keyframe
        )
        status = int(self.track.stream.status)
        if others and status == SLOW:
            return self._slowly(frame, now)
        self.sent_layouts.keep(layout, now)
        return status

    def _slowly(self, frame: Frame, now: float) -> int:
        self.track.send_live(frame, now)
        self.flush()
        return SLOW

    def received(self) -> list[bytes]:
        """The datagrams that have come, as they came."""
        while True:
            try:
                self.sent.append(self.receiver.recv(2048))
            except BlockingIOError:
                return self.sent

    def state(self) -> list[object]:
        """All that the structs hold but pointers."""
        stream, peer = self.track.stream, self.peer
        ring = [stream.past[n & stream.past_mask] for n in range(max(0, stream.past_count - 50), stream.past_count)]
        return [
            stream.sequence, stream.packets, stream.octets, stream.frames, stream.offset, stream.decode, stream.last,
            stream.last_at, stream.past_count, stream.past_mask, peer.tokens, peer.at, peer.waiting, peer.sent_bytes,
            [(p.first, p.at, p.stamp, p.sent24, p.run, p.count, p.payload_type, p.keyframe) for p in ring],
        ]  # fmt: skip


@contextmanager
def twins(
    kernel: SendKernel, *, offload: bool, extensions: dict[str, int] | None = None, seed: int = 1
) -> Iterator[tuple[Twin, Twin]]:
    """C's and Python's. Needs a running loop."""
    wanted = {ABS_SEND_TIME: 3, PLAYOUT_DELAY: 5} if extensions is None else extensions
    ports = [UdpPort(0, SystemClock(), gso=offload, kernel=each, hosts=("127.0.0.1",)) for each in (kernel, None)]
    pair = [Twin(port, each, extensions=wanted, seed=seed) for port, each in zip(ports, (kernel, None), strict=True)]
    try:
        yield pair[0], pair[1]
    finally:
        for twin, port in zip(pair, ports, strict=True):
            twin.receiver.close()
            port.close()


def access_unit(
    units: list[bytes], dts: int, shift: int = 0, *, key: bool = False, codec: Codec = Codec.H264
) -> AccessUnit:
    """NAL units as the bus brings them."""
    payload = b"".join(len(unit).to_bytes(4, "big") + unit for unit in units)
    flags = Flags.KEYFRAME if key else Flags.NONE
    return AccessUnit(flags, codec, 1, 1, dts + shift, dts, 0, 0, CaptureClockSource.ARRIVAL, payload)


def unit_of(size: int, first: int, second: int) -> bytes:
    """A NAL unit that begins with these bytes, and none of whose places looks like another."""
    return bytes((first, second))[:size] + bytes(n * 7 % 251 for n in range(size - 2))


def described(layout: PacketLayout) -> list[tuple[object, ...]]:
    """All that a layout says of its runs."""
    return [
        (bytes(r.image), r.count, r.plain_bytes, r.last_plain_bytes, r.stride, r.wire_bytes, r.cost_bytes, r.ends_frame)
        for r in layout.runs
    ]


class Step(NamedTuple):
    """Something that happens to a track."""

    size: int
    """Of the frame that comes, in bytes."""
    ticks: int
    """How far the source's clock has gone since the one before."""
    shift: int
    key: bool
    pause: float
    what: str
    """live, replay, serve (nothing but the pacer's turn), nack or drop."""


def play(twin: Twin, steps: Sequence[Step], codec: Codec) -> None:
    """All that happens to a track: live frames, replays, the pacer's turns, retransmissions."""
    now, dts = 1.0, 5_000_000
    twin.track.stream.sequence = 65_400 + twin.track.stream.sequence % 200  # a wrap comes
    for number, step in enumerate(steps):
        now, dts = now + step.pause, dts + step.ticks
        unit = access_unit([unit_of(step.size, 0x41, number & 0xFF)], dts, step.shift, key=step.key, codec=codec)
        frame = Frame(unit)
        if step.what == "live":
            twin.show(frame, now, abs_send_time(now))
        elif step.what == "replay":
            twin.track.send_replay([frame, frame], now, lambda: None, first_seconds=0.01)
        elif step.what == "nack":
            last = int(twin.track.stream.sequence)
            twin.track.retransmit([(last - back) & 0xFFFF for back in (1, 3, 20, 200)])
        elif step.what == "drop":
            twin.track.drop_waiting()
        for catch_up in twin.catch_ups.let_on(now):
            twin.pacer.release(catch_up.lane)
        twin.pacer.serve(now)
        twin.flush()
        twin.received()
