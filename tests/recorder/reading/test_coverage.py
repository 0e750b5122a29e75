"""Coverage told from real footage: percent, gaps and their causes, the oldest footage, the forecast, once a day."""

from pathlib import Path

import pytest

from services.contracts.coverage import CoverageAnswer, CoverageQuestion, coverage_statements
from services.contracts.ladder import Ladder, parse_ladder
from services.contracts.recordings import GapCause
from services.recorder.archive.archive import Archive, NoArchive
from services.recorder.archive.catalogue import ArchivedCopy
from services.recorder.archive.s3_archive import S3Archive
from services.recorder.archive.settings import ArchiveSettings
from services.recorder.events import RecorderEvents
from services.recorder.reading import coverage as module
from services.recorder.reading.coverage import DAY_US, Coverage
from services.recorder.reading.footage import RecordedFootage
from services.recorder.retention.holds import Holds
from services.recorder.storage import gops
from services.recorder.storage.disk import DEFAULT_LIMITS, DiskLimits
from services.recorder.storage.paths import RecordedStream
from services.recorder.storage.rows import Tier
from tests.recorder.rig import Rig
from tests.recorder.units import START_US, pictures

MINUTE_US = 60 * 1_000_000
LADDER = parse_ladder("full 10d, keyframes 60d every 10s")


def coverage_of(
    *rigs: Rig, ladder: Ladder = LADDER, limits: DiskLimits = DEFAULT_LIMITS, archive: Archive | None = None
) -> Coverage:
    disks, archive = [rig.disk for rig in rigs], archive or NoArchive()
    return Coverage(
        "rec-1",
        limits,
        disks,
        RecordedFootage("rec-1", disks, archive),
        now_us=rigs[0].clock.now_us,
        ladder_of=lambda _: ladder,
        archive=archive,
    )


def ask(coverage: Coverage, from_us: int, to_us: int, *cameras: str) -> CoverageAnswer:
    return coverage.answer(CoverageQuestion(cameras=cameras or ("cam-1",), from_us=from_us, to_us=to_us))


