"""What this recorder tells: footage that went by stream and where it remains, thinned footage, low disks."""

from pathlib import Path

from services.contracts.events import Event, RecordingExpired, RecordingThinned, StorageLow
from services.mesh.clock import ManualClock
from services.recorder.events import ExpiredFootage, RecorderEvents, ThinnedFootage
from services.recorder.storage.paths import RecordedStream
from tests.recorder.rig import Rig

ONE, TWO = RecordedStream("city", "cam-1", "main"), RecordedStream("mall", "cam-2", "main")


def events_to(told: list[Event], clock: ManualClock) -> RecorderEvents:
    return RecorderEvents("rec-1", "city", clock, told.append)


def test_what_went_is_told_by_stream_reason_and_where_it_remains() -> None:
    told: list[Event] = []
    gone = [
        ExpiredFootage(ONE, 0, 60, 5, "age", "archive"),
        ExpiredFootage(TWO, 0, 60, 7, "age", ""),
        ExpiredFootage(ONE, 60, 120, 5, "age", "archive"),
        ExpiredFootage(ONE, 120, 180, 5, "floor", ""),
    ]
    events_to(told, ManualClock()).footage_expired(gone)
    assert [
        (event.site, event.camera, event.from_us, event.to_us, event.size_bytes, event.because, event.remains_in)
        for event in told
        if isinstance(event, RecordingExpired)
    ] == [
        ("city", "cam-1", 0, 120, 10, "age", "archive"),
        ("mall", "cam-2", 0, 60, 7, "age", ""),
        ("city", "cam-1", 120, 180, 5, "floor", ""),
    ]


def test_what_was_thinned_is_told_by_stream() -> None:
    told: list[Event] = []
    events_to(told, ManualClock()).footage_thinned(
        [ThinnedFootage(ONE, 0, 60, 100, 10), ThinnedFootage(TWO, 0, 60, 7, 1), ThinnedFootage(ONE, 60, 120, 100, 12)]
    )
    assert [
        (event.site, event.camera, event.from_us, event.to_us, event.bytes_before, event.bytes_after)
        for event in told
        if isinstance(event, RecordingThinned)
    ] == [("city", "cam-1", 0, 120, 200, 22), ("mall", "cam-2", 0, 60, 7, 1)]


def test_a_low_disk_is_told_once_a_minute_for_each_reason(tmp_path: Path) -> None:
    told: list[Event] = []
    with Rig(tmp_path) as rig:
        events = events_to(told, rig.clock)
        for because in ("full", "full", "floor", "full"):
            events.storage_low(rig.disk, because)
            rig.clock.advance(1)
        rig.clock.advance(60)
        events.storage_low(rig.disk, "full")
    lows = [event for event in told if isinstance(event, StorageLow)]
    assert [event.because for event in lows] == ["full", "floor", "full"]
    assert all(event.free_bytes > 0 and event.directory == str(tmp_path) for event in lows)
