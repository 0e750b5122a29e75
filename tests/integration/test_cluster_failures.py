"""Each node of a real cluster of three killed and frozen in turn, under a few leases and a stream of frames."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from services.contracts import subjects
from services.contracts.errors import UnavailableError
from services.contracts.models import Assignment, WorkerLease
from services.mesh.buckets import Bucket
from services.mesh.bus import Bus
from services.mesh.event_stream import ensure_stream
from services.mesh.leases import GIVE_UP_SECONDS, Lease
from services.mesh.log import get_logger
from services.mesh.nats_server import NatsServer
from tests.eventually import eventually
from tests.support.nats_cluster import NODES, NatsCluster, cluster, freeze, thaw

FRAME = b"x" * 20_000
FRAMES_A_SECOND = 25
log = get_logger()


@pytest.fixture
async def three(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[NatsCluster]:
    async with cluster(tmp_path, monkeypatch) as nodes:
        yield nodes


class Camera:
    """A worker with a lease that publishes frames, and what another client hears of it."""

    def __init__(self, bus: Bus, lease: Lease) -> None:
        self.bus = bus
        self.lease = lease
        self.heard_at: list[list[float]] = []
        """For each client that hears it."""
        self.renewed_at = [time.monotonic()]

    def hearing(self) -> Callable[[bytes], None]:
        """What takes the frames of one client."""
        times: list[float] = []
        self.heard_at.append(times)
        return lambda _payload: times.append(time.monotonic())

    def silent_seconds(self, since: float) -> float:
        """The longest time that a client heard nothing."""
        return max(longest_gap(times, since) for times in self.heard_at)

    async def run(self, subject: str) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.lease.run())
            while True:
                self.bus.publish_media(subject, FRAME)
                renewed_at = self.lease.held_until - GIVE_UP_SECONDS
                if renewed_at > self.renewed_at[-1]:
                    self.renewed_at.append(renewed_at)
                await asyncio.sleep(1 / FRAMES_A_SECOND)


def longest_gap(times: list[float], since: float) -> float:
    """Seconds of the longest silence that ended after ``since``."""
    return max((after - before for before, after in pairwise(times) if after > since), default=0.0)


def is_on(bus: Bus, nodes: NatsCluster, node: NatsServer) -> bool:
    """Whether it is connected to the node, or not connected."""
    url = bus.client.connected_url
    return url is None or nodes.node_at(url.netloc) is node


async def connected_to(nodes: NatsCluster, number: int) -> Bus:
    """A client of that node: where the node is slow to answer, one goes on to another at once."""
    async with asyncio.timeout(90):
        while True:
            bus = await Bus.connect(nodes.settings(at=number), f"late-{number}")
            if is_on(bus, nodes, nodes.nodes[number]):
                return bus
            await bus.close()


def all_left(clients: list[Bus], nodes: NatsCluster, node: NatsServer) -> bool:
    return not any(is_on(bus, nodes, node) for bus in clients)


def all_renewed(cameras: list[Camera], since: float) -> bool:
    return all(camera.renewed_at[-1] > since for camera in cameras)


@pytest.mark.integration
@pytest.mark.timeout(300)
@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_clients_of_a_node_that_fails_go_on_at_another(three: NatsCluster, how: str) -> None:
    hearers = [await Bus.connect(three.settings(at=number), f"hearer-{number}") for number in range(2)]
    async with asyncio.timeout(60):
        while True:
            try:
                await ensure_stream(hearers[0])
                break
            except UnavailableError:
                await asyncio.sleep(0.2)
    await Bucket.open(hearers[0], subjects.ASSIGNMENTS_BUCKET, Assignment)
    cameras = []
    for number in range(NODES):
        bus = await Bus.connect(three.settings(at=number), f"worker-{number}")
        entry = WorkerLease(role="ingest", worker=f"ingest-{number}", incarnation=1)
        cameras.append(Camera(bus, Lease(bus, "city", lambda entry=entry: entry)))  # type: ignore[misc]  # bound now
    running = [asyncio.create_task(c.run(f"pantau.v1.city.media.main.cam-{n}")) for n, c in enumerate(cameras)]
    for hearer in hearers:
        for number, camera in enumerate(cameras):
            await hearer.subscribe_direct(f"pantau.v1.city.media.main.cam-{number}", camera.hearing())
    await eventually(
        lambda: all(len(camera.renewed_at) > 3 and min(map(len, camera.heard_at)) > 50 for camera in cameras)
    )
    clients = hearers + [camera.bus for camera in cameras]
    for number, node in enumerate(three.nodes):
        leader = (await hearers[0].js.stream_info(f"KV_{subjects.ASSIGNMENTS_BUCKET}")).cluster
        led = leader is not None and leader.leader == f"nats-{number + 1}"
        clients.append(await connected_to(three, number))
        for other, camera in enumerate(cameras):
            await clients[-1].subscribe_direct(f"pantau.v1.city.media.main.cam-{other}", camera.hearing())
        await asyncio.sleep(0.5)
        failed_at = time.monotonic()
        if how == "killed":
            await node.kill()
        else:
            freeze(node)
        await eventually(partial(all_left, clients, three, node))  # nats-py alone leaves a frozen one after minutes
        await eventually(partial(all_renewed, cameras, time.monotonic() + 1))
        silent = max(camera.silent_seconds(failed_at) for camera in cameras)
        late = max(longest_gap(camera.renewed_at, failed_at) for camera in cameras)
        leader_too = "leader of the assignments" if led else "no leader"
        log.info("cluster.figures", node=number + 1, how=how, which=leader_too, silent=silent, lease_late=late)
        if how == "killed":
            await node.start()
        else:
            thaw(node)
        await _all_current(hearers[0])
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    for bus in clients:
        await bus.close()


async def _all_current(bus: Bus) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                info = (await bus.js.stream_info(f"KV_{subjects.ASSIGNMENTS_BUCKET}")).cluster
                if info is not None and len([peer for peer in info.replicas or [] if peer.current]) == NODES - 1:
                    return
            except Exception:  # noqa: BLE001  # no leader just now
                pass
            await asyncio.sleep(0.3)
