"""A recorder that is killed while it copies to the archive: nothing half is taken for whole, and all arrives."""

import asyncio
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, closing, contextmanager, suppress
from pathlib import Path

import av
import pytest

from services.contracts.errors import UnavailableError
from services.contracts.recordings import TimelineQuestion
from services.footage import clips
from services.footage.timeline import ask_timeline
from services.mesh.bus import Bus
from services.mesh.clock import ManualClock
from services.mesh.settings import MeshSettings
from services.recorder.archive.catalogue import CATALOGUE, ArchiveCatalogue, ArchivedCopy
from services.recorder.archive.store import ObjectStore
from services.recorder.storage.rows import Segment
from tests.integration.s3server import S3Server
from tests.media import encoded
from tests.recorder.rig import Rig
from tests.recorder.units import pictures

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]
MINUTES = 4


@contextmanager
def recorder(mesh: MeshSettings, data: Path, server: S3Server, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """The real process; killed at the end."""
    environ = {
        **os.environ,
        "PANTAU_NATS_URL": mesh.nats_url,
        "PANTAU_DATA": str(data),
        "PANTAU_WORKER": "rec-1",
        "PANTAU_ADMIN_PORT": "0",
        "PANTAU_RECORDER_FLOOR_GIGABYTES": "0",
        "PANTAU_ARCHIVE_URL": "s3://city-archive/killed",
        "PANTAU_ARCHIVE_ENDPOINT": server.endpoint,
        "PANTAU_ARCHIVE_ACCESS_KEY_ID": server.key_id,
        "PANTAU_ARCHIVE_SECRET_ACCESS_KEY": server.secret,
        **variables,
    }
    with (data.parent / "recorder.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.cli", "recorder"], env=environ, stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert server.secret not in (data.parent / "recorder.log").read_text()


def copies(data: Path) -> list[ArchivedCopy]:
    if not (data / CATALOGUE).exists():
        return []
    with closing(ArchiveCatalogue(data / CATALOGUE)) as catalogue:
        return catalogue.older(1 << 62)


async def content_of(store: ObjectStore, key: str) -> bytes:
    return b"".join([data async for data in store.read_object(key, await store.object_size(key))])


async def stored(server: S3Server) -> dict[str, bytes]:
    store = ObjectStore(server.settings(url="s3://city-archive/killed"), "rec-1")
    keys = [item.key for page in await asyncio.to_thread(lambda: list(store.list_pages())) for item in page]
    return {key: await content_of(store, key) for key in keys}


async def test_a_recorder_killed_while_it_copies_takes_nothing_half_for_whole(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    data = tmp_path / "rec-1"
    start_us = (time.time_ns() // 1000 // 60_000_000 - 90) * 60_000_000
    source = encoded.video(size=(320, 240), frames=100, gop=25, options=(("b", "1000k"),))
    with Rig(data, clock=ManualClock(start_us)) as rig:
        rig.feed(pictures(count=25 * 60 * MINUTES, start_us=start_us, source=source))
        rig.settle()
        segments = rig.segments()
        files = {str(rig.path(s).relative_to(rig.disk.recordings)): rig.path(s).read_bytes() for s in segments}
    assert len(segments) == MINUTES
    async with S3Server(tmp_path) as server:
        # So slow that a segment takes seconds: it is killed in the middle of one.
        with recorder(mesh_settings, data, server, PANTAU_ARCHIVE_MEGABITS_PER_SECOND="16"):
            await _until(lambda: len(copies(data)) >= 2)
        known = copies(data)
        assert 2 <= len(known) < MINUTES
        there = await stored(server)
        assert all(there[copy.key] == files[copy.key] for copy in known)
        assert all(content == files[key] for key, content in there.items()), "half an object is to be seen"
        with recorder(mesh_settings, data, server) as process:
            await _until(lambda: len(copies(data)) == MINUTES)
            assert await stored(server) == files
            process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(process.wait, 90) == 0
        with recorder(mesh_settings, data, server, PANTAU_RECORDER_RETENTION="full 1h"):
            await _until(lambda: not list((data / "recordings").rglob("*.mp4")))
            await _answers_from_the_archive(bus, segments)


async def _answers_from_the_archive(bus: Bus, segments: list[Segment]) -> None:
    from_us, to_us = segments[0].start_us, segments[-1].end_us
    question = TimelineQuestion(camera="cam-1", from_us=from_us, to_us=to_us)
    async with asyncio.timeout(90):
        while True:  # rows go right after their files
            with suppress(UnavailableError):  # a busy recorder
                timeline, _ = await ask_timeline(bus, "city", question, recorders=1)
                if timeline.ranges and all(found.archived for found in timeline.ranges):
                    break
            await asyncio.sleep(0.1)
    assert [(found.from_us, found.to_us) for found in timeline.ranges] == [(from_us, to_us)]
    async with AsyncExitStack() as stack:
        clip = await clips.open_clip(bus, "city", question, recorders=1, stack=stack)
        content = b"".join([data async for data in clip.chunks()])
    with av.open(io.BytesIO(content)) as container:
        assert isinstance(container, av.container.InputContainer)
        assert sum(packet.size > 0 for packet in container.demux(video=0)) == 25 * 60 * MINUTES


async def _until(condition: object, seconds: float = 90.0) -> None:
    assert callable(condition)
    async with asyncio.timeout(seconds):
        while not await asyncio.to_thread(condition):
            await asyncio.sleep(0.05)
