"""Whole pictures go a short way: what comes of it is what comes of the long one, packet by packet."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.media.depacketize.h264_units import H264Depacketizer
from services.media.depacketize.h265_units import H265Depacketizer
from services.media.depacketize.nal_units import MAX_FAILED_TRIES, UNTRIED_PICTURES, NalDepacketizer
from services.media.rtp import pack_rtp
from services.media.rtp_receive import RtpReceiver
from services.media.rtsp.framing import RtspFramer
from tests.media.depacketize.collected import Units, h264_fragments, h265_fragments

CODECS = ("h264", "h265")
SLICE = {"h264": b"\x41", "h265": b"\x02\x01"}
UNREFERRED = {"h264": b"\x01", "h265": b"\x00\x01"}
KEYFRAME = {"h264": b"\x65", "h265": b"\x26\x01"}
SEI = {"h264": b"\x06", "h265": b"\x4e\x01"}
DELIMITER = {"h264": b"\x09", "h265": b"\x46\x01"}
FIRST, LATER = b"\x9a", b"\x1a"
WARM_PICTURES = 70
LIMIT = 100


@dataclass
class Received:
    """One receiver, its depacketizer, and what they yield."""

    codec: str
    short: bool
    units: Units = field(default_factory=Units)

    def __post_init__(self) -> None:
        made = H264Depacketizer if self.codec == "h264" else H265Depacketizer
        self.depacketizer: NalDepacketizer = made(self.units, self.units.clock)
        self.receiver = RtpReceiver([96], lambda _type: self.depacketizer)
        self.framer = RtspFramer(lambda _message: None)
        self.framer.add_receiver(0, self.receiver, self.receiver.receive_pictures if self.short else None)

    def read(self, data: bytes) -> None:
        """As from one read of a socket."""
        self.units.clock.arrival_us += 1
        self.framer.feed(data)

    @property
    def state(self) -> tuple[object, ...]:
        """What later packets depend upon, and what is reported."""
        hidden = {
            name: value
            for name, value in vars(self.depacketizer).items()
            if name not in ("_sink", "_clock", "_failed_tries", "_untried", "_parts_time")
        }
        receiver = self.receiver
        counted = receiver.packets, receiver.lost, receiver.duplicates, receiver.malformed, receiver.highest_sequence
        return self.units.units, hidden, counted, self.framer.garbage_bytes, self.framer.pending_bytes


class Sender:
    """Makes interleaved packets."""

    def __init__(self, codec: str, number: int) -> None:
        self.codec = codec
        self.number = number
        self.time = 1000

    def picture(self, nals: Sequence[bytes], limit: int = LIMIT, *, mark: int = -1) -> list[bytes]:
        """The packets of an access unit; ``mark`` is the place of the marked one."""
        cut = h264_fragments if self.codec == "h264" else h265_fragments
        payloads = [payload for nal in nals for payload in ([nal] if len(nal) <= limit else cut(nal, limit))]
        marked = mark % len(payloads)
        packets = []
        for at, payload in enumerate(payloads):
            packet = pack_rtp(96, self.number & 0xFFFF, self.time, 7, payload, marker=at == marked)
            packets.append(b"$\0" + len(packet).to_bytes(2, "big") + packet)
            self.number += 1
        self.time += 3600
        return packets


def plain(codec: str, size: int = 350, first: bytes = FIRST) -> bytes:
    return SLICE[codec] + first + bytes(1 + at % 255 for at in range(size))


def both(codec: str) -> tuple[Received, Received]:
    return Received(codec, short=True), Received(codec, short=False)


def warm(codec: str, sender: Sender, *receivers: Received) -> None:
    """Pictures after which the marker is trusted and start codes are searched for no more."""
    for _ in range(WARM_PICTURES):
        data = b"".join(sender.picture([plain(codec)]))
        for received in receivers:
            received.read(data)


NALS = st.tuples(
    st.sampled_from([SLICE, SLICE, SLICE, SEI, SEI, UNREFERRED, KEYFRAME, DELIMITER]),
    st.sampled_from([FIRST, LATER]),
    st.one_of(st.binary(max_size=12), st.integers(1, 600).map(lambda size: bytes(range(1, 256)) * 3)),
    st.sampled_from([b"\x80", b"\x80", b"\x80", b"\0", b"\0\0\1\x41\x9a\x22"]),
)
CHANGES = st.tuples(st.integers(0, 10_000), st.sampled_from(["lose", "twice", "swap", "byte", "rtcp"]), st.integers())


@settings(max_examples=300)
@given(
    codec=st.sampled_from(CODECS),
    first=st.sampled_from([0, 100, 0xFF00 - 600, 0xFFFF - 4 * WARM_PICTURES - 20]),
    pictures=st.lists(
        st.tuples(st.lists(NALS, min_size=1, max_size=4), st.integers(40, 700), st.sampled_from([-1, -1, -1, 0, 1])),
        min_size=1,
        max_size=8,
    ),
    changes=st.lists(CHANGES, max_size=4),
    data=st.data(),
)
def test_it_yields_what_packet_by_packet_yields_whatever_comes(
    codec: str,
    first: int,
    pictures: list[tuple[list[tuple[dict[str, bytes], bytes, bytes, bytes]], int, int]],
    changes: list[tuple[int, str, int]],
    data: st.DataObject,
) -> None:
    short, long = both(codec)
    sender = Sender(codec, first)
    warm(codec, sender, short, long)
    packets: list[bytes] = []
    for nals, limit, mark in pictures:
        made = [kind[codec] + start + body + end for kind, start, body, end in nals]
        packets += sender.picture(made, limit, mark=mark)
        packets += sender.picture([plain(codec)])
    for place, change, value in changes:
        at = place % len(packets)
        match change:
            case "lose":
                del packets[at]
            case "twice":
                packets.insert(at, packets[at])
            case "swap":
                packets[at - 1], packets[at] = packets[at], packets[at - 1]
            case "byte":
                changed = bytearray(packets[at])
                changed[value % min(len(changed), 24)] = value >> 8 & 0xFF
                packets[at] = bytes(changed)
            case _:
                packets.insert(at, b"$\1\0\x08\x80\xc9\0\1\0\0\0\7")
        if not packets:
            break
    stream = b"".join(packets) + b"".join(sender.picture([plain(codec)]) * 1)
    at = 0
    while at < len(stream):
        size = data.draw(st.sampled_from([len(stream), 37, 400, 1000]))
        for received in (short, long):
            received.read(stream[at : at + size])
        at += size
        assert short.state == long.state
    for received in (short, long):
        received.depacketizer.flush(1.0)
    assert short.state == long.state


def passes(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Notes each payload that goes packet by packet."""
    seen: list[bytes] = []
    push = NalDepacketizer.push

    def noting(self: NalDepacketizer, buffer: bytearray, start: int, end: int, marker: bool, timestamp: int) -> None:
        seen.append(bytes(buffer[start:end]))
        push(self, buffer, start, end, marker, timestamp)

    monkeypatch.setattr(NalDepacketizer, "push", noting)
    return seen


