"""Receiving one RTP stream (RFC 3550): packets put into order, duplicates dropped, losses counted, time extended.

What a packet is, by its sequence number and SSRC:

| what comes                                        | what is done                                               |
|---------------------------------------------------|------------------------------------------------------------|
| the number that is expected                       | delivered                                                  |
| one of the next `MAX_AHEAD`                       | kept until the hole is filled or `give_up` is called       |
| one of the last `MAX_LATE`                        | dropped as a duplicate; `MAX_LATE_RUN` in a row: anew      |
| … whose time is newer than any, and one behind it | anew with the first of the two: the sender counts anew     |
| one far away, and then one shortly behind it      | anew with the first of the two                             |
| the announced SSRC                                | anew                                                       |
| another SSRC, and then one shortly behind it      | anew with the first of the two; the old SSRC is retired    |
| a retired SSRC                                    | dropped; `MAX_LATE_RUN` in a row: anew                     |
| a type that is not expected                       | dropped; its number is not missing where it has one itself |

"Anew" is a hole of unknown size. Each hole is told to the depacketizer before the packet behind it.
"""

from collections.abc import Callable, Collection
from struct import Struct
from typing import Any, Final, Protocol

from services.media.rtp import HEADER_BYTES, RtpError, parse_rtp, sequence_delta

MAX_AHEAD: Final = 256
"""Sequence numbers further ahead than this are another beginning, or a burst that is lost whichever way."""
MAX_KEPT: Final = 64
"""Packets that are kept behind a hole; with one more the hole is given up."""
MAX_LATE: Final = 1024
"""A packet no further behind than this is a duplicate; one further behind may be a new beginning."""
MAX_LATE_RUN: Final = 100
"""So many in a row that would be dropped, and it is the expectation that is wrong."""
MAX_COUNTED: Final = 3000
"""A jump forward up to this is a loss of that many packets (MAX_DROPOUT of RFC 3550, A.1)."""
REORDER_SECONDS: Final = 0.3
"""A hole that is not filled for so long is given up. Five small pictures of a camera that sends them out of order take
0.2 s at 25 a second; libav waits 0.5 s (its ``max_delay`` for RTSP)."""
_DOLLAR: Final = 0x24
_VERSION_2: Final = 0x80
_HEADER: Final = Struct(">BBHII")
_TIME_AT: Final = 8
"""From an interleaved packet's dollar to its timestamp."""
_WRAP: Final = 0x10000
_HALF: Final = 0x80000000
_NO_SEQUENCE: Final = -1


PushPicture = Callable[[bytearray, int, int, int, int, int, int], tuple[int, int]]
"""``push_picture(buffer, at, end, front, kind, ssrc, number)`` may take the picture whose interleaved packets begin at
``at``, if all of it is there. ``front``: the dollar and the channel; ``kind``: the first two bytes of RTP without the
marker; ``number``: that of the first packet. Returns number and place of the packet behind what it took."""


class Borrower(Protocol):
    """Who takes whole pictures (services/ingest/kernel), for which the stream's state is lent to him."""

    def take_pictures(self, at: int, end: int) -> int | None:
        """As `RtpReceiver.receive_pictures`, in the buffer that both know; None where he has not borrowed."""

    def end_loan(self) -> None:
        """Gives back what he has borrowed, if anything."""


class Depacketizer(Protocol):
    """Makes access units or audio frames of one stream's payloads."""

    @property
    def push_picture(self) -> PushPicture | None:
        """A short way for whole pictures, beside `push`; None where there is none."""

    def push(self, buffer: bytearray, start: int, end: int, marker: bool, timestamp: int) -> None:
        """The next payload, in order: ``buffer[start:end]``, which is copied where it is kept."""

    def lose(self) -> None:
        """Packets are missing in front of the next one."""

    def flush(self, silent_seconds: float) -> None:
        """Nothing came for so long: what waits only for a successor may go."""


