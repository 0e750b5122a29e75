"""What `auto` has learned of a source: it outlives the worker, and is forgotten with the source it was learned of."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.contracts import subjects
from services.contracts.models import ReaderFallback
from services.media.rtsp.dialogue import USER_AGENT
from services.mesh.buckets import Bucket
from tests.integration.ingest_rig import Rig, environment
from tests.support.scripted_camera import ScriptedCamera

pytestmark = pytest.mark.integration
TRANSPORT_STREAM = "m=video 0 RTP/AVP 33\r\na=control:track1\r\n"


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with environment(tmp_path) as (rig, _):
        yield rig


def asked_by_direct(camera: ScriptedCamera) -> bool:
    """Whether the direct reader has asked since the last call; libav goes by another name."""
    found = any(asked.header("user-agent") == USER_AGENT for asked in camera.asked)
    camera.asked.clear()
    return found


async def test_a_restarted_worker_reads_with_libav_at_once_what_direct_could_not_until_the_source_changes(
    rig: Rig,
) -> None:
    async with ScriptedCamera(sdp=TRANSPORT_STREAM) as camera:
        async with rig.worker() as worker:
            await worker.ready()
            await rig.camera("odd", {"main": camera.url})
            await rig.assign("odd", worker.name)
            await rig.until(lambda: rig.profile("odd").reader == "libav")
            bucket = await Bucket.open(rig.bus, subjects.READERS_BUCKET, ReaderFallback)
            await rig.until(lambda: rig.profile("odd").reader_detail)
        entry = await bucket.get("odd.main")
        assert entry is not None
        assert "mp2t" in entry[0].detail
        assert asked_by_direct(camera)
        rig.reports.clear()
        async with rig.worker() as worker:
            await worker.ready()
            await rig.until(lambda: rig.profile("odd").reader == "libav")
            await rig.until(lambda: camera.asked)
            assert not asked_by_direct(camera)
            assert rig.profile("odd").reader_detail == entry[0].detail
            await rig.camera("odd", {"main": f"{camera.url}?changed"})
            await rig.until(lambda: asked_by_direct(camera))
            await rig.until(lambda: rig.profile("odd").reader == "libav")
            await rig.camera("odd", {"main": f"{camera.url}?changed"}, reader="libav")
            await rig.until(lambda: not rig.profile("odd").reader_detail)
        assert await bucket.get("odd.main") is None
