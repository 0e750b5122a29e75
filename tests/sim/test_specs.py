"""Presets and places."""

import pytest

from services.contracts.subjects import is_id
from services.sim.pictures.places import camera_id, place
from services.sim.specs import PRESETS, VideoSpec


@pytest.mark.parametrize("preset", PRESETS)
def test_loops_of_a_preset_are_whole_gops_whose_frames_the_marker_can_count(preset: str) -> None:
    for number in range(1, 23):
        camera = PRESETS[preset](number)
        for stream in (camera.main, camera.sub):
            assert stream.video.loop_frames % stream.video.gop_frames == 0
            assert stream.video.loop_frames <= 0xFFF
            assert 90_000 % stream.video.frame_rate == 0


def test_mixed_has_one_of_every_kind() -> None:
    cameras = [PRESETS["mixed"](number) for number in range(1, 12)]
    assert {camera.main.video.codec for camera in cameras} == {"h264", "hevc", "mjpeg"}
    assert {camera.main.audio.codec for camera in cameras if camera.main.audio} == {"pcm_mulaw", "pcm_alaw", "aac"}
    assert {camera.main.video.gop_seconds for camera in cameras} == {2, 4, 10}
    assert {camera.main.video.b_frames for camera in cameras} == {0, 2}


def test_a_loop_that_is_cut_in_a_gop_is_refused() -> None:
    with pytest.raises(ValueError, match="whole number of GOPs"):
        VideoSpec(gop_seconds=3, loop_seconds=8)


def test_four_hundred_cameras_have_different_names_and_ids() -> None:
    assert len({place(number).name for number in range(1, 401)}) == 400
    assert all(is_id(camera_id(number)) for number in range(1, 4096))
