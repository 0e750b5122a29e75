"""Sound whose every RTP payload is one frame: G.711 (RFC 3551, 4.5.14) and Opus (RFC 7587)."""

from services.media.depacketize.unit_sink import ArrivalClock, UnitSink


class PlainDepacketizer:
    """Hands on each payload as it is. See `Depacketizer`."""

    push_picture = None

    def __init__(self, sink: UnitSink, clock: ArrivalClock) -> None:
        self._sink = sink
        self._clock = clock
        self._hole = False

    def push(self, buffer: bytearray, start: int, end: int, marker: bool, timestamp: int) -> None:
        if start < end:
            hole, self._hole = self._hole, False
            self._sink(bytes(buffer[start:end]), timestamp, self._clock.arrival_us, False, hole)

    def lose(self) -> None:
        self._hole = True

    def flush(self, silent_seconds: float) -> None:
        """Nothing waits."""
