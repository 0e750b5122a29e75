"""What recordings cost on disk, what getting at them costs: against the elementary stream, and against `cp`."""

import asyncio
import random
import resource
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.pictures import KINDS
from bench.report import percentile, table
from services.contracts.clips import ClipTable
from services.contracts.frames import AccessUnit
from services.footage import clips
from services.media import nal
from services.recorder.archive.archive import NoArchive
from services.recorder.reading.clip import payloads
from services.recorder.reading.footage import RecordedFootage
from services.recorder.reading.playback import messages
from services.recorder.storage.paths import INDEX
from tests.media import encoded
from tests.recorder.rig import STREAM, Rig
from tests.recorder.units import START_US, pictures
from tests.wall.relay.camera import clip

US = 1_000_000
SEEKS = 200


def footage(seconds: int, start_us: int = START_US, gops: int = 1) -> Iterator[AccessUnit]:
    """1280×720, 25 frames/s, GOP 2 s, 2 Mbit/s; ``gops`` different ones again and again."""
    made = clip(0, **(KINDS["main"].encoding | {"gops": gops}))
    packets = tuple(
        encoded.Packet(nal.join_annex_b(nal.split_length_prefixed(payload)), number, number, key)
        for number, (payload, key) in enumerate(made.frames)
    )
    source = encoded.Stream(packets, packets[0].data, 1280, 720)
    for minute in range(0, seconds, 60):
        frames = 25 * min(60, seconds - minute)
        yield from (
            unit._replace(flags=unit.flags if minute == 0 or number else unit.flags & 1)
            for number, unit in enumerate(
                pictures(
                    count=frames, start_us=start_us + minute * US, first_sequence=1 + 25 * minute,
                    pts_origin=777_000 + minute * 90_000, source=source,
                )
            )
        )  # fmt: skip


def export(store: RecordedFootage, seconds: int, path: Path) -> int:
    """Writes a clip as the front does, the bus left out; returns its bytes."""
    until = START_US + seconds * US
    tables: list[ClipTable] = []
    with path.open("wb") as out:
        data = payloads(store.sources(STREAM.camera, STREAM.profile, START_US, until), START_US, until)
        for message in data:
            if message[:1] == b"E":
                break
            tables.append(ClipTable.unpack(message))
        layout = clips.lay_out_clip(START_US, until, [(START_US, tables)], {})
        out.write(layout.header)
        out.writelines(data)
        return out.tell()


def cost(action: Callable[[], object]) -> tuple[float, float]:
    """Elapsed and CPU milliseconds, those of children included."""
    before, began = cpu_seconds(), time.perf_counter()
    action()
    return 1000 * (time.perf_counter() - began), 1000 * (cpu_seconds() - before)


def cpu_seconds() -> float:
    """Of this process and its children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(item.ru_utime + item.ru_stime for item in used)


def compare(store: RecordedFootage, seconds: int, folder: Path, rounds: int = 8) -> list[float]:
    """A clip to a new file and `cp` of it in turns: its MB, and the shortest elapsed and CPU time of each."""
    source, target = folder / "clip.mp4", folder / "copy.mp4"
    size = export(store, seconds, source)
    ours, peer = list[tuple[float, float]](), list[tuple[float, float]]()
    for _ in range(rounds):
        ours.append(cost(lambda: export(store, seconds, target)))
        target.unlink()
        peer.append(cost(lambda: subprocess.run(["cp", source, target], check=True)))
        target.unlink()
    return [size / 1e6, *map(min, zip(*ours, strict=True)), *map(min, zip(*peer, strict=True))]


def measure(seconds: int, folder: Path) -> None:
    """Records, then asks for it. Blocks."""
    with Rig(folder / "disk", sync_seconds=1e9) as rig:
        elementary = 0
        next(footage(1))  # the encoder is not what is measured
        began = time.process_time()
        for unit in footage(seconds):
            elementary += len(unit.payload)
            rig.feed([unit])
        rig.settle()
        spent = time.process_time() - began
        segments = rig.segments()
        on_disk = sum(rig.path(segment).stat().st_size for segment in segments)
        with sqlite3.connect(rig.disk.recordings / INDEX) as index:
            (per_segment,) = index.execute(
                "SELECT (SELECT sum(payload) FROM dbstat WHERE name IN ('segment', 'gop', 'segment_by_tier'))"
            ).fetchone() or (0,)
        rows = [
            [
                seconds, len(segments), elementary / 1e6, 100 * (on_disk / elementary - 1),
                per_segment / len(segments) * 1440 / 1e6, 100 * spent / seconds,
            ]
        ]  # fmt: skip
        print(
            table(
                "Bytes",
                [
                    "footage s",
                    "segments",
                    "elementary stream MB",
                    "more on disk, %",
                    "index MB/camera-day",
                    "CPU %/camera",
                ],
                rows,
                "Target: at most 0.5 % more on disk. CPU: assembling, writing, sealing, indexing in "
                "this process, the bus left out.",
            )
        )
        store = RecordedFootage("rec-1", [rig.disk], NoArchive())
        size, ours, ours_cpu, peer, peer_cpu = compare(store, seconds, folder)
        print(
            table(
                "Exporting a clip",
                ["MB", "clip ms", "cp ms", "ratio", "clip CPU ms", "cp CPU ms", "ratio", "clip MB/s"],
                [[size, ours, peer, ours / peer, ours_cpu, peer_cpu, ours_cpu / peer_cpu, 1000 * size / ours]],
                "From segments to one file, the bus left out, against copying the same bytes on the same disk; both "
                "from page cache to a new file, in turns, the shortest of eight. Target: at most twice.",
            )
        )
        waits = []
        for _ in range(SEEKS):
            at = START_US + random.randrange((seconds - 4) * US)
            began = time.perf_counter()
            sources = store.sources(STREAM.camera, STREAM.profile, at, at + 2 * US)
            next(messages(sources, at, at + 2 * US, "frames"))
            waits.append(1000 * (time.perf_counter() - began))
        print(
            table(
                "Seeking: from a moment to its first access unit",
                ["seeks", "p50 ms", "p95 ms"],
                [[SEEKS, percentile(waits, 0.5), percentile(waits, 0.95)]],
                "In the recorder; bus, relay and browser come on top.",
            )
        )


async def run(*, quick: bool) -> None:
    """Prints the tables."""
    with TemporaryDirectory(prefix="pantau-bench-") as folder:
        await asyncio.to_thread(measure, 180 if quick else 900, Path(folder))
