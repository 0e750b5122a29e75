"""Small real streams, made by FFmpeg's encoders, that tests of media code and of the recorder read."""

from fractions import Fraction
from functools import cache
from typing import NamedTuple

import av
import numpy as np


class Packet(NamedTuple):
    """One encoded frame as the encoder gave it (Annex B for H.264 and H.265)."""

    data: bytes
    pts: int
    dts: int
    """Both in frames."""
    keyframe: bool


class Stream(NamedTuple):
    """An encoded stream; ``extradata`` begins with the parameter sets in Annex B, or is the AudioSpecificConfig."""

    packets: tuple[Packet, ...]
    extradata: bytes
    width_px: int
    height_px: int


@cache
def video(
    codec: str = "libx264",
    *,
    size: tuple[int, int] = (162, 90),
    frames: int = 60,
    gop: int = 25,
    b_frames: int = 0,
    pixel_format: str = "yuv420p",
    options: tuple[tuple[str, str], ...] = (),
) -> Stream:
    """``frames`` pictures of a moving gradient; picture n has brightness ``n`` in its upper left corner."""
    context = av.CodecContext.create(codec, "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height = size
    context.pix_fmt = pixel_format
    context.time_base, context.framerate = Fraction(1, 25), Fraction(25)
    context.gop_size = gop
    context.max_b_frames = b_frames
    context.thread_count = 1
    settings = {"preset": "ultrafast", "sc_threshold": "0", "bf": str(b_frames)} if codec == "libx264" else {}
    if codec == "libx265":
        settings = {
            "preset": "ultrafast",
            "x265-params": f"log-level=none:keyint={gop}:min-keyint={gop}:scenecut=0:bframes={b_frames}"
            ":pools=none:frame-threads=1",
        }
    context.options = settings | dict(options)
    packets: list[Packet] = []
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    for index in range(frames):
        picture = ((x + y + 3 * index) % 256).astype(np.uint8)
        picture[:16, :16] = 16 + index * 3 % 220
        frame = av.VideoFrame.from_ndarray(np.stack([picture] * 3, axis=-1), format="rgb24")
        frame.pts, frame.time_base = index, context.time_base
        packets += _packets(context, frame)
    packets += _packets(context, None)
    return Stream(tuple(packets), packets[0].data, *size)


@cache
def audio(codec: str = "aac", *, rate: int = 16000, frames: int = 40) -> Stream:
    """A sine at 440 Hz; pts in samples."""
    context = av.CodecContext.create(codec, "w")
    assert isinstance(context, av.AudioCodecContext)
    context.rate = rate
    context.layout = "mono"
    context.format = "fltp" if codec == "aac" else "s16"
    samples = 1024 if codec == "aac" else rate // 50
    packets: list[Packet] = []
    for index in range(frames):
        t = (np.arange(samples) + index * samples) / rate
        wave = 0.3 * np.sin(2 * np.pi * 440 * t)
        planes = wave.astype(np.float32) if codec == "aac" else (wave * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(planes.reshape(1, -1), format=context.format.name, layout="mono")
        frame.rate, frame.pts, frame.time_base = rate, index * samples, Fraction(1, rate)
        packets += _packets(context, frame)
    return Stream(tuple(packets), bytes(context.extradata or b""), 0, 0)


def _packets(context: "av.VideoCodecContext | av.AudioCodecContext", frame: object) -> list[Packet]:
    return [
        Packet(bytes(packet), packet.pts or 0, packet.dts or 0, packet.is_keyframe)
        for packet in context.encode(frame)  # type: ignore[arg-type]  # av types video and audio apart
    ]
