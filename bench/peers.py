"""Pantau, MediaMTX and go2rtc on the same simulated cameras with the same viewers: CPU, and the first keyframe.

Of the peers those are measured whose binaries are on PATH.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

import aiohttp

from bench.peer_processes import Peers, missing, whep_server
from bench.peer_viewer import PeerViewer
from bench.receivers import Counters
from bench.report import percentile, table
from bench.stack import Stack, cpu_by_part, running

PEERS: Final = ("mediamtx", "go2rtc")
SHAPES: Final = ((8, 80), (36, 36))
"""Cameras, and viewers of one camera each."""
SETTLE_SECONDS: Final = 10.0
WARM_SECONDS: Final = 3.0
CHAIN: Final = ("ingest", "nats", "relay", "front")
TRIES: Final = 24


@dataclass(frozen=True)
class Server:
    """One of those that are compared."""

    name: str
    whep: Callable[[int], str]
    """The address of a camera, by its number from 0."""
    cpu_seconds: Callable[[], dict[str, float]]
    """By part, since each part's start."""


@asynccontextmanager
async def servers(cameras: int, names: list[str]) -> AsyncIterator[list[Server]]:
    """Pantau on simulated cameras, and the peers ``names`` on the same."""
    async with AsyncExitStack() as stack:
        pantau = await stack.enter_async_context(running(cameras, PANTAU_SIM_SCENES="8"))
        found = [_pantau(pantau)]
        for name in names:
            peers, whep = await stack.enter_async_context(whep_server(name, pantau.urls))

            found.append(Server(name, whep.format, partial(_peer_cpu, name, peers)))
        await asyncio.sleep(SETTLE_SECONDS)
        yield found


def _peer_cpu(name: str, peers: Peers) -> dict[str, float]:
    return {name: peers.cpu_seconds}


def _pantau(stack: Stack) -> Server:
    names = [url.rsplit("/", 2)[1] for url in stack.urls]
    return Server(
        "pantau", lambda number: f"{stack.url}/whep/{names[number]}?profile=main", lambda: cpu_by_part(stack.pid)
    )


async def fan(server: Server, cameras: int, viewers: int, seconds: float) -> tuple[dict[str, float], float]:
    """What ``viewers`` cost: each part's share of a core; and the packets a second that all of them got."""
    counters, opened = Counters(), []
    async with aiohttp.ClientSession() as client:
        for number in range(viewers):
            viewer = PeerViewer()
            await viewer.open_at(client, server.whep(number % cameras))
            viewer.count_in(counters)
            opened.append(viewer)
        async with counters.counting():
            await asyncio.sleep(WARM_SECONDS)
            for viewer in opened:
                viewer.check()
            counters.tallies.clear()
            before = server.cpu_seconds()
            await asyncio.sleep(seconds)
            after = server.cpu_seconds()
        for viewer in opened:
            await viewer.close()
    share = {part: (after[part] - before.get(part, 0.0)) / seconds for part in after}
    return share, sum(tally.packets for tally in counters.tallies.values()) / seconds


async def first_keyframes(server: Server, cameras: int, tries: int) -> list[float]:
    """Milliseconds from offer to keyframe, one viewer after another."""
    found = []
    async with aiohttp.ClientSession() as client:
        for number in range(tries):
            viewer = PeerViewer()
            found.append(1000 * await viewer.first_keyframe(client, server.whep(number % cameras)))
            await viewer.close()
    return found


async def run(*, quick: bool) -> None:
    """Prints the tables."""
    absent = missing(*PEERS)
    for name in absent:
        print(f"{name}: not on PATH")
    names = [name for name in PEERS if name not in absent]
    seconds, rounds = (5.0, 1) if quick else (10.0, 2)
    rows: list[list[object]] = []
    first: list[list[object]] = []
    for cameras, viewers in SHAPES:
        async with servers(cameras, names) as compared:
            for _ in range(rounds):
                for server in compared:
                    share, packets = await fan(server, cameras, viewers, seconds)
                    whole = sum(share.get(part, 0.0) for part in (CHAIN if server.name == "pantau" else share))
                    sending = share.get("relay", whole)
                    rows.append(
                        [server.name, f"{cameras} × {viewers}", 100 * whole, 100 * sending, viewers / sending, packets]
                    )
            if (cameras, viewers) == SHAPES[0]:
                for server in compared:
                    times = await first_keyframes(server, cameras, TRIES // (4 if quick else 1))
                    first.append([server.name, percentile(times, 0.5), percentile(times, 0.95), len(times)])
    columns = ["server", "cameras × viewers", "whole chain, %", "sending, %", "streams/core, sending", "packets/s"]
    note = (
        "Percent of one core. Whole chain of Pantau: ingest, nats-server, relays and front, without the recorder; "
        "sending: the relays alone. A peer is one process that does all. Other work on the machine spoils single rows: "
        "compare those of one round."
    )
    print(table("What viewers of mains cost", columns, rows, note))
    print(table("From the offer to the first keyframe, ms", ["server", "p50", "p95", "tries"], first))
