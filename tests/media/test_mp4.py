"""The fragmented files and clips that we write, held against FFmpeg's reader and against our own."""

import io
import json
import subprocess
from array import array
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.media.mp4 import boxes, fragment, movie, progressive, reader
from services.media.mp4.boxes import Mp4Error
from services.media.mp4.tracks import AudioTrack, Track, VideoTrack, parse_sample_entries, sample_entry
from tests.media import encoded, movies

CODECS = [("libx264", "h264", 0), ("libx264", "h264", 2), ("libx265", "hevc", 2), ("mjpeg", "mjpeg", 0)]


def stream_of(encoder: str, b_frames: int) -> encoded.Stream:
    pixel_format = "yuvj420p" if encoder == "mjpeg" else "yuv420p"
    return encoded.video(encoder, frames=60, gop=25, b_frames=b_frames, pixel_format=pixel_format)


def read_from(data: bytes) -> reader.ReadAt:
    return lambda at, size: data[at : at + size]


def probe(path: Path) -> Any:
    command = ["ffprobe", "-v", "error", "-show_streams", "-show_packets", "-show_format", "-of", "json", str(path)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stderr == ""
    return json.loads(result.stdout)


@pytest.mark.parametrize(("encoder", "codec", "b_frames"), CODECS)
def test_ffmpeg_decodes_every_frame_in_order_and_at_its_time(encoder: str, codec: str, b_frames: int) -> None:
    stream = stream_of(encoder, b_frames)
    opening, fragments = movies.file_of(stream, codec)
    with av.open(io.BytesIO(opening + b"".join(fragments))) as container:
        assert isinstance(container, av.container.InputContainer)
        shown = [frame.pts for frame in container.decode(video=0)]
        assert container.streams.video[0].codec_context.name == codec
    first = movies.samples(stream, codec)[0].composition_offset
    assert shown == [first + index * movies.FRAME_90K for index in range(60)]


@pytest.mark.parametrize(
    ("encoder", "track", "samples"),
    [
        ("aac", AudioTrack("aac", 16000, 1, b""), 1024),
        ("pcm_alaw", AudioTrack("pcm_alaw", 8000, 1), 160),
        ("pcm_mulaw", AudioTrack("pcm_mulaw", 8000, 1), 160),
    ],
)
def test_sound_lies_beside_the_picture(encoder: str, track: AudioTrack, samples: int, tmp_path: Path) -> None:
    sound = encoded.audio(encoder, rate=track.sample_rate_hz)
    track = track._replace(config=sound.extradata)
    opening, fragments = movies.file_of(stream_of("libx264", 0), "h264", (sound, track, samples))
    path = tmp_path / "with-sound.mp4"
    path.write_bytes(opening + b"".join(fragments))
    found = probe(path)
    audio = next(stream for stream in found["streams"] if stream["codec_type"] == "audio")
    assert (audio["codec_name"], audio["sample_rate"]) == (encoder, str(track.sample_rate_hz))
    times = [int(packet["pts"]) for packet in found["packets"] if packet["codec_type"] == "audio"]
    assert times == [index * samples for index in range(len(times))]
    assert len(times) >= len(sound.packets) - 1
    scanned = reader.read_opening(read_from(opening), len(opening))
    assert scanned.movie.tracks[2] == track


@pytest.mark.parametrize(("encoder", "codec", "b_frames"), CODECS)
def test_our_reader_finds_what_was_written(encoder: str, codec: str, b_frames: int) -> None:
    stream = stream_of(encoder, b_frames)
    opening, fragments = movies.file_of(stream, codec)
    data = opening + b"".join(fragments)
    read = read_from(data)
    head = reader.read_opening(read, len(data))
    assert head.end == len(opening)
    assert head.movie.tracks == {1: movies.video_track(stream, codec)}
    assert head.movie.info == {"camera": "cam-1"}
    assert head.movie.created_us == movies.START_US // 1_000_000 * 1_000_000
    found = list(reader.read_fragments(read, len(data), head.end))
    assert [item.end - item.offset for item in found] == [len(item) for item in fragments]
    expected = movies.samples(stream, codec)
    got = [(item.moof_offset, sample) for item in found for sample in item.info.runs[1]]
    assert [data[at + s.offset : at + s.offset + s.size_bytes] for at, s in got] == [s.data for s in expected]
    assert [(s.duration, s.composition_offset, s.keyframe, s.damaged) for _, s in got] == [s[1:] for s in expected]
    assert [s.time for _, s in got] == [index * movies.FRAME_90K for index in range(60)]
    assert [item.capture_us for item in found] == [
        movies.START_US + item.info.runs[1][0].time * 100 // 9 for item in found
    ]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_file_cut_anywhere_keeps_its_complete_fragments(data: st.DataObject) -> None:
    opening, fragments = movies.file_of(stream_of("libx264", 2), "h264")
    whole = opening + b"".join(fragments)
    cut = data.draw(st.integers(0, len(whole)))
    torn = whole[:cut] + data.draw(st.sampled_from([b"", b"\0" * 40, b"\0\0\0\1moof" + b"\xff" * 8]))
    ends = [len(opening)]
    for item in fragments:
        ends.append(ends[-1] + len(item))
    assert sealed(torn) == len([end for end in ends[1:] if end <= cut])


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_changed_byte_breaks_the_seal(data: st.DataObject) -> None:
    opening, fragments = movies.file_of(stream_of("libx264", 2), "h264")
    damaged = bytearray(opening + b"".join(fragments))
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert sealed(bytes(damaged)) < len(fragments)
    assert sealed(opening + b"".join(fragments)) == len(fragments)
    assert sealed(opening + b"".join(fragments[1:])) == 0


def sealed(data: bytes) -> int:
    """How many fragments follow each other unbroken."""
    read = read_from(data)
    try:
        head = reader.read_opening(read, len(data))
    except Mp4Error:
        return 0
    previous, count = reader.opening_link(read, head), 0
    for item in reader.read_fragments(read, len(data), head.end):
        if not reader.verify(read, previous, item):
            break
        previous, count = item.link, count + 1
    return count


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 1 << 30), st.integers(0, 255))
def test_a_damaged_file_is_read_or_refused(position: int, value: int) -> None:
    opening, fragments = movies.file_of(stream_of("libx264", 2), "h264")
    heads = opening + b"".join(item[:700] for item in fragments[:1])
    damaged = bytearray(opening + b"".join(fragments))
    damaged[position % len(heads)] = value
    read = read_from(bytes(damaged))
    try:
        head = reader.read_opening(read, len(damaged))
    except Mp4Error:
        return
    for item in reader.read_fragments(read, len(damaged), head.end):
        assert item.end <= len(damaged)


