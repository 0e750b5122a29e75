"""The codecs that the mesh carries: one row each, under FFmpeg's names.

To add one: its number on the wire (`services.contracts.frames.Codec`), a module here that reads its bitstream (and
packetizes it, where viewers get it as it is), its row below, a depacketizer (`services.media.depacketize`) and an
assembler (`services.ingest.timing`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from services.media import h264, h265, jpeg, opus
from services.media.nal import join_length_prefixed, length_prefixed_spans, split_length_prefixed
from services.media.packetize import Packetizer, packetize_h264, packetize_h265


class PictureFormat(NamedTuple):
    """What a decoder is set up with."""

    width_px: int
    height_px: int
    config: bytes = b""
    """The decoder configuration record of the sample entry (ISO/IEC 14496-15); empty where the codec has none."""


@dataclass(frozen=True)
class VideoCodec:
    """A video codec. Payloads are access units as on the bus: of H.264 and H.265 length-prefixed NAL units.

    The functions raise `BitstreamError` for what they cannot read.
    """

    name: str
    """FFmpeg's."""
    rtp_name: str
    """The encoding name in SDP, upper-case."""
    sample_entry: bytes
    """Its kind in MP4 (ISO/IEC 14496-15; of JPEG QuickTime's)."""
    config_box: bytes
    """The box in it that holds `PictureFormat.config`; empty where there is none."""
    read_format: Callable[[bytes], PictureFormat | None]
    """Of a keyframe, or of its front up to `sets_end`; None where parameter sets are missing."""
    sets_end: Callable[[bytes], int] = lambda _payload: 0
    """Where the parameter sets in front of a keyframe's picture end. They are not stored with the picture in MP4."""
    sets_of: Callable[[bytes], bytes] = lambda _config: b""
    """The parameter sets of a `PictureFormat.config`, as they stand in front of a keyframe."""
    is_disposable: Callable[[bytes], bool] = lambda _payload: False
    """Whether no other picture refers to this one."""
    packetize: Packetizer | None = None
    """Into RTP payloads for WebRTC; None where browsers do not take it, and it is converted."""
    rank_offer: Callable[[Mapping[str, str]], int | None] = lambda _parameters: None
    """How well it can be sent by an offered payload type with these fmtp parameters: 0 best; None: not at all."""


@dataclass(frozen=True)
class AudioCodec:
    """A sound codec."""

    name: str
    """FFmpeg's."""
    rtp_names: tuple[str, ...]
    """The encoding names in SDP, upper-case."""
    sample_entry: bytes
    """Its kind in MP4."""
    in_browsers: bool
    """Whether viewers get it as it is; else it is converted."""
    rtp_hz: int
    """The clock rate at which browsers take it; 0 where they do not."""
    samples: Callable[[bytes, int], int]
    """How many samples an access unit lasts, of its payload and the channels. Raises `BitstreamError`."""


def _read_avc(payload: bytes) -> PictureFormat | None:
    sets = h264.parameter_sets(split_length_prefixed(payload))
    if not sets.complete:
        return None
    sps = h264.parse_sps(sets.sps[0])
    return PictureFormat(sps.width_px, sps.height_px, h264.avcc(sets))


def _read_hevc(payload: bytes) -> PictureFormat | None:
    sets = h265.parameter_sets(split_length_prefixed(payload))
    if not sets.complete:
        return None
    sps = h265.parse_sps(sets.sps[0])
    return PictureFormat(sps.width_px, sps.height_px, h265.hvcc(sets))


def _sets_end(payload: bytes, shift: int, mask: int, kinds: frozenset[int]) -> int:
    reached = 0
    for start, end in length_prefixed_spans(payload):
        if payload[start] >> shift & mask not in kinds:
            break
        reached = end
    return reached


_AVC_FRONT: Final = frozenset(map(int, (h264.NalType.SPS, h264.NalType.PPS, h264.NalType.AUD, h264.NalType.FILLER)))
_HEVC_FRONT: Final = frozenset(map(int, (h265.NalType.VPS, h265.NalType.SPS, h265.NalType.PPS, h265.NalType.AUD)))