class RtpReceiver:
    """Takes the packets of one stream: the `ChannelReceiver` of an interleaved channel, or of datagrams."""

    def __init__(
        self,
        payload_types: Collection[int],
        depacketizer_of: Callable[[int], Depacketizer],
        *,
        ignored_payload_types: Collection[int] = (),
    ) -> None:
        """``depacketizer_of`` gives the depacketizer for a payload type; it is asked whenever the type changes.

        A type that is in neither collection is taken where two packets of it came in a row, and none of the expected
        ones before: some cameras describe one type and send another.
        """
        self.packets = 0
        """Delivered."""
        self.lost = 0
        """Packets that never came, of holes whose size is known."""
        self.duplicates = 0
        """Packets that came twice, or after they were given up."""
        self.malformed = 0
        self.foreign = 0
        """Packets of other payload types or SSRCs."""
        self.ssrc: int | None = None
        self.announced_ssrc: int | None = None
        self.borrower: Borrower | None = None
        """He gives all back before anything here is looked at or changed."""
        self._payload_types = frozenset(payload_types)
        self._ignored_types = frozenset(ignored_payload_types)
        self._depacketizer_of = depacketizer_of
        self._payload_type = -1
        self._depacketizer: Depacketizer | None = None
        self._push: Callable[[bytearray, int, int, bool, int], None] = _nowhere
        self._push_picture: PushPicture | None = None
        self._expected = _NO_SEQUENCE
        self._time = 0
        """Of the newest packet that was delivered."""
        self._cycles = 0
        self._taken_up: dict[int, int] = {}
        """Numbers that the last `MAX_AHEAD` packets of other types had: `packets` when they came."""
        self._kept: dict[int, bytes] = {}
        self._candidate: tuple[int, int, bytes] | None = None
        """A packet that may begin something new: its SSRC, its number, itself. One shortly behind it confirms it."""
        self._progress = 0
        """`packets` when the last packet was dropped as late, or suspected: with others in between a run is over."""
        self._retired: int | None = None
        self._late_run = 0
        self._hole = False

    @property
    def started(self) -> bool:
        """Whether a packet was delivered."""
        return self._expected != _NO_SEQUENCE

    @property
    def waiting(self) -> bool:
        """Whether packets are kept behind a hole."""
        return bool(self._kept)

    @property
    def newest_kept(self) -> int | None:
        """The last packet that is kept behind holes: `give_up` is to be called with it in `REORDER_SECONDS`."""
        return max(self._kept, key=self._ahead, default=None)

    @property
    def highest_sequence(self) -> int:
        """Extended by the number of wraps (RFC 3550, 6.4.1)."""
        return self._cycles + self._expected - 1 & 0xFFFFFFFF if self.started else 0

    def receive(self, buffer: bytearray, start: int, end: int) -> bool:
        if self.borrower is not None:
            self.borrower.end_loan()
        at = start + HEADER_BYTES
        if at > end:
            return False
        first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(buffer, start)
        if (
            sequence != self._expected
            or ssrc != self.ssrc
            or first != _VERSION_2
            or second & 0x7F != self._payload_type
        ):
            payload_type = second & 0x7F
            if ssrc != self.ssrc or payload_type not in self._payload_types or first & 0xC0 != _VERSION_2:
                return False
            self._place(bytes(buffer[start:end]), sequence)
            return True
        self._expected = sequence + 1 if sequence != 0xFFFF else self._wrapped()
        self._time = timestamp
        self.packets += 1
        self._push(buffer, at, end, second >= 0x80, timestamp)
        if self._kept:
            self._deliver_kept()
        return True

    def receive_pictures(self, buffer: bytearray, at: int, end: int) -> int:
        """Takes the pictures that lie whole between interleaved packets' places ``at`` and ``end``, as `receive` would
        one packet after another; returns where the first packet stands that is left to it. Where that is one of a
        picture that has not come whole yet, and nothing is to be done, it returns the complement of the place."""
        if self.borrower is not None and (place := self.borrower.take_pictures(at, end)) is not None:
            return place
        push = self._push_picture
        if push is None or self._kept or self.ssrc is None:
            return at
        front, kind = _DOLLAR << 8 | buffer[at + 1], _VERSION_2 << 8 | self._payload_type
        while at < end:
            number, behind = push(buffer, at, end, front, kind, self.ssrc, self._expected)
            if behind == at:
                break
            self.packets += number - self._expected
            self._expected = number
            self._time = int.from_bytes(buffer[at + _TIME_AT : at + _TIME_AT + 4], "big")
            at = behind
        return at

    def lend(self, loan: Any) -> bool:
        """Says in a ``pi_connection`` (services/ingest/kernel) which packet comes next; False where one is missing."""
        if self._push_picture is None or self._kept or self.ssrc is None or not self.started:
            return False
        loan.ssrc, loan.payload_type, loan.next_number = self.ssrc, self._payload_type, self._expected
        return True

    def take_back(self, loan: Any) -> None:
        """Packets were taken elsewhere, one behind the other."""
        self.packets += loan.taken_packets
        self._cycles += (self._expected + loan.taken_packets) // _WRAP * _WRAP
        self._expected = loan.next_number
        self._time = loan.stamp

    def receive_unknown(self, buffer: bytearray, start: int, end: int) -> None:
        if self.borrower is not None:
            self.borrower.end_loan()
        if end - start < HEADER_BYTES or buffer[start] & 0xC0 != _VERSION_2:
            self.malformed += 1
            return
        _, second, sequence, _, ssrc = _HEADER.unpack_from(buffer, start)
        payload_type = second & 0x7F
        packet = bytes(buffer[start:end])
        if payload_type not in self._payload_types and not self._takes_type(packet, payload_type, sequence, ssrc):
            self.foreign += 1
            return
        if self.ssrc in (None, ssrc):
            self.ssrc = ssrc
            self._place(packet, sequence)
        elif ssrc == self.announced_ssrc:
            self._anew(ssrc, sequence)
            self._place(packet, sequence)
        elif ssrc == self._retired and self._runs_late():
            self.foreign += 1
        else:
            self._suspect(packet, ssrc, sequence)

    def _takes_type(self, packet: bytes, payload_type: int, sequence: int, ssrc: int) -> bool:
        """Whether a packet of a type that is not expected, the second of its kind, shows that it is the stream's."""
        if self.started:
            if ssrc == self.ssrc:
                self._taken_up.pop(sequence, None)
                self._taken_up[sequence] = self.packets
                if len(self._taken_up) > MAX_AHEAD:
                    del self._taken_up[next(iter(self._taken_up))]
            return False
        if payload_type in self._ignored_types:
            return False
        candidate, self._candidate = self._candidate, (ssrc, sequence, packet)
        if candidate is None or candidate[0] != ssrc or candidate[2][1] & 0x7F != payload_type:
            return False
        self._payload_types |= {payload_type}
        self.ssrc = ssrc
        self._place(candidate[2], candidate[1])
        return True

    def _is_recent(self, packets: int) -> bool:
        return self.packets - packets <= MAX_AHEAD

    def knows(self, buffer: bytearray, start: int, end: int) -> bool:
        if self.borrower is not None:
            self.borrower.end_loan()
        if end - start < HEADER_BYTES or buffer[start] & 0xC0 != _VERSION_2:
            return False
        _, second, sequence, _, ssrc = _HEADER.unpack_from(buffer, start)
        if second & 0x7F not in self._payload_types or self.ssrc not in (None, ssrc):
            return False
        return not self.started or abs(sequence_delta(sequence, self._expected)) <= MAX_LATE

    def replace_depacketizer(self, depacketizer: Depacketizer) -> None:
        """Payloads of every type go to another depacketizer from now on."""
        self._depacketizer = depacketizer
        self._push = depacketizer.push
        self._push_picture = depacketizer.push_picture

    def give_up(self, newest: int | None = None) -> None:
        """The holes in front of packets that are kept will not be filled: goes on behind them.

        ``newest``: only those in front of this packet and older ones; what came since has younger holes.
        """
        while self._kept:
            following = min(self._kept, key=self._ahead)
            if newest is not None and sequence_delta(following, newest) > 0:
                return
            self.lost += self._ahead(following) - self._taken_up_before(following)
            if following < self._expected:
                self._cycles += _WRAP
            self._expected = following
            self._hole = True
            self._deliver_kept()

    def _taken_up_before(self, sequence: int) -> int:
        """How many of the numbers in front of a packet that is kept others had."""
        ahead = self._ahead(sequence)
        return sum(self._ahead(number) < ahead and self._is_recent(at) for number, at in self._taken_up.items())

    def _ahead(self, sequence: int) -> int:
        """How far a packet that is kept is from the one that is expected."""
        return sequence - self._expected & 0xFFFF

    def _place(self, packet: bytes, sequence: int) -> None:
        """Takes a packet of the present SSRC."""
        if not self.started:
            self._expected = sequence
        ahead = sequence_delta(sequence, self._expected)
        if ahead > 0 and self._taken_up:
            self._skip_taken_up()
            ahead = sequence_delta(sequence, self._expected)
        if ahead == 0:
            self._deliver(packet)
            self._deliver_kept()
        elif 0 < ahead <= MAX_AHEAD:
            self.duplicates += sequence in self._kept
            self._kept.setdefault(sequence, packet)
            if len(self._kept) > MAX_KEPT:
                self.give_up()
        elif -MAX_LATE <= ahead < 0 and not self._is_newer(packet) and self._runs_late():
            self.duplicates += 1
        else:
            assert self.ssrc is not None
            if self.packets != self._progress:
                self._candidate = None
                self._progress = self.packets
            self._suspect(packet, self.ssrc, sequence)

    def _skip_taken_up(self) -> None:
        """A packet behind numbers that others had shows that those are not missing, unlike one with the same number."""
        while (packets := self._taken_up.pop(self._expected, None)) is not None and self._is_recent(packets):
            self._expected = self._expected + 1 if self._expected != 0xFFFF else self._wrapped()

    def _is_newer(self, packet: bytes) -> bool:
        """Whether a packet's time is later than that of all that were delivered: then it is no duplicate."""
        timestamp: int = _HEADER.unpack_from(packet)[3]
        return 0 < (timestamp - self._time & 0xFFFFFFFF) < _HALF

    def _runs_late(self) -> bool:
        """Whether the packet, one of a run of late ones, is still to be dropped."""
        if self.packets != self._progress:
            self._progress = self.packets
            self._late_run = 0
        self._late_run += 1
        return self._late_run <= MAX_LATE_RUN

    def _suspect(self, packet: bytes, ssrc: int, sequence: int) -> None:
        """Takes a packet that may be the first of something new: the one behind it tells."""
        candidate = self._candidate
        if candidate is None or candidate[0] != ssrc or not 0 < sequence_delta(sequence, candidate[1]) <= MAX_AHEAD:
            self._candidate = ssrc, sequence, packet
            return
        first = candidate[1]
        self.give_up()
        ahead = sequence_delta(first, self._expected)
        if ssrc == self.ssrc and 0 < ahead <= MAX_COUNTED:
            self.lost += ahead
        self._anew(ssrc, first)
        self._deliver(candidate[2])
        self._place(packet, sequence)

    def _anew(self, ssrc: int, sequence: int) -> None:
        self.give_up()
        if ssrc != self.ssrc:
            self._retired = self.ssrc
        self.ssrc = ssrc
        self._expected = sequence
        self._cycles = 0
        self._hole = True

    def _deliver(self, packet: bytes) -> None:
        """Takes the packet that is expected."""
        self._candidate = None
        self._late_run = 0
        self._expected = self._expected + 1 if self._expected != 0xFFFF else self._wrapped()
        try:
            header = parse_rtp(packet)
        except RtpError:
            self.malformed += 1
            if self._depacketizer is not None:
                self._depacketizer.lose()
            return
        if header.payload_type != self._payload_type:
            self._payload_type = header.payload_type
            self._depacketizer = self._depacketizer_of(header.payload_type)
            self._push = self._depacketizer.push
            self._push_picture = self._depacketizer.push_picture
        assert self._depacketizer is not None
        if self._hole:
            self._hole = False
            self._depacketizer.lose()
        self._time = header.timestamp
        self.packets += 1
        self._push(bytearray(packet), header.payload_at, header.payload_end, header.marker, header.timestamp)

    def _deliver_kept(self) -> None:
        while self._kept:
            packet = self._kept.pop(self._expected, None)
            if packet is not None:
                self._deliver(packet)
            elif self._expected in self._taken_up:
                self._skip_taken_up()
            else:
                return

    def _wrapped(self) -> int:
        self._cycles += _WRAP
        return 0


