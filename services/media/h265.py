"""H.265 (ITU-T H.265, ISO/IEC 23008-2): reading a stream's structure without decoding it."""

from collections.abc import Iterable
from enum import IntEnum
from typing import Final, NamedTuple

from services.media.nal import BitReader, BitstreamError, unescape


class NalType(IntEnum):
    """The NAL unit types that are used here (table 7-1)."""

    TRAIL_N = 0
    TRAIL_R = 1
    RADL_N = 6
    RASL_N = 8
    RASL_R = 9
    BLA_W_LP = 16
    IDR_W_RADL = 19
    IDR_N_LP = 20
    CRA = 21
    VPS = 32
    SPS = 33
    PPS = 34
    AUD = 35
    SEI_PREFIX = 39
    SEI_SUFFIX = 40


_SLICE_TYPES: Final = ("B", "P", "I")
_SLICE_HEAD_BYTES: Final = 24
_PROFILE_BYTES: Final = 12
"""general_profile_space to general_level_idc in profile_tier_level (7.3.3)."""


class Sps(NamedTuple):
    """A sequence parameter set's findings."""

    profile_tier_level: bytes
    """The 12 bytes from general_profile_space to general_level_idc, as hvcC has them."""
    width_px: int
    height_px: int
    """Both within the conformance window."""
    chroma_format_idc: int
    bit_depth_luma: int
    bit_depth_chroma: int
    sub_layers: int
    """sps_max_sub_layers_minus1 + 1."""
    temporal_id_nested: bool
    reorder_frames: int
    """sps_max_num_reorder_pics of the highest sub-layer; 0 promises that there are no B-frames to wait for."""
    identifier: int = 0
    """sps_seq_parameter_set_id."""
    separate_planes: bool = False
    """separate_colour_plane_flag."""
    order_bits: int = 4
    """Of slice_pic_order_cnt_lsb."""

    @property
    def profile_idc(self) -> int:
        """general_profile_idc: 1 Main, 2 Main 10."""
        return self.profile_tier_level[0] & 0x1F

    @property
    def level_idc(self) -> int:
        """30 times the level: 93 is 3.1."""
        return self.profile_tier_level[11]

    @property
    def codec_string(self) -> str:
        """RFC 6381 with ISO/IEC 14496-15 annex E.3: ``hvc1.1.6.L93.B0``."""
        ptl = self.profile_tier_level
        space = ("", "A", "B", "C")[ptl[0] >> 6]
        compatibility = int(f"{int.from_bytes(ptl[1:5], 'big'):032b}"[::-1], 2)
        tier = "H" if ptl[0] & 0x20 else "L"
        constraints = "".join(f".{byte:X}" for byte in ptl[5:11].rstrip(b"\0"))
        return f"hvc1.{space}{self.profile_idc}.{compatibility:X}.{tier}{self.level_idc}{constraints}"


class ParameterSets(NamedTuple):
    """The units that a decoder needs before the first slice."""

    vps: tuple[bytes, ...]
    sps: tuple[bytes, ...]
    pps: tuple[bytes, ...]

    @property
    def complete(self) -> bool:
        """Whether a decoder can begin with them."""
        return bool(self.vps and self.sps and self.pps)


def nal_type(unit: bytes) -> int:
    """nal_unit_type."""
    return (unit[0] >> 1) & 0x3F


def temporal_id(unit: bytes) -> int:
    """TemporalId; 0 for a unit that is too short to have one."""
    return (unit[1] & 7) - 1 if len(unit) > 1 else 0


def is_vcl(unit: bytes) -> bool:
    """Whether the unit carries slice data."""
    return unit[0] & 0x40 == 0


def is_parameter_set(unit: bytes) -> bool:
    """VPS, SPS or PPS."""
    return NalType.VPS <= (unit[0] >> 1) & 0x3F <= NalType.PPS


def is_keyframe(units: Iterable[bytes]) -> bool:
    """Whether decoding can begin at this access unit: an IRAP picture (BLA, IDR or CRA)."""
    return any(NalType.BLA_W_LP <= (unit[0] >> 1) & 0x3F <= NalType.CRA for unit in units)


