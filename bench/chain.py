"""The whole chain as `pantau up` runs it: CPU and memory per camera of each service, beside peers that read the same
cameras in the same run; and the latency from a camera's send to the bus and to the wall's UDP packets.

Latency is told by the stamp that simulated cameras put into every frame.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import partial

import aiohttp

from bench.peer_processes import Peers, ffmpeg, mediamtx, missing
from bench.report import percentile, table
from bench.stack import Stack, running
from bench.whep import Viewer
from services.contracts import subjects
from services.mesh.bus import Bus
from services.mesh.media_transport import ReadRest
from services.sim.pictures.stamp import parse

COUNTED = ("ingest", "nats", "recorder", "registry", "front", "relay", "sim")
CHAIN = ("ingest", "nats", "recorder", "registry")
SETTLE_SECONDS = 20.0
"""Every camera has been opened and the first burst is over."""
WATCHED = 4
INGEST_BOUND = 0.20
CHAIN_BOUND = 0.45
"""Percent of one core a camera, with the most cameras."""
PEER_BOUNDS = {"ffmpeg -c copy -f segment": 1.0, "MediaMTX, reading": 0.6, "MediaMTX, recording": 0.75}
"""What ours may cost as a multiple of the peer's, in the same seconds."""
BUS_BOUND_MS = (1.0, 8.0)
WALL_BOUND_MS = (5.0, 20.0)
"""From a camera's send: median, and 99th percentile."""


@dataclass
class Measured:
    """What one number of cameras came to; rows of the tables."""

    cameras: int
    cost: dict[str, float] = field(default_factory=dict)
    """Share of one core of each part."""
    cpu: list[object] = field(default_factory=list)
    peers: list[list[object]] = field(default_factory=list)
    memory_mb: dict[str, float] = field(default_factory=dict)
    latency: list[list[object]] = field(default_factory=list)


def per_camera(cost: dict[str, float], cameras: int, names: tuple[str, ...]) -> float:
    """What some parts cost together: percent of a core, for each camera."""
    return sum(cost.get(part, 0.0) for part in names) * 100 / cameras


async def measure(cameras: int, seconds: float) -> Measured:
    """Starts a stack, and measures alone, beside peers, and with viewers."""
    measured = Measured(cameras)
    async with running(cameras, PANTAU_SIM_SCENES="8") as stack, aiohttp.ClientSession() as client:
        await asyncio.sleep(SETTLE_SECONDS)
        cost = measured.cost = await stack.cost(seconds)
        measured.memory_mb = {part: memory.shared_once for part, memory in stack.memory().items()}
        measured.cpu = [
            cameras,
            *(per_camera(cost, cameras, (part,)) for part in COUNTED),
            per_camera(cost, cameras, CHAIN),
        ]
        measured.peers = await beside_peers(stack, cameras, seconds)
        measured.latency = [await to_bus(stack, cameras, seconds), *await to_wall(stack, client, cameras, seconds)]
    return measured


async def beside_peers(stack: Stack, cameras: int, seconds: float) -> list[list[object]]:
    """One row for each peer: ours and theirs in the same seconds."""
    rows: list[list[object]] = []
    absent = missing()
    made: list[tuple[str, tuple[str, ...], str, Callable[[], AbstractAsyncContextManager[Peers]]]] = [
        ("ffmpeg -c copy -f segment", CHAIN, "ffmpeg", partial(ffmpeg, stack.urls)),
        ("MediaMTX, reading", ("ingest",), "mediamtx", partial(mediamtx, stack.urls, record=False)),
        ("MediaMTX, recording", CHAIN, "mediamtx", partial(mediamtx, stack.urls, record=True)),
    ]
    for name, of_ours, command, make in made:
        if command in absent:
            continue
        async with make() as peers:
            before = peers.cpu_seconds
            cost = await stack.cost(seconds)
            theirs = (peers.cpu_seconds - before) / seconds * 100 / cameras
            ours = per_camera(cost, cameras, of_ours)
            rows.append(
                [cameras, name, " + ".join(of_ours), ours, theirs, ours / theirs if theirs else 0.0, peers.alive]
            )
    return rows


async def to_bus(stack: Stack, cameras: int, seconds: float) -> list[object]:
    """From a camera's send to a subscriber of the bus."""
    delays_ms: list[float] = []

    def take(message: bytes) -> None:
        if (stamp := parse(message[:1024])) is not None:
            delays_ms.append(time.time() * 1000 - stamp.sent_us / 1000)

    bus = await Bus.connect(stack.mesh(), "bench")
    bus.rest_after_media(read=ReadRest(0, 0))
    for number in range(1, WATCHED + 1):
        await bus.subscribe_direct(subjects.media("*", "main", f"cam-{number:03}"), take)
    await asyncio.sleep(seconds)
    await bus.close()
    return [cameras, "the bus", percentile(delays_ms, 0.5), percentile(delays_ms, 0.99), len(delays_ms)]


