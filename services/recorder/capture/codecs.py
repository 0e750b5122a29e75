"""From access units to tracks: parameter sets out of the keyframes into the sample entry."""

from typing import Final

from services.contracts.frames import AccessUnit, Codec
from services.media import aac
from services.media.codecs import AUDIO, VIDEO, VideoCodec
from services.media.mp4.tracks import AudioTrack, VideoTrack
from services.media.nal import BitstreamError

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
        if not unit.keyframe:
            return unit.payload
        video = VIDEO[unit.codec.ffmpeg_name]
        if not video.config_box:
            self._take_format(video, unit.payload)
            return unit.payload
        end = video.sets_end(unit.payload)
        sets = unit.payload[:end]
        if sets and (sets != self._sets or unit.codec is not self._codec):
            self._take_format(video, sets)
            self._sets, self._codec = sets, unit.codec
        if end == len(unit.payload):
            raise BitstreamError("a keyframe without a picture")
        return unit.payload[end:]

    def _take_format(self, video: VideoCodec, front: bytes) -> None:
        found = video.read_format(front)
        if found is not None:
            self.track = VideoTrack(video.name, *found)


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
    return AudioTrack(unit.codec.ffmpeg_name, nearest, 1)


def audio_samples(unit: AccessUnit, track: AudioTrack) -> int:
    """How many samples long an audio access unit is. Raises `BitstreamError` where that cannot be told."""
    return AUDIO[unit.codec.ffmpeg_name].samples(unit.payload, track.channels)
