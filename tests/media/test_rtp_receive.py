"""RTP reception: order, duplicates, losses, new beginnings, and time."""

import random
import struct
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.media.rtp_receive import MAX_AHEAD, MAX_KEPT, MAX_LATE_RUN, RtpReceiver, RtpTime

SSRC = 7


def packet(
    number: int, *, ssrc: int = SSRC, payload_type: int = 96, payload: bytes | None = None, time: int | None = None
) -> bytes:
    body = payload if payload is not None else number.to_bytes(4, "big")
    ticks = number * 10 if time is None else time
    return struct.pack(">BBHII", 0x80, payload_type, number & 0xFFFF, ticks & 0xFFFFFFFF, ssrc) + body


class Log:
    """A depacketizer that writes down what it is given: payloads, and "hole" in front of what follows one."""

    push_picture = None

    def __init__(self) -> None:
        self.heard: list[object] = []

    def push(self, buffer: bytearray, start: int, end: int, marker: bool, timestamp: int) -> None:
        self.heard.append(int.from_bytes(buffer[start:end], "big"))

    def lose(self) -> None:
        self.heard.append("hole")

    def flush(self, silent_seconds: float) -> None:
        """Nothing waits."""


class Reception:
    def __init__(self, payload_types: tuple[int, ...] = (96,), ignored: tuple[int, ...] = ()) -> None:
        self.log = Log()
        self.asked: list[int] = []
        self.receiver = RtpReceiver(payload_types, self._depacketizer, ignored_payload_types=ignored)

    def _depacketizer(self, payload_type: int) -> Log:
        self.asked.append(payload_type)
        return self.log

    def take(self, *packets: bytes) -> "Reception":
        for data in packets:
            buffer = bytearray(b"$---" + data + b"rest")
            if not self.receiver.receive(buffer, 4, 4 + len(data)):
                self.receiver.receive_unknown(buffer, 4, 4 + len(data))
        return self

    @property
    def heard(self) -> list[object]:
        return self.log.heard


def test_packets_in_order_are_delivered_past_the_wrap() -> None:
    numbers = list(range(65_530, 65_545))
    reception = Reception().take(*map(packet, numbers))
    assert reception.heard == numbers
    assert reception.receiver.highest_sequence == 65_544
    assert (reception.receiver.lost, reception.receiver.packets) == (0, 15)


def test_duplicates_are_dropped_and_counted() -> None:
    reception = Reception().take(*(packet(number) for number in range(500) for _ in range(2)))
    assert reception.heard == list(range(500))
    assert reception.receiver.duplicates == 500


def test_a_burst_that_is_sent_again_is_no_new_beginning() -> None:
    numbers = [*range(100), *range(60, 100), *range(100, 200)]
    assert Reception().take(*map(packet, numbers)).heard == list(range(200))


@given(st.integers(0, 10_000), st.integers(0, 65_535))
@settings(deadline=None)
def test_packets_that_come_in_another_order_are_put_right(seed: int, first: int) -> None:
    rng = random.Random(seed)
    numbers = list(range(first, first + 200))
    sent = [first, *sorted(numbers[1:], key=lambda number: number + rng.uniform(0, 8))]
    reception = Reception().take(*map(packet, sent))
    assert reception.heard == numbers
    assert (reception.receiver.lost, reception.receiver.duplicates) == (0, 0)


def test_a_hole_that_is_younger_than_the_one_given_up_is_waited_for_longer() -> None:
    reception = Reception().take(packet(65_530), packet(65_533))
    newest = reception.receiver.newest_kept
    reception.take(packet(65_532), packet(65_537))
    reception.receiver.give_up(newest)
    assert reception.heard == [65_530, "hole", 65_532, 65_533]
    reception.take(packet(65_534), packet(65_536), packet(65_535))
    assert reception.heard[4:] == [65_534, 65_535, 65_536, 65_537]
    assert (reception.receiver.lost, reception.receiver.waiting) == (1, False)
    reception.receiver.give_up(newest)


def test_a_hole_is_waited_for_and_then_given_up() -> None:
    reception = Reception().take(packet(1), packet(2), packet(5), packet(7))
    assert reception.heard == [1, 2]
    assert reception.receiver.waiting
    reception.receiver.give_up()
    assert reception.heard == [1, 2, "hole", 5, "hole", 7]
    assert (reception.receiver.lost, reception.receiver.waiting) == (3, False)
    reception.take(packet(3), packet(8))
    assert reception.heard[-1] == 8
    assert reception.receiver.duplicates == 1, "what comes after it was given up"


