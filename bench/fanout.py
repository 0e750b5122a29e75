"""Viewer-streams per core of the relay process as it is run, against aiortc's own sender and the floor in the same run,
all paced at the cameras' frame rate; what the relay adds to a frame's way; and what it costs when idle."""

import asyncio
import json
import os
import socket
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
from aiortc.rtp import RtpPacket

from bench.pictures import KINDS
from bench.receivers import Counters, Tally, Watcher, added_ms
from bench.report import percentile, table
from bench.stack import cpu_seconds
from services.contracts.errors import PantauError, UnavailableError
from services.contracts.sessions import Aim
from services.mesh.bus import Bus
from services.mesh.nats_server import NatsServer
from services.mesh.settings import MeshSettings
from tests.wall.relay.camera import SITE, BusCamera, clip
from tests.wall.relay.running import Front

WORKER = "relay-bench"
LOADS = {"main": 50, "sub": 100}
"""Viewers of four tiles each: half of what one core is to carry."""
CAMERAS = 8
"""That many viewers share; one viewer of more tiles has a camera for each."""
START_SECONDS = 60.0
WARM_SECONDS = 3.0
"""After the last viewer came: replayed GOPs are out, interpreters are warm."""


class Camera(BusCamera):
    """Notes when it published each frame."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.published_at: list[float] = []

    def next_message(self) -> tuple[bytes, bool]:
        self.published_at.append(time.time())
        return super().next_message()


_SENDERS_CPU: set[int] = set()
"""A relay has a core of its own. It does not share it with its viewers, nor do the others here; see `apart`."""


@contextmanager
def apart() -> Iterator[None]:
    """Children get a CPU of their own, and this process keeps away from it, where there are two."""
    cpus = os.sched_getaffinity(0)
    if len(cpus) > 1:
        _SENDERS_CPU.add(max(cpus))
        os.sched_setaffinity(0, cpus - _SENDERS_CPU)
    try:
        yield
    finally:
        _SENDERS_CPU.clear()
        os.sched_setaffinity(0, cpus)


@asynccontextmanager
async def child(*arguments: str, **environment: str) -> AsyncIterator[Process]:
    """A Python process that ends with the context."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *arguments, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, limit=1 << 22,
        env={**os.environ, "PANTAU_LOG_LEVEL": "error", **environment},
    )  # fmt: skip
    if _SENDERS_CPU:
        os.sched_setaffinity(process.pid, _SENDERS_CPU)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


class Measured:
    """What one run gave: share of a core, packets, holes, delays."""

    def __init__(self, streams: int, cost: tuple[float, float], tallies: list[Tally], delays: list[float]) -> None:
        self.streams, self.delays = streams, delays
        self.cpu, elapsed = cost
        self.packets_a_second = sum(tally.packets for tally in tallies) / elapsed
        self.lost = sum(tally.lost for tally in tallies)

    @property
    def per_core(self) -> float:
        """Streams that one whole core would carry at this cost."""
        return self.streams / self.cpu if self.cpu else float("nan")


async def cost(pid: int, seconds: float) -> tuple[float, float]:
    """The share of a core that a process takes over the next ``seconds``, user and system; and the time that it was."""
    cpu, at = cpu_seconds(pid), time.monotonic()
    await asyncio.sleep(seconds)
    elapsed = time.monotonic() - at
    return (cpu_seconds(pid) - cpu) / elapsed, elapsed


def _free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


async def ours(kind: str, viewers: int, tiles: int, seconds: float, *, still: bool = False) -> Measured:
    """The relay role as `pantau wall` runs it, fed over a nats-server, watched by counters.

    ``still``: once all are there the cameras send nothing more.
    """
    async with AsyncExitStack() as stack:
        nats = await stack.enter_async_context(NatsServer(Path(stack.enter_context(TemporaryDirectory()))))
        port = _free_udp_port()
        command = ("services.cli", "wall", "--role", "relay")
        told = {"NATS_URL": nats.url, "WALL_UDP_PORT": str(port), "SITE": SITE, "WORKER": WORKER, "ADMIN_PORT": "0"}
        relay = await stack.enter_async_context(
            child(*command, **{f"PANTAU_{name}": value for name, value in told.items()})
        )
        bus = await Bus.connect(MeshSettings(nats_url=nats.url, admin_port=0), "bench")
        stack.push_async_callback(bus.close)
        front = Front(bus, SimpleNamespace(udp=SimpleNamespace(port=port)), WORKER)  # type: ignore[arg-type]  # of a relay elsewhere, the port is all there is
        await _answers(front)
        source = clip(0, **KINDS[kind].encoding)
        cameras: list[Camera] = []
        for number in range(max(CAMERAS, tiles)):
            await front.add_camera(f"cam-{number}")
            camera = Camera(bus, f"cam-{number}", source)
            camera.sequence = number  # so that not all keyframes come at once
            await stack.enter_async_context(camera)
            cameras.append(camera)
            await asyncio.sleep(1 / source.fps / max(CAMERAS, tiles))
        counters, watchers = Counters(), []
        for viewer in range(viewers):
            watcher = Watcher(front)
            aims = [Aim(slot=n, camera=f"cam-{(viewer * tiles + n) % len(cameras)}") for n in range(tiles)]
            await watcher.open(tiles, *aims)
            watcher.count_in(counters)
            watchers.append(watcher)
        assert relay.pid
        for camera in cameras:
            camera.hold = still
        async with counters.counting():
            await asyncio.sleep(WARM_SECONDS)
            for watcher in watchers:
                watcher.check()
            counters.tallies.clear()
            since = [len(camera.published_at) for camera in cameras]
            spent = await cost(relay.pid, seconds)
        delays = []
        for viewer, watcher in enumerate(watchers):
            for number, ssrc in enumerate(watcher.ssrcs):
                which = (viewer * tiles + number) % len(cameras)
                tally = counters.tallies.get((viewer, ssrc))
                if tally is not None and not tally.lost:
                    delays += added_ms(cameras[which].published_at[max(0, since[which] - 50) :], tally.ends)
        for watcher in watchers:
            await watcher.close()
        return Measured(viewers * tiles, spent, list(counters.tallies.values()), delays)


