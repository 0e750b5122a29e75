"""One keyframe to one JPEG. Blocking and pure: run it in a thread, and import it there (`SnapshotCache`)."""

from fractions import Fraction
from io import BytesIO
from typing import Final

import av
import av.error
from av.codec.context import CodecContext
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from services.contracts.frames import Codec
from services.media.mp4.boxes import need, u32, u64
from services.media.nal import length_prefixed_to_annex_b
from services.wall.front.pictures.picture_cache import PictureError
from services.wall.masking import Rectangle, draw_masks

QUALITY: Final = 3
"""libavcodec's quantizer scale: 2 is the best, 31 the worst."""
MAX_WIDTH_PX: Final = 8192


def to_jpeg(codec: Codec, payload: bytes, width_px: int | None = None, masks: tuple[Rectangle, ...] = ()) -> bytes:
    """A JPEG of the keyframe in ``payload`` (see `services.contracts.frames`), scaled down to at most ``width_px``.
    ``masks`` are drawn in it.

    Keeps the proportions. Raises `PictureError`.
    """
    if codec is Codec.MJPEG and width_px is None and not masks:
        return payload
    try:
        return _encode(_decode(codec, payload), width_px, masks)
    except (av.error.FFmpegError, ValueError) as error:
        raise PictureError(f"the keyframe cannot be decoded: {error}") from error


def clip_to_jpeg(clip: bytes, width_px: int | None = None, masks: tuple[Rectangle, ...] = ()) -> bytes:
    """A JPEG of the picture that an MP4 of ours begins with, for a player, with ``masks``. Raises `PictureError`.

    That is the last one shown at or before its edit's start; libav's own handling of edits begins at the next one.
    """
    shown: VideoFrame | None = None
    try:
        start = _edit_start(clip)
        with av.open(BytesIO(clip), "r", format="mp4", options={"ignore_editlist": "1"}) as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            for frame in container.decode(stream):
                if shown is not None and (frame.pts or 0) > start:
                    break
                shown = frame
        if shown is None:
            raise PictureError("the recording holds no picture there")
        return _encode(shown, width_px, masks)
    except (av.error.FFmpegError, ValueError, IndexError) as error:
        raise PictureError(f"the recording cannot be decoded there: {error}") from error


def _edit_start(clip: bytes) -> int:
    """Where the last edit begins, in the video track's timescale (ISO/IEC 14496-12, 8.6.6; version 1, as ours are)."""
    edits = need(clip, "moov/trak/edts/elst")
    count = u32(clip, edits.start + 4)
    return u64(clip, edits.start + 8 + (count - 1) * 20 + 8)


def _decode(codec: Codec, payload: bytes) -> VideoFrame:
    if not codec.is_video:
        raise PictureError(f"{codec.name} is no video")
    decoder = CodecContext.create(codec.ffmpeg_name, "r")
    assert isinstance(decoder, VideoCodecContext)
    decoder.thread_count = 1
    data = payload if codec is Codec.MJPEG else length_prefixed_to_annex_b(payload)
    frames = [*decoder.decode(av.Packet(data)), *decoder.decode(None)]
    if not frames or frames[0].width > MAX_WIDTH_PX or frames[0].height > MAX_WIDTH_PX:
        raise PictureError("the keyframe holds no picture")
    return frames[0]


def _encode(frame: VideoFrame, width_px: int | None, masks: tuple[Rectangle, ...] = ()) -> bytes:
    width, height = frame.width, frame.height
    if width_px is not None and width_px < width:
        width, height = width_px & ~1 or 2, max(2, round(height * width_px / width) & ~1)
    picture = frame.reformat(width=width, height=height, format="yuvj420p", dst_color_range="JPEG")
    if masks:
        draw_masks(picture, masks)
    encoder = CodecContext.create("mjpeg", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuvj420p"
    encoder.time_base = Fraction(1, 25)
    encoder.thread_count = 1
    encoder.qmin = encoder.qmax = QUALITY
    picture.pts = 0
    packets = [*encoder.encode(picture), *encoder.encode(None)]
    return b"".join(bytes(packet) for packet in packets)
