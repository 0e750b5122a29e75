"""What tests of depacketizers share: a sink that keeps units, and payloads made as senders make them."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from services.media.depacketize.unit_sink import ArrivalClock
from services.media.rtp_receive import Depacketizer


class Unit(NamedTuple):
    """What a depacketizer handed on."""

    data: bytes | list[bytes]
    timestamp: int
    arrival_us: int
    damaged: bool
    after_hole: bool


class Payload(NamedTuple):
    """One RTP payload; ``None`` for the data: packets are lost here."""

    data: bytes | None
    timestamp: int
    marker: bool


class Units:
    """A sink. The clock ticks once a payload."""

    def __init__(self) -> None:
        self.clock = ArrivalClock()
        self.units: list[Unit] = []

    def __call__(
        self, data: bytes | Sequence[bytes], timestamp: int, arrival_us: int, damaged: bool, after_hole: bool
    ) -> None:
        kept = data if isinstance(data, bytes) else list(data)
        self.units.append(Unit(kept, timestamp, arrival_us, damaged, after_hole))

    def push(self, depacketizer: Depacketizer, payloads: Iterable[Payload], *, flush: bool = True) -> list[Unit]:
        """What comes of the payloads, from a buffer that is overwritten behind each."""
        for payload in payloads:
            self.clock.arrival_us += 1
            if payload.data is None:
                depacketizer.lose()
                continue
            buffer = bytearray(b"--" + payload.data + b"--")
            depacketizer.push(buffer, 2, 2 + len(payload.data), payload.marker, payload.timestamp)
            buffer[:] = b"\xaa" * len(buffer)
        if flush:
            depacketizer.flush(float("inf"))
        return self.units


def h264_fragments(nal: bytes, size: int = 300, *, header: bytes = b"") -> list[bytes]:
    """FU-A payloads of a NAL unit (RFC 6184, 5.8); ``header`` stands in front of the first fragment's data."""
    return _fragments(
        bytes((nal[0] & 0xE0 | 28,)), nal[0] & 0x1F, header + nal[1:] if not header else header + nal, size
    )


def h265_fragments(nal: bytes, size: int = 300, *, header: bytes = b"") -> list[bytes]:
    """FU payloads of a NAL unit (RFC 7798, 4.4.3)."""
    indicator = bytes((nal[0] & 0x81 | 49 << 1, nal[1]))
    return _fragments(indicator, nal[0] >> 1 & 0x3F, header + nal if header else nal[2:], size)


def _fragments(indicator: bytes, kind: int, data: bytes, size: int) -> list[bytes]:
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    last = len(pieces) - 1
    return [
        indicator + bytes((0x80 * (number == 0) | 0x40 * (number == last) | kind,)) + piece
        for number, piece in enumerate(pieces)
    ]


def marked_last(payloads: Sequence[bytes], timestamp: int) -> list[Payload]:
    """The payloads of one access unit, the last of them with the marker."""
    return [Payload(data, timestamp, number == len(payloads) - 1) for number, data in enumerate(payloads)]