async def _answers(front: Front) -> None:
    """Returns when the relay is there: a busy machine starts it slowly."""
    async with asyncio.timeout(START_SECONDS):
        while True:
            try:
                await front.close("no-such-session")
            except UnavailableError:
                await asyncio.sleep(0.5)
            except PantauError:
                return


async def stock(kind: str, viewers: int, tiles: int, seconds: float) -> Measured:
    """aiortc's sender in a process of its own, watched by aiortc's receivers without their decoders."""
    tallies: dict[tuple[int, int], Tally] = {}
    async with child("bench.stock", kind) as sender:
        assert sender.stdin
        assert sender.stdout
        connections = []
        for viewer in range(viewers):
            connection = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
            connections.append(connection)
            for number in range(tiles):
                transceiver = connection.addTransceiver("video", direction="recvonly")
                capabilities = RTCRtpReceiver.getCapabilities("video")
                assert capabilities
                transceiver.setCodecPreferences([codec for codec in capabilities.codecs if codec.name == "H264"])

                async def take(
                    packet: RtpPacket, arrival_time_ms: int, key: tuple[int, int] = (viewer, number)
                ) -> None:
                    tally = tallies.setdefault(key, Tally())
                    tally.count(packet.sequence_number, bool(packet.marker), time.monotonic())

                receiver: Any = transceiver.receiver
                receiver._handle_rtp_packet = take
            await connection.setLocalDescription(await connection.createOffer())
            sender.stdin.write(json.dumps(connection.localDescription.sdp).encode() + b"\n")
            answer = json.loads(await sender.stdout.readline())
            await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        async with asyncio.timeout(30):
            while len(tallies) < viewers * tiles:
                await asyncio.sleep(0.1)
        await asyncio.sleep(WARM_SECONDS)
        tallies.clear()
        spent = await cost(sender.pid, seconds)
        counted = list(tallies.values())
        for connection in connections:
            await connection.close()
    return Measured(viewers * tiles, spent, counted, [])


async def floor(kind: str, viewers: int, tiles: int, seconds: float) -> Measured:
    """Protection and system calls alone, see `bench.floor`, towards sockets that count."""
    counters = Counters()
    with ExitStack() as stack:
        ports = []
        for _ in range(viewers):
            sock = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            sock.bind(("127.0.0.1", 0))
            counters.add(sock)
            ports.append(str(sock.getsockname()[1]))
        async with counters.counting(), child("bench.floor", kind, str(tiles), *ports) as sender:
            await counters.seen(viewers * tiles)
            await asyncio.sleep(WARM_SECONDS)
            counters.tallies.clear()
            spent = await cost(sender.pid, seconds)
        return Measured(viewers * tiles, spent, list(counters.tallies.values()), [])


async def run(*, quick: bool) -> None:
    """Prints streams per core, ours, stock and the floor; the delay that the relay adds; what it costs when idle."""
    with apart():
        await _run(quick)


async def _run(quick: bool) -> None:
    seconds = 4.0 if quick else 10.0
    shapes = [
        (kind, *shape)
        for kind, load in LOADS.items()
        for shape in ([(load // 2, 4)] if quick else [(load, 4), (1, 36)])
    ]
    rows: list[list[object]] = []
    delays: list[list[object]] = []
    for kind, viewers, tiles in shapes:
        peer = await stock(kind, 2, min(tiles, 8), seconds)
        relay = await ours(kind, viewers, tiles, seconds)
        least = await floor(kind, viewers, tiles, seconds)
        rows.append(
            [
                kind, f"{viewers} × {tiles}", relay.per_core, relay.packets_a_second, relay.lost,
                peer.per_core, peer.lost, relay.per_core / peer.per_core, least.per_core, least.lost,
            ]
        )  # fmt: skip
        delays.append(
            [
                kind, f"{viewers} × {tiles}", 100 * relay.cpu, percentile(relay.delays, 0.5),
                percentile(relay.delays, 0.99), len(relay.delays),
            ]
        )  # fmt: skip
    print(
        table(
            "Viewer-streams per core",
            [
                "stream", "viewers × tiles", "relay", "packets/s", "lost", "aiortc", "lost there", "ratio",
                "floor", "lost there",
            ],
            rows,
            "; ".join(f"{name}: {kind.text}" for name, kind in KINDS.items())
            + ". CPU time, user and system, of the whole process on a CPU of its own, divided into its streams. The "
            "floor protects and sends the same packets and does nothing else. Loopback delivers to the receivers' "
            "sockets on the sender's account.",
        )
    )  # fmt: skip
    print(
        table(
            "From a frame's publishing to the arrival of its last packet",
            ["stream", "viewers × tiles", "relay's share of a core, %", "p50 ms", "p99 ms", "frames"],
            delays,
            "By the kernel's clock of arrival. The publisher's own delay and the bus are in it: an upper bound of what "
            "the relay adds.",
        )
    )
    nobody = await ours("main", 0, 4, seconds)
    still = await ours("main", 15, 4, seconds, still=True)
    print(
        table(
            "An idle relay's share of a core, %",
            ["what", "%"],
            [
                [f"{CAMERAS} cameras, nobody watches", 100 * nobody.cpu],
                ["15 viewers × 4, cameras silent", 100 * still.cpu],
            ],
        )
    )
