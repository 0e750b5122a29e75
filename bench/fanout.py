"""Viewer-streams per core of the relay process as it is run, against aiortc's own sender and the floor in the same run,
all paced at the cameras' frame rate; what the relay adds to a frame's way; and what it costs when idle."""

import asyncio
import json
import os
import socket
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
from aiortc.rtp import RtpPacket

from bench.pictures import KINDS
from bench.receivers import Counter, Tally, added_ms, datagrams, take_coalesced
from bench.report import percentile, table
from bench.stack import cpu_seconds
from services.mesh.bus import Bus
from services.mesh.errors import PantauError, UnavailableError
from services.mesh.natsserver import NatsServer
from services.mesh.sessions import Aim
from services.mesh.settings import MeshSettings
from tests.wall.relay.camera import SITE, BusCamera, clip
from tests.wall.relay.running import Front

WORKER = "relay-bench"
LOADS = {"main": 20, "sub": 40}
"""Viewers of four tiles each: about half a core of the relay's, and as much as one process can receive."""
START_SECONDS = 60.0
WARM_SECONDS = 3.0
"""After the last viewer came: replayed GOPs are out, interpreters are warm."""


class Camera(BusCamera):
    """Notes when it published each frame."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.published_at: list[float] = []

    def next_message(self) -> tuple[bytes, bool]:
        """See `BusCamera.next_message`."""
        self.published_at.append(time.monotonic())
        return super().next_message()


@asynccontextmanager
async def child(*arguments: str, **environment: str) -> AsyncIterator[Process]:
    """A Python process that ends with the context."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *arguments, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, limit=1 << 22,
        env={**os.environ, "PANTAU_LOG_LEVEL": "error", **environment},
    )  # fmt: skip
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
        for number in range(max(4, tiles)):
            await front.add_camera(f"cam-{number}")
            camera = Camera(bus, f"cam-{number}", source)
            camera.sequence = number  # so that not all keyframes come at once
            await stack.enter_async_context(camera)
            cameras.append(camera)
            await asyncio.sleep(1 / source.fps / max(4, tiles))
        counters = []
        for viewer in range(viewers):
            counter = Counter(front)
            aims = [Aim(slot=n, camera=f"cam-{(viewer * tiles + n) % len(cameras)}") for n in range(tiles)]
            await counter.open(tiles, *aims)
            counters.append(counter)
        assert relay.pid
        for camera in cameras:
            camera.hold = still
        await asyncio.sleep(WARM_SECONDS)
        for counter in counters:
            counter.check()
            counter.tallies.clear()
        since = [len(camera.published_at) for camera in cameras]
        spent = await cost(relay.pid, seconds)
        tallies = [tally for counter in counters for tally in counter.tallies.values()]
        delays = []
        for viewer, counter in enumerate(counters):
            for number, ssrc in enumerate(counter.ssrcs):
                which = (viewer * tiles + number) % len(cameras)
                tally = counter.tallies.get(ssrc.to_bytes(4, "big"))
                if tally is not None and not tally.lost:
                    delays += added_ms(cameras[which].published_at[max(0, since[which] - 50) :], tally.ends)
        for counter in counters:
            await counter.close(goodbye=False)
        return Measured(viewers * tiles, spent, tallies, delays)


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
    tallies: dict[tuple[int, bytes], Tally] = {}
    loop = asyncio.get_running_loop()
    socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(viewers)]

    def take(number: int, sock: socket.socket) -> None:
        for data in datagrams(sock):
            tally = tallies.setdefault((number, data[8:12]), Tally())
            tally.count(data[2] << 8 | data[3], bool(data[1] & 0x80), time.monotonic())

    for number, sock in enumerate(socks):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        take_coalesced(sock)
        loop.add_reader(sock, take, number, sock)
    async with child("bench.floor", kind, str(tiles), *(str(sock.getsockname()[1]) for sock in socks)) as sender:
        async with asyncio.timeout(30):
            while len(tallies) < viewers * tiles:
                await asyncio.sleep(0.1)
        tallies.clear()
        spent = await cost(sender.pid, seconds)
        counted = list(tallies.values())
    for sock in socks:
        loop.remove_reader(sock)
        sock.close()
    return Measured(viewers * tiles, spent, counted, [])


async def run(*, quick: bool) -> None:
    """Prints streams per core, ours, stock and the floor; the delay that the relay adds; what it costs when idle."""
    seconds = 4.0 if quick else 10.0
    shapes = [
        (kind, *shape) for kind in KINDS for shape in ([(15, 4)] if quick else [(LOADS[kind], 4), (1, 36)])
    ]  # fmt: skip
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
            + ". CPU time, user and system, of the whole process, divided into its streams. The floor protects and "
            "sends the same packets and does nothing else. Loopback delivers to the receivers on the sender's account.",
        )
    )  # fmt: skip
    print(
        table(
            "From a frame's publishing to the arrival of its last packet",
            ["stream", "viewers × tiles", "relay's share of a core, %", "p50 ms", "p99 ms", "frames"],
            delays,
            "Publisher and receivers share one process, so their own delays are in it: an upper bound of what bus and "
            "relay add.",
        )
    )
    nobody = await ours("main", 0, 4, seconds)
    still = await ours("main", 15, 4, seconds, still=True)
    print(
        table(
            "An idle relay's share of a core, %",
            ["what", "%"],
            [["4 cameras, nobody watches", 100 * nobody.cpu], ["15 viewers × 4, cameras silent", 100 * still.cpu]],
        )
    )
