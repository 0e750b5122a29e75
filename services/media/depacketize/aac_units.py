"""AAC from RTP as MPEG4-GENERIC (RFC 3640): access units behind a section of their headers, or fragments of one."""

from collections.abc import Mapping

from services.media import aac
from services.media.depacketize.unit_sink import ArrivalClock, UnitSink
from services.media.nal import BitReader, BitstreamError

MAX_UNIT_BYTES = 64 * 1024
_FRAME_SAMPLES = 1024
_MODES = {"aac-hbr": (13, 3, 3), "aac-lbr": (6, 2, 2)}
"""sizelength, indexlength and indexdeltalength of the modes that fix them (3.3.5, 3.3.6)."""


def declared_config(parameters: Mapping[str, str]) -> bytes:
    """The AudioSpecificConfig of ``config``; empty where there is none that can be read."""
    try:
        config = bytes.fromhex(parameters.get("config", "").strip('"'))
        aac.parse_config(config)
    except (ValueError, BitstreamError):
        return b""
    return config


def frame_ticks(config: bytes, clock_rate_hz: int) -> int:
    """How long a frame lasts on the RTP clock."""
    try:
        return _FRAME_SAMPLES * clock_rate_hz // aac.parse_config(config).sample_rate_hz
    except BitstreamError:
        return _FRAME_SAMPLES


class AacDepacketizer:
    push_picture = None

    def __init__(self, sink: UnitSink, clock: ArrivalClock, parameters: Mapping[str, str], clock_rate_hz: int) -> None:
        self.malformed = 0
        self._sink = sink
        self._clock = clock
        fixed = _MODES.get(parameters.get("mode", "").lower(), (0, 0, 0))
        names = ("sizelength", "indexlength", "indexdeltalength")
        self._size_bits, self._index_bits, self._delta_bits = (
            _bits(parameters.get(name, ""), fallback) for name, fallback in zip(names, fixed, strict=True)
        )
        auxiliary = _bits(parameters.get("auxiliarydatasizelength", ""), 0)
        self._auxiliary_bits = auxiliary
        self._ticks = frame_ticks(declared_config(parameters), clock_rate_hz)
        self._parts: list[bytes] = []
        self._held = 0
        self._wanted = 0
        """Bytes of the access unit of which fragments come."""
        self._time = 0
        self._hole = False

    def push(self, buffer: bytearray, start: int, end: int, marker: bool, timestamp: int) -> None:
        payload = bytes(buffer[start:end])
        if not self._size_bits:
            if payload:
                self._give(payload, timestamp)
            return
        try:
            sizes, at = self._headers(payload)
        except BitstreamError:
            self.malformed += 1
            return
        if len(sizes) == 1 and (sizes[0] > len(payload) - at or (self._wanted and timestamp == self._time)):
            self._take_fragment(payload[at:], sizes[0], timestamp)
            return
        self._drop_fragments()
        for number, size in enumerate(sizes):
            unit = payload[at : at + size]
            at += size
            if len(unit) < size:
                self.malformed += 1
                return
            if unit:
                self._give(unit, timestamp + number * self._ticks & 0xFFFFFFFF)

    def _headers(self, payload: bytes) -> tuple[list[int], int]:
        """The access units' sizes, and where the first begins (3.2.1)."""
        header_bits = int.from_bytes(payload[:2], "big")
        at = 2 + (header_bits + 7) // 8
        if at > len(payload):
            raise BitstreamError("the access unit headers are cut off")
        bits = BitReader(payload[2:at])
        sizes: list[int] = []
        left = header_bits
        while left >= self._size_bits + (self._delta_bits if sizes else self._index_bits):
            sizes.append(bits.u(self._size_bits))
            bits.u(self._delta_bits if len(sizes) > 1 else self._index_bits)
            left -= self._size_bits + (self._delta_bits if len(sizes) > 1 else self._index_bits)
        if self._auxiliary_bits:
            size = BitReader(payload[at:]).u(self._auxiliary_bits)
            at += (self._auxiliary_bits + size + 7) // 8
        return sizes, at

    def _take_fragment(self, data: bytes, size: int, timestamp: int) -> None:
        if not self._wanted or timestamp != self._time or size != self._wanted:
            self._drop_fragments()
            if size > MAX_UNIT_BYTES:
                self.malformed += 1
                return
            self._wanted, self._time = size, timestamp
        self._parts.append(data)
        self._held += len(data)
        if self._held >= self._wanted:
            unit = b"".join(self._parts)[: self._wanted]
            self._wanted = 0
            self._drop_fragments()
            self._give(unit, timestamp)
        elif len(self._parts) > MAX_UNIT_BYTES // 16:
            self._drop_fragments()

    def _drop_fragments(self) -> None:
        if self._wanted:
            self._hole = True
        self._parts.clear()
        self._held = self._wanted = 0

    def _give(self, unit: bytes, timestamp: int) -> None:
        hole, self._hole = self._hole, False
        self._sink(unit, timestamp, self._clock.arrival_us, False, hole)

    def lose(self) -> None:
        self._drop_fragments()
        self._hole = True

    def flush(self, silent_seconds: float) -> None:
        """Nothing waits but fragments, which are of no use by themselves."""


def _bits(text: str, fallback: int) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 2 and int(text) <= 32 else fallback
