"""Name and time, and masks in the pictures: where they belong, when they were taken, and nothing else changed."""

from datetime import UTC
from pathlib import Path
from zoneinfo import ZoneInfo

import av
import pytest
from av.video.frame import VideoFrame

from services.contracts.frames import Codec
from services.recorder.archive.archive import NoArchive
from services.recorder.reading.footage import RecordedFootage
from services.wall.exports.clip_conversion import ClipConversionError, Drawing, Label, convert_clip
from services.wall.exports.clip_times import MADE_UP, ClipTimes, conversion_of
from services.wall.masking import Rectangle
from tests.footage.slow import SECOND_US, clip, slow_footage
from tests.recorder.rig import Rig
from tests.recorder.units import START_US, pictures, sounds

NAMED = Drawing("cam", UTC)


def test_the_text_names_camera_and_moment_with_its_offset() -> None:
    assert Label("Simpang 5", 720, 1280, UTC).text(START_US) == "Simpang 5  2023-11-14 22:13:20.123 +00:00"
    jakarta = Label("Simpang 5", 720, 1280, ZoneInfo("Asia/Jakarta"))
    assert jakarta.text(START_US) == "Simpang 5  2023-11-15 05:13:20.123 +07:00"


@pytest.mark.parametrize("size", [(64, 48), (1280, 720), (320, 2)])
def test_the_text_stays_within_the_picture_and_leaves_the_rest_alone(size: tuple[int, int]) -> None:
    picture = VideoFrame(*size, "yuv420p")
    for plane in picture.planes:
        plane.update(b"\x77" * plane.buffer_size)
    Label("A camera with a very long name" * 9, size[1], size[0], UTC).draw(picture, START_US)
    luma = bytes(picture.planes[0])
    line = picture.planes[0].line_size
    assert 16 in luma[: 2 * line], "the text stands on black"
    assert set(luma[60 * line :]) <= {0x77}, "below it nothing is touched"


def test_a_slow_clip_keeps_its_pictures_times_and_length(tmp_path: Path) -> None:
    source, target, shares = tmp_path / "a.mp4", tmp_path / "b.mp4", list[float]()
    with slow_footage(tmp_path / "recorder", 8) as footage:
        data, layout = clip(footage, START_US + 3 * SECOND_US, START_US + 30 * SECOND_US)
    source.write_bytes(data)
    times = ClipTimes(layout.start_us, layout.lead_us, layout.duration_us)
    assert times == (START_US + 3 * SECOND_US, 3 * SECOND_US, 27 * SECOND_US)
    convert_clip(source, target, drawing=NAMED, times=times, progress=shares.append, made_up=True)
    with av.open(str(target)) as made:
        assert made.metadata["comment"] == f"Pantau: {conversion_of(named=True, masked=False)}; {MADE_UP}"
        assert float(made.duration or 0) / av.time_base == pytest.approx(27, abs=0.02)
        assert [frame.time for frame in made.decode(video=0)] == pytest.approx([0, 5, 13, 21], abs=0.01)
    assert shares == pytest.approx([0, 5 / 27, 13 / 27, 21 / 27])


@pytest.mark.parametrize("name", [None, "cam"])
def test_every_picture_of_a_masked_clip_is_black_behind_its_masks_and_shows_the_rest(
    name: str | None, tmp_path: Path
) -> None:
    source, target = tmp_path / "a.mp4", tmp_path / "b.mp4"
    with slow_footage(tmp_path / "recorder", 8) as footage:
        data, layout = clip(footage, START_US + 3 * SECOND_US, START_US + 30 * SECOND_US)
    source.write_bytes(data)
    times = ClipTimes(layout.start_us, layout.lead_us, layout.duration_us)
    drawing = Drawing(name, UTC, (Rectangle(0.5, 0.5, 1, 1),))
    convert_clip(source, target, drawing=drawing, times=times, progress=lambda _: None)
    with av.open(str(target)) as made:
        assert conversion_of(named=name is not None, masked=True) in made.metadata["comment"]
        shown = [picture.to_ndarray(format="gray") for picture in made.decode(video=0)]
    assert len(shown) == 4
    for grey in shown:
        height, width = grey.shape
        assert grey[height // 2 + 8 :, width // 2 + 8 :].std() < 2
        assert grey[height // 2 + 8 :, : width // 2 - 8].std() > 5


def test_what_was_done_to_the_pictures_is_said() -> None:
    assert conversion_of(named=False, masked=False) == ""
    assert "name and time and privacy masks in the picture" in conversion_of(named=True, masked=True)
    assert "with privacy masks in" in conversion_of(named=False, masked=True)


@pytest.mark.parametrize(("codec", "name"), [(Codec.AAC, "aac"), (Codec.PCM_ALAW, "aac"), (Codec.PCM_MULAW, "aac")])
def test_sound_is_kept_and_lasts_as_long_as_the_pictures(codec: Codec, name: str, tmp_path: Path) -> None:
    source, target = tmp_path / "a.mp4", tmp_path / "b.mp4"
    with Rig(tmp_path / "recorder") as rig:
        heard = sounds(codec, count=700)
        for number, picture in enumerate(pictures(count=250)):
            rig.feed([picture, *heard[number * len(heard) // 250 : (number + 1) * len(heard) // 250]])
        rig.settle()
        footage = RecordedFootage("rec-1", [rig.disk], NoArchive())
        data, layout = clip(footage, START_US + SECOND_US // 2, START_US + 8 * SECOND_US)
    source.write_bytes(data)
    times = ClipTimes(layout.start_us, layout.lead_us, layout.duration_us)
    convert_clip(source, target, drawing=NAMED, times=times, progress=lambda _: None)
    with av.open(str(target)) as made:
        (track,) = made.streams.audio
        assert track.codec_context.name == name
        heard_seconds = sum(frame.samples for frame in made.decode(track)) / track.codec_context.sample_rate
        assert heard_seconds == pytest.approx(7.5, abs=0.6)


def test_what_is_no_clip_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "a.mp4"
    source.write_bytes(b"nothing" * 100)
    with pytest.raises(ClipConversionError):
        convert_clip(source, tmp_path / "b.mp4", drawing=NAMED, times=ClipTimes(0, 0, 1), progress=lambda _: None)
