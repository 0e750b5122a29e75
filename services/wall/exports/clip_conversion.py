"""Writes a clip anew with the camera's name and each picture's time in the picture, or with privacy masks.

Blocks; run it in a process.

This is the only place where pictures that are handed out differ from what was recorded, so the file says so: in its
metadata, its name, and the job. The footage is not touched.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, tzinfo
from fractions import Fraction
from pathlib import Path
from typing import Final, NamedTuple

import av
import av.error
from av.audio.resampler import AudioResampler
from av.container import InputContainer, OutputContainer
from av.video.frame import PictureType, VideoFrame
from PIL import Image, ImageDraw, ImageFont

from services.contracts.errors import PantauError
from services.wall.exports.clip_times import MADE_UP, ClipTimes, conversion_of
from services.wall.masking import Rectangle, draw_masks

_SHARE_OF_HEIGHT: Final = 28
"""The text is a so much smaller part of the picture's height."""
_LEAST_PX: Final = 12
_BLACK, _WHITE, _GREY = 16, 235, 128
"""BT.601 and BT.709 in limited range."""
_OPTIONS: Final = {"preset": "veryfast", "crf": "20", "bf": "0"}
"""Without B-pictures a picture's duration is until the next packet, however slow the camera is."""
_COPIED: Final = ("aac", "opus")
_AAC_SAMPLES: Final = 1024
_AAC_BPS: Final = 48_000
_KEYFRAME_US: Final = 2_000_000
_MICROSECONDS: Final = Fraction(1, 1_000_000)


class ClipConversionError(PantauError):
    """The clip cannot be converted."""

    code = "cannot-convert"
    status = 502


class _Shown(NamedTuple):
    picture: VideoFrame
    at_us: int
    """Since the beginning of the show; negative where it was taken before."""
    until_us: int


class Drawing(NamedTuple):
    """What is drawn in each picture: first the masks, then the label."""

    name: str | None
    """The camera's, which is written with the time; None: neither is."""
    zone: tzinfo
    masks: tuple[Rectangle, ...] = ()


def convert_clip(
    source: Path,
    target: Path,
    *,
    drawing: Drawing,
    times: ClipTimes,
    progress: Callable[[float], None],
    made_up: bool = False,
) -> None:
    """Converts the clip ``source`` into ``target``: each picture is shown when it was, with ``drawing`` in it.

    ``progress`` gets the converted share. ``made_up``: the file says that some of it is a demo's.

    Raises `ClipConversionError`, ``OSError``.
    """
    try:
        with (
            av.open(str(source), options={"ignore_editlist": "1"}) as clip,
            av.open(str(source)) as sounding,
            av.open(str(target), "w", format="mp4", options={"movflags": "+faststart"}) as made,
        ):
            conversion = conversion_of(named=drawing.name is not None, masked=bool(drawing.masks))
            comment = f"Pantau: {conversion}{f'; {MADE_UP}' if made_up else ''}"
            made.metadata.update({"title": drawing.name or "", "comment": comment})
            _convert(clip, _Sound(sounding, made), made, drawing, times, progress)
    except (av.error.FFmpegError, ValueError, IndexError) as error:
        raise ClipConversionError(f"the pictures cannot be converted: {error}") from error


def _convert(
    clip: InputContainer,
    sound: "_Sound",
    made: OutputContainer,
    drawing: Drawing,
    times: ClipTimes,
    progress: Callable[[float], None],
) -> None:
    encoder = made.add_stream("libx264", options=_OPTIONS)
    label: Label | None = None
    begun = False
    keyframe_due_us = 0
    durations: dict[int, int] = {}
    for picture, at_us, until_us in _shown(clip, times):
        if not begun:
            begun = True
            encoder.width, encoder.height = picture.width // 2 * 2, picture.height // 2 * 2
            encoder.pix_fmt = "yuv420p"
            encoder.codec_context.time_base = _MICROSECONDS
            if drawing.name is not None:
                label = Label(drawing.name, encoder.height, encoder.width, drawing.zone)
        drawn = picture.reformat(encoder.width, encoder.height, "yuv420p", dst_color_range="MPEG")
        draw_masks(drawn, drawing.masks)
        if label is not None:
            label.draw(drawn, times.start_us + at_us)
        begin_us = max(at_us, 0)
        drawn.pts, drawn.time_base = begin_us, _MICROSECONDS
        due = begin_us >= keyframe_due_us
        drawn.pict_type = PictureType.I if due else PictureType.NONE
        keyframe_due_us = begin_us + _KEYFRAME_US if due else keyframe_due_us
        sound.write(begin_us)
        durations[begin_us] = until_us - begin_us
        _mux(made, encoder.encode(drawn), durations)
        progress(min(begin_us / times.length_us, 1.0))
    if not begun:
        raise ClipConversionError("the clip holds no picture that can be decoded")
    _mux(made, encoder.encode(None), durations)
    sound.write(times.length_us)
    sound.close()


