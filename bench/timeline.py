"""The timeline of one camera over 30 days, out of an index of many cameras."""

import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

from bench.report import percentile, table
from services.mesh.recordings import TimelineAnswer
from services.recorder.footage import Footage
from services.recorder.index import GapRow, Index
from services.recorder.paths import INDEX, RECORDINGS, Stream

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
    """Generates the index as a recorder would have left it, without keyframe tables: timelines read none."""
    index = Index.open(path, durable=False, checkpoint=True)
    connection = index.connection
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("DROP TRIGGER segment_added")  # what budgets read is not measured here
    first = 0
    for number in range(cameras):
        with index:
            stream = Stream("city", f"cam-{number:03}", "main")
            stream_id = index.stream_id(stream)
            if number == 0:
                first = stream_id
                connection.executemany(f"INSERT INTO segment VALUES ({'?, ' * 15}?)", segments(first))
            else:
                connection.execute(_COPY, (stream_id, first))
            for gap in range(OUTAGE_MINUTES - 1, DAYS * 1440, OUTAGE_MINUTES):
                begin = START_US + gap * MINUTE_US
                index.put_gap(GapRow(stream, begin, begin + MINUTE_US, "camera", ""))
    index.close()


async def run(*, quick: bool) -> None:
    """Prints the table."""
    rows: list[list[object]] = []
    for cameras in (1, 16) if quick else (1, 66, 660):
        with TemporaryDirectory(prefix="pantau-bench-") as folder:
            recordings = Path(folder) / RECORDINGS
            recordings.mkdir()
            fill(recordings / INDEX, cameras)
            disk = SimpleNamespace(recordings=recordings, directory=Path(folder), open_files=list)
            footage = Footage("rec-1", lambda disk=disk: [disk])  # type: ignore[misc]  # of a disk, this is all it reads
            waits: list[float] = []
            answer: TimelineAnswer | None = None
            for number in range(30):
                began = time.perf_counter()
                camera = f"cam-{number * 7 % cameras:03}"
                answer = footage.timeline(camera, "main", START_US, START_US + DAYS * 1440 * MINUTE_US)
                waits.append(1000 * (time.perf_counter() - began))
            assert answer
            size_mb = (recordings / INDEX).stat().st_size / 1e6
            found = (len(answer.ranges), len(answer.gaps))
            rows.append([cameras, size_mb, *found, min(waits), percentile(waits, 0.5), percentile(waits, 0.95)])
    print(
        table(
            f"Timeline of one camera over {DAYS} days, a segment a minute",
            ["cameras in the index", "index MB", "ranges", "gaps", "best ms", "p50 ms", "p95 ms"],
            rows,
            "Target: under 50 ms with 660 cameras. The index of one camera is the floor.",
        )
    )
