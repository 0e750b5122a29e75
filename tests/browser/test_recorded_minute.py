"""While people watch, everything is recorded: a minute of sixteen cameras, frame by frame."""

import time
from pathlib import Path

import pytest

from tests.browser.running_up import Running
from tests.integration.recorded import count_packets, files, holes, newest, recorded, stamps

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

CAMERAS = [f"cam-{number:03}" for number in range(1, 17)]
MINUTE_SECONDS = 60.0
PATIENCE_SECONDS = 120.0


def test_every_frame_that_was_sent_in_a_minute_is_on_disk_once_and_in_order_and_ffprobe_reads_every_file(
    pantau: Running, tmp_path: Path
) -> None:
    for camera in CAMERAS:
        wait_for_a_minute(pantau, camera)
    minutes = {camera: newest(recorded(pantau.data, camera), MINUTE_SECONDS) for camera in CAMERAS}
    missing = {camera: found for camera, minute in minutes.items() if (found := holes(minute))}
    # The cameras are simulated on this same machine: frames that they had no time for were never sent.
    assert sum(hole.frames for found in missing.values() for hole in found) <= pantau.frames_not_sent(), missing
    for path in (path for camera in CAMERAS for path in files(pantau.data, camera)):
        # The newest is still being written: what is there of it now must be as good.
        copy = tmp_path / path.name
        copy.write_bytes(path.read_bytes())
        assert count_packets(copy) == sum(1 for _ in stamps(copy.read_bytes())), path
        copy.unlink()


def wait_for_a_minute(pantau: Running, camera: str) -> None:
    """Returns when more than a minute of a camera is recorded."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(newest(frames := recorded(pantau.data, camera), MINUTE_SECONDS)) == len(frames):
        assert time.monotonic() < deadline, f"less than a minute of {camera} is recorded"
        time.sleep(1)
