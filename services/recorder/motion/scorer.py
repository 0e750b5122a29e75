"""Scores how much moved in every new closed segment of a disk. Blocks; runs between retention passes.

A camera's segments are scored in order of time against its own baseline. Levels, baseline and the end of the waiting
are written in one transaction, so after a death the rest is scored at the next start. A rebuilt index or another
formula only makes more segments wait.
"""

import time
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Final

from services.media.mp4 import reader
from services.media.mp4.boxes import Mp4Error
from services.media.time import us_from_90k
from services.mesh.log import get_logger
from services.mesh.metrics import counter
from services.recorder.motion.activity import FORMULA, Baseline, GopStats
from services.recorder.storage.activity_table import UnjudgedSegment
from services.recorder.storage.gops import Gop, unpack_raw
from services.recorder.storage.index import Index
from services.recorder.storage.levels import SLOT_US, SLOTS, ActivityLevel, merge_slots, paint
from services.recorder.storage.rows import Segment, SegmentState, Tier
from services.recorder.storage.scan import opened

log = get_logger()

_BATCH: Final = 64
PASS_SECONDS: Final = 2.0
"""A backlog, as after an upgrade, takes at most this long of each housekeeping pass."""

_judged = counter("recorder_judged_segments", "Segments of which it was told how much moved in them")


def judge(
    index: Index, recordings: Path, *, stopping: Callable[[], bool] = lambda: False, formula: int = FORMULA
) -> int:
    """Scores waiting segments for at most `PASS_SECONDS`; returns how many. Raises ``sqlite3.Error``."""
    until = time.monotonic() + PASS_SECONDS
    done = 0
    while not stopping() and time.monotonic() < until:
        batch = index.activity.unjudged(_BATCH)
        if not batch:
            with index:
                more = index.activity.enqueue_other_formulas(formula)
            if not more:
                break
        for stream_id, items in groupby(batch, key=lambda item: item.stream_id):
            done += _judge_stream(index, recordings, stream_id, list(items), formula)
    _judged.inc(done)
    return done


def _judge_stream(index: Index, recordings: Path, stream_id: int, items: list[UnjudgedSegment], formula: int) -> int:
    baseline, known = _baseline(index, stream_id)
    rows: dict[int, bytes] = {}
    for segment in index.segments_starting(index.stream(stream_id), items[0].start_us, items[-1].start_us + 1):
        if segment.state is SegmentState.CLOSED and UnjudgedSegment(stream_id, segment.start_us) in items:
            stats = list(_stats(segment, _raw(index, recordings, segment)))
            for gop in () if known else stats:
                baseline.level(gop)  # compare a camera's first minute with all of itself, not with its first seconds
            known = True
            levels = [ActivityLevel(gop.at_us, gop.at_us + gop.duration_us, baseline.level(gop)) for gop in stats]
            first = segment.start_us // SLOT_US
            for hour, slots in paint(levels).items():
                row = rows.get(hour) or index.activity.hour(stream_id, hour)
                rows[hour] = merge_slots(row, slots, first - hour * SLOTS)
    with index:
        for hour, row in rows.items():
            index.activity.put_hour(stream_id, hour, row)
        index.activity.put_baseline(stream_id, formula, baseline.dump())
        index.activity.drop_unjudged(items)
    return len(items)


def _baseline(index: Index, stream_id: int) -> tuple[Baseline, bool]:
    """A stream's baseline, and whether it knows anything yet."""
    state = index.activity.baseline(stream_id)
    try:
        return (Baseline.restore(state), True) if state else (Baseline(), False)
    except ValueError as error:
        log.warning("activity.baseline_lost", error=error)
        return Baseline(), False


def _raw(index: Index, recordings: Path, segment: Segment) -> list[Gop]:
    """A segment's GOPs as they were recorded; empty where they are not known any more."""
    try:
        if segment.tier is Tier.FULL:
            return index.gops_of(segment)
        with opened(recordings / segment.path) as (read, size):
            return unpack_raw(reader.read_opening(read, size).movie.info)
    except (OSError, Mp4Error, ValueError) as error:
        log.warning("activity.unreadable", camera=segment.stream.camera, start_us=segment.start_us, error=error)
        return []


def _stats(segment: Segment, found: list[Gop]) -> Iterator[GopStats]:
    starts = [segment.start_us + us_from_90k(gop.time_90k) for gop in found]
    for gop, at_us, end_us in zip(found, starts, [*starts[1:], segment.end_us], strict=True):
        yield GopStats(at_us, max(end_us - at_us, 0), gop.key_bytes, gop.other_bytes, gop.frames - 1)
