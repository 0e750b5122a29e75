"""Pictures of any codec to H.264: the decoder, the scaler and the encoder of one camera. Access units in and out.

The encoder is as cheap as x264 goes and holds nothing back: each picture that goes in comes out at once.
"""

from collections import OrderedDict
from fractions import Fraction
from typing import Final

import av
import av.error
from av.codec.codec import UnknownCodecError
from av.video.frame import PictureType
from av.video.reformatter import VideoReformatter

from services.contracts.errors import PantauError
from services.contracts.frames import AccessUnit, Codec, Flags
from services.media.nal import BitstreamError, annex_b_to_length_prefixed, length_prefixed_to_annex_b
from services.media.time import SECOND_90K
from services.wall.masking import Rectangle, draw_masks

KEYFRAME_90K: Final = 2 * SECOND_90K
"""Between keyframes: the most that a new viewer has to catch up with."""
FRAME_90K: Final = 3600
"""Taken for the time between two pictures that do not belong together."""
MAX_BITRATE: Final = "3M"
_TIME_BASE: Final = Fraction(1, SECOND_90K)
_REMEMBERED: Final = 64
"""Access units that a decoder may hold before it shows them; H.265 allows 16."""


class CannotConvertError(PantauError):
    """This build of FFmpeg lacks a codec that the conversion needs."""

    code = "cannot-convert"


class PictureConverter:
    """Converts one camera's access units, in decoding order. Not thread-safe."""

    def __init__(self, epoch: int, max_height_px: int, masks: tuple[Rectangle, ...] = ()) -> None:
        """``epoch`` is that of the units that come out; pictures higher than ``max_height_px`` are scaled down, and
        ``masks`` drawn in all."""
        self._masks = masks
        self._epoch = epoch
        self._max_height_px = max_height_px // 2 * 2
        self._sequence = 0
        self._codec: Codec | None = None
        self._decoder: av.VideoCodecContext | None = None
        self._encoder: av.VideoCodecContext | None = None
        self._scaler = VideoReformatter()
        self._sources: OrderedDict[int, AccessUnit] = OrderedDict()
        """By presentation time: the access unit that a decoded picture came from."""
        self._keyframe_at: int | None = None
        self._last_pts: int | None = None
        self._from_pts: int | None = None
        """Of the first keyframe. In an open GOP it is followed by pictures that are shown before it, and that the
        decoder lacks references for."""
        self._encoder_90k = 0
        """The encoder's own time, which only ever grows."""
        self._anew = True

    def convert(self, unit: AccessUnit, *, show: bool = True) -> list[AccessUnit]:
        """The pictures that ``unit`` completes. Not ``show``: it is decoded only, for the sake of those after it.

        Broken pictures are passed over. Raises `CannotConvertError`.
        """
        if unit.codec is not self._codec or unit.flags & Flags.DISCONTINUITY:
            self._restart(unit.codec)
        if self._decoder is None:
            if not unit.keyframe:
                return []
            self._decoder = _decoder(unit.codec)
            self._from_pts = unit.pts_90k
        try:
            packet = av.Packet(unit.payload if unit.codec is Codec.MJPEG else length_prefixed_to_annex_b(unit.payload))
        except BitstreamError:
            return []
        packet.pts, packet.dts, packet.time_base = unit.pts_90k, unit.dts_90k, _TIME_BASE
        if self._from_pts is None or unit.pts_90k >= self._from_pts:
            self._sources[unit.pts_90k] = unit
        if len(self._sources) > _REMEMBERED:
            self._sources.popitem(last=False)
        try:
            pictures = self._decoder.decode(packet)
        except av.error.FFmpegError:
            return []
        return [out for picture in pictures if show for out in self._encode(picture)]

    def flush(self) -> list[AccessUnit]:
        """The pictures that the decoder still holds. What comes next begins anew, and first of all with a keyframe."""
        if self._codec is None or self._decoder is None:
            return []
        try:
            pictures = self._decoder.decode(None)
        except av.error.FFmpegError:
            pictures = []
        out = [unit for picture in pictures for unit in self._encode(picture)]
        self._restart(self._codec)
        return out

    def _restart(self, codec: Codec) -> None:
        self._codec, self._decoder = codec, None
        self._sources.clear()
        self._last_pts = self._keyframe_at = None
        self._anew = True

    def _encode(self, picture: av.VideoFrame) -> list[AccessUnit]:
        pts = picture.pts
        source = self._sources.pop(pts, None) if pts is not None else None
        if pts is None or source is None or (self._last_pts is not None and pts <= self._last_pts):
            return []
        width, height = _scaled(picture.width, picture.height, self._max_height_px)
        encoder = self._encoder
        if encoder is None or (encoder.width, encoder.height) != (width, height):
            encoder = self._encoder = _encoder(width, height)
            self._keyframe_at = None
        small = self._scaler.reformat(picture, width, height, "yuv420p", dst_color_range="MPEG")
        if self._masks:
            draw_masks(small, self._masks)
        self._encoder_90k += pts - self._last_pts if self._last_pts is not None else FRAME_90K
        small.pts, small.time_base = self._encoder_90k, _TIME_BASE
        if self._keyframe_at is None or pts - self._keyframe_at >= KEYFRAME_90K:
            small.pict_type = PictureType.I
            self._keyframe_at = pts
        else:
            small.pict_type = PictureType.NONE
        self._last_pts = pts
        return [self._unit(packet, source) for packet in encoder.encode(small)]

    def _unit(self, packet: "av.Packet[av.VideoStream]", source: AccessUnit) -> AccessUnit:
        flags = Flags.KEYFRAME if packet.is_keyframe else Flags.NONE
        if source.damaged:
            flags |= Flags.DAMAGED
        if self._anew:
            flags |= Flags.DISCONTINUITY
            self._anew = False
        self._sequence += 1
        return source._replace(
            flags=flags,
            codec=Codec.H264,
            epoch=self._epoch,
            sequence=self._sequence,
            dts_90k=source.pts_90k,
            payload=annex_b_to_length_prefixed(bytes(packet)),
            extradata=b"",
        )


def _scaled(width_px: int, height_px: int, max_height_px: int) -> tuple[int, int]:
    """Even, as 4:2:0 wants it."""
    if height_px > max_height_px:
        width_px, height_px = round(width_px * max_height_px / height_px), max_height_px
    return max(2, width_px // 2 * 2), max(2, height_px // 2 * 2)


def _decoder(codec: Codec) -> av.VideoCodecContext:
    context = av.CodecContext.create(codec.ffmpeg_name, "r")
    assert isinstance(context, av.VideoCodecContext)
    context.thread_type = "SLICE"  # threads by frame would hold back one picture each
    context.thread_count = 2
    return context


def _encoder(width_px: int, height_px: int) -> av.VideoCodecContext:
    try:
        context = av.VideoCodecContext.create("libx264", "w")
    except UnknownCodecError as error:
        raise CannotConvertError("this FFmpeg has no libx264: pictures cannot be converted") from error
    context.width, context.height, context.pix_fmt = width_px, height_px, "yuv420p"
    context.time_base = _TIME_BASE
    context.gop_size = 1 << 20  # `_encode` places keyframes by time, not by count
    context.max_b_frames = 0
    context.thread_count = 1
    context.options = {
        "preset": "ultrafast", "tune": "zerolatency", "profile": "baseline", "forced-idr": "1", "crf": "24",
        "maxrate": MAX_BITRATE, "bufsize": MAX_BITRATE,
    }  # fmt: skip
    return context
