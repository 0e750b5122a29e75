"""Sends by a given library for a while, as a process: under AddressSanitizer this must be a Python of its own.

    python -m tests.wall.relay.kernel.exercise LIBRARY SEED ROUNDS

Compares with Python as the tests do. Status 0 where nothing was found; 0 rounds: until it is stopped.
"""

import asyncio
import itertools
import random
import sys
from pathlib import Path

from services.contracts.frames import Codec, encode
from services.media.nal import BitstreamError, check_length_prefixed
from services.wall.relay.engine.send_batch import probe_offload
from services.wall.relay.engine.template import PacketLayout
from services.wall.relay.kernel.library import SendKernel
from services.wall.relay.sending.frame import lay_out_by_python
from services.wall.relay.sending.timeline import MAX_JUMP_TICKS
from tests.wall.relay.kernel.lent import Lent, is_usual
from tests.wall.relay.kernel.twins import Step, access_unit, described, play, twins

SIZES = (0, 1, 2, 3, 20, 500, 1189, 1190, 1191, 1192, 1193, 1194, 2380, 2384, 5000, 30_000, 70_000)
SHAPES = ((0, 16), (8, 16), (12, 16), (8, 10), (0, 10))


def random_payload(chance: random.Random) -> bytes:
    """NAL units of telling sizes; now and then with some bytes changed, or cut."""
    units = [chance.randbytes(chance.choice(SIZES)) for _ in range(chance.randrange(12))]
    payload = bytearray(access_unit(units, 0).payload)
    if payload and chance.random() < 0.4:
        for _ in range(chance.randrange(1, 4)):
            payload[chance.randrange(min(len(payload), 64))] = chance.choice((0, 1, 4, 127, 255))
        if chance.random() < 0.5:
            del payload[chance.randrange(len(payload)) :]
    return bytes(payload)


def lay_out_once(kernel: SendKernel, chance: random.Random) -> None:
    """One access unit, by both."""
    payload, codec, shape = random_payload(chance), chance.choice((Codec.H264, Codec.HEVC)), chance.choice(SHAPES)
    made = kernel.lay_out(codec is Codec.HEVC, payload, *shape)
    try:
        check_length_prefixed(payload)
    except BitstreamError:
        assert made is None
        return
    assert made is not None
    assert described(PacketLayout.of_kernel(made, *shape)) == described(lay_out_by_python(codec, payload, shape))


def random_steps(chance: random.Random) -> list[Step]:
    """What happens to a track."""
    return [
        Step(
            chance.choice((2, 500, 1500, 8000, 40_000)),
            chance.choice((3600, 3600, 3600, 1, 0, -90_000, 10**6, MAX_JUMP_TICKS, MAX_JUMP_TICKS + 1)),
            chance.choice((0, 0, 3600, -1800)),
            chance.random() < 0.1,
            chance.choice((0.0, 0.001, 0.04, 0.04, 2.5)),
            chance.choice(("live", "live", "live", "replay", "serve", "nack", "drop")),
        )
        for _ in range(chance.randrange(1, 300))
    ]


async def send_once(kernel: SendKernel, chance: random.Random) -> None:
    """One track's life, by both."""
    codec, seed, steps = chance.choice((Codec.H264, Codec.HEVC)), chance.randrange(1 << 30), random_steps(chance)
    with twins(kernel, offload=chance.random() < 0.7 and not probe_offload(), seed=seed) as (mine, theirs):
        for twin in (mine, theirs):
            play(twin, steps, codec)
        assert mine.received() == theirs.received()
        assert mine.state() == theirs.state()


async def take_once(kernel: SendKernel, chance: random.Random) -> None:
    """Messages as they come from the bus, usual and not."""
    codec = chance.choice((Codec.H264, Codec.HEVC))
    with twins(kernel, offload=not probe_offload()) as (twin, _):
        lent = Lent(twin, codec)
        for _ in range(20):
            unit = lent.next_unit()
            if chance.random() < 0.5:
                unit = unit._replace(payload=random_payload(chance))
            message = bytearray(encode(unit))
            if chance.random() < 0.3:
                message[chance.randrange(min(len(message), 70))] = chance.randrange(256)
            made = bytes(message[: len(message) - chance.choice((0, 0, 0, 1, len(message)))])
            assert is_usual(made, lent) is bool(lent.take(made))
        twin.received()


def main() -> None:
    """Runs until something is found, or the rounds are over."""
    library, seed, rounds = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    kernel, chance = SendKernel(library), random.Random(seed)
    for number in itertools.count():
        if rounds and number == rounds:
            break
        for _ in range(20):
            lay_out_once(kernel, chance)
        asyncio.run(send_once(kernel, chance))
        asyncio.run(take_once(kernel, chance))
        if number % 500 == 499:
            sys.stdout.write(f"{number + 1} rounds\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
