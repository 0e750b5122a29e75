"""The whole chain as `pantau up` runs it: CPU per camera of each service, and the latency from a camera's send to the
wall's first UDP packet of the frame, told by the stamp that simulated cameras put into every frame."""

import asyncio
import time

import aiohttp

from bench.report import percentile, table
from bench.stack import running
from bench.whep import Viewer
from services.sim.pictures.stamp import parse

COUNTED = ("ingest", "nats", "recorder", "registry", "front", "relay", "sim")


async def measure(cameras: int, seconds: float) -> tuple[list[object], list[object]]:
    """One row of CPU shares per camera, and one of latencies."""
    delays: list[float] = []
    firsts: list[float] = []

    async with running(cameras, PANTAU_SIM_SCENES="8") as stack, aiohttp.ClientSession() as client:
        await asyncio.sleep(15)  # every camera has been opened and the first burst is over
        cost = await stack.cost(seconds)
        viewers = []
        for number in range(1, 5):
            began = time.time()
            seen: list[float] = []

            def take(packet: object, at: float, began: float = began, seen: list[float] = seen) -> None:
                if not seen:
                    seen.append(at)
                    firsts.append((at - began) * 1000)
                stamp = parse(getattr(packet, "payload", b""))
                if stamp is not None and at - began > 2:  # the replayed GOP is behind us
                    delays.append((at * 1e6 - stamp.sent_us) / 1000)

            viewer = Viewer(take)
            await viewer.open(client, stack.url, f"cam-{number:03}")
            viewers.append(viewer)
        await asyncio.sleep(seconds)
        for viewer in viewers:
            await viewer.close(client, stack.url)
    per_camera: list[object] = [100 * cost.get(part, 0.0) / cameras for part in COUNTED]
    chain = sum(cost.get(part, 0.0) for part in ("ingest", "nats", "recorder")) * 100 / cameras
    latency: list[object] = [percentile(delays, 0.5), percentile(delays, 0.99), len(delays), percentile(firsts, 0.5)]
    return [cameras, *per_camera, chain], [cameras, *latency]


async def run(*, quick: bool) -> None:
    """Prints both tables."""
    counts = (16,) if quick else (16, 64)
    results = [await measure(cameras, 10 if quick else 30) for cameras in counts]
    print(
        table(
            "CPU per camera, percent of one core",
            ["cameras", *COUNTED, "ingest + nats + recorder"],
            [cpu for cpu, _ in results],
            "Main profiles of 1280×720, 25 frames/s, 2 Mbit/s, all recorded; nobody watches.",
        )
    )
    print(
        table(
            "From a camera's send to the wall's first UDP packet of the frame",
            ["cameras", "p50 ms", "p99 ms", "frames", "offer to first packet p50 ms"],
            [latency for _, latency in results],
            "Four viewers. libav holds each access unit until the next begins: 40 ms at 25 frames/s.",
        )
    )
