"""Footage through outages: every frame of many cameras on disk exactly once, and what that costs.

The outages are those of `tests/chaos/footage_outages.py`, whose tests run them short. Network and disk need root.
What a camera did not send, because the simulator had no time, is counted apart (``not sent``) and is not missing.
"""

import asyncio
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from bench.report import table
from services.contracts.keeping import SafeFootage, SafeReport
from tests.chaos import footage_outages as outages
from tests.chaos.footage_outages import Outage
from tests.chaos.footage_rig import TAIL_SECONDS, FootageRig, Wholeness, footage_rig

DISK = "1500m"
GOP_FRAMES = 50
"""Of a simulated camera: 2 s at 25 frames a second."""
WHOLE_SECONDS = 300.0
"""So long a trial waits for all frames to be on disk."""


class Trial(NamedTuple):
    """One outage."""

    name: str
    outage: Outage
    seconds: float
    recorders: int = 1
    severable: bool = False
    small_disk: bool = False
    longest_hole_seconds: float = 0.0
    """What may be missing of a camera: in one piece, and no more than a GOP. 0: nothing at all."""

    def is_kept_by(self, found: Wholeness) -> bool:
        """Whether the disks hold what they must after it."""
        if not self.longest_hole_seconds:
            return found.whole
        return (
            not (found.twice or found.disordered)
            and found.longest_hole_seconds <= self.longest_hole_seconds
            and found.most_missing <= GOP_FRAMES
        )


TRIALS = (
    Trial("nats-killed", outages.nats_killed, 60),
    Trial("nats-frozen", outages.nats_frozen, 20),
    Trial("network-cut", outages.network_cut, 60, severable=True),
    Trial("recorder-frozen", outages.recorder_frozen, 30),
    Trial("recorder-away", outages.recorder_away, 60),
    Trial("recorder-away-stand-in", outages.recorder_away, 60, recorders=2),
    Trial("registry-away", outages.registry_away, 60),
    Trial("disk-full", outages.disk_full, 15, small_disk=True),
    Trial("random-kills", outages.random_kills, 180),
    Trial("random-kills-stand-in", outages.random_kills, 180, recorders=2),
    Trial("ingest-killed", outages.ingest_worker_killed, 10, longest_hole_seconds=3.0),
)
NAMES = tuple(trial.name for trial in TRIALS)


async def run(*, quick: bool, only: str = "", cameras: int = 0) -> bool:
    """False where a frame is missing or there twice. ``only`` names one trial; without ``cameras`` there are 16."""
    cameras = cameras or (4 if quick else 16)
    rows, whole = [], True
    for trial in TRIALS:
        if only not in ("", trial.name):
            continue
        seconds = min(trial.seconds, 8) if quick else trial.seconds
        with tempfile.TemporaryDirectory() as folder, _disk(Path(folder), wanted=trial.small_disk):
            async with footage_rig(
                Path(folder), cameras=cameras, recorders=trial.recorders, severable=trial.severable
            ) as rig:
                row, well = await _try(rig, trial, seconds)
            wrong = rig.fsck()
        row.append("; ".join(wrong) or "clean")
        rows.append(row)
        whole &= well and not wrong
        print(f"{', '.join(row)}{'' if well and not wrong else ' MISSED'}", flush=True)
    note = f"A `SafeReport` of 64 cameras takes {_acknowledge_us(64):.0f} µs to pack and unpack; one goes out a second."
    columns = [
        "outage", "s", "frames sent", "on disk", "missing", "twice, disordered", "not sent", "longest hole, s",
        "s until whole", "spool at most, MB", "fsck",
    ]  # fmt: skip
    print(table(f"{cameras} cameras", columns, rows, note))
    return whole


async def _try(rig: FootageRig, trial: Trial, seconds: float) -> tuple[list[str], bool]:
    most_bytes = 0

    async def look() -> None:
        nonlocal most_bytes
        while True:
            most_bytes = max(most_bytes, rig.spool_bytes())
            await asyncio.sleep(0.5)

    looking = asyncio.ensure_future(look())
    await trial.outage(rig, seconds)
    ended = time.time()
    until_whole = await rig.recorded_since(ended, WHOLE_SECONDS)
    await asyncio.sleep(TAIL_SECONDS)
    looking.cancel()
    found = await rig.wholeness(ended)
    return [
        trial.name, f"{seconds:g}", str(found.sent), str(found.frames), str(found.missing),
        f"{found.twice}, {found.disordered}", str(found.not_sent), f"{found.longest_hole_seconds:.2f}",
        f"{until_whole:.1f}", f"{most_bytes / 1e6:.0f}",
    ], trial.is_kept_by(found)  # fmt: skip


@contextmanager
def _disk(folder: Path, *, wanted: bool) -> Iterator[None]:
    """The first recorder's folder as a small file system."""
    if not wanted:
        yield
        return
    mounted = folder / "recorder-1"
    mounted.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(mounted)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(mounted)], check=True)


def _acknowledge_us(cameras: int) -> float:
    """What packing and unpacking one message takes."""
    rows = tuple(SafeFootage(f"cam-{number:03}", 1234, 1_700_000_000_000_000 + number) for number in range(cameras))
    report = SafeReport("recorder-1", rows)
    return _once_us(lambda: SafeReport.unpack(report.pack()))


def _once_us(work: Callable[[], object], times: int = 200) -> float:
    began = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - began) / times * 1e6
