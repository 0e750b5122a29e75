"""From access units to tracks: parameter sets out of the keyframes into the sample entry."""

from services.contracts.frames import AccessUnit, Codec
from services.media import aac, g711
from services.media.codecs import AUDIO, VIDEO, VideoCodec
from services.media.mp4.tracks import AudioTrack, VideoTrack
from services.media.nal import BitstreamError


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


def audio_track(unit: AccessUnit) -> AudioTrack | None:
    """The track of a sound stream; None where it cannot be read."""
    try:
        if unit.codec is Codec.AAC:
            config = aac.parse_config(unit.extradata)
            return AudioTrack("aac", config.sample_rate_hz, config.channels, unit.extradata)
        if unit.codec is Codec.OPUS:
            return AudioTrack("opus", 48_000, 2)
        return AudioTrack(unit.codec.ffmpeg_name, *g711.parse_config(unit.extradata))
    except BitstreamError:
        return None


def audio_samples(unit: AccessUnit, track: AudioTrack) -> int:
    """How many samples long an audio access unit is. Raises `BitstreamError` where that cannot be told."""
    return AUDIO[unit.codec.ffmpeg_name].samples(unit.payload, track.channels)
