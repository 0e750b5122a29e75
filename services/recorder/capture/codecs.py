"""From access units to tracks: parameter sets out of the keyframes into the sample entry."""

from typing import Final

from services.contracts.frames import AccessUnit, Codec
from services.media import aac, h264, h265, jpeg, nal
from services.media.mp4.tracks import AudioTrack, VideoTrack
from services.media.nal import BitstreamError

_H264_ASIDE: Final = frozenset((h264.NalType.SPS, h264.NalType.PPS, h264.NalType.AUD, h264.NalType.FILLER))
_H265_ASIDE: Final = frozenset((h265.NalType.VPS, h265.NalType.SPS, h265.NalType.PPS, h265.NalType.AUD))
_G711_RATES: Final = (8000, 16000, 32000, 48000)


class ParameterSetTracker:
    """Follows a stream's parameter sets."""

    def __init__(self) -> None:
        self.track: VideoTrack | None = None
        """As of the last keyframe that told."""
        self._sets = b""
        self._codec: Codec | None = None

    def prepare(self, unit: AccessUnit) -> bytes:
        """The sample's data: the payload, without the parameter sets in front where it is a keyframe.

        Updates ``track``. Raises `BitstreamError` for a keyframe that cannot be read; it is not recorded.
        """
        if unit.codec is Codec.MJPEG:
            width, height = jpeg.size_px(unit.payload)
            self.track = VideoTrack("mjpeg", width, height)
            return unit.payload
        if not unit.keyframe:
            return unit.payload
        aside = _H264_ASIDE if unit.codec is Codec.H264 else _H265_ASIDE
        shift, mask = (0, 0x1F) if unit.codec is Codec.H264 else (1, 0x3F)
        begin = 0
        for start, end in nal.length_prefixed_spans(unit.payload):
            if unit.payload[start] >> shift & mask not in aside:
                break
            begin = end
        sets = unit.payload[:begin]
        if sets and (sets != self._sets or unit.codec is not self._codec):
            self.track = self._read(unit.codec, nal.split_length_prefixed(sets)) or self.track
            self._sets, self._codec = sets, unit.codec
        if begin == len(unit.payload):
            raise BitstreamError("a keyframe without a picture")
        return unit.payload[begin:]

    def _read(self, codec: Codec, units: list[bytes]) -> VideoTrack | None:
        if codec is Codec.H264:
            sets = h264.parameter_sets(units)
            if not sets.complete:
                return None
            sps = h264.parse_sps(sets.sps[0])
            return VideoTrack("h264", sps.width_px, sps.height_px, h264.avcc(sets))
        hevc_sets = h265.parameter_sets(units)
        if not hevc_sets.complete:
            return None
        hevc_sps = h265.parse_sps(hevc_sets.sps[0])
        return VideoTrack("hevc", hevc_sps.width_px, hevc_sps.height_px, h265.hvcc(hevc_sets))


def audio_track(unit: AccessUnit, previous: AccessUnit | None) -> AudioTrack | None:
    """The track of a sound stream; None while it is not known. G.711 carries no rate, so two frames give it."""
    try:
        if unit.codec is Codec.AAC:
            config = aac.parse_config(unit.extradata)
            return AudioTrack("aac", config.sample_rate_hz, config.channels, unit.extradata)
        if unit.codec is Codec.OPUS:
            return AudioTrack("opus", 48_000, 2)
    except BitstreamError:
        return None
    if previous is None or unit.sequence != previous.sequence + 1 or unit.pts_90k <= previous.pts_90k:
        return None
    rate = len(previous.payload) * 90_000 / (unit.pts_90k - previous.pts_90k)
    nearest = min(_G711_RATES, key=lambda known: abs(known - rate))
    return AudioTrack(unit.codec.name.lower(), nearest, 1)


def audio_samples(unit: AccessUnit, track: AudioTrack) -> int:
    """How many samples long an audio access unit is."""
    if unit.codec is Codec.AAC:
        return 1024
    if unit.codec is Codec.OPUS:
        return 960
    return len(unit.payload) // track.channels
