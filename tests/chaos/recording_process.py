"""A process that records sixteen streams as fast as its disk takes them; forked anew for each line on stdin.

A line is ``<directory> <start, Unix µs> <first sequence>``. What is certainly written is told on stdout, a JSON line a
second of footage: stream → where its written footage ends.
"""

import json
import os
import sys
import time
from pathlib import Path

from services.contracts.frames import AccessUnit
from services.mesh.clock import ManualClock
from services.mesh.log import configure
from services.recorder.storage.files import OsFiles
from tests.recorder.rig import STREAM, Rig
from tests.recorder.units import START_US, pictures

STREAMS = [STREAM._replace(camera=f"cam-{number}") for number in range(16)]
FRAMES = 25 * 600


def record(directory: Path, start_us: int, first_sequence: int, units: list[AccessUnit]) -> None:
    """Records for ten minutes of footage at most."""
    with Rig(directory, files=OsFiles(), clock=ManualClock(start_us)) as rig:
        say({"opened": True})
        for second in range(FRAMES // 25):
            moved = [
                unit._replace(capture_us=unit.capture_us - START_US + start_us, sequence=unit.sequence + first_sequence)
                for unit in units[second * 25 : second * 25 + 25]
            ]
            for stream in STREAMS:
                rig.feed(moved, stream)
            while not rig.disk.idle:  # so that a line tells something, however slow the machine
                time.sleep(0.001)
            written = {recording.stream.camera: recording.file for recording in rig.recordings.values()}
            say({camera: file.end_us for camera, file in written.items() if file and file.fragments})


def say(what: dict[str, object] | dict[str, int] | dict[str, bool]) -> None:
    """One line."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Forks for each line; the parent kills the fork."""
    configure("recording", level="error")  # logs go to stderr
    units = pictures(count=FRAMES)
    for line in sys.stdin:
        directory, start_us, first_sequence = line.split()
        pid = os.fork()
        if not pid:
            record(Path(directory), int(start_us), int(first_sequence), units)
            os._exit(0)
        say({"pid": pid})
        os.waitpid(pid, 0)
        say({"dead": True})


if __name__ == "__main__":
    main()
