"""Paces out what comes in bursts: a playlist's segments hold many seconds and come at once. Pure.

Each packet is due as long after the one before as the source's times are apart. Nothing is dropped. Where the buffer
ran dry, what comes then is due at once and the rest follows from there: the delay grows to what the source's pauses
need, and stays.
"""

from collections import deque
from typing import Final

from services.ingest.readers.source import Packet
from services.media.time import us_from_90k

JUMP_US: Final = 10_000_000
"""Times that are further apart are another timeline: it goes on without a pause."""
AHEAD_US: Final = 90_000_000
"""Nothing waits longer, even where its times say so."""
MAX_BYTES: Final = 64 * 1024 * 1024
"""What may wait; past it packets are due at once."""


class BurstPacer:
    """The packets of one run. Times are microseconds of a clock that does not step."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, Packet]] = deque()
        self._bytes = 0
        self._anchor_us: int | None = None
        """What is added to the source's time to have the time at which it is due."""
        self._last_us = 0
        """The source's time of the last packet."""
        self._due_us = 0
        """When the last packet is due."""

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, packet: Packet, now_us: int) -> None:
        """Takes the next packet."""
        key = packet.pts_90k if packet.dts_90k is None else packet.dts_90k
        due_us = max(now_us, self._due_us)
        if key is not None:
            time_us = us_from_90k(key)
            if self._anchor_us is None or abs(time_us - self._last_us) > JUMP_US:
                self._anchor_us = due_us - time_us
            due_us = max(self._anchor_us + time_us, self._due_us)
            if due_us < now_us or due_us > now_us + AHEAD_US:
                due_us = max(now_us, min(due_us, self._due_us))
                self._anchor_us = due_us - time_us
            self._last_us = time_us
        self._due_us = due_us
        self._bytes += len(packet.data)
        self._waiting.append((due_us, packet))

    def due(self, now_us: int) -> list[Packet]:
        """The packets whose time has come, each as if it had arrived when it was due."""
        found = []
        while self._waiting and (self._waiting[0][0] <= now_us or self._bytes > MAX_BYTES):
            due_us, packet = self._waiting.popleft()
            self._bytes -= len(packet.data)
            found.append(packet._replace(arrival_us=min(due_us, now_us)))
        return found

    @property
    def next_us(self) -> int | None:
        """When the next packet is due."""
        return self._waiting[0][0] if self._waiting else None
