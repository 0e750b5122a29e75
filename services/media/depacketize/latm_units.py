"""AAC from RTP as MP4A-LATM (RFC 6416): audioMuxElements (ISO/IEC 14496-3, 1.7.3) over one or more payloads.

Taken: one program with one layer, frames of variable length, byte-aligned or not. That is what cameras send.
"""

from collections.abc import Mapping
from typing import NamedTuple

from services.media.depacketize.aac_units import frame_ticks
from services.media.depacketize.unit_sink import ArrivalClock, UnitSink
from services.media.nal import BitReader, BitstreamError

MAX_ELEMENT_BYTES = 64 * 1024
_SAMPLE_RATE_ESCAPE = 15
_SPECTRAL_REPLICATION = (5, 29)
_SYNC_REPLICATION = 0x2B7
_SYNC_PARAMETRIC = 0x548
_GENERAL_AUDIO = frozenset((1, 2, 3, 4, 6, 7, 17, 19, 20, 21, 22, 23))


class StreamMux(NamedTuple):
    """What a StreamMuxConfig says."""

    config: bytes
    """The AudioSpecificConfig, aligned."""
    frames: int
    """In an element."""


class _RecordingReader(BitReader):
    """Remembers the bits that it read since `mark`."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._bits: list[tuple[int, int]] = []

    def u(self, bits: int) -> int:
        value = super().u(bits)
        self._bits.append((value, bits))
        return value

    def mark(self) -> None:
        self._bits.clear()

    def marked(self) -> bytes:
        value = size = 0
        for part, bits in self._bits:
            value, size = value << bits | part, size + bits
        return (value << -size % 8).to_bytes((size + 7) // 8, "big")


def declared_mux(parameters: Mapping[str, str]) -> StreamMux | None:
    """The StreamMuxConfig of ``config``; None where there is none that can be read."""
    try:
        return _mux(_RecordingReader(bytes.fromhex(parameters.get("config", "").strip('"'))))
    except (ValueError, BitstreamError):
        return None


def _mux(bits: _RecordingReader) -> StreamMux:
    if bits.u(1):
        raise BitstreamError("audioMuxVersion 1 is not known here")
    bits.u(1)  # allStreamsSameTimeFraming
    frames = bits.u(6) + 1
    if bits.u(4) or bits.u(3):
        raise BitstreamError("several programs or layers are not known here")
    bits.mark()
    _skip_audio_config(bits)
    config = bits.marked()
    if bits.bits_left < 13:
        return StreamMux(config, frames)  # GStreamer cuts the rest of its description's
    if bits.u(3):
        raise BitstreamError("frames of a fixed length are not known here")
    bits.u(8)  # latmBufferFullness
    if bits.u(1):  # otherDataPresent
        while bits.u(1):
            bits.u(8)
        bits.u(8)
    if bits.u(1):  # crcCheckPresent
        bits.u(8)
    return StreamMux(config, frames)


def _skip_audio_config(bits: BitReader) -> None:
    """Reads an AudioSpecificConfig to its end (1.6.2.1)."""
    kind = _object_type(bits)
    _sample_rate(bits)
    channels = bits.u(4)
    if kind in _SPECTRAL_REPLICATION:
        _sample_rate(bits)
        kind = _object_type(bits)
    if kind not in _GENERAL_AUDIO or not channels:
        raise BitstreamError(f"audio object type {kind} with {channels} channels is not known here")
    bits.u(1)  # frameLengthFlag
    if bits.u(1):  # dependsOnCoreCoder
        bits.u(14)
    if bits.u(1):  # extensionFlag
        raise BitstreamError("an extended AudioSpecificConfig is not known here")
    # What follows in a StreamMuxConfig is frameLengthType, which of AAC is never 2 as the sync word's first bits are.
    if bits.peek(11) == _SYNC_REPLICATION:
        bits.u(11)
        if bits.u(5) == _SPECTRAL_REPLICATION[0] and bits.u(1):  # extensionAudioObjectType, sbrPresentFlag
            _sample_rate(bits)
            if bits.peek(11) == _SYNC_PARAMETRIC:
                bits.u(12)


def _object_type(bits: BitReader) -> int:
    kind = bits.u(5)
    return 32 + bits.u(6) if kind == 31 else kind


def _sample_rate(bits: BitReader) -> None:
    if bits.u(4) == _SAMPLE_RATE_ESCAPE:
        bits.u(24)


class LatmDepacketizer:
    push_picture = None

    def __init__(self, sink: UnitSink, clock: ArrivalClock, parameters: Mapping[str, str], clock_rate_hz: int) -> None:
        self.malformed = 0
        self._sink = sink
        self._clock = clock
        self._mux = declared_mux(parameters)
        self._in_band = parameters.get("cpresent", "1") != "0"
        self._rate = clock_rate_hz
        self._parts: list[bytes] = []
        self._held = 0
        self._time = 0
        self._broken = False
        self._hole = False

    def push(self, buffer: bytearray, start: int, end: int, marker: bool, timestamp: int) -> None:
        if self._parts and timestamp != self._time:
            self._take_element()  # the marker of the one before did not come
        self._time = timestamp
        if not self._broken:
            self._parts.append(bytes(buffer[start:end]))
            self._held += end - start + 64
        if self._held > MAX_ELEMENT_BYTES:
            self._parts.clear()
            self._held = 0
            self._broken = True
        if marker:
            self._take_element()

    def _take_element(self) -> None:
        element = b"".join(self._parts)
        broken, self._broken = self._broken, False
        self._parts.clear()
        self._held = 0
        if broken or not element:
            self._hole = True
            return
        try:
            frames = self._frames(element)
        except BitstreamError:
            self.malformed += 1
            self._hole = True
            return
        ticks = frame_ticks(self._mux.config, self._rate) if self._mux else 0
        for number, frame in enumerate(frames):
            hole, self._hole = self._hole, False
            time = self._time + number * ticks & 0xFFFFFFFF
            self._sink(frame, time, self._clock.arrival_us, False, hole)

    def _frames(self, element: bytes) -> list[bytes]:
        bits = _RecordingReader(element)
        if self._in_band and not bits.u(1):  # useSameStreamMux
            self._mux = _mux(bits)
        if self._mux is None:
            raise BitstreamError("frames without a StreamMuxConfig")
        frames = []
        for _ in range(self._mux.frames):
            size = 0
            while (part := bits.u(8)) == 255:
                size += part
            size += part
            value = bits.u(8 * size)
            bits.mark()
            if size:
                frames.append(value.to_bytes(size, "big"))
        return frames

    def lose(self) -> None:
        self._hole = True
        if self._parts:
            self._parts.clear()
            self._held = 0
            self._broken = True

    def flush(self, silent_seconds: float) -> None:
        """An element without its end is of no use."""
