"""Footage of a removed camera is there for its id, and never shown as another site's camera that has the id now."""

from pathlib import Path

import pytest

from services.contracts.activity import ActivityQuestion
from services.recorder.archive.archive import NoArchive
from services.recorder.reading.activity_search import ActivitySearch
from services.recorder.reading.footage import RecordedFootage
from services.recorder.storage.paths import RecordedStream
from tests.recorder.rig import STREAM, Rig
from tests.recorder.units import START_US, pictures

SECOND_US = 1_000_000
MALL = RecordedStream("mall", STREAM.camera, STREAM.profile)


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize(
    ("site", "found"), [("city", ["city"]), ("mall", ["mall"]), ("village", []), (None, ["city", "mall"])]
)
def test_only_the_present_sites_footage_is_the_cameras(
    site: str | None, found: list[str], closed: bool, tmp_path: Path
) -> None:
    later_us = START_US + 100 * SECOND_US
    with Rig(tmp_path) as rig:
        rig.feed(pictures(count=25 * 20))
        rig.recordings[STREAM].stop()
        rig.feed(pictures(count=25 * 20, start_us=later_us), MALL)
        if closed:
            rig.settle()
        while not rig.disk.idle:
            pass
        rig.disk.sync(everything=False)
        footage = RecordedFootage("rec-1", [rig.disk], NoArchive(), site_of=lambda _: site)
        sources = footage.sources("cam-1", "main", 0, 1 << 60)
        assert [source.path.parts[-8] for source in sources] == found
        ranges = footage.timeline("cam-1", "main", 0, 1 << 60).ranges
        assert [each.from_us for each in ranges] == [START_US if name == "city" else later_us for name in found]
        question = ActivityQuestion(camera="cam-1", from_us=START_US, to_us=later_us + 60 * SECOND_US)
        assert ActivitySearch([rig.disk], site_of=lambda _: site).activity(question).levels