def _nowhere(_buffer: bytearray, _start: int, _end: int, _marker: bool, _timestamp: int) -> None:
    return


class RtpTime:
    """Extends a stream's 32-bit timestamps, and ties them to the sender's clock by its sender reports."""

    def __init__(self, clock_rate_hz: int) -> None:
        self._rate = clock_rate_hz
        self._last: int | None = None
        self._report: tuple[int, int] | None = None
        """Extended timestamp and Unix time in microseconds of the last sender report."""

    def lend(self, loan: Any) -> bool:
        """Puts its state into a ``pi_connection``; False before the first timestamp, and at other rates than 90 kHz."""
        if self._last is None or self._rate != 90_000:
            return False
        loan.rtp_last, loan.has_report = self._last, self._report is not None
        loan.report_at, loan.report_us = self._report or (0, 0)
        return True

    def take_back(self, loan: Any) -> None:
        """Timestamps were extended elsewhere."""
        self._last = loan.rtp_last

    def extend(self, timestamp: int) -> int:
        """The timestamp beyond its 32 bits: near the one before, forwards or backwards."""
        last = self._last
        if last is None:
            self._last = timestamp
            return timestamp
        step = (timestamp - last + 0x80000000 & 0xFFFFFFFF) - 0x80000000
        self._last = last + step
        return self._last

    def ticks_90k(self, extended: int) -> int:
        """An extended timestamp at 90 kHz."""
        return extended if self._rate == 90_000 else extended * 90_000 // self._rate

    def report(self, rtp_timestamp: int, unix_us: int) -> None:
        """A sender report: its RTP time is near that of the packets around it."""
        last = self._last
        if last is None:
            last = self._last = rtp_timestamp
        step = (rtp_timestamp - last + 0x80000000 & 0xFFFFFFFF) - 0x80000000
        self._report = last + step, unix_us

    def unix_us(self, extended: int) -> int | None:
        """When the sender sampled ``extended``, by its own clock; None before its first report."""
        if self._report is None:
            return None
        at, unix_us = self._report
        return unix_us + (extended - at) * 1_000_000 // self._rate
