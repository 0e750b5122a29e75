"""Servers and files that nobody here wrote, all the way: from the camera through ingest and recorder to a file."""

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest

from services.contracts.models import Assignment
from tests.integration.ingest_rig import SITE, Rig, RunningWorker
from tests.integration.recorded import count_packets, files
from tests.integration.recorders import running
from tests.integration.test_ingest_sources import add, gst_camera, make_file

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

_PICTURE = "videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width=320,height=240,framerate=25/1"
RECORDED_FRAMES = 150
UNWRITTEN_FRAMES = 75
"""A recorder that stops leaves the GOP that it has not written to ingest, which keeps it."""


def decoded(path: Path) -> list[Any]:
    """All pictures of a file, in the order that a player shows them; what a decoder complains about raises."""
    with av.open(str(path)) as container:
        (stream,) = container.streams.video
        stream.codec_context.options = {"err_detect": "explode"}
        return list(container.decode(stream))


def assert_playable(path: Path, size: tuple[int, int]) -> int:
    """How many pictures there are in a file: as many as packets, each later than the one before."""
    pictures = decoded(path)
    assert len(pictures) == count_packets(path)
    assert {(picture.width, picture.height) for picture in pictures} == {size}
    assert all(b.pts > a.pts for a, b in pairwise(pictures))
    return len(pictures)


async def test_what_gst_rtsp_server_sends_and_an_odd_file_are_recorded_and_play(
    rig: Rig, worker: RunningWorker, tmp_path: Path
) -> None:
    odd = tmp_path / "street.mp4"
    make_file(odd, seconds=4)
    sources = {
        "plain": ((320, 240), f"{_PICTURE} ! x264enc tune=zerolatency key-int-max=25 ! rtph264pay name=pay0 pt=96"),
        "b": (
            (320, 240),
            (
                f"{_PICTURE} ! x264enc bframes=2 b-adapt=false key-int-max=25 speed-preset=superfast "
                "! video/x-h264,profile=main ! rtph264pay name=pay0 pt=96 config-interval=1"
            ),
        ),
        # Of another pattern: FFmpeg 5.1's ffprobe misses the end of image in the very first picture of the ball.
        "jpeg": ((320, 240), f"{_PICTURE.replace('ball', 'smpte')} ! jpegenc ! rtpjpegpay name=pay0 pt=26"),
        # Slices, a pyramid of B pictures, open GOPs, weighted prediction, a cropped size; it ends, and begins again.
        "odd": ((322, 178), f"filesrc location={odd} ! qtdemux ! h264parse ! rtph264pay name=pay0 config-interval=-1"),
    }
    mounts = [part for name, (_, launch) in sources.items() for part in ("--mount", f"/{name}={launch}")]
    data = tmp_path / "data"
    async with gst_camera(*mounts) as port, running(rig.mesh, data, "recorder-1") as recorder:
        for name in sources:
            await add(rig, name, f"rtsp://127.0.0.1:{port}/{name}")
            wanted = Assignment(camera=name, site=SITE, workers=("recorder-1",), incarnations=(0,))
            await rig.assignments.put(f"recorder.{name}", wanted)
        await rig.until(
            lambda: all(
                name in recorder.recordings.feeds
                and recorder.recordings.feeds[name].recording.frames >= RECORDED_FRAMES + UNWRITTEN_FRAMES
                for name in sources
            ),
            90,
        )
    for name, (size, _) in sources.items():
        recordings = files(data, name)
        total = sum([await asyncio.to_thread(assert_playable, path, size) for path in recordings])
        assert total >= RECORDED_FRAMES, name
