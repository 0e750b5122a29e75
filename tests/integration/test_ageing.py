"""A day of eight cameras through the whole ladder: bytes, files, timeline and forecast agree at every step."""

import random
from pathlib import Path

import pytest

from services.contracts.frames import AccessUnit
from services.contracts.ladder import parse_ladder
from services.contracts.models import Incident
from services.mesh.clock import ManualClock
from services.recorder.archive.archive import NoArchive
from services.recorder.capture.assembler import SegmentAssembler
from services.recorder.reading.coverage import DAY_US, Coverage
from services.recorder.reading.footage import RecordedFootage
from services.recorder.retention.holds import Holds
from services.recorder.retention.retention_pass import RetentionOutcome
from services.recorder.storage.disk import DiskLimits
from services.recorder.storage.files import OsFiles
from services.recorder.storage.fsck import check
from services.recorder.storage.rows import Segment, Tier
from services.recorder.storage.segment import EndReason, SegmentBegin, SegmentFragment
from services.recorder.storage.segment_file import SegmentFile
from tests.media import encoded
from tests.recorder.rig import STREAM, Rig, decode
from tests.recorder.units import pictures

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]

CAMERAS = 8
DAY_SECONDS = 86_400
FRAME_SECONDS = 10
"""One picture in ten seconds: what ageing does depends on files, keyframes and time, not on how many pictures move."""
START_US = 1_700_006_400_000_000
"""Midnight UTC."""
END_US = START_US + DAY_US
LADDER = "full 22h, keyframes 30d every 1m"
HELD = Incident(
    id="i-1", title="t", cameras=("cam-1",), from_us=START_US + DAY_US // 24, to_us=START_US + DAY_US // 12 - 1
)
STREAMS = [STREAM._replace(camera=f"cam-{number}") for number in range(CAMERAS)]


class NotSynced(OsFiles):
    """Whether the disk has it is not what is asked here."""

    def sync_data(self, fd: int) -> None:
        del fd

    def sync_folder(self, path: Path) -> None:
        del path


