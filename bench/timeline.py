"""30 days of a camera out of an index of many: its timeline, its activity, and the searches by activity."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

from bench.report import percentile, table
from services.contracts.activity import ActivityQuestion, BusiestMinutesQuestion, NextActivityQuestion
from services.mesh.clock import SystemClock
from services.recorder.archive.archive import NoArchive
from services.recorder.archive.catalogue import CATALOGUE
from services.recorder.archive.s3_archive import S3Archive
from services.recorder.archive.settings import ArchiveSettings
from services.recorder.events import RecorderEvents
from services.recorder.motion import scorer
from services.recorder.motion.activity import FORMULA
from services.recorder.reading.activity_search import ActivitySearch
from services.recorder.reading.footage import RecordedFootage
from services.recorder.retention.holds import Holds
from services.recorder.storage.gops import Gop, pack
from services.recorder.storage.index import Index
from services.recorder.storage.levels import HOUR_US, SLOTS
from services.recorder.storage.paths import INDEX, RECORDINGS, RecordedStream
from services.recorder.storage.rows import GapRow

DAYS = 30
MINUTE_US = 60_000_000
START_US = 1_700_000_000_000_000
OUTAGE_MINUTES = 360
"""One minute in so many is missing: a gap every six hours."""

_COPY = """
INSERT INTO segment SELECT ?, start_us, end_us, size_bytes, tier, state, frames, keyframes, codec, width_px, height_px,
  audio, uncertainty_us, clock, retimed, link FROM segment WHERE stream_id = ?
"""


def segments(stream_id: int) -> Iterator[tuple[object, ...]]:
    """Rows of a segment a minute, thinned after the first week from the end, with gaps."""
    total = DAYS * 1440
    for minute in range(total):
        if minute % OUTAGE_MINUTES == OUTAGE_MINUTES - 1:
            continue
        start = START_US + minute * MINUTE_US
        tier = 1 if minute < total - 7 * 1440 else 0
        yield (
            stream_id, start, start + MINUTE_US, 15_000_000, tier, 0, 1500, 30, "h264", 1280, 720, "", 2000, "rtcp", 0,
            bytes(32),
        )  # fmt: skip


def fill(path: Path, cameras: int) -> None:
    """Generates the index as a recorder would have left it, without keyframe tables: questions read none.

    The first camera's rows are made by the index's own triggers, the others' are copies of them.
    """
    index = Index.open(path, durable=False, checkpoint=True)
    connection = index._connection
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("DROP TRIGGER segment_added")  # what budgets read is not measured here
    hours = [(START_US // HOUR_US + hour, still(hour)) for hour in range(DAYS * 24 + 1)]
    first = 0
    for number in range(cameras):
        with index:
            stream = RecordedStream("city", f"cam-{number:03}", "main")
            stream_id = index.stream_id(stream)
            if number == 0:
                first = stream_id
                connection.executemany(f"INSERT INTO segment VALUES ({'?, ' * 15}?)", segments(first))
                connection.execute("DROP TRIGGER run_grows")
            else:
                connection.execute(_COPY, (stream_id, first))
                connection.execute(
                    "INSERT INTO run SELECT ?, tier, from_us, to_us FROM run WHERE stream_id = ?", (stream_id, first)
                )
            for hour, levels in hours:
                index.activity.put_hour(stream_id, hour, levels)
            for gap in range(OUTAGE_MINUTES - 1, DAYS * 1440, OUTAGE_MINUTES):
                begin = START_US + gap * MINUTE_US
                index.put_gap(GapRow(stream, begin, begin + MINUTE_US, "camera", ""))
    index.close()


def still(hour: int) -> bytes:
    """An hour in which nothing moves, but for a moment every 30 days: what takes longest to search."""
    moving = b"\xff" if hour == DAYS * 24 - 1 else b"\x20"
    return b"\x10\x20" * (SLOTS // 2 - 1) + b"\x10" + moving


def fill_archive(path: Path, cameras: int) -> S3Archive:
    """A copy of every segment, without keyframe tables: the first camera's as copying leaves them, the others after."""
    clock = SystemClock()
    archive = S3Archive(
        ArchiveSettings(url="s3://no-object-is-read/here"), path.parent, [], clock=clock, holds=lambda: Holds([], 0),
        events=RecorderEvents("rec-1", "city", clock, lambda _: None),
    )  # fmt: skip
    archive.open()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript("PRAGMA synchronous = OFF; BEGIN")
        connection.executemany(
            "INSERT INTO copy VALUES ('city', 'cam-000', 'main', ?, ?, ?, ?, x'00', 0, '')",
            (row[1:5] for row in segments(0)),
        )
        connection.execute("DROP TRIGGER run_grows")
        for number in range(1, cameras):
            for rows in ("copy", "run"):
                names = [row[1] for row in connection.execute(f"PRAGMA table_info({rows})") if row[1] != "camera"]
                connection.execute(
                    f"INSERT INTO {rows} (camera, {', '.join(names)})"
                    f" SELECT ?, {', '.join(names)} FROM {rows} WHERE camera = 'cam-000'",
                    (f"cam-{number:03}",),
                )
        connection.execute("COMMIT")
    return archive


