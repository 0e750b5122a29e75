"""Small cameras on the bus for a page, and a path to it that loses packets."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from services.mesh.bus import Bus
from services.wall.relay.engine.ice import Address
from tests.wall.relay.camera import BusCamera, Clip, clip
from tests.wall.relay.running import Front

SMALL = (320, 180)


@asynccontextmanager
async def cameras(
    bus: Bus, front: Front, count: int, gop_seconds: float = 2, fps: int = 15
) -> AsyncIterator[list[BusCamera]]:
    """Cameras ``cam-0`` and on, each with a clip of its own; runs until every one has a GOP."""
    gop = int(gop_seconds * fps)
    async with AsyncExitStack() as stack:
        running = []
        for number in range(count):
            await front.add_camera(f"cam-{number}")
            small: Clip = clip(number, size=SMALL, fps=fps, gop=gop, gops=1, bitrate_bps=200_000)
            running.append(await stack.enter_async_context(BusCamera(bus, f"cam-{number}", small)))
        await asyncio.sleep(gop_seconds * 0.8)
        yield running


def lose_and_jitter(front: Front, share: float, jitter_seconds: float) -> None:
    """From now on this share of the RTP packets to viewers is lost, and each of the others comes later at random."""
    rng, loop = random.Random(11), asyncio.get_running_loop()

    def lossy(plain: Callable[..., None], data: bytes | memoryview, address: Address) -> None:
        if data[0] < 128:
            plain(data, address)
        elif rng.random() >= share:
            loop.call_later(rng.random() * jitter_seconds, plain, bytes(data), address)

    for outbox in front.relay.udp.send_batches:  # paths that lose, in memory
        outbox.offload = False
        outbox.send = partial(lossy, outbox.send)  # type: ignore[method-assign]
