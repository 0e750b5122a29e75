"""Access units made of the encoded streams, as ingest publishes them."""

from services.contracts.frames import AccessUnit, CaptureClockSource, Codec, Flags
from services.media import h264, h265, nal
from tests.media import encoded

START_US = 1_700_000_000_123_456
FRAME_90K = 3600
FRAME_US = 40_000
ENCODERS = {Codec.H264: "libx264", Codec.HEVC: "libx265", Codec.MJPEG: "mjpeg"}


def stream_of(codec: Codec, *, b_frames: int = 0, gop: int = 25, frames: int = 100) -> encoded.Stream:
    return encoded.video(
        ENCODERS[codec],
        frames=frames,
        gop=gop,
        b_frames=b_frames,
        pixel_format="yuvj420p" if codec is Codec.MJPEG else "yuv420p",
    )


def pictures(
    codec: Codec = Codec.H264,
    *,
    count: int = 100,
    b_frames: int = 0,
    gop: int = 25,
    start_us: int = START_US,
    first_sequence: int = 1,
    epoch: int = 1,
    pts_origin: int = 777_000,
    source: encoded.Stream | None = None,
) -> list[AccessUnit]:
    """``count`` pictures at 25 fps; the encoded stream, whose length is whole GOPs, is repeated as needed."""
    stream = source or stream_of(codec, b_frames=b_frames, gop=gop)
    length = len(stream.packets)
    sets = _sets(codec, stream)
    made = []
    for index in range(count):
        packet = stream.packets[index % length]
        lap = index // length * length
        units = nal.split_annex_b(packet.data) if codec is not Codec.MJPEG else []
        payload = packet.data
        if codec is not Codec.MJPEG:
            is_set = h264.is_parameter_set if codec is Codec.H264 else h265.is_parameter_set
            slices = [unit for unit in units if not is_set(unit)]
            payload = nal.join_length_prefixed([*sets, *slices] if packet.keyframe else slices)
        flags = Flags.KEYFRAME if packet.keyframe else Flags.NONE
        if index == 0:
            flags |= Flags.DISCONTINUITY
        made.append(
            AccessUnit(
                flags,
                codec,
                epoch,
                first_sequence + index,
                pts_origin + (packet.pts + lap) * FRAME_90K,
                pts_origin + (packet.dts + lap) * FRAME_90K,
                start_us + (packet.pts + lap) * FRAME_US,
                2_000,
                CaptureClockSource.RTCP,
                payload,
            )
        )
    return made


def sounds(codec: Codec, *, count: int, start_us: int = START_US) -> list[AccessUnit]:
    rate = 16_000 if codec is Codec.AAC else 8_000
    stream = encoded.audio(codec.name.lower(), rate=rate)
    samples = 1024 if codec is Codec.AAC else 160
    return [
        AccessUnit(
            Flags.KEYFRAME | (Flags.DISCONTINUITY if index == 0 else Flags.NONE),
            codec,
            1,
            1 + index,
            5_000 + index * samples * 90_000 // rate,
            5_000 + index * samples * 90_000 // rate,
            start_us + index * samples * 1_000_000 // rate,
            2_000,
            CaptureClockSource.RTCP,
            stream.packets[index % len(stream.packets)].data,
            stream.extradata if codec is Codec.AAC else b"",
        )
        for index in range(count)
    ]


def _sets(codec: Codec, stream: encoded.Stream) -> list[bytes]:
    if codec is Codec.MJPEG:
        return []
    is_set = h264.is_parameter_set if codec is Codec.H264 else h265.is_parameter_set
    return [unit for unit in nal.split_annex_b(stream.extradata) if is_set(unit)]