def is_disposable(units: Iterable[bytes], sub_layers: int = 1) -> bool:
    """Whether no other picture refers to this one: a sub-layer non-reference picture of the highest sub-layer."""
    slices = [unit for unit in units if is_vcl(unit)]
    return bool(slices) and all(
        nal_type(unit) <= 14 and nal_type(unit) % 2 == 0 and temporal_id(unit) == sub_layers - 1 for unit in slices
    )


def is_skipped_leading(units: Iterable[bytes]) -> bool:
    """Whether this is a RASL picture: undecodable when decoding began at the keyframe before it."""
    return any(nal_type(unit) in (NalType.RASL_N, NalType.RASL_R) for unit in units)


def begins_picture(unit: bytes) -> bool:
    """Whether a slice segment is the first of its picture and so begins an access unit."""
    return is_vcl(unit) and len(unit) > 2 and unit[2] & 0x80 != 0


class Pps(NamedTuple):
    """What slice headers need of a picture parameter set (7.3.2.3)."""

    identifier: int
    sps: int
    output_flag_present: bool
    extra_bits: int
    """num_extra_slice_header_bits."""


def parse_pps(pps: bytes) -> Pps:
    """Reads a PPS NAL unit up to the last field in use."""
    if len(pps) < 3 or nal_type(pps) != NalType.PPS:
        raise BitstreamError("not a picture parameter set")
    bits = BitReader(unescape(pps[2:16]))
    identifier, sps = bits.ue(), bits.ue()
    bits.flag()  # dependent_slice_segments_enabled_flag
    return Pps(identifier, sps, bits.flag(), bits.u(3))


def slice_type(unit: bytes, extra_bits: int = 0) -> str:
    """``I``, ``P`` or ``B`` for the first slice segment of a picture. Raises `BitstreamError` for any other unit."""
    if not begins_picture(unit):
        raise BitstreamError("only a picture's first slice segment tells its slice type")
    bits = BitReader(unescape(unit[2:_SLICE_HEAD_BYTES]))
    bits.u(1)  # first_slice_segment_in_pic_flag
    if 16 <= nal_type(unit) <= 23:
        bits.u(1)  # no_output_of_prior_pics_flag
    bits.ue()  # slice_pic_parameter_set_id
    bits.u(extra_bits)
    kind = bits.ue()
    if kind > 2:
        raise BitstreamError(f"slice_type {kind} does not exist")
    return _SLICE_TYPES[kind]


def slice_order(unit: bytes, sps: Sps, pps: Pps) -> int:
    """slice_pic_order_cnt_lsb of a picture's first slice segment (7.3.6.1); 0 for an IDR picture, which has none."""
    kind = nal_type(unit)
    if kind in (NalType.IDR_W_RADL, NalType.IDR_N_LP):
        return 0
    bits = BitReader(unescape(unit[2:_SLICE_HEAD_BYTES]))
    bits.u(2 if 16 <= kind <= 23 else 1)  # first_slice_segment_in_pic_flag, no_output_of_prior_pics_flag
    bits.ue()  # slice_pic_parameter_set_id
    bits.u(pps.extra_bits)
    bits.ue()  # slice_type
    bits.u(pps.output_flag_present + 2 * sps.separate_planes)  # pic_output_flag, colour_plane_id
    return bits.u(sps.order_bits)


def pps_ids(pps: bytes) -> tuple[int, int]:
    """pps_pic_parameter_set_id and pps_seq_parameter_set_id."""
    bits = BitReader(unescape(pps[2:16]))
    return bits.ue(), bits.ue()


def slice_pps_id(unit: bytes) -> int:
    """slice_pic_parameter_set_id of a slice segment."""
    bits = BitReader(unescape(unit[2:_SLICE_HEAD_BYTES]))
    bits.u(2 if 16 <= nal_type(unit) <= 23 else 1)  # first_slice_segment_in_pic_flag, no_output_of_prior_pics_flag
    return bits.ue()


def parameter_sets(units: Iterable[bytes]) -> ParameterSets:
    """The parameter sets among ``units``, each once, in order."""
    found: dict[int, dict[bytes, None]] = {NalType.VPS: {}, NalType.SPS: {}, NalType.PPS: {}}
    for unit in units:
        kind = (unit[0] >> 1) & 0x3F
        if kind in found:
            found[kind][unit] = None
    return ParameterSets(*(tuple(group) for group in found.values()))


