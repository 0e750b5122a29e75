"""Fragmented files made of the encoded streams, as the recorder makes them."""

from services.media import h264, h265, nal
from services.media.mp4 import fragment, movie
from services.media.mp4.tracks import AudioTrack, Track, VideoTrack
from tests.media import encoded

START_US = 1_700_000_000_123_456
FRAME_90K = 3600


def video_track(stream: encoded.Stream, codec: str) -> VideoTrack:
    units = nal.split_annex_b(stream.extradata)
    config = b""
    if codec == "h264":
        config = h264.avcc(h264.parameter_sets(units))
    elif codec == "hevc":
        config = h265.hvcc(h265.parameter_sets(units))
    return VideoTrack(codec, stream.width_px, stream.height_px, config)


def samples(stream: encoded.Stream, codec: str) -> list[fragment.Sample]:
    """Parameter sets stand in the sample entry alone."""
    made = []
    for packet in stream.packets:
        data = packet.data
        if codec in ("h264", "hevc"):
            is_set = h264.is_parameter_set if codec == "h264" else h265.is_parameter_set
            data = nal.join_length_prefixed(unit for unit in nal.split_annex_b(data) if not is_set(unit))
        made.append(fragment.Sample(data, FRAME_90K, (packet.pts - packet.dts) * FRAME_90K, packet.keyframe))
    return made


def gops(all_samples: list[fragment.Sample]) -> list[list[fragment.Sample]]:
    found: list[list[fragment.Sample]] = []
    for sample in all_samples:
        if sample.keyframe or not found:
            found.append([])
        found[-1].append(sample)
    return found


def file_of(
    stream: encoded.Stream,
    codec: str,
    sound: tuple[encoded.Stream, AudioTrack, int] | None = None,
    *,
    start_us: int = START_US,
    made: str = "",
) -> tuple[bytes, list[bytes]]:
    """The opening and each fragment of a file; ``sound`` is a stream, its track and its samples' duration.

    ``made`` stands in its description.
    """
    tracks: list[Track] = [video_track(stream, codec)]
    audio: list[fragment.Sample] = []
    if sound:
        tracks.append(sound[1])
        audio = [fragment.Sample(packet.data, sound[2]) for packet in sound[0].packets]
    info: dict[str, object] = {"camera": "cam-1", **({"made": made} if made else {})}
    opening = movie.FILE_TYPE + movie.movie(tracks, created_us=start_us, info=info)
    parted, time, heard = [], 0, 0
    link = fragment.link(b"", (opening,))
    for number, gop in enumerate(gops(samples(stream, codec)), 1):
        end = time + sum(sample.duration for sample in gop)
        runs = [fragment.TrackRun(1, time, gop)]
        if sound:
            until = end * sound[1].timescale // 90_000
            count = max(0, (until - heard + sound[2] - 1) // sound[2])
            runs.append(fragment.TrackRun(2, heard, audio[:count]))
            heard += sound[2] * len(audio[:count])
            del audio[:count]
        parts = fragment.build(number, start_us + time * 100 // 9, runs)
        link = fragment.link(link, parts)
        parted.append(b"".join((*parts, fragment.seal(link))))
        time = end
    return opening, parted
