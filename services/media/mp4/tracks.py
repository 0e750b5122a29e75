"""Tracks: the data that decoding one needs, and its sample entry (ISO/IEC 14496-12, 8.5.2; 14496-14; 14496-15)."""

from typing import Final, NamedTuple

from services.media.codecs import AUDIO, VIDEO
from services.media.mp4.boxes import Mp4Error, box, children, find, full_box, need, u32
from services.media.time import SECOND_90K

VIDEO_TIMESCALE: Final = SECOND_90K

_VIDEO_BY_ENTRY: Final = {codec.sample_entry: codec for codec in VIDEO.values()}
_AUDIO_BY_ENTRY: Final = {codec.sample_entry: codec for codec in AUDIO.values()}


class VideoTrack(NamedTuple):
    """A video track."""

    codec: str
    """FFmpeg's name, as in `services.media.codecs.VIDEO`."""
    width_px: int
    height_px: int
    config: bytes = b""
    """See `services.media.codecs.PictureFormat.config`."""

    @property
    def timescale(self) -> int:
        """Media time is 90 kHz."""
        return VIDEO_TIMESCALE


class AudioTrack(NamedTuple):
    """An audio track."""

    codec: str
    """FFmpeg's name, as in `services.media.codecs.AUDIO`."""
    sample_rate_hz: int
    channels: int
    config: bytes = b""
    """AudioSpecificConfig; nothing for the others."""

    @property
    def timescale(self) -> int:
        """Media time counts samples, so that durations are exact."""
        return self.sample_rate_hz


Track = VideoTrack | AudioTrack


def sample_entry(track: Track) -> bytes:
    """The box that stands in ``stsd``. Raises `Mp4Error` for a codec that has none here."""
    if isinstance(track, VideoTrack):
        video = VIDEO.get(track.codec)
        if video is None:
            raise Mp4Error(f"no sample entry for {track.codec}")
        return box(
            video.sample_entry,
            bytes(6), b"\0\1",  # data_reference_index
            bytes(16),
            track.width_px.to_bytes(2, "big"), track.height_px.to_bytes(2, "big"),
            b"\0\x48\0\0\0\x48\0\0",  # 72 dpi
            bytes(4), b"\0\1",  # one frame a sample
            bytes(32), b"\0\x18\xff\xff",  # no compressor name, depth 24
            box(video.config_box, track.config) if video.config_box else b"",
        )  # fmt: skip
    if track.codec not in AUDIO:
        raise Mp4Error(f"no sample entry for {track.codec}")
    extra = b""
    if track.codec == "aac":
        extra = _esds(track.config)
    elif track.codec == "opus":
        # Encapsulation of Opus in ISOBMFF, 4.3.2: version, channels, pre-skip, input rate, gain, family.
        extra = box(b"dOps", bytes((0, track.channels)), b"\x01\x38", (48000).to_bytes(4, "big"), b"\0\0\0")
    return box(
        AUDIO[track.codec].sample_entry,
        bytes(6), b"\0\1",
        bytes(8),
        track.channels.to_bytes(2, "big"), b"\0\x10", bytes(4),
        (min(track.sample_rate_hz, 0xFFFF) << 16).to_bytes(4, "big"),
        extra,
    )  # fmt: skip


def parse_sample_entries(data: bytes, start: int, end: int) -> list[Track]:
    """The tracks that the entries of the ``stsd`` content in ``data[start:end]`` describe."""
    tracks: list[Track] = []
    for entry in children(data, start + 8, end):
        if entry.kind in _VIDEO_BY_ENTRY:
            video = _VIDEO_BY_ENTRY[entry.kind]
            width, height = u32(data, entry.start + 24) >> 16, u32(data, entry.start + 24) & 0xFFFF
            config = b""
            if video.config_box:
                found = need(data, video.config_box.decode(), entry.start + 78, entry.end)
                config = data[found.start : found.end]
            tracks.append(VideoTrack(video.name, width, height, config))
        elif entry.kind in _AUDIO_BY_ENTRY:
            codec = _AUDIO_BY_ENTRY[entry.kind].name
            channels, rate = u32(data, entry.start + 16) >> 16, u32(data, entry.start + 24) >> 16
            config = b""
            if codec == "aac" and (found_esds := find(data, "esds", entry.start + 28, entry.end)):
                config = _parse_esds(data[found_esds.start + 4 : found_esds.end])
            tracks.append(AudioTrack(codec, rate, channels, config))
        else:
            raise Mp4Error(f"a sample entry {entry.kind!r}, which we do not write")
    return tracks


def _descriptor(tag: int, *parts: bytes) -> bytes:
    """ISO/IEC 14496-1, 8.3.3, with the size in four bytes, as other writers do."""
    body = b"".join(parts)
    size = len(body)
    return bytes((tag, 0x80 | size >> 21, 0x80 | size >> 14 & 0x7F, 0x80 | size >> 7 & 0x7F, size & 0x7F)) + body


def _esds(config: bytes) -> bytes:
    decoder = _descriptor(4, b"\x40\x15", bytes(3), bytes(8), _descriptor(5, config))
    return full_box(b"esds", 0, 0, _descriptor(3, b"\0\1\0", decoder, _descriptor(6, b"\2")))


def _parse_esds(data: bytes) -> bytes:
    """The DecoderSpecificInfo within an ES_Descriptor."""
    at = 0
    while at < len(data):
        tag, at, size = data[at], at + 1, 0
        while at < len(data):
            byte, at = data[at], at + 1
            size = size << 7 | byte & 0x7F
            if not byte & 0x80:
                break
        if tag == 5:
            return data[at : at + size]
        at += {3: 3, 4: 13}.get(tag, size)
    return b""
