"""The tracks that simulated cameras send: the presets behind ``--profile``."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

DRAWING_VERSION: Final = 1
"""Part of every clip's cache key: raise it when scenes look different."""

VideoCodec = Literal["h264", "hevc", "mjpeg"]
AudioCodec = Literal["pcm_mulaw", "pcm_alaw", "aac"]


@dataclass(frozen=True, slots=True)
class VideoSpec:
    """One video track; everything in it is part of the cached clip's key."""

    codec: VideoCodec = "h264"
    width_px: int = 1280
    height_px: int = 720
    frame_rate: int = 25
    bitrate_bps: int = 2_000_000
    gop_seconds: int = 2
    loop_seconds: int = 8
    """A whole number of GOPs, so that the loop's seam is a keyframe like any other."""
    b_frames: int = 0
    h264_profile: Literal["baseline", "main", "high"] = "main"

    def __post_init__(self) -> None:
        if self.loop_seconds % self.gop_seconds:
            raise ValueError(f"a loop of {self.loop_seconds} s holds no whole number of GOPs of {self.gop_seconds} s")

    @property
    def gop_frames(self) -> int:
        """Frames from keyframe to keyframe."""
        return self.gop_seconds * self.frame_rate

    @property
    def loop_frames(self) -> int:
        """Frames in the loop: a stamp's frame number modulo this is the position that the marker shows."""
        return self.loop_seconds * self.frame_rate


@dataclass(frozen=True, slots=True)
class AudioSpec:
    """One audio track, mono."""

    codec: AudioCodec = "pcm_mulaw"
    loop_seconds: int = 8

    @property
    def sample_rate_hz(self) -> int:
        """8 kHz for G.711 (RFC 3551), 16 kHz for AAC."""
        return 16_000 if self.codec == "aac" else 8_000


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """One profile of a camera: the tracks of one RTSP URL."""

    video: VideoSpec
    audio: AudioSpec | None = None


@dataclass(frozen=True, slots=True)
class CameraSpec:
    """Both profiles of a camera."""

    main: StreamSpec
    sub: StreamSpec


def _camera(main: VideoSpec, audio: AudioSpec | None = None) -> CameraSpec:
    """A camera with an H.264 sub profile whose GOP lasts as long as the main profile's."""
    sub = VideoSpec(
        width_px=640, height_px=360, frame_rate=15, bitrate_bps=500_000,
        gop_seconds=main.gop_seconds, loop_seconds=main.loop_seconds,
    )  # fmt: skip
    return CameraSpec(StreamSpec(main, audio), StreamSpec(sub, audio))


_CITY: Final = _camera(VideoSpec())
_HEVC: Final = _camera(VideoSpec(codec="hevc"))
# Intra pictures alone: ten a second at about 4 Mbit/s, as cheap MJPEG cameras send them.
_MJPEG_MAIN: Final = VideoSpec(codec="mjpeg", frame_rate=10, bitrate_bps=4_000_000)
_MJPEG_SUB: Final = VideoSpec(
    codec="mjpeg", width_px=640, height_px=360, frame_rate=10, bitrate_bps=1_500_000
)  # fmt: skip
_MJPEG: Final = CameraSpec(StreamSpec(_MJPEG_MAIN), StreamSpec(_MJPEG_SUB))
_BFRAMES: Final = _camera(VideoSpec(b_frames=2))
_BASELINE: Final = _camera(VideoSpec(h264_profile="baseline"))
_HIGH: Final = _camera(VideoSpec(h264_profile="high"))
_GOP4: Final = _camera(VideoSpec(gop_seconds=4))
_GOP10: Final = _camera(VideoSpec(gop_seconds=10, loop_seconds=10))
_AUDIO: Final = tuple(_camera(VideoSpec(), AudioSpec(codec)) for codec in ("pcm_mulaw", "pcm_alaw", "aac"))
_MIXED: Final = (_CITY, _HIGH, _HEVC, _GOP4, _AUDIO[0], _MJPEG, _BFRAMES, _BASELINE, _AUDIO[1], _GOP10, _AUDIO[2])

PRESETS: Final[dict[str, Callable[[int], CameraSpec]]] = {
    "city": lambda _: _CITY,
    "gop4": lambda _: _GOP4,
    "gop10": lambda _: _GOP10,
    "bframes": lambda _: _BFRAMES,
    "h265": lambda _: _HEVC,
    "mjpeg": lambda _: _MJPEG,
    "audio": lambda number: _AUDIO[(number - 1) % len(_AUDIO)],
    "mixed": lambda number: _MIXED[(number - 1) % len(_MIXED)],
}
"""Preset name → the spec of a camera number (from 1). ``mixed`` has every kind among its first eleven."""