def test_percent_and_gaps_are_what_was_recorded_and_what_was_not(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        rig.feed(pictures(count=25 * 60))
        later = START_US + 3 * MINUTE_US
        rig.feed(pictures(count=25 * 60, start_us=later, first_sequence=5000, epoch=2))
        rig.settle()
        answer = ask(coverage_of(rig), START_US, later + MINUTE_US)
        (made,) = coverage_statements(("cam-1",), START_US, later + MINUTE_US, [answer])
    assert made.percent == pytest.approx(50, abs=0.1)
    assert [(gap.cause, round((gap.to_us or 0) / 1e6 - gap.from_us / 1e6)) for gap in made.gaps] == [("test", 120)]
    assert (made.oldest_full_us, made.oldest_thinned_us) == (START_US, None)


def test_what_lies_before_the_oldest_footage_is_told_as_such(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        rig.feed(pictures(count=25 * 60))
        rig.settle()
        span = START_US - MINUTE_US, START_US + MINUTE_US
        (made,) = coverage_statements(("cam-1",), *span, [ask(coverage_of(rig), *span)])
    assert [(gap.cause, gap.from_us, gap.to_us) for gap in made.gaps] == [(GapCause.NOT_KEPT, span[0], START_US)]
    assert made.percent == pytest.approx(50, abs=0.1)


def test_the_rate_of_a_day_is_that_of_the_footage_on_all_disks_and_the_forecast_follows(tmp_path: Path) -> None:
    with Rig(tmp_path / "a") as one, Rig(tmp_path / "b") as two:
        one.feed(pictures(count=25 * 120))
        two.feed(pictures(count=25 * 120, start_us=START_US + 2 * MINUTE_US, first_sequence=9000))
        one.settle()
        two.settle()
        size = sum(segment.size_bytes for rig in (one, two) for segment in rig.segments())
        coverage = coverage_of(one, two)
        answer = ask(coverage, START_US, START_US + 4 * MINUTE_US)
        (part,) = answer.cameras
        assert answer.used_bytes == size
        assert answer.capacity_bytes > size, "all that is free may be used"
        assert part.bytes_per_day == pytest.approx(size / 240 * 86_400, rel=0.01)
        assert (part.forecast_full_days, part.forecast_keyframe_days) == (10, 60)
        # 2 KB a second for 60 days do not fit into twice a kilobyte.
        tight = coverage_of(one, two, limits=DiskLimits(budget_bytes=1000))
        (part,) = ask(tight, START_US, START_US + 4 * MINUTE_US).cameras
        assert part.forecast_full_days is not None
        assert part.forecast_full_days < 1


def test_thinned_footage_is_covered_and_its_age_told_apart(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        rig.feed(pictures(count=25 * 60 * 4))
        rig.settle()
        segments = rig.segments()
        rig.clock.advance((segments[1].end_us - rig.clock.now_us()) / 1e6 + 10 * 86_400 + 1)
        rig.retention(LADDER).run(Holds([], START_US))
        span = START_US, segments[-1].end_us
        (made,) = coverage_statements(("cam-1",), *span, [ask(coverage_of(rig), *span)])
    assert (made.oldest_thinned_us, made.oldest_full_us) == (START_US, segments[2].start_us)
    assert made.percent == pytest.approx(100, abs=0.1)


def test_a_long_answer_is_cut_and_says_what_to_ask_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ITEMS", 2)
    with Rig(tmp_path) as rig:
        names = ["cam-1", "cam-2", "cam-3"]
        for name in names:
            rig.feed(pictures(count=50), RecordedStream("city", name, "main"), paced=False)
        rig.settle()
        answer = ask(coverage_of(rig), START_US, START_US + MINUTE_US, *names, "cam-9")
    assert [item.camera for item in answer.cameras] == ["cam-1", "cam-2"]
    assert answer.left_out == ("cam-3",)


def test_a_day_that_ended_is_told_once_even_after_days_away(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        coverage = coverage_of(rig)
        assert coverage.of_a_day_that_ended() == [], "nothing has ended since the beginning"
        rig.feed(pictures(count=25 * 60))
        rig.settle()
        assert coverage.of_a_day_that_ended() == [], "the day goes on"
        rig.clock.advance(86_400)
        (event,) = coverage.of_a_day_that_ended()
        day = START_US // DAY_US * DAY_US
        assert (event.camera, event.site, event.recorder) == ("cam-1", "city", "rec-1")
        assert (event.from_us, event.to_us) == (day, day + DAY_US)
        assert event.percent == pytest.approx(100 * MINUTE_US / DAY_US, abs=0.01)
        assert event.gaps[0].cause == GapCause.NOT_KEPT
        assert event.forecast_full_days == 10
        assert coverage.of_a_day_that_ended() == []
        again = coverage_of(rig)
        assert again.of_a_day_that_ended() == [], "nor after a restart"


def test_the_days_of_an_absence_are_made_up_for(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        coverage = coverage_of(rig)
        coverage.of_a_day_that_ended()
        for day in range(3):
            rig.feed(pictures(count=50, start_us=START_US + day * DAY_US, first_sequence=1 + 1000 * day, epoch=day + 1))
        rig.settle()
        rig.clock.advance(86_400)
        events = [coverage.of_a_day_that_ended() for _ in range(4)]
    first = START_US // DAY_US
    assert [[event.from_us // DAY_US for event in day] for day in events] == [[first], [first + 1], [first + 2], []]


def test_copies_in_the_archive_are_told_beside_what_the_disks_have(tmp_path: Path) -> None:
    early_us = START_US - 100 * DAY_US
    with Rig(tmp_path / "disk") as rig:
        rig.feed(pictures(count=25 * 60))
        rig.settle()
        settings = ArchiveSettings(url="s3://no-object-is-read/here", keep="365d")
        archive = S3Archive(
            settings, tmp_path, [rig.disk], clock=rig.clock, holds=lambda: Holds([], 0),
            events=RecorderEvents("rec-1", "city", rig.clock, lambda _: None),
        )  # fmt: skip
        assert archive.open()
        assert archive.catalogue is not None
        for camera, at_us, tier in (("cam-1", early_us, Tier.KEYFRAMES), ("cam-gone", early_us + DAY_US, Tier.FULL)):
            stream = RecordedStream("city", camera, "main")
            made = ArchivedCopy(stream, at_us, at_us + MINUTE_US, 1, tier, bytes(32), 0)
            archive.catalogue.put_copy(made, gops.pack(()))
        coverage = coverage_of(rig, archive=archive)
        span = early_us - MINUTE_US, early_us + 2 * MINUTE_US
        answer = ask(coverage, *span, "cam-1", "cam-gone", "cam-never")
        here, gone = coverage_statements(("cam-1", "cam-gone", "cam-never"), *span, [answer])
    assert (here.oldest_full_us, here.oldest_thinned_us) == (START_US, None)
    assert (here.oldest_archived_full_us, here.oldest_archived_thinned_us) == (None, early_us)
    assert (gone.oldest_full_us, gone.oldest_archived_full_us) == (None, early_us + DAY_US)
    assert (here.forecast_full_days, here.forecast_archive_days) == (10, 365)
    # What lies before the oldest footage is "not kept" only where the archive has none from before it either.
    assert [gap.cause for gap in here.gaps] == [GapCause.NOT_KEPT, GapCause.UNKNOWN]
