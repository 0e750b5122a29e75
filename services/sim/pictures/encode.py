"""Renders and encodes clips with PyAV. Runs in worker processes only: a clip takes a second or more of CPU."""

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Final, cast

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from numpy.typing import NDArray

from services.sim.clip import ClipKey, ClipUnit, EncodedClip
from services.sim.pictures.planes import Planes
from services.sim.pictures.scene import Scene
from services.sim.specs import AudioSpec, VideoSpec

VIDEO_CLOCK_HZ: Final = 90_000
_START_CODE: Final = re.compile(rb"\x00*\x00\x00\x01")
_H264_SPS, _H264_PPS, _H264_IDR = 7, 8, 5
_HEVC_VPS, _HEVC_SPS, _HEVC_PPS = 32, 33, 34
_HEVC_FIRST_IRAP, _HEVC_LAST_IRAP = 16, 21
_MJPEG_QUALITY: Final = {True: "7", False: "6"}
_G711_FRAME_SECONDS: Final = Fraction(1, 25)


def make(key: ClipKey) -> EncodedClip:
    """Draws and encodes the clip of ``key``."""
    if isinstance(key.track, AudioSpec):
        return _audio(key.scene, key.track)
    return _video(key.scene, key.label, key.track, marked=key.marker)


def _video(number: int, label: str, spec: VideoSpec, *, marked: bool) -> EncodedClip:
    scene = Scene(number, label, spec.width_px, spec.height_px, marked=marked)
    encoder = _video_encoder(spec)
    time_base = Fraction(1, spec.frame_rate)

    def packets() -> Iterator[tuple[int, bytes]]:
        for index in range(spec.loop_frames):
            frame = _av_frame(scene.frame(index, spec.loop_frames, spec.frame_rate), encoder.pix_fmt or "yuv420p")
            frame.pts, frame.time_base = index, time_base
            for packet in encoder.encode(frame):
                yield packet.pts or 0, bytes(packet)
        for packet in encoder.encode(None):
            yield packet.pts or 0, bytes(packet)

    units: list[ClipUnit] = []
    parameter_sets: list[bytes] = []
    for pts, data in packets():
        if spec.codec == "mjpeg":
            units.append(ClipUnit(pts, keyframe=True, data=data))
            continue
        picture, sets, keyframe = _sort_nal_units(spec.codec == "hevc", data)
        parameter_sets.extend(nal for nal in sets if nal not in parameter_sets)
        units.append(ClipUnit(pts, keyframe, b"".join(len(nal).to_bytes(4, "big") + nal for nal in picture)))
    return EncodedClip(
        spec.codec, spec.width_px, spec.height_px, VIDEO_CLOCK_HZ, VIDEO_CLOCK_HZ // spec.frame_rate,
        tuple(parameter_sets), tuple(units),
    )  # fmt: skip


def _sort_nal_units(hevc: bool, annex_b: bytes) -> tuple[list[bytes], list[bytes], bool]:
    """The slices, the parameter sets, and whether the picture is a keyframe. The encoder's own SEI is left out."""
    picture, sets, keyframe = [], [], False
    for nal in filter(None, _START_CODE.split(annex_b)):
        kind = nal[0] >> 1 & 0x3F if hevc else nal[0] & 0x1F
        if kind in ((_HEVC_VPS, _HEVC_SPS, _HEVC_PPS) if hevc else (_H264_SPS, _H264_PPS)):
            sets.append(nal)
        elif kind < _HEVC_VPS if hevc else 1 <= kind <= _H264_IDR:
            picture.append(nal)
            keyframe |= _HEVC_FIRST_IRAP <= kind <= _HEVC_LAST_IRAP if hevc else kind == _H264_IDR
    return picture, sets, keyframe


