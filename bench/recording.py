"""What recording a camera costs, against `ffmpeg -c copy -f segment` of the same cameras in the same run."""

import asyncio
import json
import shutil
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp

from bench.report import table
from bench.stack import cpu_seconds, running

SETTLE_SECONDS = 15.0


async def cameras_of(url: str) -> list[str]:
    """The RTSP URLs of a demo's cameras."""
    async with aiohttp.ClientSession() as client, client.get(f"{url}/api/v1/cameras") as answer:
        body = json.loads(await answer.text())
    entries = body["cameras"] if isinstance(body, dict) else body
    return [entry.get("camera", entry)["profiles"]["main"]["url"] for entry in entries]


async def run(*, quick: bool) -> None:
    """Prints the table."""
    count, seconds = (8, 8.0) if quick else (16, 30.0)
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        print("There is no ffmpeg here to compare with.")
        return
    async with running(count, PANTAU_SIM_SCENES="4") as stack, AsyncExitStack() as exits:
        await asyncio.sleep(SETTLE_SECONDS)
        folder = Path(exits.enter_context(TemporaryDirectory(prefix="pantau-bench-")))
        peers = []
        for number, url in enumerate(await cameras_of(stack.url)):
            peer = await asyncio.create_subprocess_exec(
                ffmpeg, "-nostdin", "-loglevel", "error", "-rtsp_transport", "tcp", "-i", url, "-an", "-c", "copy",
                "-f", "segment", "-segment_time", "60", str(folder / f"{number}-%d.mp4"),
                stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
            exits.callback(_end, peer)
            peers.append(peer)
        await asyncio.sleep(5)
        before = sum(cpu_seconds(peer.pid) for peer in peers)
        cost = await stack.cost(seconds)
        theirs = (sum(cpu_seconds(peer.pid) for peer in peers) - before) / seconds
        alive = sum(peer.returncode is None for peer in peers)
        for peer in peers:
            _end(peer)
            await peer.wait()
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


def _end(peer: asyncio.subprocess.Process) -> None:
    if peer.returncode is None:
        peer.kill()