@given(st.binary(max_size=200))
def test_any_bytes_are_boxes_or_refused(data: bytes) -> None:
    try:
        for child in boxes.children(data):
            assert child.end <= len(data)
        movie.parse_movie(data)
        fragment.parse_moof(data)
    except Mp4Error:
        return


sample_lists = st.lists(
    st.builds(
        fragment.Sample,
        st.binary(max_size=30),
        st.integers(0, 0xFFFFFFFF),
        st.integers(-(1 << 31), (1 << 31) - 1),
        st.booleans(),
    ),
    min_size=1,
    max_size=20,
)


@given(sample_lists, sample_lists, st.integers(0, 1 << 62), st.integers(0, 4_000_000_000_000_000))
def test_a_fragment_gives_back_its_samples(
    first: list[fragment.Sample], second: list[fragment.Sample], base: int, capture_us: int
) -> None:
    runs = [fragment.TrackRun(1, base, first), fragment.TrackRun(2, base + 5, second)]
    data = b"".join((*fragment.build(7, capture_us, runs), fragment.seal(bytes(32))))
    found = reader.read_fragment(read_from(data), len(data), 0)
    # NTP's 32 bits of seconds begin anew in 2036, so only that era is exact.
    if capture_us < 2_085_978_496_000_000:
        assert found.capture_us == capture_us
    assert found.info.sequence_number == 7
    for number, samples in ((1, first), (2, second)):
        got = found.info.runs[number]
        at = found.moof_offset
        assert [data[at + s.offset : at + s.offset + s.size_bytes] for s in got] == [s.data for s in samples]
        assert [(s.duration, s.composition_offset, s.keyframe, s.damaged) for s in got] == [s[1:] for s in samples]
    assert found.info.runs[1][0].time == base
    assert found.end == len(data)


@given(sample_lists, st.integers(0, 1 << 62), st.data())
def test_samples_by_column_are_the_sequence_that_they_stand_for(
    samples: list[fragment.Sample], base: int, data: st.DataObject
) -> None:
    made = b"".join(fragment.build(1, 0, [fragment.TrackRun(1, base, samples)])) + fragment.seal(bytes(32))
    got = reader.read_fragment(read_from(made), len(made), 0).info.runs[1]
    whole = list(got)
    assert [sample.time for sample in whole] == list(accumulate((s.duration for s in samples[:-1]), initial=base))
    index = data.draw(st.integers(-len(samples), len(samples) - 1))
    assert got[index] == whole[index]
    part = data.draw(st.slices(len(samples)).filter(lambda part: part.step in (None, 1)))
    assert list(got[part]) == whole[part]
    assert got.size_bytes == sum(sample.size_bytes for sample in whole)