def _video_encoder(spec: VideoSpec) -> VideoCodecContext:
    names = {"h264": "libx264", "hevc": "libx265", "mjpeg": "mjpeg"}
    encoder = cast("VideoCodecContext", av.CodecContext.create(names[spec.codec], "w"))
    encoder.width, encoder.height = spec.width_px, spec.height_px
    encoder.pix_fmt = "yuvj420p" if spec.codec == "mjpeg" else "yuv420p"
    encoder.framerate = Fraction(spec.frame_rate)
    encoder.time_base = Fraction(1, spec.frame_rate)
    encoder.thread_count = 1
    if spec.codec == "mjpeg":
        # RFC 2435 carries no Huffman tables: they have to be the standard ones.
        quality = _MJPEG_QUALITY[spec.width_px > 640]
        encoder.options = {"huffman": "default", "qmin": quality, "qmax": quality}
        return encoder
    encoder.bit_rate = spec.bitrate_bps
    encoder.gop_size = spec.gop_frames
    rate_control = {"maxrate": str(spec.bitrate_bps * 5 // 4), "bufsize": str(spec.bitrate_bps)}
    common = f"keyint={spec.gop_frames}:min-keyint={spec.gop_frames}:scenecut=0:open-gop=0:bframes={spec.b_frames}"
    if spec.codec == "h264":
        entropy = "" if spec.h264_profile == "baseline" else ":cabac=1"
        transform = ":8x8dct=1" if spec.h264_profile == "high" else ""
        encoder.options = {
            "preset": "ultrafast", "profile": spec.h264_profile, **rate_control,
            "x264-params": f"{common}:rc-lookahead=0:no-deblock=0{entropy}{transform}",
        }  # fmt: skip
    else:
        # x265 wants a lookahead at least as long as its B-frames; with none, the shortest it takes.
        encoder.options = {
            "preset": "ultrafast", **rate_control,
            "x265-params": f"{common}:rc-lookahead=1:pools=none:frame-threads=1:log-level=error:info=0",
        }  # fmt: skip
    return encoder


def _av_frame(planes: Planes, pixel_format: str) -> av.VideoFrame:
    height, width = planes.y.shape
    packed = np.concatenate((planes.y.ravel(), planes.u.ravel(), planes.v.ravel()))
    return av.VideoFrame.from_ndarray(packed.reshape(height * 3 // 2, width), format=pixel_format)


def _audio(number: int, spec: AudioSpec) -> EncodedClip:
    rate = spec.sample_rate_hz
    encoder = av.CodecContext.create(spec.codec, "w")
    encoder.sample_rate = rate
    encoder.layout = "mono"
    encoder.format = "fltp" if spec.codec == "aac" else "s16"
    encoder.time_base = Fraction(1, rate)
    if spec.codec == "aac":
        encoder.bit_rate = 32_000
    encoder.open()
    frame_samples = 1024 if spec.codec == "aac" else int(rate * _G711_FRAME_SECONDS)
    sound = _sound(number, rate, spec.loop_seconds)
    count = len(sound) // frame_samples
    units: list[ClipUnit] = []
    for index in range(count + 1):
        if index < count:
            samples = sound[index * frame_samples : (index + 1) * frame_samples]
            data = samples if spec.codec == "aac" else np.rint(samples * 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(data[np.newaxis], format=encoder.format.name, layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, index * frame_samples, Fraction(1, rate)
            packets = encoder.encode(frame)
        else:
            packets = encoder.encode(None)
        units.extend(ClipUnit(len(units), keyframe=True, data=bytes(packet)) for packet in packets)
    # The AAC encoder adds a priming frame; it is left out, so that the loop keeps its length.
    units = units[-count:]
    renumbered = tuple(ClipUnit(index, keyframe=True, data=unit.data) for index, unit in enumerate(units))
    config = (bytes(encoder.extradata),) if encoder.extradata else ()
    return EncodedClip(spec.codec, 0, 0, rate, frame_samples, config, renumbered)


def _sound(number: int, rate_hz: int, seconds: int) -> NDArray[np.float32]:
    """A hum of the camera's own pitch and a beep at each second."""
    time = np.arange(rate_hz * seconds) / rate_hz
    pitch = 110 + 10 * (number % 24)
    beep = np.sin(2 * np.pi * 880 * time) * (time % 1 < 0.1)
    return (0.12 * np.sin(2 * np.pi * pitch * time) + 0.25 * beep).astype(np.float32)
