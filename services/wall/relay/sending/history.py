"""What was sent lately on a slot, for retransmissions (RFC 4585, RFC 4588): references to shared packets, no copies."""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable
from typing import Final, NamedTuple

from services.contracts.frames import decode
from services.media.rtp import sequence_delta
from services.wall.relay.engine.template import PacketLayout, RtpRun
from services.wall.relay.kernel.structs import FIRST_PAST_RUNS, LIMITS, TAKEN_SERIALS, Stream, ffi, new_past
from services.wall.relay.sending.frame import lay_out_by_python

KEEP_SECONDS: Final = float(LIMITS["PK_KEEP_SECONDS"])
"""A retransmission later than this is too late for any picture."""
PACKETS_SECONDS: Final = 0.25
"""So long packets are kept as they were laid out: others may have them waiting. What is asked for later is laid out
again: pictures would else be held twice for as long as a GOP lasts."""
MAX_PACKETS: Final = 16_384
"""Half the circle of sequence numbers: beyond it they would be ambiguous."""
MAX_RUNS: Final = LIMITS["PK_PAST_RUNS"]


class SentLayouts:
    """The layouts that were sent in the last `KEEP_SECONDS`, by serial number, shared by all histories of a relay.

    Of frames that C took from the bus the messages are kept, and laid out when they are asked for.
    """

    __slots__ = ("_by_serial", "_held", "_now", "_order", "_taken", "_taken_count", "serials")

    def __init__(self) -> None:
        self._by_serial: dict[int, PacketLayout] = {}
        self._order: deque[tuple[float, PacketLayout]] = deque()
        self._held: deque[tuple[float, PacketLayout]] = deque()
        """Those whose packets have not been let go of."""
        self._now = 0.0
        """When something was sent last."""
        self._taken: deque[tuple[float, bytes]] = deque()
        self._taken_count = 0
        self.serials = ffi.new("uint32_t *")
        """How many frames C has taken; it numbers them, and each is added here at once."""

    def __len__(self) -> int:
        return len(self._by_serial)

    def keep(self, layout: PacketLayout, now: float) -> None:
        """A layout is sent to somebody."""
        layout.sent_at = self._now = now
        if not layout.held:
            self._hold(layout)
        if layout.serial not in self._by_serial:
            self.forget(now)
            self._by_serial[layout.serial] = layout
            self._order.append((now, layout))

    def add_taken(self, message: bytes, now: float) -> int:
        """C has taken a frame, and sent it. Returns its number, for `drop_taken`."""
        taken, self._now = self._taken, now
        taken.append((now, message))
        if taken[0][0] < now - KEEP_SECONDS:
            taken.popleft()
        self._taken_count += 1
        return self._taken_count

    def drop_taken(self, numbers: Iterable[int]) -> None:
        """Nobody needs these frames again."""
        taken = self._taken
        for number in numbers:
            back = self._taken_count - number
            if back < len(taken):
                taken[-1 - back] = (taken[-1 - back][0], b"")

    def forget(self, now: float) -> None:
        """Lets go of those that nobody was sent any more."""
        order, horizon = self._order, now - KEEP_SECONDS
        while self._taken and self._taken[0][0] < horizon:
            self._taken.popleft()
        while order and order[0][0] < horizon:
            _, layout = order.popleft()
            if layout.sent_at < horizon:
                del self._by_serial[layout.serial]
            else:
                order.append((layout.sent_at, layout))

    def _hold(self, layout: PacketLayout) -> None:
        held, horizon = self._held, self._now - PACKETS_SECONDS
        while held and held[0][0] < horizon:
            _, old = held.popleft()
            if old.sent_at < horizon:
                old.release()
                old.held = False
            else:
                held.append((old.sent_at, old))
        layout.held = True
        held.append((self._now, layout))

    def find(self, serial: int) -> PacketLayout | None:
        """The layout of that number; None when it is forgotten."""
        layout = self._by_serial.get(serial)
        if layout is not None:
            if not layout.held:
                self._hold(layout)
            return layout
        back = (self.serials[0] - 1 - serial) % TAKEN_SERIALS
        if serial < TAKEN_SERIALS or back >= len(self._taken):
            return None
        message = self._taken[-1 - back][1]
        if not message:
            return None
        unit = decode(message)
        layout = lay_out_by_python(unit.codec, unit.payload, (0, 0))  # payloads and runs are the same in any shape
        layout.serial = serial
        self.keep(layout, self._now)
        return layout


class SentRun(NamedTuple):
    """A run as it was sent."""

    first: int
    """Unwrapped sequence number of its first packet."""
    run: RtpRun
    timestamp: int
    payload_type: int
    sent24: int
    """The time of sending, as abs-send-time tells it."""
    keyframe: bool


class History:
    """The runs sent on one slot in the last `KEEP_SECONDS`. They stand in the stream's ring, where C adds to them."""

    __slots__ = ("_layouts", "_past", "_stream")

    def __init__(self, stream: Stream, layouts: SentLayouts) -> None:
        self._stream = stream
        self._layouts = layouts
        self._past = stream.past = new_past(FIRST_PAST_RUNS)
        stream.past_mask, stream.past_count = FIRST_PAST_RUNS - 1, 0

    def reserve(self, runs: int, now: float) -> None:
        """Makes room for runs that are about to be sent, so that none is forgotten early. At `MAX_RUNS` some are."""
        stream = self._stream
        size, end = stream.past_mask + 1, stream.past_count + runs
        while size < MAX_RUNS and (
            runs > size or (end > size and self._past[(end - 1) & (size - 1)].at >= now - KEEP_SECONDS)
        ):
            ring = new_past(2 * size)
            for number in range(max(0, stream.past_count - size), stream.past_count):
                ring[number & (2 * size - 1)] = self._past[number & (size - 1)]
            self._past = stream.past = ring
            size *= 2
            stream.past_mask = size - 1

    def add_run(
        self, layout: PacketLayout, number: int, at: float, timestamp: int, payload_type: int, sent24: int,
        *, keyframe: bool,
    ) -> None:  # fmt: skip
        """Remembers the layout's ``number``-th run, which begins with the stream's next sequence number."""
        stream = self._stream
        past = self._past[stream.past_count & stream.past_mask]
        stream.past_count += 1
        past.first, past.at, past.stamp, past.serial, past.sent24 = (
            stream.sequence, at, timestamp, layout.serial, sent24,
        )  # fmt: skip
        past.run, past.count, past.payload_type = number, layout.runs[number].count, payload_type
        past.keyframe = keyframe

    def find_packet(self, sequence: int) -> tuple[SentRun, int] | None:
        """The run with the packet of a 16-bit sequence number, and the packet's place in it; None when forgotten."""
        stream, past = self._stream, self._past
        count, mask = stream.past_count, stream.past_mask
        if not count:
            return None
        newest = past[(count - 1) & mask]
        end = newest.first + newest.count - 1
        wanted = end + sequence_delta(sequence, end & 0xFFFF)
        kept = range(max(0, count - mask - 1), count)
        place = bisect_right(kept, wanted, key=lambda number: past[number & mask].first) - 1
        if place < 0:
            return None
        sent = past[kept[place] & mask]
        packet = int(wanted - sent.first)
        if packet >= sent.count or sent.at < newest.at - KEEP_SECONDS or end - wanted >= MAX_PACKETS:
            return None
        layout = self._layouts.find(sent.serial)
        if layout is None:
            return None
        run = layout.runs[sent.run]
        return SentRun(sent.first, run, sent.stamp, sent.payload_type, sent.sent24, bool(sent.keyframe)), packet