def _mux(made: OutputContainer, packets: Iterable["av.Packet[av.VideoStream]"], durations: dict[int, int]) -> None:
    for packet in packets:
        # libx264 gives each packet the length of the usual frame; the last one's counts.
        packet.duration = durations.pop(packet.pts or 0, packet.duration)
        made.mux(packet)


def _shown(clip: InputContainer, times: ClipTimes) -> Iterator[_Shown]:
    """The pictures of the show, each until the next one."""
    stream = clip.streams.video[0]
    stream.thread_type = "AUTO"
    before: tuple[VideoFrame, int] | None = None
    first_us: int | None = None
    for picture in clip.decode(stream):
        if picture.pts is None or picture.time_base is None:
            continue
        taken_us = round(picture.pts * picture.time_base * 1_000_000)
        first_us = taken_us if first_us is None else first_us
        at_us = taken_us - first_us - times.lead_us
        if before is not None and at_us > max(before[1], 0):
            yield _Shown(*before, min(at_us, times.length_us))
        if at_us >= times.length_us:
            return
        before = picture, at_us
    if before is not None:
        yield _Shown(*before, times.length_us)


class _Sound:
    """The clip's sound: copied as it is, or encoded as AAC where players know no MP4 with it (G.711)."""

    def __init__(self, clip: InputContainer, made: OutputContainer) -> None:
        self._packets: Iterator[av.Packet[av.AudioStream]] = iter(())
        self._next: av.Packet[av.AudioStream] | None = None
        self._made = made
        self._copied: av.AudioStream | None = None
        self._encoded: av.AudioStream | None = None
        if not clip.streams.audio:
            return
        source = clip.streams.audio[0]
        self._packets = clip.demux(source)
        if source.codec_context.name in _COPIED:
            self._copied = made.add_stream_from_template(source)
            return
        rate = source.codec_context.sample_rate
        layout = "stereo" if source.codec_context.channels == 2 else "mono"
        self._encoded = made.add_stream("aac", rate=rate, layout=layout)
        self._encoded.codec_context.format, self._encoded.codec_context.bit_rate = "fltp", _AAC_BPS
        self._resampler = AudioResampler(format="fltp", layout=layout, rate=rate, frame_size=_AAC_SAMPLES)

    def write(self, until_us: int) -> None:
        """Writes what is heard up to a moment of the show."""
        while True:
            packet = self._next or next(self._packets, None)
            self._next = packet
            if packet is None:
                return
            if packet.pts is not None and packet.dts is not None and packet.pts >= 0:
                if packet.pts * float(packet.time_base or 0) * 1e6 > until_us:
                    return
                self._write(packet)
            self._next = None

    def _write(self, packet: "av.Packet[av.AudioStream]") -> None:
        if self._copied is not None:
            packet.stream = self._copied
            self._made.mux(packet)
        elif self._encoded is not None:
            for heard in packet.decode():
                for piece in self._resampler.resample(heard):
                    self._made.mux(self._encoded.encode(piece))

    def close(self) -> None:
        """Writes what the encoder still holds."""
        if self._encoded is not None:
            for piece in self._resampler.resample(None):
                self._made.mux(self._encoded.encode(piece))
            self._made.mux(self._encoded.encode(None))


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
