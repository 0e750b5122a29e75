"""Pacing of one connection: a token bucket, and what waits for it, served frame by frame in turn over the slots' lanes.

Bursts at line rate (a keyframe, a replayed GOP, sixteen of them) overflow the receiver's socket. What the bucket allows
is sent at once; the rest waits in its slot's lane, so that all keyframes of a wall go out before any second frame. A
lane that is held is passed over until it is released; `services.wall.relay.sending.catch_up` says which.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final, Protocol

from services.wall.relay.kernel.structs import Peer

BURST_BYTES: Final = 32 * 1024
"""What may go out back to back: some 40 datagrams as a receiver's socket counts them."""


class PacedFrame(Protocol):
    """A frame that waits to be sent to one slot."""

    size_bytes: int

    def send_next(self, now: float) -> int:
        """Sends the next run; returns its cost to the receiver in bytes, 0 when there is none left."""


class Pacer:
    """Pure. The owner gives the time, and calls `serve` again soon while it returns True.

    The bucket, and how much waits, stand in the viewer's ``peer``, where the send kernel finds them.
    """

    __slots__ = ("_held", "_lanes", "_peer", "_ring", "queued_bytes")

    def __init__(self, rate_bps: float, now: float, peer: Peer) -> None:
        peer.rate_bytes, peer.burst_bytes = rate_bps / 8, BURST_BYTES
        peer.tokens, peer.at = BURST_BYTES, now
        self.queued_bytes = 0
        self._peer = peer
        self._lanes: dict[int, deque[PacedFrame]] = {}
        self._ring: deque[int] = deque()
        """Lanes that are served, one after the other."""
        self._held: set[int] = set()

    @property
    def frames_waiting(self) -> int:
        """In all lanes."""
        return int(self._peer.waiting)

    @property
    def rate_bytes(self) -> float:
        """Bytes a second; may be changed at any time."""
        return float(self._peer.rate_bytes)

    @rate_bytes.setter
    def rate_bytes(self, rate: float) -> None:
        self._peer.rate_bytes = rate

    def spend_bytes(self, cost_bytes: int, last_bytes: int, now: float) -> bool:
        """Takes a frame's bytes that are to be sent at once from the bucket; False where anything waits, or too few are
        left. ``last_bytes``: of them the last run's, which goes out where anything is left before it, as in `serve`.
        """
        peer = self._peer
        if peer.waiting:
            return False
        tokens = peer.tokens + (now - peer.at) * peer.rate_bytes
        burst = peer.burst_bytes
        if tokens > burst:
            tokens = burst
        peer.at = now
        if tokens <= cost_bytes - last_bytes:
            peer.tokens = tokens
            return False
        peer.tokens = tokens - cost_bytes
        return True

    def push_frame(self, lane: int, frame: PacedFrame, now: float) -> bool:
        """Sends a frame, or queues it behind its lane's others; whether anything waits now."""
        self.queue_frames(lane, (frame,))
        return self.serve(now)

    def queue_frames(self, lane: int, frames: Iterable[PacedFrame]) -> None:
        """Queues frames without sending."""
        queue = self._lanes.setdefault(lane, deque())
        begins = not queue and lane not in self._held
        for frame in frames:
            queue.append(frame)
            self.queued_bytes += frame.size_bytes
            self._peer.waiting += 1
        if begins and queue:
            self._ring.append(lane)

    def hold(self, lane: int) -> None:
        """Sends nothing of a lane until `release`, or `clear`."""
        if lane not in self._held:
            self._held.add(lane)
            if self._lanes.get(lane):
                self._ring.remove(lane)

    def release(self, lane: int) -> None:
        """Serves a lane again that was held."""
        if lane in self._held:
            self._held.remove(lane)
            if self._lanes.get(lane):
                self._ring.append(lane)

    def serve(self, now: float) -> bool:
        """Sends what the bucket allows; whether anything still waits."""
        peer = self._peer
        tokens = min(peer.tokens + (now - peer.at) * peer.rate_bytes, peer.burst_bytes)
        peer.at = now
        ring = self._ring
        while ring and tokens > 0:
            lane = ring[0]
            queue = self._lanes[lane]
            frame = queue[0]
            if sent := frame.send_next(now):
                tokens -= sent
                continue
            # The frame is out. Sending may have held or cleared the lane, so look again before taking it away.
            if queue and queue[0] is frame:
                queue.popleft()
                self.queued_bytes -= frame.size_bytes
                peer.waiting -= 1
            if ring and ring[0] == lane:
                ring.popleft()
                if queue:
                    ring.append(lane)
        peer.tokens = tokens
        return bool(peer.waiting)

    def waiting(self, lane: int) -> int:
        """How many frames wait in a lane."""
        queue = self._lanes.get(lane)
        return len(queue) if queue else 0

    def waiting_bytes(self, lane: int) -> int:
        """How much waits in a lane."""
        return sum(frame.size_bytes for frame in self._lanes.get(lane, ()))

    def clear(self, lane: int) -> int:
        """Drops what waits in a lane and holds it no longer; returns how many frames that were."""
        queue = self._lanes.pop(lane, None)
        held = lane in self._held
        self._held.discard(lane)
        if not queue:
            return 0
        if not held:
            self._ring.remove(lane)
        dropped = len(queue)
        self.queued_bytes -= sum(frame.size_bytes for frame in queue)
        self._peer.waiting -= dropped
        queue.clear()
        return dropped

    def clear_all(self) -> None:
        """Drops all that waits."""
        for lane in list(self._lanes):
            self.clear(lane)
