"""H.264 (ITU-T H.264, ISO/IEC 14496-10): reading a stream's structure without decoding it."""

from collections.abc import Iterable
from enum import IntEnum
from typing import Final, NamedTuple

from services.media.nal import BitReader, BitstreamError, unescape


class NalType(IntEnum):
    """The NAL unit types that are used here (table 7-1)."""

    SLICE = 1
    PARTITION_A = 2
    IDR = 5
    SEI = 6
    SPS = 7
    PPS = 8
    AUD = 9
    END_OF_SEQUENCE = 10
    END_OF_STREAM = 11
    FILLER = 12


_VCL: Final = frozenset((1, 2, 3, 4, 5))
_RECOVERY_POINT: Final = 6
_SLICE_TYPES: Final = ("P", "B", "I", "P", "I")
_HIGH_PROFILES: Final = frozenset((100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135))
_SLICE_HEAD_BYTES: Final = 24
"""Enough for the fields of a slice header that are read here."""


class Sps(NamedTuple):
    """A sequence parameter set's findings."""

    profile_idc: int
    constraints: int
    """The byte of constraint_set flags."""
    level_idc: int
    width_px: int
    height_px: int
    """Both after cropping."""
    chroma_format_idc: int
    bit_depth_luma: int
    bit_depth_chroma: int
    frame_rate: float | None
    """From the VUI's timing, if it has one: declared, not measured."""
    reorder_frames: int | None
    """max_num_reorder_frames of the VUI; 0 promises that there are no B-frames to wait for."""
    frame_mbs_only: bool = True
    """frame_mbs_only_flag: no picture is coded as two fields."""
    identifier: int = 0
    """seq_parameter_set_id."""
    separate_planes: bool = False
    """separate_colour_plane_flag."""
    frame_num_bits: int = 4
    """Of frame_num in slice headers."""
    order_type: int = 0
    """pic_order_cnt_type: 0 told by slices, 1 follows from frame_num, 2 as decoded."""
    order_bits: int = 4
    """Of pic_order_cnt_lsb in slice headers, where the type is 0."""

    @property
    def codec_string(self) -> str:
        """RFC 6381: ``avc1.42e01f``."""
        return f"avc1.{self.profile_idc:02x}{self.constraints:02x}{self.level_idc:02x}"


class ParameterSets(NamedTuple):
    """The units that a decoder needs before the first slice."""

    sps: tuple[bytes, ...]
    pps: tuple[bytes, ...]

    @property
    def complete(self) -> bool:
        """Whether a decoder can begin with them."""
        return bool(self.sps and self.pps)


def nal_type(unit: bytes) -> int:
    """nal_unit_type."""
    return unit[0] & 0x1F


def ref_idc(unit: bytes) -> int:
    """nal_ref_idc: 0 where no other picture refers to this one."""
    return (unit[0] >> 5) & 3


def is_vcl(unit: bytes) -> bool:
    """Whether the unit carries slice data."""
    return unit[0] & 0x1F in _VCL


def is_parameter_set(unit: bytes) -> bool:
    """SPS or PPS."""
    return unit[0] & 0x1F in (NalType.SPS, NalType.PPS)


def is_keyframe(units: Iterable[bytes]) -> bool:
    """Whether decoding can begin at this access unit: an IDR picture, or a recovery point that is exact at once.

    Streams with open GOPs and some cameras mark their I-pictures so (D.2.8).
    """
    for unit in units:
        kind = unit[0] & 0x1F
        if kind == NalType.IDR:
            return True
        if kind == NalType.SEI and _recovery_frame_count(unit) == 0:
            return True
    return False


def is_disposable(units: Iterable[bytes]) -> bool:
    """Whether no other picture refers to this access unit."""
    slices = [unit for unit in units if is_vcl(unit)]
    return bool(slices) and all(ref_idc(unit) == 0 for unit in slices)


def begins_picture(unit: bytes) -> bool:
    """Whether a slice is the first of its picture (first_mb_in_slice is 0) and so begins an access unit."""
    return is_vcl(unit) and len(unit) > 1 and unit[1] & 0x80 != 0


def slice_type(unit: bytes) -> str:
    """``I``, ``P`` or ``B`` for a slice (SI and SP count as I and P). Raises `BitstreamError` for any other unit."""
    if not unit or unit[0] & 0x1F not in (NalType.SLICE, NalType.PARTITION_A, NalType.IDR):
        raise BitstreamError("only slices have a slice type")
    bits = BitReader(unescape(unit[1:_SLICE_HEAD_BYTES]))
    bits.ue()  # first_mb_in_slice
    return _SLICE_TYPES[bits.ue() % 5]


