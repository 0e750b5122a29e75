"""Two readers of the same bytes: Python alone, and Python with the receive kernel."""

import random
import struct
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from services.contracts.frames import Codec
from services.ingest.kernel.library import FULL, WAIT, Connection, ffi
from services.ingest.pipeline import Pipeline
from services.ingest.readers.short_way import ShortWay
from services.ingest.readers.source import Packet, Track
from services.ingest.usual_pictures import UsualPictures
from services.media.depacketize.nal_units import NalDepacketizer
from services.media.depacketize.unit_sink import ArrivalClock
from services.media.nal import join_length_prefixed, split_annex_b
from services.media.packetize import packetize_h264, packetize_h265
from services.media.rtcp import SenderReport, ntp_from_unix_us, pack_sender_reports
from services.media.rtp_track import RtcpReceiver, RtpTrack
from services.media.rtsp.framing import RtspFramer
from services.media.rtsp.messages import RtspSyntaxError
from services.media.sdp import parse_sdp
from services.mesh.clock import ManualClock
from tests.media.encoded import video

SSRC = 0x1234ABCD
PAYLOAD_TYPE = 96
SUBJECT = b"pantau.site.media.main.cam-1"
SETS = {"h264": (0x67, 0x68), "h265": (0x40, 0x42, 0x44)}
"""The first bytes of parameter sets."""
KEY_HEADERS = {"h264": (b"\x65", b"\x25"), "h265": (b"\x26\x01", b"\x28\x01", b"\x2a\x01")}
START_US = 1_700_000_000_000_000


class StepEngine:
    """A `KernelEngine` without sockets and with the test's clock."""

    def __init__(self, kernel: Any, clock: ManualClock) -> None:
        self.kernel = kernel
        self.clock = clock
        self.to_lend: list[ShortWay] = []
        self.engine = ffi.new("pi_engine *")
        self.engine.max_message_bytes = 524_288
        self._taker: Any = None

    def connect(self, _fd: int, buffer: bytearray, taker: Any) -> Connection:
        connection = ffi.new("pi_connection *")
        connection.buffer, connection.size = ffi.from_buffer("uint8_t[]", buffer), len(buffer)
        connection.number = 1
        self._taker = taker
        return connection

    def disconnect(self, _connection: Connection) -> None:
        self._taker = None

    def lend_later(self, taker: ShortWay) -> None:
        self.to_lend.append(taker)

    def begin_turn(self) -> None:
        """Bytes are about to be read."""
        to_lend, self.to_lend = self.to_lend, []
        for taker in to_lend:
            taker.lend_again()

    def read(self, connection: Connection, arrival_us: int) -> int:
        """As a turn does behind a read; returns the status."""
        engine = self.engine
        engine.lines_count = 0
        wall_us = self.clock.now_us() - round(self.clock.monotonic() * 1e6) + arrival_us
        status: int = self.kernel.pi_take(engine, connection, arrival_us, wall_us)
        for line in engine.lines[0 : engine.lines_count]:
            head = b"PUB %b %d\r\n" % (SUBJECT, line.message_bytes)
            written = bytes(ffi.buffer(line.at, line.bytes))
            assert written.startswith(head)
            assert written.endswith(b"\r\n")
            assert len(written) == len(head) + line.message_bytes + 2
        return status

    def take(self, connection: Connection, arrival_us: int) -> bool:
        status = FULL
        while status == FULL:
            status = self.read(connection, arrival_us)
            self._taker.fetch()
        return bool(status == WAIT)


