"""Pacing of one connection: a token bucket, and what waits for it, served frame by frame in turn over the slots.

Bursts at line rate (a keyframe, a replayed GOP, sixteen of them) overflow the receiver's socket. What the bucket allows
is sent at once; the rest waits in its slot's lane, so that all keyframes of a wall go out before any second frame.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final, Protocol

BURST_BYTES: Final = 32 * 1024
"""What may go out back to back: some 40 datagrams as a receiver's socket counts them."""


class Item(Protocol):
    """Something that waits: a frame on its way to one slot."""

    size_bytes: int

    def send_next(self, now: float) -> int:
        """Sends the next piece; returns what it costs the receiver in bytes, 0 when there is nothing left."""


class Pacer:
    """Pure: whoever owns it gives the time, and calls `serve` again soon while it returns True."""

    __slots__ = ("_at", "_lanes", "_ring", "_tokens", "queued_bytes", "rate_bytes")

    def __init__(self, rate_bps: float, now: float) -> None:
        self.rate_bytes = rate_bps / 8
        """Bytes a second; may be changed at any time."""
        self.queued_bytes = 0
        self._tokens = float(BURST_BYTES)
        self._at = now
        self._lanes: dict[int, deque[Item]] = {}
        self._ring: deque[int] = deque()

    @property
    def idle(self) -> bool:
        """Whether nothing waits."""
        return not self._ring

    def take(self, cost_bytes: int, now: float) -> bool:
        """Whether so much may be sent right now, past every queue: nothing waits, and the bucket has it. It is paid."""
        if self._ring:
            return False
        tokens = self._tokens + (now - self._at) * self.rate_bytes
        if tokens > BURST_BYTES:
            tokens = BURST_BYTES
        self._at = now
        if tokens < cost_bytes:
            self._tokens = tokens
            return False
        self._tokens = tokens - cost_bytes
        return True

    def push(self, lane: int, item: Item, now: float) -> bool:
        """Sends ``item`` or queues it behind what its lane has already; whether something waits now."""
        queue = self._lanes.get(lane)
        if queue is None:
            queue = self._lanes[lane] = deque()
        if not queue:
            self._ring.append(lane)
        queue.append(item)
        self.queued_bytes += item.size_bytes
        return self.serve(now)

    def extend(self, lane: int, items: Iterable[Item]) -> None:
        """Queues ``items`` without sending."""
        queue = self._lanes.setdefault(lane, deque())
        if not queue:
            self._ring.append(lane)
        for item in items:
            queue.append(item)
            self.queued_bytes += item.size_bytes
        if not queue:
            self._ring.remove(lane)

    def serve(self, now: float) -> bool:
        """Sends what the bucket allows; whether something is still waiting."""
        tokens = min(self._tokens + (now - self._at) * self.rate_bytes, BURST_BYTES)
        self._at = now
        ring = self._ring
        while ring and tokens > 0:
            lane = ring[0]
            queue = self._lanes[lane]
            item = queue[0]
            if sent := item.send_next(now):
                tokens -= sent
                continue
            # The frame is out. Sending may have changed the queues, so look again before taking it away.
            if queue and queue[0] is item:
                queue.popleft()
                self.queued_bytes -= item.size_bytes
            if ring and ring[0] == lane:
                ring.popleft()
                if queue:
                    ring.append(lane)
        self._tokens = tokens
        return bool(ring)

    def waiting(self, lane: int) -> int:
        """How many frames wait in a lane."""
        queue = self._lanes.get(lane)
        return len(queue) if queue else 0

    def waiting_bytes(self, lane: int) -> int:
        """How much waits in a lane."""
        return sum(item.size_bytes for item in self._lanes.get(lane, ()))

    def clear(self, lane: int) -> int:
        """Drops what waits in a lane; returns how many frames that were."""
        queue = self._lanes.pop(lane, None)
        if not queue:
            return 0
        self._ring.remove(lane)
        self.queued_bytes -= sum(item.size_bytes for item in queue)
        return len(queue)

    def clear_all(self) -> None:
        """Drops all that waits."""
        for lane in list(self._lanes):
            self.clear(lane)
