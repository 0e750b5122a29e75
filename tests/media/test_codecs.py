"""The table of codecs: its rows agree with what FFmpeg encodes, and with what the wire and MP4 know."""

import pytest

from services.contracts.frames import Codec
from services.media.codecs import AUDIO, NAME_BY_RTP_NAME, VIDEO
from services.media.mp4.tracks import AudioTrack, VideoTrack, parse_sample_entries, sample_entry
from services.media.nal import annex_b_to_length_prefixed, split_length_prefixed
from tests.media.encoded import video


def test_every_codec_of_the_wire_has_a_row_and_every_row_a_number() -> None:
    assert {codec.ffmpeg_name for codec in Codec} == VIDEO.keys() | AUDIO.keys()
    assert {codec.ffmpeg_name for codec in Codec if codec.is_video} == VIDEO.keys()


def test_names_in_sdp_are_upper_case_and_of_one_codec_each() -> None:
    names = [codec.rtp_name for codec in VIDEO.values()]
    names += [name for codec in AUDIO.values() for name in codec.rtp_names]
    assert len(names) == len(set(names)) == len(NAME_BY_RTP_NAME)
    assert all(name == name.upper() for name in names)


def test_what_browsers_take_can_be_packetized_and_offered() -> None:
    for codec in VIDEO.values():
        good = {"packetization-mode": "1"}
        assert (codec.packetize is None) == (codec.rank_offer(good) is None)


def stsd(entry: bytes) -> bytes:
    return bytes(8) + entry


@pytest.mark.parametrize("name", sorted(VIDEO))
def test_a_video_sample_entry_is_read_as_it_was_written(name: str) -> None:
    track = VideoTrack(name, 640, 360, b"configuration" if VIDEO[name].config_box else b"")
    entry = stsd(sample_entry(track))
    assert parse_sample_entries(entry, 0, len(entry)) == [track]


@pytest.mark.parametrize("name", sorted(AUDIO))
def test_a_sound_sample_entry_is_read_as_it_was_written(name: str) -> None:
    track = AudioTrack(name, 48_000, 2, b"\x11\x90" if name == "aac" else b"")
    entry = stsd(sample_entry(track))
    assert parse_sample_entries(entry, 0, len(entry)) == [track]


@pytest.mark.parametrize(("encoder", "name"), [("libx264", "h264"), ("libx265", "hevc")])
def test_the_front_of_a_keyframe_says_all_that_a_decoder_needs(encoder: str, name: str) -> None:
    codec = VIDEO[name]
    keyframe = next(packet for packet in video(encoder).packets if packet.keyframe)
    payload = annex_b_to_length_prefixed(keyframe.data)
    end = codec.sets_end(payload)
    front = payload[:end]
    assert 0 < end < len(payload)
    found = codec.read_format(front)
    assert found is not None
    assert found == codec.read_format(payload)
    kept = set(split_length_prefixed(codec.sets_of(found.config)))
    assert kept <= set(split_length_prefixed(front))
    assert codec.read_format(codec.sets_of(found.config)) == found
    assert not codec.is_disposable(payload)


@pytest.mark.parametrize("name", ["h264", "hevc"])
def test_a_keyframe_without_parameter_sets_says_nothing(name: str) -> None:
    picture = (b"\x65" if name == "h264" else b"\x26\x01") + bytes(20)
    payload = len(picture).to_bytes(4, "big") + picture
    assert VIDEO[name].sets_end(payload) == 0
    assert VIDEO[name].read_format(payload) is None


@pytest.mark.parametrize(
    ("name", "parameters", "rank"),
    [
        ("h264", {"packetization-mode": "1", "profile-level-id": "640c1f"}, 0),
        ("h264", {"packetization-mode": "1", "profile-level-id": "4d001f"}, 1),
        ("h264", {"packetization-mode": "1"}, 2),
        ("h264", {"packetization-mode": "1", "profile-level-id": "f4001f"}, 2),
        ("h264", {"packetization-mode": "0", "profile-level-id": "640c1f"}, None),
        ("h264", {"profile-level-id": "42e01f"}, None),
        ("h264", {}, 3),
        ("hevc", {}, 0),
        ("hevc", {"tx-mode": "MRST"}, None),
        ("mjpeg", {}, None),
    ],
)
def test_offers_are_ranked_by_what_decoders_take(name: str, parameters: dict[str, str], rank: int | None) -> None:
    assert VIDEO[name].rank_offer(parameters) == rank