class Side:
    """One reader, from interleaved bytes to messages."""

    def __init__(self, codec: str, clock: ManualClock, kernel: Any = None) -> None:
        self.clock = clock
        self.messages: list[bytes] = []
        self.failed = ""
        self.epoch = 7
        self.keyframes = 0
        """That the kernel took."""
        self.arrival = ArrivalClock()
        self.pipeline = Pipeline(clock, gop_bytes=10**7)
        media = parse_sdp(b"v=0\nm=video 0 RTP/AVP 96\na=rtpmap:96 %b/90000\n" % codec.upper().encode()).media[0]
        self.track = RtpTrack(media, media.formats, self.arrival, self._on_unit, self._on_codec)
        self._codec = Codec.H264 if codec == "h264" else Codec.HEVC
        self.pipeline.begin(Track("video", self._codec, b""))
        self.framer = RtspFramer(lambda _message: None)
        receiver = self.track.receiver
        self.framer.add_receiver(0, receiver, receiver.receive_pictures)
        self.framer.add_receiver(1, RtcpReceiver(self.track))
        self.engine: StepEngine | None = None
        self.short: ShortWay | None = None
        if kernel is not None:
            self.engine = StepEngine(kernel, clock)
            self.short = ShortWay(self, self.engine, self.framer, self.track, self, 0)  # type: ignore[arg-type]  # no sockets
            self.short.begin(-1)

    # what comes

    def feed(self, data: bytes) -> None:
        """Bytes as one read brings them."""
        if self.failed:
            return
        now_us = round(self.clock.monotonic() * 1e6)
        if self.short is None or self.engine is None:
            self.arrival.arrival_us = now_us
            try:
                self.framer.feed(data)
            except RtspSyntaxError as error:
                self.misread(error)
            return
        connection = self.short.connection
        assert connection is not None
        at = 0
        while at < len(data) and not self.failed:
            self.engine.begin_turn()
            piece = data[at : at + connection.size - connection.end]
            ffi.memmove(connection.buffer + connection.end, piece, len(piece))
            at += len(piece)
            self.engine.kernel.pi_heard(connection, len(piece), now_us)
            if self.engine.read(connection, now_us) != WAIT:
                self.short.look()
            elif connection.begin == connection.end:
                connection.begin = connection.end = 0
            elif connection.size - connection.end < 65_536:
                self.short.look()

    def silence(self) -> None:
        """Nothing comes for so long that what is there has to be looked at."""
        self.arrival.arrival_us = round(self.clock.monotonic() * 1e6)
        if self.short is not None:
            self.short.look_impatiently()
        self.track.receiver.give_up()
        self.track.flush(10.0)

    def state(self) -> dict[str, object]:
        """All that both must come to the same in."""
        self.track.end_loan()
        pipeline, receiver = self.pipeline, self.track.receiver
        capture, retimer, wall = pipeline._capture, pipeline._retimer, pipeline._retimer._wall
        return {
            "receiver": (receiver.packets, receiver._expected, receiver.lost, receiver.duplicates, receiver.malformed),
            "wraps": receiver.highest_sequence,
            "time": vars(self.track._time),
            "gop": pipeline.gop.snapshot(),
            "meter": (pipeline.meter.frames, list(pipeline.meter._samples), pipeline.meter._bytes),
            "keyframes": (pipeline.meter._keyframe_at, pipeline.meter._keyframe_interval),
            "assembler": self._assembler_state(),
            "depacketizer": self._depacketizer_state(),
            "clock": list(pipeline.clock._buckets),
            "capture": (capture._line_us, capture._line_at_us, capture._top_pts, capture._top_at_us, capture._placed),
            "least": (capture._least._count, capture._least._now, capture._least._before),
            "wall": (wall.skew, wall._base, wall._lies, wall._frames),
            "retimer": {name: value for name, value in vars(retimer).items() if name != "_wall"},
            "numbers": (pipeline._sequence, pipeline._epoch, pipeline.damaged, pipeline.lost_packets),
            "garbage": self.framer.garbage_bytes,
            "failed": self.failed,
        }

    def _assembler_state(self) -> dict[str, object]:
        known = vars(self.pipeline._assembler).copy()
        known.pop("_usual_sets")  # made when it is asked for
        return known | {"_sets": list(known["_sets"]._sets.items())}

    def _depacketizer_state(self) -> tuple[object, ...]:
        depacketizer = self.track._depacketizer
        if not isinstance(depacketizer, NalDepacketizer):
            return ()
        return (
            depacketizer._trusted, depacketizer._fields, depacketizer._sent_time, depacketizer._units,
            depacketizer.malformed, depacketizer._damaged,
        )  # fmt: skip

    def begin_epoch(self) -> None:
        """Another one counts from the next keyframe on, as `Feed.count_from` does it."""
        self.track.end_loan()
        self.epoch += 1

    # a session's, and an outlet's

    def heard_at(self, arrival_us: int) -> None:
        self.arrival.arrival_us = arrival_us

    def looked(self) -> None:
        pass

    def misread(self, error: RtspSyntaxError) -> None:
        self.failed = str(error)

    def read_again(self) -> None:
        raise AssertionError("no connection ends here")

    def took_usual(self, _count: int, _heard_at: float) -> None:
        pass

    def lend(self, loan: Any) -> bool:
        loan.subject[0 : len(SUBJECT)] = SUBJECT
        loan.subject_bytes = len(SUBJECT)
        return self.pipeline.lend(loan, self.epoch)

    def take_back(self, loan: Any) -> None:
        self.pipeline.take_back(loan)

    def lent(self, _loan: object) -> None:
        pass

    def take_usual(self, pictures: UsualPictures) -> None:
        self.keyframes += sum(pictures.keyframes)
        self.pipeline.usual(pictures)
        self.messages += pictures.messages

    def _on_codec(self) -> None:
        self.pipeline.begin(Track("video", self._codec, b""))

    def _on_unit(
        self,
        data: bytes | Sequence[bytes],
        pts_90k: int,
        arrival_us: int,
        rtcp_us: int | None,
        damaged: bool,
        lost: int,
    ) -> None:
        packet = Packet("video", data, pts_90k, None, arrival_us, rtcp_us, damaged, lost)
        self.messages += self.pipeline.feed(packet, self.epoch)


