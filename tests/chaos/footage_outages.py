"""What happens to footage's way: one function an outage. Tests run them short, `python -m bench outages` in full."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from tests.chaos.footage_rig import FootageRig
from tests.processes import descendants

Outage = Callable[[FootageRig, float], Awaitable[None]]


async def nats_killed(rig: FootageRig, seconds: float) -> None:
    """nats-server is killed and away."""
    await rig.nats.kill()
    await asyncio.sleep(seconds)
    await rig.nats.start()


async def nats_frozen(rig: FootageRig, seconds: float) -> None:
    """nats-server is there and does not answer."""
    os.kill(rig.nats.pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(seconds)
    finally:
        os.kill(rig.nats.pid, signal.SIGCONT)


async def recorder_frozen(rig: FootageRig, seconds: float) -> None:
    """The first recorder is stopped; who watches it may kill it."""
    recorder = rig.recorders[0]
    recorder.signal(signal.SIGSTOP)
    await asyncio.sleep(seconds)
    with suppress(ProcessLookupError):
        recorder.signal(signal.SIGCONT)


async def recorder_away(rig: FootageRig, seconds: float) -> None:
    """The first recorder is killed and away; where there is another, that stands in."""
    recorder = rig.recorders[0]
    await recorder.kill(away=True)
    await asyncio.sleep(seconds)
    await recorder.start()


async def registry_away(rig: FootageRig, seconds: float) -> None:
    """Nobody leads."""
    registry = rig.services["registry"]
    await registry.kill(away=True)
    await asyncio.sleep(seconds)
    await registry.start()


async def network_cut(rig: FootageRig, seconds: float) -> None:
    """Nothing passes between recorders and the rest; the rig must have a ``network``."""
    assert rig.network is not None
    rig.network.cut()
    await asyncio.sleep(seconds)
    rig.network.mend()


async def disk_full(rig: FootageRig, seconds: float) -> None:
    """The first recorder's disk, which must be a small file system of its own, has no room."""
    ballast = rig.data(rig.recorders[0].name) / "ballast"
    _fill(ballast)
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        await asyncio.sleep(0.5)
        _fill(ballast)  # also what was freed meanwhile
    ballast.unlink()


def _fill(path: Path) -> None:
    with path.open("ab") as file, suppress(OSError):
        while True:
            os.write(file.fileno(), bytes(64 * 1024))


async def ingest_worker_killed(rig: FootageRig, seconds: float) -> None:
    """kill -9 of the process that reads cameras; its parent starts another. ``seconds`` are waited for."""
    for pid in descendants(rig.services["ingest"].pid):
        os.kill(pid, signal.SIGKILL)
    await asyncio.sleep(seconds)


async def random_kills(rig: FootageRig, seconds: float, *, every_seconds: float = 4.0, seed: int = 1) -> None:
    """kill -9 of any service but ingest's worker, whose parent is one of them, again and again."""
    chosen = random.Random(seed)
    victims = ["nats", "registry", "ingest", *(recorder.name for recorder in rig.recorders)]
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        victim = chosen.choice(victims)
        if victim == "nats":
            await rig.nats.kill()
            await rig.nats.start()
        elif victim == "ingest":
            with suppress(ProcessLookupError):  # it may not be back yet
                os.kill(rig.services[victim].pid, signal.SIGKILL)
        else:
            await rig.services[victim].kill()
        await asyncio.sleep(every_seconds)


async def whole_after(rig: FootageRig, outage: Outage, seconds: float) -> float:
    """Carries out an outage; returns how many seconds after its end all frames up to it were on disk."""
    await outage(rig, seconds)
    return await rig.recorded_since(time.time())
