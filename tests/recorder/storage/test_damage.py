"""Damaged pictures keep their mark: in file, seal and row, after recovery, thinned, played, in coverage."""

from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

import av
import pytest

from services.contracts.coverage import coverage_statements
from services.contracts.frames import AccessUnit, Flags, decode
from services.media.mp4 import reader
from services.media.mp4.fragment import DAMAGED
from services.recorder.archive.archive import NoArchive
from services.recorder.reading.footage import RecordedFootage
from services.recorder.reading.playback import messages
from services.recorder.retention.thinning import thin
from services.recorder.storage import gops
from services.recorder.storage.files import OsFiles
from services.recorder.storage.fsck import check
from services.recorder.storage.scan import opened, scan
from tests.footage.slow import clip
from tests.recorder.reading.test_coverage import ask, coverage_of
from tests.recorder.rig import STREAM, Rig
from tests.recorder.rig import decode as decode_pictures
from tests.recorder.units import FRAME_US, START_US, pictures

END_US = START_US + 100 * FRAME_US


def marked(units: Iterable[AccessUnit], *damaged: int) -> list[AccessUnit]:
    return [
        unit._replace(flags=unit.flags | Flags.DAMAGED) if index in damaged else unit
        for index, unit in enumerate(units)
    ]


def flags_of(path: Path) -> list[bool]:
    with opened(path) as (read, size):
        opening = reader.read_opening(read, size)
        found = reader.read_fragments(read, size, opening.end)
        return [sample.damaged for fragment in found for sample in fragment.info.runs[1]]


def test_a_damaged_picture_is_recorded_with_its_mark_and_a_good_one_without(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        rig.feed(marked(pictures(), *range(40, 50)))
        rig.settle()
        (segment,) = rig.segments()
        assert flags_of(rig.path(segment)) == [40 <= index < 50 for index in range(100)]
        assert len(decode_pictures(rig.path(segment))) == 100
        with rig.index() as index:
            assert [gop.damaged_90k for gop in index.gops_of(segment)] == [0, 36_000, 0, 0]
            found = scan(rig.path(segment), STREAM)
            assert found is not None
            assert index.packed_gops(STREAM, segment.start_us) == found.gops


def test_the_mark_is_sealed(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        rig.feed(marked(pictures(), *range(40, 50)))
        rig.settle()
        (segment,) = rig.segments()
        path = rig.path(segment)
    data = path.read_bytes()
    flag = (0x01010000 | DAMAGED).to_bytes(4, "big")
    assert flag in data
    path.write_bytes(data.replace(flag, b"\1\1\0\0"))
    found = scan(path, STREAM)
    assert found is None or found.segment.frames < segment.frames


def test_pictures_behind_frames_that_the_recorder_did_not_get_are_damaged_until_the_next_keyframe(
    tmp_path: Path,
) -> None:
    units = pictures()
    with Rig(tmp_path) as rig:
        rig.feed([*units[:60], *units[63:]])
        rig.settle()
        (segment,) = rig.segments()
        assert flags_of(rig.path(segment)) == [60 <= index < 72 for index in range(97)]


def test_recovery_and_fsck_find_the_damage_in_the_file(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        rig.feed(marked(pictures(), *range(40, 50)))
        rig.settle()
        with rig.index() as index:
            expected = index.damaged_spans(STREAM, 0, END_US)
    for path in (tmp_path / "recordings").glob("index.sqlite3*"):
        path.unlink()
    assert check(tmp_path, repair=True).findings
    with Rig(tmp_path) as rig, rig.index() as index:
        assert (
            index.damaged_spans(STREAM, 0, END_US) == expected == [(START_US + 40 * FRAME_US, START_US + 50 * FRAME_US)]
        )


def test_a_keyframe_with_a_hole_keeps_its_mark_when_the_rest_is_thinned(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        rig.feed(marked(pictures(), *range(50, 75)))
        rig.settle()
        (segment,) = rig.segments()
        source = rig.path(segment)
        thinned = thin(source, source.with_suffix(".new"), STREAM, every_us=1, files=OsFiles())
    assert [gop.damaged_90k for gop in gops.unpack(thinned.gops)] == [0, 0, 90_000, 0]


def test_played_footage_has_the_mark(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        rig.feed(marked(pictures(), *range(40, 50)))
        rig.settle()
        footage = RecordedFootage("rec-1", [rig.disk], NoArchive())
        sources = footage.sources("cam-1", "main", START_US, END_US)
        played = [decode(message) for message in messages(sources, START_US, END_US, "frames")]
    assert [unit.damaged for unit in played] == [40 <= index < 50 for index in range(100)]


@pytest.mark.parametrize("settled", [False, True])
def test_the_timeline_and_coverage_tell_damage_of_growing_and_closed_segments(tmp_path: Path, settled: bool) -> None:
    with Rig(tmp_path) as rig:
        rig.feed(marked(pictures(count=150), *range(40, 50), *range(60, 75)))
        if settled:
            rig.settle()
        else:
            while not rig.disk.idle:
                pass
        timeline = RecordedFootage("rec-1", [rig.disk], NoArchive()).timeline("cam-1", "main", START_US, END_US)
        answer = ask(coverage_of(rig), START_US, START_US + 65 * FRAME_US)
        (made,) = coverage_statements(("cam-1",), START_US, START_US + 65 * FRAME_US, [answer])
    ((from_us, to_us, damaged_us),) = [(item.from_us, item.to_us, item.damaged_us) for item in timeline.damage]
    assert (from_us, to_us) == (START_US + 40 * FRAME_US, START_US + 75 * FRAME_US)
    assert damaged_us == 25 * FRAME_US
    assert made.damaged_us == pytest.approx(15 * FRAME_US, abs=2)
    assert made.recorded_us == 65 * FRAME_US


def test_a_clip_says_which_of_its_pictures_are_damaged(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        rig.feed(marked(pictures(), *range(40, 50)))
        rig.settle()
        data, _ = clip(RecordedFootage("rec-1", [rig.disk], NoArchive()), START_US, START_US + 45 * FRAME_US)
        whole, _ = clip(RecordedFootage("rec-1", [rig.disk], NoArchive()), START_US + 50 * FRAME_US, END_US)
    box = data.index(b"stdp") + 8
    priorities = data[box : box + 90]
    assert [priorities[at : at + 2] for at in range(0, 90, 2)] == [b"\0\0"] * 40 + [b"\0\1"] * 5
    assert b'"damaged_seconds": 0.2' in data or b'"damaged_seconds":0.2' in data
    assert b"stdp" not in whole[: whole.index(b"mdat")]
    with av.open(BytesIO(data), "r") as made:
        assert len(list(made.decode(video=0))) == 45
