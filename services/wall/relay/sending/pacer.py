"""Pacing of one connection: a token bucket, and what waits for it, served frame by frame in turn over the slots.

Bursts at line rate (a keyframe, a replayed GOP, sixteen of them) overflow the receiver's socket. What the bucket allows
is sent at once; the rest waits in its slot's lane, so that all keyframes of a wall go out before any second frame.

Sixteen catch-ups at once keep a browser's decoders so busy that none of their first pictures is seen before the last
ones, or ever: of a frame that has ten more behind it in the decoder a browser shows nothing. So a replay may be opened
by its first frame alone, and what leads on from it stands back: one that is alone for a given time, several until the
receiver says that it has seen all their first frames.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final, Protocol

BURST_BYTES: Final = 32 * 1024
"""What may go out back to back: some 40 datagrams as a receiver's socket counts them."""
STAND_BACK_SECONDS: Final = 0.6
"""Several catch-ups stand back at most so long: not every receiver says what it has seen."""
UNSEEN_SECONDS: Final = 0.1
"""A lane whose first frame has not been seen for so long is sent its next one. A browser now and then does not show a
frame that nothing follows, and does not miss packets that were lost last."""


class PacedFrame(Protocol):
    """Something that waits: a frame on its way to one slot."""

    size_bytes: int

    def send_next(self, now: float) -> int:
        """Sends the next piece; returns what it costs the receiver in bytes, 0 when there is nothing left."""


class Pacer:
    """Pure: whoever owns it gives the time, and calls `serve` again soon while it returns True."""

    __slots__ = (
        "_at",
        "_back",
        "_back_until",
        "_first_seconds",
        "_lanes",
        "_ring",
        "_tokens",
        "_unseen",
        "queued_bytes",
        "rate_bytes",
    )

    def __init__(self, rate_bps: float, now: float) -> None:
        self.rate_bytes = rate_bps / 8
        """Bytes a second; may be changed at any time."""
        self.queued_bytes = 0
        self._tokens = float(BURST_BYTES)
        self._at = now
        self._lanes: dict[int, deque[PacedFrame]] = {}
        self._ring: deque[int] = deque()
        """Lanes whose turn comes, one after the other."""
        self._first_seconds: dict[int, float] = {}
        """Lanes whose first frame is on its way, and the time that it is given."""
        self._back: list[int] = []
        """Lanes that stand back, until `_back_until` at the latest."""
        self._back_until = now
        self._unseen: dict[int, float] = {}
        """Lanes whose first frame is out and perhaps not seen yet, and when they are sent another one."""

    @property
    def idle(self) -> bool:
        """Whether nothing waits."""
        return not self._ring and not self._back

    def take(self, cost_bytes: int, now: float) -> bool:
        """Whether so much may be sent right now, past every queue: nothing waits, and the bucket has it. It is paid."""
        if self._ring or self._back:
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

    def push(self, lane: int, item: PacedFrame, now: float) -> bool:
        """Sends ``item`` or queues it behind what its lane has already; whether something waits now."""
        queue = self._lanes.get(lane)
        if queue is None:
            queue = self._lanes[lane] = deque()
        if not queue:
            self._ring.append(lane)
        queue.append(item)
        self.queued_bytes += item.size_bytes
        return self.serve(now)

    def extend(self, lane: int, items: Iterable[PacedFrame], *, first_seconds: float = 0.0) -> None:
        """Queues ``items`` without sending.

        ``first_seconds``: the first one is the lane's first frame. Those behind it stand back, for so long where no
        other lane does, else until all are `seen`; so do ``items`` without a first frame that come meanwhile.
        """
        queue = self._lanes.setdefault(lane, deque())
        begins = not queue
        for item in items:
            queue.append(item)
            self.queued_bytes += item.size_bytes
        if begins and queue:
            (self._back if self._unseen and not first_seconds else self._ring).append(lane)
        if first_seconds and queue:
            self._first_seconds[lane] = first_seconds

    def seen(self, lane: int) -> None:
        """The receiver has shown the first frame of what the lane replays."""
        self._unseen.pop(lane, None)

    def serve(self, now: float) -> bool:
        """Sends what the bucket allows; whether something is still waiting."""
        tokens = min(self._tokens + (now - self._at) * self.rate_bytes, BURST_BYTES)
        self._at = now
        if self._back or self._unseen:
            self._let_on(now)
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
                if first_seconds := self._first_seconds.pop(lane, 0.0):
                    self._first_is_out(lane, first_seconds, now)
                if queue:
                    (self._back if lane in self._unseen else ring).append(lane)
        self._tokens = tokens
        return bool(ring) or bool(self._back)

    def _first_is_out(self, lane: int, first_seconds: float, now: float) -> None:
        """What follows stands back: until `seen` where another lane's is not, either."""
        if not self._unseen:
            self._back_until = now + first_seconds
        elif len(self._unseen) == 1:
            self._back_until = now + STAND_BACK_SECONDS
        self._unseen[lane] = now + UNSEEN_SECONDS

    def _let_on(self, now: float) -> None:
        """Catch-ups that stand back go on when their time has come, or all first frames have been seen."""
        if now >= self._back_until or not (self._unseen or self._first_seconds):
            self._unseen.clear()
            self._ring.extend(self._back)
            self._back.clear()
            return
        for lane, at in self._unseen.items():
            if now >= at and lane in self._back:
                self._unseen[lane] = now + UNSEEN_SECONDS
                self._back.remove(lane)
                self._ring.append(lane)
                return

    def waiting(self, lane: int) -> int:
        """How many frames wait in a lane."""
        queue = self._lanes.get(lane)
        return len(queue) if queue else 0

    def waiting_bytes(self, lane: int) -> int:
        """How much waits in a lane."""
        return sum(item.size_bytes for item in self._lanes.get(lane, ()))

    def clear(self, lane: int) -> int:
        """Drops what waits in a lane; returns how many frames that were."""
        self._unseen.pop(lane, None)
        queue = self._lanes.pop(lane, None)
        if not queue:
            return 0
        (self._back if lane in self._back else self._ring).remove(lane)
        self._first_seconds.pop(lane, None)
        self.queued_bytes -= sum(item.size_bytes for item in queue)
        return len(queue)

    def clear_all(self) -> None:
        """Drops all that waits."""
        for lane in list(self._lanes):
            self.clear(lane)