def _avc_sets_of(config: bytes) -> bytes:
    sets, _ = h264.parse_avcc(config)
    return join_length_prefixed((*sets.sps, *sets.pps))


def _hevc_sets_of(config: bytes) -> bytes:
    sets, _ = h265.parse_hvcc(config)
    return join_length_prefixed((*sets.vps, *sets.sps, *sets.pps))


_AVC_PROFILES: Final = ("64", "4d", "42")
"""``profile_idc`` of High, Main and Baseline, the richest first: decoders take what the parameter sets say."""


def _rank_avc(parameters: Mapping[str, str]) -> int | None:
    """RFC 6184, 8.1: we send fragmentation units, which mode 1 allows, and mode 0, the default, does not.

    A payload type without any parameters is taken: players whose description names the codec alone (GStreamer's) take
    any packetization, and browsers always give parameters.
    """
    if not parameters:
        return len(_AVC_PROFILES)
    if parameters.get("packetization-mode") != "1":
        return None
    profile = parameters.get("profile-level-id", "42e01f")[:2].lower()
    return _AVC_PROFILES.index(profile) if profile in _AVC_PROFILES else len(_AVC_PROFILES) - 1


def _rank_hevc(parameters: Mapping[str, str]) -> int | None:
    """RFC 7798, 7.1: one RTP stream carries all of it."""
    return 0 if parameters.get("tx-mode", "SRST") == "SRST" else None


def _aac_samples(_payload: bytes, _channels: int) -> int:
    """A frame of AAC LC (ISO/IEC 14496-3, 4.5.2.1.1)."""
    return 1024


def _opus_samples(payload: bytes, _channels: int) -> int:
    return opus.packet_samples(payload)


def _byte_samples(payload: bytes, channels: int) -> int:
    """G.711: a byte a sample and channel."""
    return len(payload) // channels


_VIDEO_ROWS: Final = (
    VideoCodec(
        "h264", "H264", b"avc1", b"avcC",
        read_format=_read_avc, sets_end=lambda payload: _sets_end(payload, 0, 0x1F, _AVC_FRONT), sets_of=_avc_sets_of,
        is_disposable=lambda payload: h264.is_disposable(split_length_prefixed(payload)),
        packetize=packetize_h264, rank_offer=_rank_avc,
    ),
    VideoCodec(
        "hevc", "H265", b"hvc1", b"hvcC",
        read_format=_read_hevc, sets_end=lambda payload: _sets_end(payload, 1, 0x3F, _HEVC_FRONT),
        sets_of=_hevc_sets_of, is_disposable=lambda payload: h265.is_disposable(split_length_prefixed(payload)),
        packetize=packetize_h265, rank_offer=_rank_hevc,
    ),
    VideoCodec("mjpeg", "JPEG", b"jpeg", b"", read_format=lambda payload: PictureFormat(*jpeg.size_px(payload))),
)  # fmt: skip
_AUDIO_ROWS: Final = (
    AudioCodec("aac", ("MPEG4-GENERIC", "MP4A-LATM"), b"mp4a", in_browsers=False, rtp_hz=0, samples=_aac_samples),
    AudioCodec("opus", ("OPUS",), b"Opus", in_browsers=True, rtp_hz=48_000, samples=_opus_samples),
    AudioCodec("pcm_mulaw", ("PCMU",), b"ulaw", in_browsers=True, rtp_hz=8000, samples=_byte_samples),
    AudioCodec("pcm_alaw", ("PCMA",), b"alaw", in_browsers=True, rtp_hz=8000, samples=_byte_samples),
)
VIDEO: Final = {codec.name: codec for codec in _VIDEO_ROWS}
"""By FFmpeg's name; where there is a choice, the first is preferred."""
AUDIO: Final = {codec.name: codec for codec in _AUDIO_ROWS}
"""By FFmpeg's name."""
NAME_BY_RTP_NAME: Final = {codec.rtp_name: codec.name for codec in _VIDEO_ROWS} | {
    rtp_name: codec.name for codec in _AUDIO_ROWS for rtp_name in codec.rtp_names
}
"""FFmpeg's name of each encoding name in SDP."""
