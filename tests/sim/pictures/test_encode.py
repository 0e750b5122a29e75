"""What is encoded: loops of whole GOPs in which every picture is there."""

import av
import pytest

from services.sim.clip import ClipKey, EncodedClip
from services.sim.packetize import split_nal_units
from services.sim.pictures import encode, marker
from services.sim.specs import AudioSpec, VideoCodec, VideoSpec


def video(codec: VideoCodec = "h264", b_frames: int = 0) -> VideoSpec:
    return VideoSpec(codec, 320, 180, 10, 300_000, gop_seconds=1, loop_seconds=2, b_frames=b_frames)


def make(track: VideoSpec | AudioSpec) -> EncodedClip:
    return encode.make(ClipKey(3, "CAM-003", track))


def decode(clip: EncodedClip) -> list[marker.Marker | None]:
    decoder = av.CodecContext.create(clip.codec, "r")
    assert isinstance(decoder, av.VideoCodecContext)
    seen = []
    for unit in clip.units:
        data = unit.data
        if clip.codec != "mjpeg":
            sets = clip.parameter_sets if unit.keyframe else ()
            data = b"".join(b"\0\0\0\x01" + nal for nal in (*sets, *split_nal_units(data)))
        seen += decoder.decode(av.Packet(data))
    seen += decoder.decode(None)
    return [marker.read(frame.to_ndarray(format="gray")) for frame in seen]


@pytest.mark.parametrize("track", [video(), video(b_frames=2), video("hevc"), video("mjpeg")], ids=str)
def test_a_loop_has_every_picture_and_closed_gops(track: VideoSpec) -> None:
    clip = make(track)
    assert len(clip.units) == 20
    assert sorted(unit.presentation for unit in clip.units) == list(range(20))
    keyframes = [index for index, unit in enumerate(clip.units) if unit.keyframe]
    assert keyframes == (list(range(20)) if track.codec == "mjpeg" else [0, 10])
    for begin in keyframes:
        assert all(unit.presentation >= begin for unit in clip.units[begin:])
    assert decode(clip) == [marker.Marker(3, index) for index in range(20)]


def test_b_frames_are_there_only_where_asked_for() -> None:
    def reordered(clip: EncodedClip) -> bool:
        return any(unit.presentation != index for index, unit in enumerate(clip.units))

    assert reordered(make(video(b_frames=2)))
    assert not reordered(make(video()))


@pytest.mark.parametrize(
    ("codec", "units", "size"), [("pcm_mulaw", 200, 320), ("pcm_alaw", 200, 320), ("aac", 125, None)]
)
def test_sound_fills_its_loop_exactly(codec: str, units: int, size: int | None) -> None:
    spec = AudioSpec(codec)  # type: ignore[arg-type]  # parametrized over the literals
    clip = make(spec)
    assert len(clip.units) == units
    assert units * clip.unit_ticks == spec.loop_seconds * clip.clock_rate_hz
    if size is not None:
        assert {len(unit.data) for unit in clip.units} == {size}
