"""kill -9 of the process that records, again and again at any moment, over the same directory."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.recorder.storage.fsck import check
from tests.chaos.recording_process import STREAMS
from tests.recorder.rig import Rig, decode
from tests.recorder.units import START_US

pytestmark = pytest.mark.chaos
ROUNDS = 50


@pytest.fixture
def recorder_process() -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.chaos.recording_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        yield process
        process.kill()


def test_everything_up_to_the_last_complete_fragment_is_there_again(
    recorder_process: "subprocess.Popen[str]", tmp_path: Path
) -> None:
    assert recorder_process.stdin
    assert recorder_process.stdout
    random_ = random.Random(11)
    promised: list[tuple[str, int, int]] = []
    for number in range(ROUNDS):
        start_us = START_US + number * 1_000_000_000
        recorder_process.stdin.write(f"{tmp_path} {start_us} {number * 100_000}\n")
        recorder_process.stdin.flush()
        pid = json.loads(recorder_process.stdout.readline())["pid"]
        assert json.loads(recorder_process.stdout.readline()) == {"opened": True}
        last: dict[str, int] = {}
        for _ in range(random_.randrange(4)):
            while not (line := json.loads(recorder_process.stdout.readline())):
                pass  # nothing is written yet
            last = line
        time.sleep(random_.uniform(0, 0.1))
        os.kill(pid, signal.SIGKILL)
        while (line := json.loads(recorder_process.stdout.readline())) != {"dead": True}:
            last = line
        promised += [(camera, start_us, end_us) for camera, end_us in last.items()]
    assert len(promised) > 100
    with Rig(tmp_path) as rig:
        rows = {stream.camera: rig.segments(stream) for stream in STREAMS}
    for camera, start_us, end_us in promised:
        covered = start_us
        for segment in rows[camera]:
            if segment.start_us == covered:
                covered = segment.end_us
        assert covered >= end_us, (camera, (start_us - START_US) // 1_000_000_000)
    report = check(tmp_path, verify=True)
    assert report.findings == ()
    some = random_.sample([segment for segments in rows.values() for segment in segments], 30)
    assert all(len(decode(rig.path(segment))) == segment.frames for segment in some)