def pps_ids(pps: bytes) -> tuple[int, int]:
    """pic_parameter_set_id and seq_parameter_set_id of a PPS."""
    bits = BitReader(unescape(pps[1:16]))
    return bits.ue(), bits.ue()


def slice_pps_id(unit: bytes) -> int:
    """pic_parameter_set_id of a slice."""
    bits = BitReader(unescape(unit[1:_SLICE_HEAD_BYTES]))
    bits.ue()  # first_mb_in_slice
    bits.ue()  # slice_type
    return bits.ue()


def slice_order(unit: bytes, sps: Sps) -> int:
    """pic_order_cnt_lsb of a picture's first slice (7.3.3), of a stream whose ``order_type`` is 0."""
    bits = BitReader(unescape(unit[1:_SLICE_HEAD_BYTES]))
    bits.ue()  # first_mb_in_slice
    bits.ue()  # slice_type
    bits.ue()  # pic_parameter_set_id
    bits.u(2 * sps.separate_planes + sps.frame_num_bits)
    if not sps.frame_mbs_only and bits.flag():
        bits.flag()  # bottom_field_flag
    if unit[0] & 0x1F == NalType.IDR:
        bits.ue()  # idr_pic_id
    return bits.u(sps.order_bits)


def parameter_sets(units: Iterable[bytes]) -> ParameterSets:
    """The parameter sets among ``units``, each once, in order."""
    sps: dict[bytes, None] = {}
    pps: dict[bytes, None] = {}
    for unit in units:
        kind = unit[0] & 0x1F
        if kind == NalType.SPS:
            sps[unit] = None
        elif kind == NalType.PPS:
            pps[unit] = None
    return ParameterSets(tuple(sps), tuple(pps))


def parse_sps(unit: bytes) -> Sps:
    """Reads an SPS NAL unit (7.3.2.1.1, annex E); raises `BitstreamError` for other bytes."""
    if len(unit) < 4 or nal_type(unit) != NalType.SPS:
        raise BitstreamError("not a sequence parameter set")
    bits = BitReader(unescape(unit[1:]))
    profile, constraints, level = bits.u(8), bits.u(8), bits.u(8)
    identifier = bits.ue()
    chroma, depth_luma, depth_chroma, separate_planes = 1, 8, 8, False
    if profile in _HIGH_PROFILES:
        chroma = bits.ue()
        if chroma > 3:
            raise BitstreamError(f"chroma_format_idc {chroma} does not exist")
        separate_planes = chroma == 3 and bits.flag()
        depth_luma, depth_chroma = 8 + bits.ue(), 8 + bits.ue()
        bits.flag()  # qpprime_y_zero_transform_bypass_flag
        if bits.flag():
            for index in range(12 if chroma == 3 else 8):
                if bits.flag():
                    _skip_scaling_list(bits, 16 if index < 6 else 64)
    frame_num_bits = bits.ue() + 4
    order_type, order_bits = bits.ue(), 4
    if order_type == 0:
        order_bits += bits.ue()
    elif order_type == 1:
        bits.flag()
        bits.se()
        bits.se()
        cycle = bits.ue()
        if cycle > 255:
            raise BitstreamError("num_ref_frames_in_pic_order_cnt_cycle is over 255")
        for _ in range(cycle):
            bits.se()
    bits.ue()  # max_num_ref_frames
    bits.flag()  # gaps_in_frame_num_value_allowed_flag
    width_mbs, height_map_units = bits.ue() + 1, bits.ue() + 1
    frame_mbs_only = bits.flag()
    if not frame_mbs_only:
        bits.flag()  # mb_adaptive_frame_field_flag
    bits.flag()  # direct_8x8_inference_flag
    left = right = top = bottom = 0
    if bits.flag():
        left, right, top, bottom = bits.ue(), bits.ue(), bits.ue(), bits.ue()
    rows = 1 if frame_mbs_only else 2
    crop_x, crop_y = 1, rows
    if chroma and not separate_planes:
        crop_x, crop_y = (1 if chroma == 3 else 2), (2 if chroma == 1 else 1) * rows
    width = width_mbs * 16 - (left + right) * crop_x
    height = height_map_units * 16 * rows - (top + bottom) * crop_y
    if not (0 < width <= 16384 and 0 < height <= 16384):
        raise BitstreamError(f"a picture of {width}×{height} pixels")
    frame_rate, reorder = _vui(bits) if bits.flag() else (None, None)
    return Sps(
        profile,
        constraints,
        level,
        width,
        height,
        chroma,
        depth_luma,
        depth_chroma,
        frame_rate,
        reorder,
        frame_mbs_only,
        identifier,
        separate_planes,
        frame_num_bits,
        order_type,
        order_bits,
    )