async def to_wall(stack: Stack, client: aiohttp.ClientSession, cameras: int, seconds: float) -> list[list[object]]:
    """From a camera's send to the first and to the last UDP packet of the frame, and from an offer to a packet."""
    firsts_ms: list[float] = []
    lasts_ms: list[float] = []
    offers_ms: list[float] = []
    viewers = []
    for number in range(1, WATCHED + 1):
        began = time.time()
        sent_ms: list[float] = []

        def take(packet: object, at: float, began: float = began, sent_ms: list[float] = sent_ms) -> None:
            if not sent_ms:
                offers_ms.append((at - began) * 1000)
                sent_ms.append(0.0)
            stamp = parse(getattr(packet, "payload", b""))
            if stamp is not None:
                sent_ms[0] = stamp.sent_us / 1000
                if at - began > 2:  # the replayed GOP is behind us
                    firsts_ms.append(at * 1000 - sent_ms[0])
            if getattr(packet, "marker", 0) and at - began > 2:
                lasts_ms.append(at * 1000 - sent_ms[0])

        viewer = Viewer(take)
        await viewer.open(client, stack.url, f"cam-{number:03}")
        viewers.append(viewer)
    await asyncio.sleep(seconds)
    for viewer in viewers:
        await viewer.close(client, stack.url)
    return [
        [
            cameras,
            "the wall's first UDP packet",
            percentile(firsts_ms, 0.5),
            percentile(firsts_ms, 0.99),
            len(firsts_ms),
        ],
        [cameras, "the wall's last UDP packet", percentile(lasts_ms, 0.5), percentile(lasts_ms, 0.99), len(lasts_ms)],
        [
            cameras,
            "from an offer, its first packet",
            percentile(offers_ms, 0.5),
            percentile(offers_ms, 0.99),
            len(offers_ms),
        ],
    ]


def judged(most: Measured) -> list[list[object]]:
    """What is promised of the largest number of cameras, what was measured, and whether it holds."""
    rows: list[list[object]] = []

    def judge(what: str, measured: float, bound: float) -> None:
        rows.append([what, measured, bound, "yes" if measured <= bound else "no"])

    judge("ingest, % of a core a camera", per_camera(most.cost, most.cameras, ("ingest",)), INGEST_BOUND)
    judge(f"{' + '.join(CHAIN)}, % of a core a camera", per_camera(most.cost, most.cameras, CHAIN), CHAIN_BOUND)
    for peer in most.peers:
        name, ratio = str(peer[1]), peer[5]
        assert isinstance(ratio, float)
        judge(f"{peer[2]}, times {name}", ratio, PEER_BOUNDS[name])
    for name, bounds in (("the bus", BUS_BOUND_MS), ("the wall's last UDP packet", WALL_BOUND_MS)):
        row = next(row for row in most.latency if row[1] == name)
        for label, value, bound in zip(("p50", "p99"), row[2:4], bounds, strict=True):
            assert isinstance(value, float)
            judge(f"from a camera's send to {name}, {label} ms", value, bound)
    return rows


def growth(results: list[Measured]) -> list[list[object]]:
    """What the chain costs in all, and what each further camera adds to that."""
    rows: list[list[object]] = []
    for before, result in zip([None, *results], results, strict=False):
        ingest, chain = (per_camera(result.cost, 1, parts) for parts in (("ingest",), CHAIN))
        if before is None:
            rows.append([result.cameras, ingest, chain, "", ""])
            continue
        added = result.cameras - before.cameras
        rows.append(
            [result.cameras, ingest, chain]
            + [
                f"{(total - per_camera(before.cost, 1, parts)) / added:.2f}"
                for total, parts in ((ingest, ("ingest",)), (chain, CHAIN))
            ]
        )
    return rows


async def run(*, quick: bool, cameras: int = 0) -> None:
    """Prints the tables; with ``cameras``, for that number alone."""
    counts = (cameras,) if cameras else (16,) if quick else (16, 32, 64)
    results = [await measure(count, 10 if quick else 30) for count in counts]
    print(
        table(
            f"What is promised, with {results[-1].cameras} cameras",
            ["what", "measured", "bound", "holds"],
            judged(results[-1]),
        )
    )
    columns = ["cameras", "ingest %", "all four %", "ingest, each more %", "all four, each more %"]
    print(table("Growth, percent of one core", columns, growth(results)))
    print(
        table(
            "CPU per camera, percent of one core",
            ["cameras", *COUNTED, " + ".join(CHAIN)],
            [result.cpu for result in results],
            "Main profiles of 1280×720, 25 frames/s, 2 Mbit/s, GOP 2 s, all recorded; nobody watches.",
        )
    )
    if rows := [row for result in results for row in result.peers]:
        columns = ["cameras", "peer", "ours", "ours %", "theirs %", "ours / theirs", "their processes"]
        print(table("Beside peers that read the same cameras in the same seconds", columns, rows))
    for name in missing():
        print(f"\n{name} is not on PATH: nothing to compare with.")
    if len(results) > 1:
        least, most = results[0], results[-1]
        added = most.cameras - least.cameras
        grown: list[list[object]] = [
            [part, least.memory_mb.get(part, 0.0), most.memory_mb.get(part, 0.0),
             (most.memory_mb.get(part, 0.0) - least.memory_mb.get(part, 0.0)) / added]
            for part in COUNTED
        ]  # fmt: skip
        columns = ["part", f"{least.cameras} cameras", f"{most.cameras} cameras", "a camera"]
        print(table("Resident memory, MiB", columns, grown))
    columns = ["cameras", "to", "p50 ms", "p99 ms", "samples"]
    print(
        table(
            "From a camera's send",
            columns,
            [row for result in results for row in result.latency],
            f"{WATCHED} cameras are watched, each by one viewer.",
        )
    )
