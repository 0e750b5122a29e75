"""H.264 from RTP (RFC 6184): the single NAL unit mode and the non-interleaved one."""

from typing import Final

from services.media import h264
from services.media.depacketize.nal_units import NalDepacketizer
from services.media.nal import BitstreamError

_STAP_A: Final = 24
_FU_A: Final = 28
_BEGINNINGS: Final = frozenset((h264.NalType.SPS, h264.NalType.AUD))
_H265_BEGINNINGS: Final = (b"\x40\x01", b"\x60\x01")
"""The headers of a VPS and of an aggregation packet: NAL unit type 0 of H.264, which is unspecified."""


class H264Depacketizer(NalDepacketizer):
    type_mask = 0x1F
    fragment_bits = _FU_A
    fragment_header_bytes = 2
    least_slice_bytes = 2
    plain_bits = plain_fragment = int(h264.NalType.SLICE)
    sei_bits = int(h264.NalType.SEI)

    def _push_whole(self, buffer: bytearray, start: int, end: int, timestamp: int) -> bool:
        kind = buffer[start] & 0x1F
        if 0 < kind < _STAP_A or not buffer[start]:
            self._take_nal(bytes(buffer[start:end]), timestamp)
            return True
        if kind != _STAP_A:
            return False
        self._take_aggregate(buffer, start + 1, end, timestamp)
        return True

    def _other_codec(self, buffer: bytearray, start: int, end: int) -> str:
        return "h265" if end - start > 8 and bytes(buffer[start : start + 2]) in _H265_BEGINNINGS else ""

    def _fragmented_header(self, buffer: bytearray, start: int) -> bytes:
        return bytes((buffer[start] & 0xE0 | buffer[start + 1] & 0x1F,))

    def _is_picture(self, unit: bytes | bytearray) -> bool:
        return 1 <= unit[0] & 0x1F <= 5

    def _is_first_slice(self, unit: bytes | bytearray) -> bool:
        return len(unit) > 1 and unit[1] & 0x80 != 0

    def _begins_unit(self, unit: bytes | bytearray) -> bool:
        return unit[0] & 0x1F in _BEGINNINGS

    def _learn(self, unit: bytes) -> None:
        if unit[0] & 0x1F == h264.NalType.SPS:
            try:
                self._fields = not h264.parse_sps(unit).frame_mbs_only
            except BitstreamError:
                return
