"""The least that the fan-out can cost: protection and the system call alone, with the relay's own code for both.

Run as a process, ``python -m bench.floor KIND TILES PORT…``: sends the camera's frames at its rate, laid out once, to
each of the ports ``TILES`` times over, in RTP packets under a key that nobody has. No bus, no packetizing, no pacer, no
sessions.
"""

import asyncio
import secrets
import sys
import time

import uvloop
from pylibsrtp import Policy, Session

from bench.pictures import KINDS
from services.media.packetize import packetize_h264
from services.media.rtp import pack_extensions
from services.mesh.clock import SystemClock
from services.wall.relay.engine.dtls import SMALL_WINDOW_PACKETS, SrtpKeys
from services.wall.relay.engine.send_batch import probe_offload
from services.wall.relay.engine.template import MAX_PAYLOAD_BYTES, lay_out
from services.wall.relay.engine.udp import UdpPort
from tests.wall.relay.camera import clip

EXTENSION = pack_extensions({3: bytes(3)})
TAG_BYTES = 16


def keys() -> SrtpKeys:
    """A connection's contexts with a random key, as DTLS would give them: AEAD_AES_128_GCM."""
    policy = Policy(
        key=secrets.token_bytes(28), ssrc_type=Policy.SSRC_ANY_OUTBOUND,
        srtp_profile=Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    )  # fmt: skip
    policy.allow_repeat_tx = True
    policy.window_size = SMALL_WINDOW_PACKETS
    session = Session(policy)
    return SrtpKeys(session._srtp[0], None, TAG_BYTES, "SRTP_AEAD_AES_128_GCM", (session,))


async def send(kind: str, tiles: int, ports: list[int]) -> None:
    """Sends until it is killed."""
    source = clip(0, **KINDS[kind].encoding)
    frames = [lay_out(packetize_h264(unit, MAX_PAYLOAD_BYTES), len(EXTENSION), TAG_BYTES) for unit, _ in source.frames]
    udp = UdpPort(0, SystemClock(), gso=not probe_offload(), hosts=("127.0.0.1",))
    viewers = [(keys(), destination) for port in ports if (destination := udp.destination(("127.0.0.1", port)))]
    send_batch = viewers[0][1].send_batch
    streams = [[1] * tiles for _ in viewers]
    begin = time.monotonic()
    number = 0
    while True:
        for tile in range(tiles):
            runs = frames[(number + tile) % len(frames)]
            for (key, destination), sequences in zip(viewers, streams, strict=True):
                for run in runs:
                    send_batch.scratch.protect(key, run, 102, sequences[tile], number * 3600, tile + 1, EXTENSION)
                    send_batch.add_run(run, destination)
                    sequences[tile] += run.count
            due = begin + (number + (tile + 1) / tiles) / source.fps
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        number += 1


if __name__ == "__main__":
    uvloop.run(send(sys.argv[1], int(sys.argv[2]), [int(port) for port in sys.argv[3:]]))
