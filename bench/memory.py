"""Memory of each part of the product: cameras that are recorded, and viewers that see one of them each."""

import asyncio
import time
from typing import Final

import aiohttp

from bench.peer_viewer import PeerViewer
from bench.receivers import Counters
from bench.report import table
from bench.stack import Stack, running

CAMERAS: Final = 64
VIEWERS: Final = 80
SETTLE_SECONDS: Final = 20.0
"""Buffers and histories are then full."""
OPEN_SECONDS: Final = 60.0
"""A busy machine's ingest gives cameras up for a while, and they are then refused as offline."""


async def run(*, quick: bool) -> None:
    """Prints the table."""
    cameras, viewers = (16, 20) if quick else (CAMERAS, VIEWERS)
    async with running(cameras, PANTAU_SIM_SCENES="8") as stack:
        rows = _rows(stack, "nobody watches")
        names = [url.rsplit("/", 2)[1] for url in stack.urls]
        counters, opened = Counters(), []
        async with aiohttp.ClientSession() as client:
            for number in range(viewers):
                viewer = await _open(client, f"{stack.url}/whep/{names[number % cameras]}?profile=main")
                viewer.count_in(counters)
                opened.append(viewer)
            async with counters.counting():
                await asyncio.sleep(SETTLE_SECONDS)
                for viewer in opened:
                    viewer.check()
                rows += _rows(stack, f"{viewers} viewers")
            for viewer in opened:
                await viewer.close()
    note = "MiB, all processes of a part together. Pss counts what processes share once; resident counts it in each."
    print(table(f"Memory with {cameras} cameras", ["", "part", "processes", "Pss", "resident"], rows, note))


async def _open(client: aiohttp.ClientSession, url: str) -> PeerViewer:
    """A viewer, as soon as its camera can be seen. Raises ``RuntimeError`` where it cannot for `OPEN_SECONDS`."""
    until = time.monotonic() + OPEN_SECONDS
    while True:
        viewer = PeerViewer()
        try:
            await viewer.open_at(client, url)
        except RuntimeError:
            await viewer.close(goodbye=False)
            if time.monotonic() > until:
                raise
            await asyncio.sleep(1.0)
        else:
            return viewer


def _rows(stack: Stack, when: str) -> list[list[object]]:
    return [
        [when, part, memory.processes, memory.shared_once, memory.resident]
        for part, memory in sorted(stack.memory().items(), key=lambda item: -item[1].shared_once)
    ]
