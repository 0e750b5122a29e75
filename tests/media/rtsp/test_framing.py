"""Framing: messages and packets out of any bytes, garbage between them, and no more memory than one message."""

import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.media.rtsp.framing import BUFFER_BYTES, MAX_BODY_BYTES, MAX_GARBAGE_BYTES, MAX_HEAD_BYTES, RtspFramer
from services.media.rtsp.messages import RtspMessage, RtspRequest, RtspResponse, RtspSyntaxError

SSRC = 0xC0FFEE01
OK = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n"


class Receiver:
    """Knows packets of one SSRC and payload type."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []
        self.unknown: list[bytes] = []

    @property
    def started(self) -> bool:
        return True

    def knows(self, buffer: bytearray, start: int, end: int) -> bool:
        return end - start >= 12 and buffer[start] == 0x80 and buffer[start + 8 : start + 12] == SSRC.to_bytes(4, "big")

    def receive(self, buffer: bytearray, start: int, end: int) -> bool:
        if not self.knows(buffer, start, end):
            return False
        self.packets.append(bytes(buffer[start:end]))
        return True

    def receive_unknown(self, buffer: bytearray, start: int, end: int) -> None:
        self.unknown.append(bytes(buffer[start:end]))


def packet(number: int, size: int = 900) -> bytes:
    payload = random.Random(number).randbytes(size)
    return struct.pack(">BBHII", 0x80, 96, number & 0xFFFF, number * 3600, SSRC) + payload


def framed(data: bytes, channel: int = 0) -> bytes:
    return b"$" + bytes((channel,)) + len(data).to_bytes(2, "big") + data


class Reading:
    """A framer with one receiver on channel 0."""

    def __init__(self) -> None:
        self.messages: list[RtspMessage] = []
        self.strays: list[tuple[int, bytes]] = []
        self.receiver = Receiver()
        self.framer = RtspFramer(self.messages.append, self._stray)
        self.framer.add_receiver(0, self.receiver)

    def _stray(self, channel: int, buffer: bytearray, start: int, end: int) -> None:
        self.strays.append((channel, bytes(buffer[start:end])))

    def feed(self, data: bytes, piece: int = 1448) -> "Reading":
        for at in range(0, len(data), piece):
            self.framer.feed(data[at : at + piece])
        return self


@given(st.lists(st.integers(1, 4000), max_size=30), st.integers(0, 1000))
@settings(deadline=None)
def test_the_same_comes_out_however_the_bytes_are_cut(cuts: list[int], seed: int) -> None:
    rng = random.Random(seed)
    packets = [packet(number, rng.choice([1, 100, 1400, 3000])) for number in range(12)]
    body = b"v=0\r\n" * 20
    described = b"RTSP/1.0 200 OK\r\nCSeq: 2\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    asked = b"OPTIONS rtsp://h/1 RTSP/1.0\r\nCSeq: 9\r\n\r\n"
    wire = OK + described + b"".join(map(framed, packets[:6])) + asked + b"".join(map(framed, packets[6:])) + OK
    reading = Reading()
    at = 0
    for cut in cuts:
        reading.framer.feed(wire[at : at + cut])
        at += cut
    reading.framer.feed(wire[at:])
    assert reading.receiver.packets == packets
    assert [type(message) for message in reading.messages] == [RtspResponse, RtspResponse, RtspRequest, RtspResponse]
    assert reading.messages[1].body == body
    assert reading.framer.garbage_bytes == 0
    assert reading.framer.pending_bytes == 0


@given(st.binary(max_size=4000))
@settings(deadline=None)
def test_any_bytes_are_read_or_refused_within_the_buffer(data: bytes) -> None:
    reading = Reading()
    try:
        reading.feed(data, 100)
    except RtspSyntaxError:
        return
    assert reading.framer.pending_bytes <= BUFFER_BYTES


@given(st.binary(max_size=200), st.binary(max_size=200))
@settings(deadline=None)
def test_garbage_between_packets_costs_at_most_the_packets_beside_it(one: bytes, two: bytes) -> None:
    packets = [packet(number) for number in range(30)]
    wire = b"".join(map(framed, packets[:10])) + one + b"".join(map(framed, packets[10:20])) + two
    reading = Reading().feed(wire + b"".join(map(framed, packets[20:])) + OK)
    kept = [known for known in packets if known in reading.receiver.packets]
    assert len(kept) >= 26


def test_garbage_in_front_of_every_tenth_packet_costs_less_than_a_fifth() -> None:
    rng = random.Random(3)
    packets = [packet(number, rng.randrange(200, 1400)) for number in range(400)]
    wire = b""
    for number, known in enumerate(packets):
        if number % 10 == 5:
            wire += rng.choice([b"", b"$", b"$\0\xff\xff", b"$\0\x02\0", b"RTSP/1.0 2", b"ABC DEF"]) + rng.randbytes(
                rng.randrange(1, 300)
            )
        wire += framed(known)
    reading = Reading().feed(wire)
    kept = sum(known in reading.receiver.packets for known in packets)
    assert kept >= 0.95 * len(packets)


@pytest.mark.parametrize("length", [60_000, 65_535])
def test_a_false_length_swallows_nothing(length: int) -> None:
    packets = [packet(number) for number in range(200)]
    false = framed(packets[100])
    false = false[:2] + length.to_bytes(2, "big") + false[4:]
    wire = b"".join(map(framed, packets[:100])) + false + b"".join(map(framed, packets[101:]))
    reading = Reading()
    delivered_when_fed: list[int] = []
    for at in range(0, len(wire), 1448):
        reading.framer.feed(wire[at : at + 1448])
        delivered_when_fed.append(len(reading.receiver.packets))
    assert len(reading.receiver.packets) >= 198
    # It is not even held back for as long as the length claims.
    behind = [at for at, count in enumerate(delivered_when_fed) if count > 101]
    assert behind[0] * 1448 < (100 * 916) + 8 * 1448


def test_a_message_with_a_false_body_swallows_no_packets() -> None:
    packets = [packet(number) for number in range(40)]
    false = b"RTSP/1.0 200 OK\r\nCSeq: 5\r\nContent-Length: 60000\r\n\r\n"
    reading = Reading().feed(b"".join(map(framed, packets[:20])) + false + b"".join(map(framed, packets[20:])))
    assert reading.receiver.packets == packets


def test_a_length_that_is_too_short_costs_two_packets_at_most() -> None:
    packets = [packet(number) for number in range(20)]
    false = framed(packets[10])
    false = false[:2] + (500).to_bytes(2, "big") + false[4:]
    reading = Reading().feed(b"".join(map(framed, packets[:10])) + false + b"".join(map(framed, packets[11:])))
    assert sum(known in reading.receiver.packets for known in packets) >= 18


def test_large_packets_are_taken() -> None:
    packets = [packet(number, 10_000) for number in range(20)]
    reading = Reading().feed(b"".join(map(framed, packets)) + OK)
    assert reading.receiver.packets == packets


def test_packets_of_channels_that_were_not_set_up_are_passed_over() -> None:
    other = packet(7)
    wire = framed(packet(1)) + framed(other, 6) + framed(packet(2)) + framed(b"", 7) + framed(packet(3)) + OK
    reading = Reading().feed(wire)
    assert reading.receiver.packets == [packet(1), packet(2), packet(3)]
    assert reading.strays == [(6, other)]
    assert reading.framer.garbage_bytes == 0


def test_empty_and_foreign_packets_on_a_known_channel_are_no_garbage() -> None:
    foreign = b"\x80\x60" + bytes(30)
    wire = framed(packet(1)) + framed(b"") + framed(packet(2)) + framed(foreign) + framed(b"\1\2\3") + framed(packet(3))
    reading = Reading().feed(wire)
    assert reading.receiver.packets == [packet(1), packet(2), packet(3)]
    assert foreign in reading.receiver.unknown
    assert reading.framer.garbage_bytes == 0


@pytest.mark.parametrize(
    "line", [b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 400 Bad\r\n\r\n", b"\x16\x03\x01\x02", b"220 ftp\r\n"]
)
def test_another_protocol_is_refused_at_once(line: bytes) -> None:
    framer = RtspFramer(lambda _message: None)
    with pytest.raises(RtspSyntaxError, match="no RTSP"):
        framer.feed(line)


def test_a_head_that_never_ends_is_refused_before_it_is_large() -> None:
    framer = RtspFramer(lambda _message: None)
    line = b"X-More: and more\r\n"
    framer.feed(b"RTSP/1.0 200 OK\r\n")
    for _ in range(MAX_HEAD_BYTES // len(line) - 1):
        framer.feed(line)
    with pytest.raises(RtspSyntaxError, match="head is over"):
        framer.feed(2 * line)


def test_a_head_that_comes_byte_by_byte_is_read() -> None:
    reading = Reading().feed(b"\r\n" + OK, 1)
    assert len(reading.messages) == 1


def test_an_answer_is_told_also_where_somebody_takes_all_pictures_behind_it() -> None:
    reading = Reading()
    reading.framer.add_receiver(0, reading.receiver, lambda _buffer, _at, end: ~end)
    reading.framer.pictures_first = True
    reading.framer.feed(OK + framed(packet(1)))
    assert len(reading.messages) == 1
    assert not reading.framer.within_message


def test_a_huge_body_is_refused_when_it_is_announced() -> None:
    framer = RtspFramer(lambda _message: None)
    with pytest.raises(RtspSyntaxError, match="announces a body"):
        framer.feed(b"RTSP/1.0 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n")


def test_the_largest_body_is_taken() -> None:
    body = b"x" * MAX_BODY_BYTES
    reading = Reading().feed(b"RTSP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body + OK)
    assert [message.body for message in reading.messages] == [body, b""]


def test_endless_garbage_is_refused() -> None:
    reading = Reading().feed(framed(packet(1)))
    rng = random.Random(5)
    with pytest.raises(RtspSyntaxError, match="garbage"):
        reading.feed(rng.randbytes(2 * MAX_GARBAGE_BYTES))
    assert reading.framer.pending_bytes <= BUFFER_BYTES
