"""The cache's files and keys."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.sim import clip
from services.sim.clip import ClipError, ClipKey, ClipUnit, EncodedClip
from services.sim.specs import AudioSpec, VideoSpec

CLIP = EncodedClip(
    "h264", 640, 360, 90_000, 6000, (b"\x67sps", b"\x68pps"),
    (ClipUnit(0, keyframe=True, data=b"\0\0\0\x02\x65a"), ClipUnit(1, keyframe=False, data=b"\0\0\0\x02\x41b")),
)  # fmt: skip


def test_a_clip_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.clip"
    clip.save(CLIP, path)
    assert clip.load(path) == CLIP
    assert [each.name for each in path.parent.iterdir()] == ["a.clip"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.data())
def test_a_file_that_is_cut_or_altered_is_noticed(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "a.clip"
    clip.save(CLIP, path)
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        del content[at:]
    else:
        content[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    with pytest.raises(ClipError):
        clip.load(path)


def test_whatever_changes_a_picture_changes_the_key() -> None:
    key = ClipKey(1, "CAM-001", VideoSpec())
    others = [
        replace(key, scene=2), replace(key, label="CAM-002"), replace(key, track=VideoSpec(bitrate_bps=1)),
        replace(key, track=VideoSpec(b_frames=2)), replace(key, track=VideoSpec(codec="hevc")),
        replace(key, track=AudioSpec()), replace(key, track=AudioSpec("aac")), replace(key, marker=False),
    ]  # fmt: skip
    assert len({each.file_name for each in [key, *others]}) == len(others) + 1
    assert ClipKey(1, "CAM-001", VideoSpec()).file_name == key.file_name


@pytest.mark.parametrize("track", [VideoSpec(codec="hevc", b_frames=1), AudioSpec("aac")])
def test_a_key_reaches_a_worker_whole(track: VideoSpec | AudioSpec) -> None:
    key = ClipKey(7, "CAM-007 Jl. Veteran", track)
    assert ClipKey.unpack(key.pack()) == key
