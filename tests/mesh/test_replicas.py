"""Copies of buckets and streams on a real cluster of three nodes."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from services.contracts import subjects
from services.contracts.errors import UnavailableError
from services.contracts.events import STREAMS
from services.contracts.models import Camera, Profile
from services.mesh.buckets import Bucket
from services.mesh.bus import Bus
from services.mesh.event_stream import ensure_stream
from services.mesh.nats_server import NatsServer
from services.mesh.replicas import ClusterTooSmallError
from services.mesh.settings import MeshSettings
from tests.support.nats_cluster import NatsCluster, cluster

CAMERA = Camera(id="cam-1", site="city", name="x", profiles={"main": Profile(url="rtsp://camera/")})


@pytest.fixture
async def three(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[NatsCluster]:
    async with cluster(tmp_path, monkeypatch) as nodes:
        yield nodes


async def open_both(bus: Bus) -> Bucket[Camera]:
    cameras = await Bucket.open(bus, subjects.CAMERAS_BUCKET, Camera)
    async with asyncio.timeout(60):
        while True:
            try:
                await ensure_stream(bus)
            except UnavailableError:  # a stream on its way to other nodes has no leader for a moment
                await asyncio.sleep(0.2)
                continue
            return cameras


async def copies(bus: Bus) -> list[int | None]:
    names = (f"KV_{subjects.CAMERAS_BUCKET}", *STREAMS)
    return [(await bus.js.stream_info(name)).config.num_replicas for name in names]


async def test_copies_are_added_to_what_is_there_and_no_later_start_takes_one_away(three: NatsCluster) -> None:
    one = await Bus.connect(three.settings(replicas=1), "one")
    with capture_logs() as logs:
        cameras = await open_both(one)
    assert await copies(one) == [1] * 4
    warned = {entry["stream"] for entry in logs if entry["event"] == "bus.one_copy"}
    assert warned == {f"KV_{subjects.CAMERAS_BUCKET}", *STREAMS}
    revision = await cameras.put("cam-1", CAMERA)
    before = (await one.js.stream_info(f"KV_{subjects.CAMERAS_BUCKET}")).config

    many = await Bus.connect(three.settings(replicas=3), "many")
    with capture_logs() as logs:
        cameras = await open_both(many)
    assert await copies(many) == [3] * 4
    assert not [entry for entry in logs if entry["event"] == "bus.one_copy"]
    assert await cameras.get("cam-1") == (CAMERA, revision)
    after = (await many.js.stream_info(f"KV_{subjects.CAMERAS_BUCKET}")).config
    assert after == before.evolve(num_replicas=3), "only the number of copies changes"

    await open_both(one)
    assert await copies(one) == [3] * 4

    greedy = await Bus.connect(three.settings(replicas=5), "greedy")
    with pytest.raises(ClusterTooSmallError, match=r"PANTAU_NATS_REPLICAS=5 takes 5 nodes"):
        await open_both(greedy)
    assert await copies(one) == [3] * 4
    for bus in (one, many, greedy):
        await bus.close()


async def test_a_server_in_no_cluster_refuses_copies_at_once_and_is_not_warned_of_one(nats_server: NatsServer) -> None:
    bus = await Bus.connect(MeshSettings(nats_url=nats_server.url, nats_replicas=3), "greedy")
    with pytest.raises(ClusterTooSmallError, match="non-clustered mode"):
        await ensure_stream(bus)
    await bus.close()
    modest = await Bus.connect(MeshSettings(nats_url=nats_server.url), "modest")
    with capture_logs() as logs:
        await open_both(modest)
    assert not logs
    assert await copies(modest) == [1] * 4
    await modest.close()


@pytest.mark.parametrize("text", ["1", "3", "5"])
def test_the_environment_gives_the_number_as_text(text: str) -> None:
    assert MeshSettings.load({"PANTAU_NATS_REPLICAS": text}).nats_replicas == int(text)
