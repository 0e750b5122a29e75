"""AAC and G.711 to Opus: the decoder, the resampler and the encoder of one camera's sound. Access units in and out."""

from fractions import Fraction
from typing import Final

import av
import av.error
from av.audio.resampler import AudioResampler
from av.codec.codec import UnknownCodecError

from services.contracts.frames import AccessUnit, CaptureClockSource, Codec, Flags
from services.media import g711
from services.media.nal import BitstreamError
from services.media.time import SECOND_90K, rescale, us_from_90k
from services.wall.relay.convert.picture import CannotConvertError

_DECODERS: Final = frozenset((Codec.AAC, Codec.PCM_ALAW, Codec.PCM_MULAW))
OPUS_HZ: Final = 48_000
FRAME_SAMPLES: Final = 960
"""20 ms, what WebRTC expects."""
BITRATE_BPS: Final = 32_000
JUMP_90K: Final = 9_000
"""A camera's time stamps may be off by so much before the sound is re-timed: they jitter, samples do not."""


class SoundConverter:
    """Converts one camera's frames, in order. Not thread-safe."""

    def __init__(self, epoch: int) -> None:
        """``epoch`` is that of the units that come out."""
        self._epoch = epoch
        self._sequence = 0
        self._config: tuple[Codec, bytes] | None = None
        self._decoder: av.AudioCodecContext | None = None
        self._resampler: AudioResampler
        self._encoder: av.AudioCodecContext
        self._base_90k = 0
        self._samples_in = 0
        """At `OPUS_HZ`, since the base."""
        self._samples_out = 0
        self._anew = True

    def convert(self, unit: AccessUnit, *, show: bool = True) -> list[AccessUnit]:
        """The Opus frames that ``unit`` completes; none where it is broken or not to be heard (not ``show``).

        Raises `CannotConvertError`.
        """
        if unit.codec not in _DECODERS or not show:
            return []
        off_90k = abs(self._base_90k + rescale(self._samples_in, OPUS_HZ, SECOND_90K) - unit.pts_90k)
        config = unit.codec, unit.extradata
        anew = bool(unit.flags & Flags.DISCONTINUITY) or config != self._config or off_90k > JUMP_90K
        try:
            if self._decoder is None or anew:
                self._restart(unit)
            assert self._decoder is not None
            heard = self._decoder.decode(av.Packet(unit.payload))
        except (av.error.FFmpegError, BitstreamError):
            return []
        out = []
        for frame in heard:
            self._samples_in += frame.samples * OPUS_HZ // frame.sample_rate
            frame.pts = None
            for piece in self._resampler.resample(frame):
                piece.pts = None
                out += [self._unit(packet, unit) for packet in self._encoder.encode(piece)]
        return out

    def _restart(self, unit: AccessUnit) -> None:
        decoder = av.AudioCodecContext.create(unit.codec.ffmpeg_name, "r")
        assert isinstance(decoder, av.AudioCodecContext)
        if unit.codec is Codec.AAC:
            decoder.extradata = unit.extradata
        else:
            config = g711.parse_config(unit.extradata)
            decoder.sample_rate, decoder.layout = config.sample_rate_hz, "stereo" if config.channels == 2 else "mono"
        try:
            encoder = av.AudioCodecContext.create("libopus", "w")
        except UnknownCodecError as error:
            raise CannotConvertError("this FFmpeg has no libopus: sound cannot be converted") from error
        encoder.sample_rate, encoder.layout, encoder.format = OPUS_HZ, "mono", "s16"
        encoder.bit_rate = BITRATE_BPS
        encoder.time_base = Fraction(1, OPUS_HZ)
        encoder.options = {"application": "lowdelay", "frame_duration": "20"}
        self._decoder, self._encoder, self._config = decoder, encoder, (unit.codec, unit.extradata)
        self._resampler = AudioResampler("s16", "mono", OPUS_HZ, frame_size=FRAME_SAMPLES)
        self._base_90k = unit.pts_90k
        self._samples_in = self._samples_out = 0
        self._anew = True

    def _unit(self, packet: "av.Packet[av.AudioStream]", source: AccessUnit) -> AccessUnit:
        flags = Flags.KEYFRAME | (Flags.DISCONTINUITY if self._anew else Flags.NONE)
        self._anew = False
        pts = self._base_90k + rescale(self._samples_out, OPUS_HZ, SECOND_90K)
        capture = source.capture_us - us_from_90k(source.pts_90k - pts)
        self._samples_out += FRAME_SAMPLES
        self._sequence += 1
        return AccessUnit(
            flags, Codec.OPUS, self._epoch, self._sequence, pts, pts, capture, source.uncertainty_us,
            CaptureClockSource(source.clock), bytes(packet),
        )  # fmt: skip