@pytest.mark.parametrize("codec", CODECS)
def test_a_usual_picture_does_not_go_packet_by_packet(codec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = passes(monkeypatch)
    short, _ = both(codec)
    sender = Sender(codec, 0)
    warm(codec, sender, short)
    seen.clear()
    for nals in (
        [plain(codec)],
        [plain(codec, 20)],
        [SEI[codec] + b"\5\1\2\x80", plain(codec), plain(codec, 20, LATER), plain(codec, 300, LATER)],
    ):
        short.read(b"".join(sender.picture(nals)))
        assert short.units.units[-1].data == nals
    assert seen == []


@pytest.mark.parametrize("codec", CODECS)
def test_a_camera_whose_pictures_are_never_usual_is_seldom_tried(codec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    short, _ = both(codec)
    tries = 0
    find = NalDepacketizer._find_picture

    def counting(self: NalDepacketizer, *arguments: object) -> object:
        nonlocal tries
        tries += 1
        return find(self, *arguments)  # type: ignore[arg-type]  # handed through

    monkeypatch.setattr(NalDepacketizer, "_find_picture", counting)
    sender = Sender(codec, 0)
    warm(codec, sender, short)
    tries = 0
    for _ in range(MAX_FAILED_TRIES + UNTRIED_PICTURES):
        short.read(b"".join(sender.picture([DELIMITER[codec] + b"\x10", plain(codec)])))
    assert tries == MAX_FAILED_TRIES
    assert len(short.units.units) == WARM_PICTURES + MAX_FAILED_TRIES + UNTRIED_PICTURES
