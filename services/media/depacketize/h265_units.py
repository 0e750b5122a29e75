"""H.265 from RTP (RFC 7798)."""

from collections.abc import Iterable
from typing import Final

from services.media import h264, h265
from services.media.depacketize.nal_units import NalDepacketizer, OtherCodec
from services.media.depacketize.unit_sink import ArrivalClock, UnitSink
from services.media.nal import BitstreamError

_AP: Final = 48
_FU: Final = 49
_BEGINNINGS: Final = frozenset((h265.NalType.VPS, h265.NalType.SPS, h265.NalType.AUD))


class H265Depacketizer(NalDepacketizer):
    type_mask = 0x7E
    fragment_bits = _FU << 1
    fragment_header_bytes = 3
    least_slice_bytes = 3
    plain_bits = h265.NalType.TRAIL_R << 1
    sei_bits = h265.NalType.SEI_PREFIX << 1
    plain_fragment = int(h265.NalType.TRAIL_R)

    def __init__(
        self,
        sink: UnitSink,
        clock: ArrivalClock,
        parameter_sets: Iterable[bytes] = (),
        on_other_codec: OtherCodec | None = None,
        *,
        order_numbers: bool = False,
    ) -> None:
        """``order_numbers``: payloads carry DONL and DOND fields (sprop-max-don-diff over 0), which are skipped."""
        super().__init__(sink, clock, parameter_sets, on_other_codec)
        self._order_numbers = order_numbers

    @property
    def expects_usual(self) -> bool:
        return not self._order_numbers and super().expects_usual

    def _push_whole(self, buffer: bytearray, start: int, end: int, timestamp: int) -> bool:
        first = buffer[start]
        kind = first >> 1 & 0x3F
        skipped = 2 if self._order_numbers else 0
        if first & 1 and first & 0x1F == h264.NalType.SPS and self._other_codec(buffer, start, end):
            return False
        if kind < _AP:
            unit = bytes(buffer[start:end])
            self._take_nal(unit[:2] + unit[2 + skipped :] if skipped else unit, timestamp)
            return True
        if kind != _AP:
            return False
        self._take_aggregate(buffer, start + 2 + skipped, end, timestamp, apart_bytes=skipped // 2)
        return True

    def _other_codec(self, buffer: bytearray, start: int, end: int) -> str:
        # Streams of one layer have even first bytes (nuh_layer_id 0); H.264's parameter sets have odd ones.
        if buffer[start] & 0x9F != h264.NalType.SPS:
            return ""
        try:
            h264.parse_sps(bytes(buffer[start:end]))
        except BitstreamError:
            return ""
        return "h264"

    def _learn(self, unit: bytes) -> None:
        """Of H.265 nothing need be known: fields are access units of their own (D.3.19)."""

    def _fragmented_header(self, buffer: bytearray, start: int) -> bytes:
        return bytes((buffer[start] & 0x81 | (buffer[start + 2] & 0x3F) << 1, buffer[start + 1]))

    def _begin_fragments(self, buffer: bytearray, start: int, end: int, timestamp: int) -> None:
        if self._order_numbers and end - start >= 5:
            buffer = buffer[start : start + 3] + buffer[start + 5 : end]
            start, end = 0, len(buffer)
        super()._begin_fragments(buffer, start, end, timestamp)

    def _is_picture(self, unit: bytes | bytearray) -> bool:
        return unit[0] & 0x40 == 0

    def _is_first_slice(self, unit: bytes | bytearray) -> bool:
        return len(unit) > 2 and unit[2] & 0x80 != 0

    def _begins_unit(self, unit: bytes | bytearray) -> bool:
        return unit[0] >> 1 & 0x3F in _BEGINNINGS
