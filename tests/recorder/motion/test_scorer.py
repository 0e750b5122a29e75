"""Real footage as the scorer judges it, segment by segment, and what it does with a backlog."""

from contextlib import closing
from pathlib import Path

import pytest

from services.recorder.motion.scorer import judge
from services.recorder.storage.gops import Gop, pack
from services.recorder.storage.index import Index
from services.recorder.storage.levels import HOUR_US, SLOT_US, SLOTS
from services.recorder.storage.paths import RecordedStream
from services.recorder.storage.rows import Segment, SegmentState, Tier
from tests.recorder.motion.test_activity import ROWS, auc

GOP_US = 2_000_000
PER_SEGMENT = 30
START_US = 472_222 * HOUR_US


def record(index: Index, rows: list[list[int]], camera: str = "cam-1") -> int:
    """The index's rows of footage whose GOPs are ``rows``; returns the stream's id."""
    stream = RecordedStream("city", camera, "main")
    for first in range(0, len(rows), PER_SEGMENT):
        part = rows[first : first + PER_SEGMENT]
        start_us = START_US + first * GOP_US
        gops = [
            Gop(n * GOP_US * 9 // 100, n * 1000, key, other, others + 1)
            for n, (_, key, other, others) in enumerate(part)
        ]
        segment = Segment(
            stream, start_us, start_us + len(part) * GOP_US, 1000, Tier.FULL, SegmentState.CLOSED, 50 * len(part),
            len(part),
            "h264", 640, 480, "", 0, "arrival", 0, bytes(32),
        )  # fmt: skip
        with index:
            index.put_segment(segment, pack(gops))
    return index.stream_id(stream)


@pytest.mark.parametrize("clip", sorted(ROWS))
def test_moving_and_still_stretches_are_told_apart_from_a_cameras_first_minute_on(tmp_path: Path, clip: str) -> None:
    """Each stretch of the fixture is two GOPs, which is one slot."""
    rows = ROWS[clip]
    with closing(Index.open(tmp_path / "index.sqlite3", durable=False)) as index:
        stream_id = record(index, rows)
        judge(index, tmp_path)
        levels = index.activity.hour(stream_id, START_US // HOUR_US)
    assert levels is not None
    assert len(levels) == SLOTS
    moves = [bool(row[0]) for row in rows[:: SLOT_US // GOP_US]]
    scored = list(zip(moves, map(float, levels), strict=False))
    assert all(level for _, level in scored)
    assert auc([level for moving, level in scored if moving], [level for moving, level in scored if not moving]) >= 0.95


def test_one_cameras_backlog_does_not_mix_with_anothers(tmp_path: Path) -> None:
    calm, busy = ROWS["vtest.avi/crf"], [[0, 50_000, 900_000, 49]] * 80
    with closing(Index.open(tmp_path / "index.sqlite3", durable=False)) as index:
        alone = record(index, calm, "cam-1")
        judge(index, tmp_path)
        expected = index.activity.hour(alone, START_US // HOUR_US)
        record(index, busy, "cam-2")
        again = record(index, calm, "cam-3")
        assert judge(index, tmp_path) == 6
        assert index.activity.hour(again, START_US // HOUR_US) == expected
        assert not index.activity.unjudged(1)


def test_a_pass_that_is_to_stop_leaves_the_rest_for_the_next(tmp_path: Path) -> None:
    with closing(Index.open(tmp_path / "index.sqlite3", durable=False)) as index:
        record(index, ROWS["vtest.avi/crf"])
        assert judge(index, tmp_path, stopping=lambda: True) == 0
        assert len(index.activity.unjudged(10)) == 3
        assert judge(index, tmp_path) == 3