def test_a_fragment_with_two_runs_of_a_track_is_none_of_ours() -> None:
    moof = b"".join(fragment.build(1, 0, [fragment.TrackRun(1, 0, [fragment.Sample(b"x", 1)])]))[40:-1]
    traf = moof[16 : moof.index(b"mdat") - 4]
    assert fragment.parse_moof(moof[:16] + traf).runs[1].size_bytes == 1
    with pytest.raises(Mp4Error, match="more than one run"):
        fragment.parse_moof(moof[:16] + traf + traf)


@pytest.mark.parametrize(
    "track",
    [
        VideoTrack("h264", 1920, 1080, b"\1avcC-record"),
        VideoTrack("hevc", 3840, 2160, b"\1hvcC-record"),
        VideoTrack("mjpeg", 640, 480),
        AudioTrack("aac", 16000, 2, b"\x14\x10"),
        AudioTrack("pcm_alaw", 8000, 1),
        AudioTrack("opus", 48000, 2),
    ],
)
def test_a_sample_entry_gives_back_its_track(track: Track) -> None:
    stsd = bytes(4) + b"\0\0\0\1" + sample_entry(track)
    assert parse_sample_entries(stsd, 0, len(stsd)) == [track]


def test_a_codec_without_sample_entry_is_refused() -> None:
    with pytest.raises(Mp4Error, match="vp9"):
        sample_entry(VideoTrack("vp9", 1, 1))


def columns(samples: Sequence[fragment.Sample]) -> progressive.ChunkSamples:
    return progressive.ChunkSamples(
        array("I", (len(sample.data) for sample in samples)),
        array("I", (sample.duration for sample in samples)),
        array("i", (sample.composition_offset for sample in samples)),
        [index for index, sample in enumerate(samples) if sample.keyframe],
    )


def clip_of(stream: encoded.Stream, codec: str, *, shown_from: int, shown: int) -> bytes:
    """A clip of all samples that shows ``shown`` frames from frame ``shown_from`` on."""
    track = movies.video_track(stream, codec)
    made = movies.samples(stream, codec)
    chunks = [progressive.Chunk(0, track, columns(gop)) for gop in movies.gops(made)]
    head, data_bytes = progressive.header(
        [progressive.ClipTrack(90_000, -shown_from * movies.FRAME_90K)],
        chunks,
        created_us=movies.START_US,
        duration_90k=shown * movies.FRAME_90K,
        info={},
    )
    data = b"".join(sample.data for sample in made)
    assert len(data) == data_bytes
    return head + data


@pytest.mark.parametrize(("encoder", "codec", "b_frames"), CODECS)
def test_a_clip_begins_and_ends_at_the_asked_frame(encoder: str, codec: str, b_frames: int, tmp_path: Path) -> None:
    stream = stream_of(encoder, b_frames)
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip_of(stream, codec, shown_from=7, shown=40))
    with av.open(str(path)) as container:
        assert isinstance(container, av.container.InputContainer)
        frames = list(container.decode(video=0))
        assert container.metadata["creation_time"].startswith("2023-11-14T22:13:20")
    shown = [frame for frame in frames if (frame.time or 0) >= 0]
    assert [round((frame.time or 0) * 25) for frame in shown][:40] == list(range(40))
    # The picture tells which one it is: decoded alone, frame 7 is the first that is presented.
    opening, fragments = movies.file_of(stream, codec)
    with av.open(io.BytesIO(opening + b"".join(fragments))) as container:
        assert isinstance(container, av.container.InputContainer)
        originals = list(container.decode(video=0))
    assert bytes(shown[0].planes[0]) == bytes(originals[7].planes[0])
    assert abs(float(probe(path)["format"]["duration"]) - 40 / 25) < 0.05


def test_sound_that_begins_later_is_shown_later(tmp_path: Path) -> None:
    stream, sound = stream_of("libx264", 0), encoded.audio("aac", rate=16000)
    video, audio = movies.video_track(stream, "h264"), AudioTrack("aac", 16000, 1, sound.extradata)
    pictures = movies.samples(stream, "h264")
    chunks = [
        progressive.Chunk(0, video, columns(pictures)),
        progressive.Chunk(1, audio, columns([fragment.Sample(p.data, 1024) for p in sound.packets])),
    ]
    head, _ = progressive.header(
        [progressive.ClipTrack(90_000, 0), progressive.ClipTrack(16_000, 8_000)],
        chunks,
        created_us=movies.START_US,
        duration_90k=60 * movies.FRAME_90K,
        info={},
    )
    path = tmp_path / "clip.mp4"
    path.write_bytes(head + b"".join(s.data for s in pictures) + b"".join(p.data for p in sound.packets))
    found = probe(path)
    first = next(packet for packet in found["packets"] if packet["codec_type"] == "audio")
    assert abs(float(first["pts_time"]) - 0.5) < 0.001


def test_a_clip_of_nothing_is_refused() -> None:
    with pytest.raises(Mp4Error, match="without samples"):
        progressive.header([progressive.ClipTrack(90_000, 0)], [], created_us=0, duration_90k=0, info={})