@cache
def keyframe_units(codec: str) -> tuple[bytes, ...]:
    """Parameter sets and the slices of a keyframe."""
    if codec == "h264":
        stream = video(frames=2)
    else:
        stream = video("libx265", frames=2, options=(("x265-params", "log-level=none:repeat-headers=1"),))
    units = split_annex_b(stream.packets[0].data)
    return tuple(unit for unit in units if unit[0] not in (0x4E, 0x06))


class Camera:
    """Makes the interleaved bytes of a stream that is random, and mostly usual."""

    def __init__(self, chance: random.Random, codec: str, *, faults: float | None = None) -> None:
        """``faults``: how often anything is not usual; None: by chance."""
        self.codec = codec
        self._chance = chance
        self.number = chance.choice((0, 17, 40_000, 65_200))
        self._stamp = chance.randrange(1 << 32)
        self._since_us = 0
        self._drift = chance.choice((1.0, 1.0, 1.0, 1.1, 0.9))
        self._limit = chance.choice((1400, 1400, 500, 60, 12))
        by_chance = chance.choice((0.0, 0.0, 0.1, 1.0))
        self._faults = by_chance if faults is None else faults
        self._byte_stream = chance.random() < 0.1
        self._gop = chance.choice((40, 40, 9))
        self._brings_sets = chance.choice((1.0, 1.0, 0.5))
        """How many of its keyframes do."""
        self._packetize = packetize_h264 if codec == "h264" else packetize_h265
        self._aggregates = chance.random() < 0.5
        self._pictures = 0

    def picture(self, elapsed_us: int) -> bytes:
        """The next picture's packets; ``elapsed_us`` after the one before."""
        chance = self._chance
        self._stamp = self._stamp + round(elapsed_us * 0.09 * self._drift) & 0xFFFFFFFF
        self._pictures += 1
        if self._pictures % self._gop == 1:
            units = self._keyframe()
        else:
            units = [self._slice(first=number == 0) for number in range(chance.choice((1, 1, 1, 1, 3)))]
            if chance.random() < 0.2:
                units.insert(0, self._sei())
        if chance.random() < 0.02 * self._faults:
            units.append(chance.choice((b"\x09\xf0", b"\x46\x01\x50", self._slice(first=True), b"\x41")))
        if self._aggregates:
            payloads = self._packetize(join_length_prefixed(units), max(self._limit, 60))
        else:
            payloads = [payload for unit in units for payload in self._payloads(unit)]
        data = b""
        for at, payload in enumerate(payloads):
            marked = at == len(payloads) - 1
            if chance.random() < 0.002 * self._faults:
                marked = not marked
            data += self._packet(payload, marked=marked)
            if chance.random() < 0.002 * self._faults:
                data += chance.choice((b"\r\n", chance.randbytes(chance.randrange(1, 40)), self.report(0)))
        return data

    def report(self, unix_us: int) -> bytes:
        """A sender report."""
        packet = pack_sender_reports([SenderReport(SSRC, ntp_from_unix_us(unix_us), self._stamp, 0, 0)], "camera")
        return b"$\x01" + len(packet).to_bytes(2, "big") + packet

    def _keyframe(self) -> list[bytes]:
        chance = self._chance
        units = keyframe_units(self.codec)
        sets = [unit for unit in units if unit[0] in SETS[self.codec]] if chance.random() < self._brings_sets else []
        if chance.random() < 0.3 * self._faults:
            fault = chance.randrange(5)
            if fault == 0:
                chance.shuffle(sets)
            elif fault == 1:
                sets += sets[-1:]
            elif fault == 2:
                del sets[:1]
            elif sets:
                changed = bytearray(sets[-1] if fault == 3 else sets[0])
                changed[-1] ^= 1 << chance.randrange(8)
                sets.append(bytes(changed))
        if self._pictures == 1 or chance.random() < 0.1:
            return [*sets, *(unit for unit in units if unit[0] not in SETS[self.codec])]
        if chance.random() < 0.2:
            sets.insert(chance.choice((len(sets), len(sets), 0)), self._sei())
        header = chance.choice(KEY_HEADERS[self.codec])
        return sets + [self._slice(first=number == 0, header=header) for number in range(chance.choice((1, 1, 2)))]

    def _slice(self, *, first: bool, header: bytes = b"") -> bytes:
        chance = self._chance
        size = chance.choice((3, 40, 90, 600, 3000, 20_000, chance.randrange(1, 5000)))
        if header:
            if self._limit >= 500 and chance.random() < 0.1:
                size = chance.choice((100_000, 300_000))
            return header + self._slice_body(size, first=first)
        header = chance.choice((b"\x41", b"\x41", b"\x41", b"\x01")) if self.codec == "h264" else b"\x02\x01"
        if chance.random() < 0.01 * self._faults:
            header = chance.choice((b"\x21", b"\x00\x01", b"\x12\x01", b"\xc1"))
        return header + self._slice_body(size, first=first)

    def _slice_body(self, size: int, *, first: bool) -> bytes:
        chance = self._chance
        body = bytes((0x80 | chance.randrange(128) if first else chance.randrange(128),))
        body += bytes(chance.randrange(1, 256) for _ in range(min(size, 8))) + chance.randbytes(size)
        if self._byte_stream and chance.random() < 0.02:
            body += chance.choice((b"\0", b"\0\0\1\x41", b"\0\0\0\1"))
        return body.replace(b"\0\0", b"\0\7") + b"\x80"

    def _sei(self) -> bytes:
        header = b"\x06" if self.codec == "h264" else b"\x4e\x01"
        payload = self._chance.choice((b"\5\4abcd\x80", b"\5\4abcd\x80", b"\6\1\xc4\x80"))
        if self._byte_stream and self._chance.random() < 0.1:
            payload = b"\1\4\0\0\1\2\x80"
        return header + payload

    def _payloads(self, unit: bytes) -> Iterator[bytes]:
        limit, skip = self._limit, 1 if self.codec == "h264" else 2
        if len(unit) <= max(limit, 20) or len(unit) < skip + 2:
            yield unit
            return
        if self.codec == "h264":
            front, kind = bytes((unit[0] & 0xE0 | 28,)), unit[0] & 0x1F
        else:
            front, kind = bytes((unit[0] & 0x81 | 49 << 1, unit[1])), unit[0] >> 1 & 0x3F
        for at in range(skip, len(unit), limit):
            flags = (0x80 if at == skip else 0) | (0x40 if at + limit >= len(unit) else 0)
            yield front + bytes((flags | kind,)) + unit[at : at + limit]

    def _packet(self, payload: bytes, *, marked: bool) -> bytes:
        chance = self._chance
        number, self.number = self.number, self.number + 1 & 0xFFFF
        first, tail = 0x80, b""
        if chance.random() < 0.002 * self._faults:
            first, tail = 0xA0, b"\0\0\3"  # padding
        head = struct.pack(">BBHII", first, 0x80 * marked | PAYLOAD_TYPE, number, self._stamp, SSRC)
        packet = bytearray(head + payload + tail)
        if chance.random() < 0.001 * self._faults:
            packet[chance.randrange(len(packet))] ^= 1 << chance.randrange(8)
        if chance.random() < 0.001 * self._faults:
            return b""
        data = b"$\0" + len(packet).to_bytes(2, "big") + bytes(packet)
        return data * 2 if chance.random() < 0.001 * self._faults else data