def test_behind_a_hole_only_so_many_packets_are_kept() -> None:
    reception = Reception().take(packet(0), *map(packet, range(2, 3 + MAX_KEPT)))
    assert reception.heard[:3] == [0, "hole", 2]
    assert reception.receiver.lost == 1


def test_a_jump_is_believed_with_its_second_packet_and_none_is_lost() -> None:
    reception = Reception().take(packet(1), packet(2), packet(30_000), packet(30_001), packet(30_002))
    assert reception.heard == [1, 2, "hole", 30_000, 30_001, 30_002]
    assert reception.receiver.lost == 0


def test_a_jump_that_is_a_loss_is_counted() -> None:
    reception = Reception().take(packet(1), packet(1002), packet(1003))
    assert reception.heard == [1, "hole", 1002, 1003]
    assert reception.receiver.lost == 1000


def test_one_stray_packet_changes_nothing() -> None:
    strays = (packet(40_000), packet(9, ssrc=99), packet(9, payload_type=50), b"\x40" * 20, b"\x80")
    wanted = list(range(60))
    reception = Reception().take(packet(0))
    for number in wanted[1:]:
        reception.take(strays[number % 5], packet(number))
    assert reception.heard == wanted


def test_a_sender_that_begins_anew_a_little_behind_is_followed_after_a_while() -> None:
    reception = Reception().take(*map(packet, range(500)), *map(packet, range(200, 200 + MAX_LATE_RUN + 20)))
    assert reception.heard[-1] == 200 + MAX_LATE_RUN + 19


def test_another_ssrc_is_followed_and_the_old_one_is_over() -> None:
    reception = Reception().take(packet(1), packet(2), packet(700, ssrc=8), packet(701, ssrc=8), packet(3))
    assert reception.heard == [1, 2, "hole", 700, 701]
    assert reception.receiver.foreign == 1
    assert reception.receiver.ssrc == 8


def test_an_older_session_that_sends_on_for_a_while_is_left_out() -> None:
    reception = Reception()
    reception.receiver.announced_ssrc = 8
    reception.take(packet(1), packet(700, ssrc=8), packet(2), packet(701, ssrc=8), packet(3), packet(702, ssrc=8))
    assert reception.heard == [1, "hole", 700, 701, 702]


def test_a_described_type_that_never_comes_is_replaced_by_the_one_that_does() -> None:
    reception = Reception((96,), ignored=(97,)).take(packet(5, payload_type=97), packet(1, payload_type=35))
    reception.take(packet(2, payload_type=35), packet(3, payload_type=36))
    assert reception.heard == [1, 2]
    assert reception.asked == [35]


def test_one_packet_of_another_type_in_front_is_not_the_stream() -> None:
    reception = Reception().take(packet(1, payload_type=50), packet(1), packet(2, payload_type=50), packet(2))
    assert reception.heard == [1, 2]
    assert (reception.receiver.lost, reception.receiver.foreign, reception.receiver.duplicates) == (0, 2, 0)


def test_of_a_source_that_goes_on_with_another_type_only_the_last_numbers_are_kept() -> None:
    reception = Reception().take(packet(0))
    reception.take(*(packet(number, payload_type=107) for number in range(1, 3 * MAX_AHEAD)))
    assert len(reception.receiver._taken_up) == MAX_AHEAD
    reception.take(packet(3 * MAX_AHEAD), packet(3 * MAX_AHEAD + 1))
    assert reception.heard == [0, "hole", 3 * MAX_AHEAD, 3 * MAX_AHEAD + 1]


def test_numbers_that_packets_of_other_types_have_are_not_missing() -> None:
    reception = Reception().take(packet(65_533))
    for number in range(65_534, 65_546, 3):
        reception.take(packet(number, payload_type=107), packet(number + 1, payload_type=107), packet(number + 2))
    assert reception.heard == [65_533, 65_536, 65_539, 65_542, 65_545]
    assert (reception.receiver.lost, reception.receiver.waiting) == (0, False)
    reception.take(packet(65_546, payload_type=107), packet(65_549, payload_type=107), packet(65_548), packet(65_550))
    reception.receiver.give_up()
    assert reception.heard[5:] == ["hole", 65_548, 65_550], "but what nobody has is"
    assert reception.receiver.lost == 1
    reception.take(packet(65_552, payload_type=107), packet(65_553))
    reception.receiver.give_up()
    assert reception.heard[-2:] == ["hole", 65_553]
    assert reception.receiver.lost == 2, "65,551 alone, and not what stood behind it too"


