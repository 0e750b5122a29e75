"""Where there is no archive nothing waits for it, and nothing is found in it."""

import pytest

from services.recorder.archive.archive import Archive, NoArchive
from services.recorder.archive.catalogue import ArchivedCopy
from services.recorder.storage.paths import RecordedStream
from services.recorder.storage.rows import Segment, SegmentState, Tier

STREAM = RecordedStream("city", "cam-1", "main")
SEGMENT = Segment(
    STREAM, 0, 60_000_000, 1000, Tier.FULL, SegmentState.CLOSED, 25, 1, "h264", 64, 48, "", 0, "arrival", 0, bytes(32)
)


async def test_the_twin_of_an_archive_has_nothing_and_holds_nothing_back() -> None:
    archive: Archive = NoArchive()
    assert not archive.awaits(SEGMENT)
    assert not archive.covers(SEGMENT)
    assert not archive.answers
    assert archive.keep_days is None
    assert list(archive.runs("cam-1", "main", 0, 1 << 60)) == []
    assert archive.copies("cam-1", "main", 0, 1 << 60) == []
    assert archive.oldest_us("cam-1", "main") == {}
    with pytest.raises(FileNotFoundError):
        archive.opened(ArchivedCopy(STREAM, 0, 60_000_000, 1000, Tier.FULL, bytes(32), 0))
    await archive.run()
