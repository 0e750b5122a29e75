"""What a recorder left of simulated cameras: the stamps in the files, read without a demuxer, and ffprobe's opinion."""

import re
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from services.sim.pictures import stamp
from services.sim.pictures.stamp import Stamp

_STAMP = re.compile(re.escape(stamp.UUID) + rb"[0-9a-f]{%d}" % stamp.TEXT_BYTES)


class Hole(NamedTuple):
    """Frames that were sent and are in no file; Unix seconds of the frames beside it."""

    after: float
    before: float
    frames: int


def files(data: Path, camera: str) -> list[Path]:
    """A camera's main recordings, in the order of their time, the one being written last."""
    return sorted((data / "recordings" / "city" / camera / "main").rglob("*.mp4"))


def stamps(content: bytes) -> Iterator[Stamp]:
    """The stamps in a file, in its order."""
    for found in _STAMP.finditer(content):
        parsed = stamp.parse(found.group())
        assert parsed is not None
        yield parsed


def recorded(data: Path, camera: str) -> list[Stamp]:
    """Every frame that is in a camera's files, in the files' order."""
    return [each for path in files(data, camera) for each in stamps(path.read_bytes())]


def newest(frames: list[Stamp], seconds: float) -> list[Stamp]:
    """Those of the last ``seconds`` before the newest."""
    return [each for each in frames if each.sent_us > frames[-1].sent_us - seconds * 1e6]


def holes(frames: list[Stamp]) -> list[Hole]:
    """What is missing between the first and the last; a frame out of order or twice raises AssertionError."""
    found = []
    for before, after in pairwise(frames):
        assert after.frame > before.frame, f"frame {after.frame} follows {before.frame}"
        if after.frame > before.frame + 1:
            found.append(Hole(before.sent_us / 1e6, after.sent_us / 1e6, after.frame - before.frame - 1))
    return found


def count_packets(path: Path) -> int:
    """As ffprobe finds them by the file's own boxes; raises AssertionError at any complaint."""
    entries = ["-count_packets", "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0"]
    done = subprocess.run(["ffprobe", "-v", "warning", *entries, path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{path.name}: {done.stderr}"
    assert done.stderr == "", f"{path.name}: {done.stderr}"
    return int(done.stdout.strip().strip(","))
