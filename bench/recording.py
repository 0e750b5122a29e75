"""What recording a camera costs, against `ffmpeg -c copy -f segment` of the same cameras in the same run."""

import asyncio

from bench.peer_processes import ffmpeg, missing
from bench.report import table
from bench.stack import running

SETTLE_SECONDS = 15.0


async def run(*, quick: bool) -> None:
    """Prints the table."""
    count, seconds = (8, 8.0) if quick else (16, 30.0)
    if "ffmpeg" in missing():
        print("There is no ffmpeg here to compare with.")
        return
    async with running(count, PANTAU_SIM_SCENES="4") as stack:
        await asyncio.sleep(SETTLE_SECONDS)
        async with ffmpeg(stack.urls) as peers:
            before = peers.cpu_seconds
            cost = await stack.cost(seconds)
            theirs, alive = (peers.cpu_seconds - before) / seconds, peers.alive
    ours = {part: 100 * cost.get(part, 0.0) / count for part in ("ingest", "nats", "recorder")}
    print(
        table(
            "Recording, percent of one core per camera",
            ["cameras", *ours, "all three", "ffmpeg", "its processes"],
            [[count, *ours.values(), sum(ours.values()), 100 * theirs / max(alive, 1), alive]],
            "1280×720, 25 frames/s, 2 Mbit/s. ffmpeg reads the same cameras, a process each, and only writes segments; "
            "the chain publishes every frame for the wall, seals and indexes as well.",
        )
    )