def day(source: encoded.Stream) -> list[AccessUnit]:
    """A day of GOPs of 20 s, made of ones of two pictures."""
    made = pictures(count=DAY_SECONDS // FRAME_SECONDS, source=source, start_us=START_US, pts_origin=0)
    step = FRAME_SECONDS * 25
    return [
        unit._replace(
            pts_90k=unit.pts_90k * step,
            dts_90k=unit.dts_90k * step,
            capture_us=START_US + (unit.capture_us - START_US) * step,
        )
        for unit in made
    ]


def record(rig: Rig, units: list[AccessUnit]) -> None:
    """The day as it comes from the first camera; the others' is written out of the same fragments, cut only once."""
    rig.feed(units, STREAMS[0])
    assembler = SegmentAssembler()
    files: list[SegmentFile] = []
    commands = [command for unit in units for command in assembler.add_picture(unit, unit.capture_us, 0.0)]
    for command in [*commands, *assembler.end_segment(EndReason.STOPPED)]:
        if isinstance(command, SegmentBegin):
            files = [rig.disk.begin_segment(stream, command) for stream in STREAMS[1:]]
            continue
        for file in files:
            if isinstance(command, SegmentFragment):
                rig.disk.append_fragment(file, command)
            else:
                rig.disk.end_segment(file, command)
    rig.settle()


class Ageing:
    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.footage = RecordedFootage("rec-1", [rig.disk], NoArchive())
        self.incidents = [HELD]

    def age(self, budget_bytes: int = 0) -> RetentionOutcome:
        return self.rig.retention(LADDER, budget_bytes=budget_bytes).run(Holds(self.incidents, self.rig.clock.now_us()))

    def coverage(self, budget_bytes: int = 0) -> Coverage:
        return Coverage(
            "rec-1", DiskLimits(budget_bytes=budget_bytes), [self.rig.disk], self.footage,
            now_us=self.rig.clock.now_us, ladder_of=lambda _: parse_ladder(LADDER), archive=NoArchive(),
        )  # fmt: skip

    def segments(self) -> list[Segment]:
        with self.rig.index() as index:
            return index.closed_segments()

    def agree(self) -> list[Segment]:
        """Files, rows, sums and timelines tell the same; some files play; returns what there is."""
        segments = self.segments()
        on_disk = {path: path.stat().st_size for path in self.rig.disk.recordings.rglob("*.mp4*")}
        assert on_disk == {self.rig.path(segment): segment.size_bytes for segment in segments}
        assert self.coverage().holdings().used_bytes == sum(on_disk.values())
        for stream in STREAMS:
            mine = [segment for segment in segments if segment.stream == stream]
            ranges = self.footage.timeline(stream.camera, "main", START_US, END_US).ranges
            for tier, name in ((Tier.FULL, "full"), (Tier.KEYFRAMES, "keyframes")):
                told = sum(item.to_us - item.from_us for item in ranges if item.tier == name)
                assert told == sum(segment.end_us - segment.start_us for segment in mine if segment.tier is tier)
        for segment in random.Random(len(segments)).sample(segments, min(40, len(segments))):
            assert len(decode(self.rig.path(segment))) == segment.frames
        return segments


def test_a_day_of_eight_cameras_goes_down_the_ladder_and_everything_agrees(tmp_path: Path) -> None:
    source = encoded.video(size=(64, 48), frames=2, gop=2)
    units = day(source)
    with Rig(tmp_path, files=NotSynced(), clock=ManualClock(START_US)) as rig:
        record(rig, units)
        ageing = Ageing(rig)
        whole = ageing.agree()
        assert len(whole) == CAMERAS * DAY_SECONDS // 60
        assert sum(segment.frames for segment in whole) == CAMERAS * len(units)
        rig.clock.step((END_US + 1_000_000 - rig.clock.now_us()) / 1e6)

        # Two hours are past their first age; the held one stays whole.
        outcome = ageing.age()
        assert len(outcome.done) == CAMERAS * 120 - 60
        aged = ageing.agree()
        assert [(s.start_us, s.end_us) for s in aged] == [(s.start_us, s.end_us) for s in whole]
        thinned = [segment for segment in aged if segment.tier is Tier.KEYFRAMES]
        assert len(thinned) == CAMERAS * 120 - 60
        assert {segment.frames for segment in thinned} == {1}
        ranges = ageing.footage.timeline("cam-0", "main", START_US, END_US).ranges
        until = START_US + DAY_US // 12
        last = max(segment.end_us for segment in aged if segment.stream == STREAMS[0])
        assert [(r.from_us, r.to_us, r.tier) for r in ranges] == [
            (START_US, until, "keyframes"),
            (until, last, "full"),
        ]

        # Room for eighteen hours: the forecast says so, and so it comes.
        full_bytes = sum(segment.size_bytes for segment in aged if segment.tier is Tier.FULL)
        budget = full_bytes * CAMERAS * 1080 // (len(aged) - len(thinned))
        days = ageing.coverage(budget).forecast()
        assert all(found.full == pytest.approx(0.75, rel=0.01) for found in days.values())
        ageing.age(budget)
        left = ageing.agree()
        assert sum(segment.size_bytes for segment in left) <= budget
        for stream in STREAMS:
            if stream.camera not in HELD.cameras:
                oldest_us = min(segment.start_us for segment in left if segment.stream == stream)
                # The budget's slack of 2 %, and the held hour that the forecast does not know of.
                assert (END_US - oldest_us) / DAY_US == pytest.approx(days[stream.camera].full, abs=0.02)

        # After the last rung only what is held is there, whole; and nothing when it is let go.
        rig.clock.advance(31 * DAY_SECONDS)
        ageing.age()
        held = ageing.agree()
        begin_us, end_us = HELD.from_us, HELD.from_us + DAY_US // 24
        assert held == [s for s in whole if s.stream == STREAMS[1] and begin_us < s.end_us and s.start_us < end_us]
        assert len(held) == 60
        assert all(segment.tier is Tier.FULL and segment.frames == 6 for segment in held)
        ageing.incidents = []
        ageing.age()
        assert ageing.agree() == []
        assert [path for path in rig.disk.recordings.iterdir() if "index" not in path.name] == []
        assert check(tmp_path, verify=True).clean
