"""A demo's recorder makes up a past: it is found, plays and verifies like footage, and says what it is."""

from itertools import pairwise
from pathlib import Path

import pytest

from services.contracts.models import DEMO_TAG
from services.mesh.bus import Bus
from services.mesh.settings import MeshSettings
from services.recorder.archive.archive import NoArchive
from services.recorder.demo_past import LOOP_US, WHOLE_PART
from services.recorder.reading.footage import RecordedFootage
from services.recorder.storage.fsck import check
from services.recorder.storage.paths import RECORDINGS
from services.recorder.storage.rows import Segment, Signing
from services.recorder.storage.scan import scan
from tests.footage.slow import clip
from tests.integration.recorders import assign, camera, record, recording, running, until
from tests.integration.test_recorder import live, segments

pytestmark = pytest.mark.integration
HOURS = 0.2
PICTURES = round(LOOP_US / 40_000) + 60


async def test_a_demo_camera_has_recorded_hours_which_say_that_they_are_made_up(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    async with running(mesh_settings, data, "rec-1", demo_hours=HOURS) as recorder:
        await assign(bus, [camera("cam-1", tags=(DEMO_TAG,)), camera("cam-2")], "rec-1")
        await recording(recorder, "cam-1", "cam-2")
        units = live(PICTURES)
        for name in ("cam-1", "cam-2"):
            await record(bus, name, units, recorder)
        began_us = units[0].capture_us
        await until(lambda: any(s.start_us < began_us < s.end_us + 100_000 for s in segments_of(data, "cam-1")))
        footage = RecordedFootage("rec-1", recorder.disks.all, NoArchive())
        _, before = clip(footage, began_us - 4_000_000, began_us + 1_000_000)
        _, after = clip(footage, began_us + 1_000_000, began_us + 4_000_000)
    *past, first = segments_of(data, "cam-1")
    assert past[-1].end_us == pytest.approx(first.start_us, abs=100_000), "it ends where the camera begins"
    assert past[0].start_us == pytest.approx(first.start_us - HOURS * 3600e6, abs=2 * LOOP_US)
    for one, next_one in pairwise(past):
        assert next_one.start_us == pytest.approx(one.end_us, abs=100_000), "without a hole"
    whole = [segment for segment in past if segment.start_us > first.start_us - HOURS * WHOLE_PART * 3600e6]
    assert {segment.frames > segment.keyframes for segment in whole} == {True}
    assert past[0].frames == past[0].keyframes
    assert {segment.signed for segment in past} == {Signing.SIGNED}
    assert len(segments_of(data, "cam-2")) == 1, "no camera but a demo's has a past"
    assert (said(data, past[0]), said(data, first)) == ("demo", ""), "what is signed says it"
    assert (before.made_up, after.made_up) == (True, False), "and so does a clip"
    assert check(data).findings == ()


def segments_of(data: Path, name: str) -> list[Segment]:
    found = [segment for segment in segments(data) if segment.stream.camera == name]
    return sorted(found, key=lambda segment: segment.start_us)


def said(data: Path, segment: Segment) -> str:
    found = scan(data / RECORDINGS / segment.path, segment.stream)
    assert found is not None
    return found.statement().made