def avcc(sets: ParameterSets) -> bytes:
    """The AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1) for 4-byte lengths.

    Raises `BitstreamError` unless there is an SPS that can be read.
    """
    if not sets.sps:
        raise BitstreamError("no sequence parameter set")
    first = parse_sps(sets.sps[0])
    parts = [bytes((1, first.profile_idc, first.constraints, first.level_idc, 0xFF, 0xE0 | len(sets.sps)))]
    for unit in sets.sps:
        parts += len(unit).to_bytes(2, "big"), unit
    parts.append(bytes((len(sets.pps),)))
    for unit in sets.pps:
        parts += len(unit).to_bytes(2, "big"), unit
    if first.profile_idc in _HIGH_PROFILES:
        parts.append(
            bytes(
                (
                    0xFC | first.chroma_format_idc,
                    0xF8 | (first.bit_depth_luma - 8),
                    0xF8 | (first.bit_depth_chroma - 8),
                    0,
                )
            )
        )
    return b"".join(parts)


def parse_avcc(record: bytes) -> tuple[ParameterSets, int]:
    """The parameter sets of an AVCDecoderConfigurationRecord, and the size of its NAL unit lengths."""
    if len(record) < 7 or record[0] != 1:
        raise BitstreamError("not an AVCDecoderConfigurationRecord")
    at, groups = 5, []
    for mask in (0x1F, 0xFF):
        if at >= len(record):
            raise BitstreamError("an AVCDecoderConfigurationRecord ends too early")
        count, units = record[at] & mask, []
        at += 1
        for _ in range(count):
            end = at + 2 + int.from_bytes(record[at : at + 2], "big")
            unit = record[at + 2 : end]
            if end > len(record) or not unit:
                raise BitstreamError("an AVCDecoderConfigurationRecord ends too early")
            units.append(unit)
            at = end
        groups.append(tuple(units))
    return ParameterSets(groups[0], groups[1]), (record[4] & 3) + 1


def _vui(bits: BitReader) -> tuple[float | None, int | None]:
    frame_rate: float | None = None
    try:
        if bits.flag() and bits.u(8) == 255:  # aspect_ratio_idc Extended_SAR
            bits.u(32)
        if bits.flag():  # overscan
            bits.flag()
        if bits.flag():  # video signal type
            bits.u(4)
            if bits.flag():
                bits.u(24)
        if bits.flag():  # chroma location
            bits.ue()
            bits.ue()
        if bits.flag():
            units_in_tick, time_scale = bits.u(32), bits.u(32)
            bits.flag()
            # A tick is a field (E.2.1), so two of them are a frame.
            frame_rate = time_scale / (2 * units_in_tick) if units_in_tick else None
        nal_hrd = bits.flag()
        if nal_hrd:
            _skip_hrd(bits)
        vcl_hrd = bits.flag()
        if vcl_hrd:
            _skip_hrd(bits)
        if nal_hrd or vcl_hrd:
            bits.flag()
        bits.flag()  # pic_struct_present_flag
        if not bits.flag():
            return frame_rate, None
        bits.flag()
        for _ in range(4):
            bits.ue()
        return frame_rate, bits.ue()
    except BitstreamError:
        # Some cameras cut their VUI short; the fields before it are complete.
        return frame_rate, None


def _skip_hrd(bits: BitReader) -> None:
    count = bits.ue() + 1
    if count > 32:
        raise BitstreamError("cpb_cnt is over 32")
    bits.u(8)
    for _ in range(count):
        bits.ue()
        bits.ue()
        bits.flag()
    bits.u(20)


def _skip_scaling_list(bits: BitReader, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.se()) % 256
        last = following or last


def _recovery_frame_count(sei: bytes) -> int | None:
    """recovery_frame_cnt of an SEI unit's recovery point message (7.3.2.3.1, D.1.8), None where it has none."""
    body = unescape(sei[1:512])
    at, end = 0, len(body) - 1
    while at < end:
        kind = size = 0
        while at < end and body[at] == 0xFF:
            kind, at = kind + 255, at + 1
        kind, at = kind + body[at], at + 1
        while at < end and body[at] == 0xFF:
            size, at = size + 255, at + 1
        if at > end:
            return None
        size, at = size + body[at], at + 1
        if kind == _RECOVERY_POINT:
            try:
                return BitReader(body[at : at + size]).ue()
            except BitstreamError:
                return None
        at += size
    return None
