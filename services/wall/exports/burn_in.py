"""Writes a clip anew with the camera's name and each picture's time in the picture. Blocks; run it in a process.

This is the only place where pictures that are handed out differ from what was recorded, so the file says so: in its
metadata, its name, and the job. The footage is not touched.
"""

from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import av.error
from av.video.frame import VideoFrame
from PIL import Image, ImageDraw, ImageFont

from services.contracts.errors import PantauError

CONVERSION: Final = "encoded anew as H.264 (libx264, crf 20) with name and time in the picture; not as it was recorded"
_SHARE_OF_HEIGHT: Final = 28
"""The text is a so much smaller part of the picture's height."""
_LEAST_PX: Final = 12
_BLACK, _WHITE, _GREY = 16, 235, 128
"""BT.601 and BT.709 in limited range."""
_OPTIONS: Final = {"preset": "veryfast", "crf": "20"}
_SECONDS_BETWEEN_KEYFRAMES: Final = 2


class BurnInError(PantauError):
    """The clip cannot be converted."""

    code = "cannot-convert"
    status = 502


def burn_in(
    source: Path, target: Path, *, name: str, start_us: int, zone: tzinfo, progress: Callable[[float], None]
) -> None:
    """Converts the clip ``source``, whose first picture was taken at ``start_us``, into ``target``.

    Sound is copied. ``progress`` gets the converted share. Raises `BurnInError`, ``OSError``.
    """
    try:
        _convert(source, target, name, start_us, zone, progress)
    except (av.error.FFmpegError, ValueError, IndexError) as error:
        raise BurnInError(f"the pictures cannot be converted: {error}") from error


def _convert(
    source: Path, target: Path, name: str, start_us: int, zone: tzinfo, progress: Callable[[float], None]
) -> None:
    options = {"movflags": "+faststart"}
    with av.open(str(source)) as clip, av.open(str(target), "w", format="mp4", options=options) as made:
        made.metadata.update({"title": name, "comment": f"Pantau: {CONVERSION}"})
        pictures = clip.streams.video[0]
        pictures.thread_type = "AUTO"
        length_seconds = float(clip.duration or 0) / av.time_base
        encoder = made.add_stream("libx264", options=_OPTIONS)
        sound = clip.streams.audio[0] if clip.streams.audio else None
        copied = made.add_stream_from_template(sound) if sound is not None else None
        label: Label | None = None
        keyframe_at = -float(_SECONDS_BETWEEN_KEYFRAMES)
        for packet in clip.demux([pictures] if sound is None else [pictures, sound]):
            if sound is not None and packet.stream.index == sound.index:
                if packet.dts is not None and packet.pts is not None and packet.pts >= 0:
                    assert copied is not None
                    packet.stream = copied
                    made.mux(packet)
                continue
            for frame in packet.decode():
                assert isinstance(frame, VideoFrame)
                if frame.time is None or frame.time < 0:
                    continue
                if label is None:
                    encoder.width, encoder.height = frame.width // 2 * 2, frame.height // 2 * 2
                    encoder.pix_fmt = "yuv420p"
                    encoder.codec_context.time_base = pictures.time_base or Fraction(1, 90_000)
                    label = Label(name, encoder.height, encoder.width, zone)
                at_seconds = frame.time
                drawn = frame.reformat(encoder.width, encoder.height, "yuv420p", dst_color_range="MPEG")
                drawn.make_writable()
                label.draw(drawn, start_us + round(at_seconds * 1e6))
                drawn.pts, drawn.time_base = frame.pts, frame.time_base
                due = at_seconds - keyframe_at >= _SECONDS_BETWEEN_KEYFRAMES
                drawn.pict_type = av.video.frame.PictureType.I if due else av.video.frame.PictureType.NONE
                keyframe_at = at_seconds if due else keyframe_at
                made.mux(encoder.encode(drawn))
                if length_seconds:
                    progress(min(at_seconds / length_seconds, 1.0))
        if label is None:
            raise BurnInError("the clip holds no picture that can be decoded")
        made.mux(encoder.encode(None))


class Label:
    """The text in the upper left corner, on black."""

    def __init__(self, name: str, height_px: int, width_px: int, zone: tzinfo) -> None:
        self._name = name
        self._zone = zone
        self._width_px = width_px
        size_px = max(_LEAST_PX, height_px // _SHARE_OF_HEIGHT)
        self._font = ImageFont.load_default(size_px)
        self._margin_px = size_px // 3
        self._height_px = min((size_px + 2 * self._margin_px) // 2 * 2, height_px)

    def text(self, at_us: int) -> str:
        """As it is written: the camera's name, and the time with its offset."""
        moment = datetime.fromtimestamp(at_us // 1_000_000, UTC).astimezone(self._zone)
        offset = f"{moment:%z}"
        return f"{self._name}  {moment:%Y-%m-%d %H:%M:%S}.{at_us % 1_000_000 // 1000:03d} {offset[:3]}:{offset[3:5]}"

    def draw(self, picture: VideoFrame, at_us: int) -> None:
        """Writes it into a yuv420p picture."""
        text = self.text(at_us)
        wanted = round(self._font.getlength(text)) + 2 * self._margin_px
        width = min(wanted + wanted % 2, self._width_px // 2 * 2)
        strip = Image.new("L", (width, self._height_px), _BLACK)
        ImageDraw.Draw(strip).text((self._margin_px, self._height_px // 2), text, _WHITE, self._font, anchor="lm")
        luma, *chroma = picture.planes
        _paste(memoryview(luma), luma.line_size, strip.tobytes(), width, self._height_px)
        grey = bytes([_GREY]) * (width // 2 * (self._height_px // 2))
        for plane in chroma:
            _paste(memoryview(plane), plane.line_size, grey, width // 2, self._height_px // 2)


def _paste(plane: memoryview, line_bytes: int, data: bytes, width: int, height: int) -> None:
    for row in range(height):
        plane[row * line_bytes : row * line_bytes + width] = data[row * width : (row + 1) * width]