def test_a_sender_that_counts_anew_while_its_time_goes_on_is_followed_at_once() -> None:
    before = [packet(number, time=number * 10) for number in range(50)]
    after = [packet(number, time=(50 + number) * 10) for number in range(50)]
    reception = Reception().take(*before, *after)
    assert reception.heard == [*range(50), "hole", *range(50)]
    assert reception.receiver.duplicates == 0


def test_a_change_between_described_types_asks_for_another_depacketizer() -> None:
    reception = Reception((96, 97)).take(packet(1), packet(2, payload_type=97), packet(3, payload_type=97), packet(4))
    assert reception.asked == [96, 97, 96]
    assert reception.heard == [1, 2, 3, 4]


def test_padding_extensions_and_sources_are_no_payload() -> None:
    plain = struct.pack(">HII", 2, 0, SSRC)
    padded = b"\xa0\x60" + plain + b"\0\0\0\7" + b"\0\0\3"
    extended = b"\x90\x60" + struct.pack(">HII", 3, 0, SSRC) + b"\xbe\xde\0\1abcd" + b"\0\0\0\x08"
    mixed = b"\x82\x60" + struct.pack(">HII", 4, 0, SSRC) + bytes(8) + b"\0\0\0\x09"
    assert Reception().take(packet(1), padded, extended, mixed, packet(5)).heard == [1, 7, 8, 9, 5]


def test_a_packet_whose_extension_is_cut_is_a_hole() -> None:
    cut = b"\x90\x60" + struct.pack(">HII", 2, 0, SSRC) + b"\xbe\xde\0\xffabcd"
    reception = Reception().take(packet(1), cut, packet(3))
    assert reception.heard == [1, "hole", 3]
    assert reception.receiver.malformed == 1


@given(st.lists(st.binary(max_size=40), max_size=60))
@settings(deadline=None)
def test_any_packets_are_taken_or_dropped(packets: list[bytes]) -> None:
    Reception().take(packet(1), *packets, *(b"\x80\x60" + data for data in packets)).receiver.give_up()


@given(st.lists(st.integers(0, 2000), min_size=1, max_size=400))
@settings(deadline=None)
def test_whatever_is_lost_what_is_delivered_goes_forward_and_is_accounted_for(numbers: list[int]) -> None:
    sent = sorted(set(numbers))
    reception = Reception().take(*map(packet, sent))
    reception.receiver.give_up()
    heard = [number for number in reception.heard if isinstance(number, int)]
    assert heard == sorted(heard)
    assert set(heard) <= set(sent)
    close = all(later - earlier <= 100 for earlier, later in pairwise(sent))
    if close:
        assert heard == sent
        assert reception.receiver.lost == sent[-1] - sent[0] + 1 - len(sent)


# time


def test_timestamps_are_extended_forwards_and_backwards() -> None:
    time = RtpTime(90_000)
    first = time.extend(0xFFFFFF00)
    assert time.extend(0x100) - first == 0x200
    assert time.extend(0xFFFFFFF0) - first == 0xF0
    assert time.extend(0x100) - first == 0x200


@pytest.mark.parametrize(("rate", "ticks"), [(90_000, 90_000), (8000, 8000), (48_000, 48_000)])
def test_a_second_is_a_second_at_every_rate(rate: int, ticks: int) -> None:
    time = RtpTime(rate)
    first = time.ticks_90k(time.extend(1_000_000))
    assert time.ticks_90k(time.extend(1_000_000 + ticks)) - first == 90_000


def test_a_sender_report_before_the_first_packet_tells_its_time() -> None:
    time = RtpTime(8000)
    assert time.unix_us(time.extend(5)) is None
    time = RtpTime(8000)
    time.report(0xFFFFFFFF - 7999 + 5, 1_000_000)
    assert time.unix_us(time.extend(5)) == 2_000_000
