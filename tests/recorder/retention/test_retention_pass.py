"""Retention carried out on real files: bytes, playable files, rows and timeline agree at every step."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from services.contracts.frames import Codec, Flags
from services.contracts.models import Incident
from services.recorder.archive.archive import NoArchive
from services.recorder.reading.footage import RecordedFootage
from services.recorder.retention.holds import Holds
from services.recorder.retention.retention_pass import RetentionOutcome
from services.recorder.retention.rules import RetentionReason
from services.recorder.retention.thinning import keep
from services.recorder.storage.files import OsFiles, Space
from services.recorder.storage.fsck import check
from services.recorder.storage.rows import GapRow, Segment, Tier
from services.recorder.storage.scan import scan
from tests.recorder.rig import STREAM, Rig, decode, packet_times
from tests.recorder.units import START_US, pictures

DAY = 86_400
NO_HOLDS = Holds([], START_US)


class Disk(OsFiles):
    """A file system of a given size, as far as its free space tells."""

    def __init__(self, folder: Path, total_bytes: int) -> None:
        self._folder = folder
        self._total = total_bytes

    def space(self, path: Path) -> Space:
        del path
        used = sum(item.stat().st_size for item in self._folder.rglob("*.mp4*"))
        return Space(self._total - used, self._total)


def record(rig: Rig, minutes: int) -> list[Segment]:
    rig.feed(pictures(count=25 * 60 * minutes))
    rig.settle()
    return rig.segments()


def in_order(rig: Rig) -> None:
    """Files, rows and usage agree, and every file plays."""
    report = check(rig.disk.directory, verify=True)
    assert report.findings == ()
    segments = rig.segments()
    assert report.segments == len(segments)
    for segment in segments:
        assert len(decode(rig.path(segment))) == segment.frames
    with rig.index() as index:
        usage = index.usage()
    for tier in Tier:
        mine = [segment for segment in segments if segment.tier is tier]
        if found := usage.get((STREAM, tier)):
            assert (found.segments, found.size_bytes) == (len(mine), sum(s.size_bytes for s in mine))
            assert found.length_us == sum(s.end_us - s.start_us for s in mine)


def test_ageing_thins_then_removes_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        before = record(rig, 5)
        originals = {segment.start_us: rig.path(segment).read_bytes() for segment in before}
        ladder = "full 10d, keyframes 60d every 10s"
        assert rig.retention(ladder).run(NO_HOLDS) == RetentionOutcome([], 0, None)
        # Three of five minutes pass the first age.
        rig.clock.advance((before[2].end_us - START_US) / 1e6 + 10 * DAY + 1 - (rig.clock.now_us() - START_US) / 1e6)
        outcome = rig.retention(ladder).run(NO_HOLDS)
        assert [done.segment for done in outcome.done] == before[:3]
        after = rig.segments()
        assert [(s.start_us, s.end_us) for s in after] == [(s.start_us, s.end_us) for s in before]
        assert [s.tier for s in after] == [Tier.KEYFRAMES] * 3 + [Tier.FULL] * 2
        assert all(6 <= s.frames <= 7 and s.keyframes == s.frames for s in after[:3])
        assert all(s.size_bytes < len(originals[s.start_us]) / 3 for s in after[:3])
        in_order(rig)
        thinned = scan(rig.path(after[0]), STREAM)
        assert thinned is not None
        assert thinned.segment.tier is Tier.KEYFRAMES
        rig.clock.advance(51 * DAY)
        outcome = rig.retention(ladder).run(NO_HOLDS)
        assert len(outcome.done) == 5
        assert rig.segments() == []
        assert [path for path in rig.disk.recordings.rglob("*") if "index" not in path.name] == []
        in_order(rig)


def test_kept_keyframes_are_those_that_were_recorded_at_their_times(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        (segment,) = record(rig, 1)
        whole = decode(rig.path(segment))
        rig.clock.advance(11 * DAY)
        rig.retention("full 10d, keyframes 60d every 10s").run(NO_HOLDS)
        (thin,) = rig.segments()
        times = [float(time) for time in packet_times(rig.path(thin))]
        grid = keep([START_US + n * 1_000_000 for n in range(60)], 10_000_000)
        assert times == [float(n) for n in grid]
        for frame, second in zip(decode(rig.path(thin)), grid, strict=True):
            assert bytes(frame.planes[0]) == bytes(whole[second * 25].planes[0])


@pytest.mark.parametrize("codec", [Codec.HEVC, Codec.MJPEG])
def test_other_codecs_thin_as_well(codec: Codec, tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        rig.feed(pictures(codec, count=500))
        rig.settle()
        rig.clock.advance(11 * DAY)
        rig.retention("full 10d, keyframes 60d every 5s").run(NO_HOLDS)
        (thin,) = rig.segments()
        assert thin.tier is Tier.KEYFRAMES
        assert 4 <= len(decode(rig.path(thin))) == thin.frames <= 5
        in_order(rig)


def test_a_gop_longer_than_the_segment_thins_to_its_one_keyframe(tmp_path: Path) -> None:
    units = [
        unit if index == 0 else unit._replace(flags=unit.flags & ~Flags.KEYFRAME)
        for index, unit in enumerate(pictures(count=200))
    ]
    with Rig(tmp_path) as rig:
        rig.feed(units)
        rig.settle()
        rig.clock.advance(11 * DAY)
        rig.retention("full 10d, keyframes 60d every 1s").run(NO_HOLDS)
        (thin,) = rig.segments()
        assert thin.frames == 1
        assert thin.end_us - thin.start_us == pytest.approx(8_000_000, abs=50_000)


def incident(from_us: int, to_us: int | None) -> Incident:
    return Incident(id="i-1", title="t", cameras=("cam-1",), from_us=from_us, to_us=to_us)


def test_what_is_held_stays_whole_at_any_age_and_pressure(tmp_path: Path) -> None:
    with Rig(tmp_path, files=Disk(tmp_path, 10_000_000)) as rig:
        before = record(rig, 4)
        middle = before[1]
        holds = Holds([incident(middle.start_us + 1, middle.end_us - 1)], rig.clock.now_us())
        content = rig.path(middle).read_bytes()
        rig.clock.advance(400 * DAY)
        outcome = rig.retention("full 10d, keyframes 60d every 10s", floor_bytes=10_000_000).run(holds)
        assert outcome.short_bytes > 0
        assert rig.segments() == [middle]
        assert rig.path(middle).read_bytes() == content
        in_order(rig)
        released = rig.retention("full 10d").run(Holds([], rig.clock.now_us()))
        assert [done.segment for done in released.done] == [middle]


def test_the_floor_thins_the_oldest_first_and_no_more_than_it_must(tmp_path: Path) -> None:
    with Rig(tmp_path, files=Disk(tmp_path, 100_000_000)) as rig:
        before = record(rig, 6)
        rig.clock.advance(2 * DAY)
        used = sum(segment.size_bytes for segment in before)
        files = rig.disk.files
        assert isinstance(files, Disk)
        files._total = 2 * used
        floor = used + before[0].size_bytes
        outcome = rig.retention("full 10d, keyframes 60d every 10s", floor_bytes=floor).run(NO_HOLDS)
        assert outcome.because is RetentionReason.FLOOR
        assert outcome.short_bytes == 0
        tiers = [segment.tier for segment in rig.segments()]
        thinned = tiers.count(Tier.KEYFRAMES)
        assert 1 <= thinned < 6
        assert tiers == [Tier.KEYFRAMES] * thinned + [Tier.FULL] * (6 - thinned)
        in_order(rig)


def test_a_disk_with_no_room_to_thin_loses_thinned_footage_before_full(tmp_path: Path) -> None:
    with Rig(tmp_path, files=Disk(tmp_path, 100_000_000)) as rig:
        before = record(rig, 4)
        rig.clock.advance((before[1].end_us - rig.clock.now_us()) / 1e6 + 10 * DAY + 1)
        rig.retention("full 10d, keyframes 60d every 10s").run(NO_HOLDS)
        assert [segment.tier for segment in rig.segments()] == [Tier.KEYFRAMES] * 2 + [Tier.FULL] * 2
        total = sum(segment.size_bytes for segment in rig.segments())
        files = rig.disk.files
        assert isinstance(files, Disk)
        files._total = total + 1000
        outcome = rig.retention("full 10d, keyframes 60d every 10s", floor_bytes=50_000).run(NO_HOLDS)
        assert [done.bytes_after for done in outcome.done] == [0] * len(outcome.done)
        left = [segment.start_us for segment in rig.segments()]
        assert left == [segment.start_us for segment in before[4 - len(left) :]]


def test_the_budget_is_kept(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        before = record(rig, 6)
        budget = sum(segment.size_bytes for segment in before[3:])
        outcome = rig.retention("full 10d", budget_bytes=budget).run(NO_HOLDS)
        assert outcome.because is RetentionReason.BUDGET
        assert sum(segment.size_bytes for segment in rig.segments()) <= budget
        assert rig.segments() == before[6 - len(rig.segments()) :]


def test_the_timeline_follows_what_is_left(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        before = record(rig, 4)
        footage = RecordedFootage("rec-1", [rig.disk], NoArchive())

        def ranges() -> Iterable[tuple[int, int, str]]:
            answer = footage.timeline("cam-1", "main", 0, 1 << 60)
            return [(r.from_us, r.to_us, r.tier) for r in answer.ranges]

        assert ranges() == [(before[0].start_us, before[3].end_us, "full")]
        rig.clock.advance((before[1].end_us - rig.clock.now_us()) / 1e6 + 10 * DAY + 1)
        rig.retention("full 10d, keyframes 60d every 10s").run(NO_HOLDS)
        assert ranges() == [
            (before[0].start_us, before[1].end_us, "keyframes"),
            (before[2].start_us, before[3].end_us, "full"),
        ]


def test_what_is_held_when_its_thinned_file_is_ready_stays_whole(tmp_path: Path) -> None:
    """Many are thinned before the first is replaced; an incident may be opened in between."""

    class Opened(Holds):
        def held(self, camera: str, from_us: int, to_us: int) -> bool:
            del camera
            ready = any(rig.disk.recordings.rglob("*.new"))
            return ready and from_us <= before[0].start_us < to_us

    with Rig(tmp_path) as rig:
        before = record(rig, 3)
        rig.clock.advance(11 * DAY)
        outcome = rig.retention("full 10d, keyframes 60d every 10s").run(Opened([], 0))
        assert [done.segment for done in outcome.done] == before[1:]
        assert [segment.tier for segment in rig.segments()] == [Tier.FULL, Tier.KEYFRAMES, Tier.KEYFRAMES]
        in_order(rig)


def test_a_file_that_cannot_be_thinned_goes_when_its_time_has_come(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        (segment,) = record(rig, 1)
        rig.path(segment).write_bytes(b"damaged")
        rig.clock.advance(11 * DAY)
        rig.retention("full 10d, keyframes 60d every 10s").run(NO_HOLDS)
        assert rig.segments() == []


def test_gaps_go_with_the_footage_around_them_and_not_before(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        record(rig, 2)
        rig.feed(pictures(count=25 * 60, first_sequence=10_000, start_us=START_US + 200_000_000))
        rig.settle()
        second, day = 1_000_000, DAY * 1_000_000
        old = GapRow(STREAM, START_US - 9 * day, START_US - 8 * day, "recorder-down", "")
        lasting = GapRow(STREAM, START_US + 400 * second, None, "offline", "")
        (between,) = rig.gap_rows()
        for gap in (old, lasting):
            rig.disk.note_gap(gap)
        rig.settle()
        retention = rig.retention("full 10d")
        retention.run(NO_HOLDS)
        assert rig.gap_rows() == [old, between, lasting], "younger than the ladder, or than the footage"
        rig.clock.advance(9 * DAY)
        held = Holds([Incident(id="i-1", title="t", cameras=("cam-1",), from_us=START_US, to_us=START_US + second,
                               created_by="ani", created_us=START_US)], START_US)  # fmt: skip
        retention.run(held)
        assert rig.gap_rows() == [between, lasting], "past the ladder, and older than all footage"
        rig.clock.advance(2 * DAY)
        retention.run(held)
        assert len(rig.segments()) == 1
        assert rig.gap_rows() == [between, lasting], "held footage is older"
        retention.run(NO_HOLDS)
        assert rig.segments() == []
        assert rig.gap_rows() == [lasting]