def parse_sps(unit: bytes) -> Sps:
    """Reads an SPS NAL unit (7.3.2.2) up to the last field in use; raises `BitstreamError` for other bytes."""
    if len(unit) < 16 or nal_type(unit) != NalType.SPS:
        raise BitstreamError("not a sequence parameter set")
    rbsp = unescape(unit[2:])
    sub_layers_minus1 = (rbsp[0] >> 1) & 7
    nested = bool(rbsp[0] & 1)
    profile_tier_level = rbsp[1 : 1 + _PROFILE_BYTES]
    bits = BitReader(rbsp[1 + _PROFILE_BYTES :])
    if sub_layers_minus1:
        present = [(bits.flag(), bits.flag()) for _ in range(sub_layers_minus1)]
        bits.u(2 * (8 - sub_layers_minus1))
        for has_profile, has_level in present:
            bits.u(88 * has_profile + 8 * has_level)
    identifier = bits.ue()
    chroma = bits.ue()
    if chroma > 3:
        raise BitstreamError(f"chroma_format_idc {chroma} does not exist")
    separate_planes = chroma == 3 and bits.flag()
    width, height = bits.ue(), bits.ue()
    if bits.flag():
        left, right, top, bottom = bits.ue(), bits.ue(), bits.ue(), bits.ue()
        sub_width = 2 if chroma in (1, 2) and not separate_planes else 1
        sub_height = 2 if chroma == 1 and not separate_planes else 1
        width -= (left + right) * sub_width
        height -= (top + bottom) * sub_height
    if not (0 < width <= 16384 and 0 < height <= 16384):
        raise BitstreamError(f"a picture of {width}×{height} pixels")
    depth_luma, depth_chroma = 8 + bits.ue(), 8 + bits.ue()
    order_bits = bits.ue() + 4
    reorder = 0
    for _ in range(sub_layers_minus1 + 1 if bits.flag() else 1):
        bits.ue()  # sps_max_dec_pic_buffering_minus1
        reorder = bits.ue()
        bits.ue()  # sps_max_latency_increase_plus1
    return Sps(
        profile_tier_level,
        width,
        height,
        chroma,
        depth_luma,
        depth_chroma,
        sub_layers_minus1 + 1,
        nested,
        reorder,
        identifier,
        separate_planes,
        order_bits,
    )


def hvcc(sets: ParameterSets) -> bytes:
    """The HEVCDecoderConfigurationRecord (ISO/IEC 14496-15, 8.3.3.1) for 4-byte lengths and complete parameter sets.

    Raises `BitstreamError` unless there is an SPS that can be read.
    """
    if not sets.sps:
        raise BitstreamError("no sequence parameter set")
    sps = parse_sps(sets.sps[0])
    parts = [
        b"\x01",
        sps.profile_tier_level,
        b"\xf0\x00",  # min_spatial_segmentation_idc: unknown
        b"\xfc",  # parallelismType: unknown
        bytes((0xFC | sps.chroma_format_idc, 0xF8 | (sps.bit_depth_luma - 8), 0xF8 | (sps.bit_depth_chroma - 8))),
        b"\x00\x00",  # avgFrameRate: unspecified
        bytes((sps.sub_layers << 3 | sps.temporal_id_nested << 2 | 3,)),
    ]
    groups = [(kind, units) for kind, units in zip((32, 33, 34), sets, strict=True) if units]
    parts.append(bytes((len(groups),)))
    for kind, units in groups:
        parts.append(bytes((0x80 | kind,)) + len(units).to_bytes(2, "big"))
        for unit in units:
            parts += len(unit).to_bytes(2, "big"), unit
    return b"".join(parts)


def parse_hvcc(record: bytes) -> tuple[ParameterSets, int]:
    """The parameter sets of an HEVCDecoderConfigurationRecord, and the size of its NAL unit lengths."""
    if len(record) < 23 or record[0] != 1:
        raise BitstreamError("not an HEVCDecoderConfigurationRecord")
    at, units = 23, []
    for _ in range(record[22]):
        count = int.from_bytes(record[at + 1 : at + 3], "big")
        at += 3
        for _ in range(count):
            end = at + 2 + int.from_bytes(record[at : at + 2], "big")
            unit = record[at + 2 : end]
            if end > len(record) or len(unit) < 2:
                raise BitstreamError("an HEVCDecoderConfigurationRecord ends too early")
            units.append(unit)
            at = end
    return parameter_sets(units), (record[21] & 3) + 1