def ask(disk: Any, cameras: int, archive: S3Archive) -> Iterator[list[object]]:
    """Each question asked again and again, each time of another camera: its name, best, median and 95th percentile."""
    footage, search = RecordedFootage("rec-1", [disk], NoArchive()), ActivitySearch([disk])
    both = RecordedFootage("rec-1", [disk], archive)
    end_us = START_US + DAYS * 1440 * MINUTE_US
    questions: dict[str, Callable[[str], object]] = {
        "timeline": lambda camera: footage.timeline(camera, "main", START_US, end_us),
        "timeline, the archive's too": lambda camera: both.timeline(camera, "main", START_US, end_us),
        "activity": lambda camera: search.activity(ActivityQuestion(camera=camera, from_us=START_US, to_us=end_us)),
        "next activity": lambda camera: search.next_activity(NextActivityQuestion(cameras=(camera,), at_us=START_US)),
        "busiest minutes": lambda camera: search.busiest_minutes(
            BusiestMinutesQuestion(cameras=(camera,), from_us=START_US, to_us=end_us)
        ),
    }
    for name, question in questions.items():
        waits: list[float] = []
        for number in range(30):
            began = time.perf_counter()
            assert question(f"cam-{number * 7 % cameras:03}")
            waits.append(1000 * (time.perf_counter() - began))
        yield [name, min(waits), percentile(waits, 0.5), percentile(waits, 0.95)]


def judged_per_second(path: Path) -> float:
    """Segments a second, of 30 GOPs each, as the scorer takes them."""
    with closing(Index.open(path, durable=False)) as index:
        entries = pack(Gop(n * 180_000, n * 1_000_000, 60_000, 200_000 + 7_000 * (n % 9), 50) for n in range(30))
        streams = [row[0] for row in index._connection.execute("SELECT id FROM stream LIMIT 64")]
        with index:
            index._connection.execute("INSERT OR IGNORE INTO baseline SELECT id, ?, x'' FROM stream", (FORMULA,))
            for stream_id in streams:
                index._connection.execute(
                    "INSERT OR REPLACE INTO gop SELECT ?, start_us, ? FROM segment WHERE stream_id = ? AND tier = 0"
                    " ORDER BY start_us DESC LIMIT 4",
                    (stream_id, entries, stream_id),
                )
                index._connection.execute(
                    "INSERT INTO unscored SELECT stream_id, start_us FROM gop WHERE stream_id = ?", (stream_id,)
                )
        began = time.process_time()
        done = scorer.judge(index, path.parent)
        return done / (time.process_time() - began)


async def run(*, quick: bool) -> None:
    """Prints the table."""
    rows: list[list[object]] = []
    rates: list[list[object]] = []
    for cameras in (1, 16) if quick else (1, 66, 660):
        with TemporaryDirectory(prefix="pantau-bench-") as folder:
            recordings = Path(folder) / RECORDINGS
            recordings.mkdir()
            fill(recordings / INDEX, cameras)
            disk = SimpleNamespace(recordings=recordings, directory=Path(folder), failure=None, open_files=list)
            archive = fill_archive(Path(folder) / CATALOGUE, cameras)
            rows += [[cameras, *row] for row in ask(disk, cameras, archive)]
            assert archive.catalogue is not None
            archive.catalogue.close()
            rates.append([cameras, (recordings / INDEX).stat().st_size / 1e6, judged_per_second(recordings / INDEX)])
    print(
        table(
            f"{DAYS} days, a segment a minute, a gap every six hours",
            ["cameras in the index", "question", "best ms", "p50 ms", "p95 ms"],
            rows,
            "Target: timelines under 50 ms with 660 cameras. Nothing but the last hour moves: the longest search.",
        )
    )
    print(
        table(
            "Activity of new segments told, 30 GOPs each",
            ["cameras in the index", "index MB", "segments per CPU second"],
            rates,
            "660 cameras close 11 segments a second.",
        )
    )
