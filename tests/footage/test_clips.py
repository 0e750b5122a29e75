"""Which recorder gives which stretch of a clip."""

from io import BytesIO
from pathlib import Path

import av
import pytest

from services.contracts.recordings import FootageRange, FootageTimeline
from services.footage.clips import ClipPiece, plan_clip
from tests.footage.slow import SECOND_US, clip, slow_footage
from tests.recorder.units import START_US


def test_neighbouring_ranges_of_one_recorder_are_asked_for_at_once() -> None:
    ranges = [(0, 20, "rec-1"), (30, 40, "rec-1"), (40, 60, "rec-2"), (60, 100, "rec-1")]
    timeline = FootageTimeline(
        camera="cam-1",
        profile="main",
        from_us=0,
        to_us=100,
        ranges=tuple(FootageRange(from_us=a, to_us=b, recorder=name) for a, b, name in ranges),
        gaps=(),
        recorders=2,
    )
    assert plan_clip(timeline) == [ClipPiece("rec-1", 0, 40), ClipPiece("rec-2", 40, 60), ClipPiece("rec-1", 60, 100)]


@pytest.mark.parametrize(("every_seconds", "gop"), [(8, 1), (8, 10), (15, 1)])
def test_a_slow_cameras_picture_lasts_until_the_next_in_timelines_and_clips(
    every_seconds: int, gop: int, tmp_path: Path
) -> None:
    with slow_footage(tmp_path, every_seconds, gop=gop) as footage:
        length_us = 29 * every_seconds * SECOND_US
        (item,) = footage.timeline("cam-1", "main", START_US, START_US + length_us).ranges
        assert (item.from_us, item.to_us) == (START_US, START_US + length_us), "no splinters, no gaps"
        for from_seconds, to_seconds in ((3, 6), (0, 4), (10, 30), (61, 75), (100.5, 102), (59, 61)):
            from_us, to_us = (START_US + round(at * SECOND_US) for at in (from_seconds, to_seconds))
            data, layout = clip(footage, from_us, to_us)
            with av.open(BytesIO(data), "r") as made:
                assert float(made.duration or 0) / av.time_base == pytest.approx(to_seconds - from_seconds, abs=0.01)
            with av.open(BytesIO(data), "r", options={"ignore_editlist": "1"}) as made:
                raw = [float(packet.pts * packet.time_base) for packet in made.demux(video=0) if packet.pts is not None]
            shown = [(layout.start_us - layout.lead_us - START_US) / 1e6 + at - raw[0] for at in raw]
            last = max(at for at in range(0, 300, every_seconds) if at <= from_seconds)
            wanted = [last, *(at for at in range(last + every_seconds, 300, every_seconds) if at < to_seconds)]
            assert shown[-len(wanted) :] == pytest.approx(wanted, abs=0.01), "what stood at the moment, and all later"
