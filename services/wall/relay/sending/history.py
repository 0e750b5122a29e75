"""What was sent lately on a slot, for retransmissions (RFC 4585, RFC 4588): references to shared packets, no copies."""

from bisect import bisect_right
from collections import deque
from operator import itemgetter
from typing import Final, NamedTuple

from services.media.rtp import sequence_delta
from services.wall.relay.engine.template import RtpRun

KEEP_SECONDS: Final = 2.0
"""A retransmission later than this is too late for any picture."""
MAX_PACKETS: Final = 16_384
"""Half the circle of sequence numbers: beyond it they would be ambiguous."""


class SentRun(NamedTuple):
    """A run as it was sent."""

    first: int
    """Unwrapped sequence number of its first packet."""
    at: float
    run: RtpRun
    timestamp: int
    payload_type: int
    extension: bytes


class History:
    """The runs sent on one slot in the last `KEEP_SECONDS`."""

    __slots__ = ("_packets", "_sent")

    def __init__(self) -> None:
        # Plain tuples: a run is remembered for every viewer of every frame, and hardly ever looked up.
        self._sent: deque[tuple[int, float, RtpRun, int, int, bytes]] = deque()
        self._packets = 0

    def add_run(self, first: int, at: float, run: RtpRun, timestamp: int, payload_type: int, extension: bytes) -> None:
        """Remembers a run, see `SentRun`; forgets the oldest ones. Sequence numbers must grow."""
        entries = self._sent
        entries.append((first, at, run, timestamp, payload_type, extension))
        self._packets += run.count
        horizon = at - KEEP_SECONDS
        while entries[0][1] < horizon or self._packets > MAX_PACKETS:
            self._packets -= entries.popleft()[2].count

    def clear(self) -> None:
        """Forgets all."""
        self._sent.clear()
        self._packets = 0

    def find_packet(self, sequence: int) -> tuple[SentRun, int] | None:
        """The run with the packet of a 16-bit sequence number, and the packet's place in it; None when forgotten."""
        entries = self._sent
        if not entries:
            return None
        newest = SentRun(*entries[-1])
        end = newest.first + newest.run.count - 1
        wanted = end + sequence_delta(sequence, end & 0xFFFF)
        place = bisect_right(entries, wanted, key=itemgetter(0)) - 1
        if place < 0:
            return None
        sent = SentRun(*entries[place])
        packet = wanted - sent.first
        return (sent, packet) if 0 <= packet < sent.run.count else None
