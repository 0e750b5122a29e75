"""Footage that went is told by stream, and where it remains."""

from services.recorder.retention.expired import ExpiredFootage, expired
from services.recorder.storage.paths import RecordedStream

ONE, TWO = RecordedStream("city", "cam-1", "main"), RecordedStream("mall", "cam-2", "main")


def test_what_went_is_told_by_stream_reason_and_where_it_remains() -> None:
    gone = [
        ExpiredFootage(ONE, 0, 60, 5, "age", "archive"),
        ExpiredFootage(TWO, 0, 60, 7, "age", ""),
        ExpiredFootage(ONE, 60, 120, 5, "age", "archive"),
        ExpiredFootage(ONE, 120, 180, 5, "floor", ""),
    ]
    told = [
        (event.site, event.camera, event.from_us, event.to_us, event.size_bytes, event.because, event.remains_in)
        for event in expired(gone, recorder="rec-1", at_us=1_000_000)
    ]
    assert told == [
        ("city", "cam-1", 0, 120, 10, "age", "archive"),
        ("mall", "cam-2", 0, 60, 7, "age", ""),
        ("city", "cam-1", 120, 180, 5, "floor", ""),
    ]
