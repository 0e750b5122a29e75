"""While people watch, everything is recorded: a minute of sixteen cameras, frame by frame."""

import time
from pathlib import Path

import pytest

from tests.browser.running_up import Running
from tests.integration.recorded import Hole, count_packets, files, holes, recorded, stamps

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

MINUTE_SECONDS = 60.0
TRIES = 3
"""A camera is simulated, read and recorded on this same machine: while it is too busy for that, frames are lost."""


def test_every_frame_of_a_minute_is_on_disk_once_and_in_order_and_ffprobe_reads_every_file(
    pantau: Running, tmp_path: Path
) -> None:
    cameras = [f"cam-{number:03}" for number in range(1, 17)]
    for _ in range(TRIES):
        missing = {camera: found for camera in cameras if (found := newest_minute(pantau, camera))}
        if not missing:
            break
        time.sleep(MINUTE_SECONDS)
    assert missing == {}
    for path in (path for camera in cameras for path in files(pantau.data, camera)):
        # The newest is still being written: what is there of it now must be as good.
        copy = tmp_path / path.name
        copy.write_bytes(path.read_bytes())
        assert count_packets(copy) == sum(1 for _ in stamps(copy.read_bytes())), path
        copy.unlink()


def newest_minute(pantau: Running, camera: str) -> list[Hole]:
    """What is missing in the newest minute of a camera, once there is one."""
    deadline = time.monotonic() + MINUTE_SECONDS + 15
    while True:
        frames = recorded(pantau.data, camera)
        minute = [each for each in frames if each.sent_us > frames[-1].sent_us - MINUTE_SECONDS * 1e6]
        if len(minute) < len(frames):
            return holes(minute)
        assert time.monotonic() < deadline, f"less than a minute of {camera} is recorded"
        time.sleep(1)