def play(kernel: Any, seed: int, pictures: int) -> tuple[Side, Side]:
    """The same camera, read by both; raises where they differ."""
    chance = random.Random(seed)
    codec = chance.choice(("h264", "h264", "h265"))
    clock = ManualClock(START_US)
    plain, short = Side(codec, clock), Side(codec, clock, kernel)
    camera = Camera(chance, codec)
    has_reports = chance.random() < 0.5
    cut = chance.choice((0, 0, 1, 3))
    waiting = b""
    for number in range(pictures):
        elapsed_us = chance.choice((40_000,) * 12 + (1_000, 39_000, 400_000))
        clock.advance(elapsed_us / 1e6)
        if chance.random() < 0.005:
            clock.advance(chance.choice((1.0, 3.0, 20.0)))
        if has_reports and number % 50 == 20:
            waiting += camera.report(clock.now_us() + chance.choice((0, -200_000, 10**9)))
        waiting += camera.picture(elapsed_us)
        pieces = sorted(chance.randrange(len(waiting) + 1) for _ in range(cut))
        for begin, end in zip([0, *pieces], [*pieces, len(waiting)], strict=True):
            plain.feed(waiting[begin:end])
            short.feed(waiting[begin:end])
        waiting = b""
        if chance.random() < 0.01:
            plain.begin_epoch()
            short.begin_epoch()
        if chance.random() < 0.01:
            clock.advance(1.0)
            plain.silence()
            short.silence()
        if chance.random() < 0.02:
            compare(plain, short)
    plain.silence()
    short.silence()
    compare(plain, short)
    return plain, short


def compare(plain: Side, short: Side) -> None:
    """Raises where the two differ in anything but pictures that wait for their rest."""
    connection = short.short.connection if short.short is not None else None
    if connection is not None and connection.begin < connection.end:
        return
    if short.short is not None:
        short.short.fetch()
    assert short.messages == plain.messages
    ours, theirs = short.state(), plain.state()
    for name, value in theirs.items():
        assert ours[name] == value, name
