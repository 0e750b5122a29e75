"""What one frame to one viewer costs a relay: instructions and CPU time, with the send kernel and with Python alone.

The relay's own classes from the message on the bus to the packets in the kernel, without bus, handshakes and waiting.
Instructions repeat on any machine and however busy it is; they need valgrind. Time is given for what a further viewer
costs: the slope from 10 to 40 viewers of a camera, of runs that took turns.
"""

import asyncio
import gc
import os
import pickle
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import Any, Final, cast

import uvloop

from bench.floor import keys
from bench.pictures import KINDS
from bench.report import table
from services.contracts.frames import AccessUnit, CaptureClockSource, Codec, Flags, encode
from services.contracts.models import Camera, Profile
from services.contracts.sessions import Aim, Size
from services.mesh.clock import ManualClock
from services.wall.relay.connection import ViewerConnection, ViewerPort
from services.wall.relay.engine.dtls import Certificates, HandshakeLimiter
from services.wall.relay.engine.ice import Path
from services.wall.relay.engine.kernel_batch import usable_kernel
from services.wall.relay.engine.negotiate import VideoChoice
from services.wall.relay.engine.sdp import ABS_SEND_TIME, PLAYOUT_DELAY, Format, PeerTransport
from services.wall.relay.engine.send_batch import probe_offload
from services.wall.relay.engine.udp import UdpPort
from services.wall.relay.sending.frame import lay_out_by_kernel, lay_out_by_python
from services.wall.relay.sending.history import SentLayouts
from services.wall.relay.sending.pacer_timer import PacerTimer
from services.wall.relay.sending.slot import Slot
from services.wall.relay.sending.track import RtpVideoTrack
from services.wall.relay.sources.feed import ProfileFeed
from services.wall.relay.sources.live import LiveSource

CAMERAS: Final = 4
"""A viewer shows them all, on one connection."""
WARM_FRAMES: Final = 30
ROUNDS: Final = 5
BOUNDS: Final = {"main": 62_000, "sub": 28_000}
"""Instructions in user mode for one frame to one of 40 viewers, at most."""
_H264: Final = Format(102, "H264", 90_000, 1, {"packetization-mode": "1"}, frozenset({"nack"}), "packetization-mode=1")


def messages(kind: str) -> tuple[float, list[bytes]]:
    """Frames a second, and one GOP as it comes from the bus."""
    from tests.wall.relay.camera import clip

    source = clip(0, **KINDS[kind].encoding)
    return source.fps, [payload for payload, _ in source.frames]


class Rig:
    """A relay's parts with so many viewers, and sockets that take what they are sent."""

    def __init__(self, viewers: int, *, by_kernel: bool) -> None:
        self.clock = ManualClock()
        found = usable_kernel() if by_kernel else "not wanted"
        kernel = None if isinstance(found, str) else found
        if by_kernel and kernel is None:
            raise SystemExit(str(found))
        udp = UdpPort(0, self.clock, gso=not probe_offload(), kernel=kernel, hosts=("127.0.0.1",))
        port = ViewerPort(
            udp=udp, candidates=(), certificates=Certificates(), handshake_limiter=HandshakeLimiter(),
            pacer_timer=PacerTimer(self.clock), pace_bps=1e9,
            lay_out=lay_out_by_kernel(kernel) if kernel is not None else lay_out_by_python,
            sent_layouts=SentLayouts(), clock=self.clock,
        )  # fmt: skip
        streams = {"main": Profile(url="rtsp://camera.test/main")}
        cameras = [Camera(id=f"cam-{n}", site="city", name=f"cam-{n}", profiles=streams) for n in range(CAMERAS)]
        self.feeds = [
            ProfileFeed(cast("Any", None), "city", "main", camera.id, self.clock, cast("Any", None))
            for camera in cameras
        ]
        feeds = SimpleNamespace(original=lambda camera, _profile: self.feeds[cameras.index(camera)])
        self.receivers = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(viewers)]
        self.slots: list[Slot] = []
        for viewer, receiver in enumerate(self.receivers):
            receiver.bind(("127.0.0.1", 0))
            connection = ViewerConnection(PeerTransport("ufrag", "p" * 22, (), "actpass"), port)
            for tile, camera in enumerate(cameras):
                track = RtpVideoTrack(
                    connection, tile, VideoChoice({"h264": _H264}, {}), {ABS_SEND_TIME: 3, PLAYOUT_DELAY: 5},
                    viewer * CAMERAS + tile + 1, None,
                )  # fmt: skip
                slot = Slot(tile, track, lambda _notice: None, self.clock)
                connection.add_slot(slot)
                slot.set_size(Size(slot=tile, width_px=1280, height_px=720))
                aim = Aim(slot=tile, camera=camera.id)
                slot.set_source(aim, LiveSource(slot, aim, camera, None, cast("Any", feeds), self.clock))
                self.slots.append(slot)
            address = receiver.getsockname()
            connection.agent.paths[address] = Path()
            connection.agent.prove(address)
            connection.on_path()
            connection.use_keys(keys())
            for slot in self.slots[-CAMERAS:]:
                slot.set_connected()

    def make(self, fps: float, payloads: list[bytes], first: int, frames: int) -> list[tuple[ProfileFeed, bytes]]:
        """What comes from the bus, of all cameras in turns, the first picture of each a keyframe."""
        made: list[tuple[ProfileFeed, bytes]] = []
        for number in range(first, first + frames):
            for camera, feed in enumerate(self.feeds):
                at = (number + camera * 7) % len(payloads) if number else 0
                flags = Flags.NONE if at else Flags.KEYFRAME
                dts = round(number * 90_000 / fps)
                unit = AccessUnit(
                    flags, Codec.H264, 1, number + 1, dts, dts, 0, 0, CaptureClockSource.ARRIVAL, payloads[at]
                )  # fmt: skip
                made.append((feed, encode(unit)))
        return made

    async def send(self, fps: float, made: list[tuple[ProfileFeed, bytes]]) -> None:
        """Gives the feeds their messages, one in each turn of the event loop."""
        for feed, message in made:
            feed._on_media(message)
            await asyncio.sleep(0)
            self.clock.advance(1 / fps / CAMERAS)


async def one(viewers: int, frames: int, by_kernel: str) -> None:
    """As a process: prints the CPU time of ``frames`` frames of each camera, and how many packets all were sent."""
    fps, payloads = pickle.load(sys.stdin.buffer)
    rig = Rig(viewers, by_kernel=by_kernel == "kernel")
    await rig.send(fps, rig.make(fps, payloads, 0, WARM_FRAMES))
    made = rig.make(fps, payloads, WARM_FRAMES, frames)
    gc.collect()
    gc.freeze()
    before, cpu = sum(slot.track.packets for slot in rig.slots), time.process_time()
    _count_instructions("on")
    await rig.send(fps, made)
    _count_instructions("off")
    print(time.process_time() - cpu, sum(slot.track.packets for slot in rig.slots) - before)


def _count_instructions(switch: str) -> None:
    """Where this process runs under callgrind, which was told not to count from its start on."""
    if "CALLGRIND" in os.environ:
        subprocess.run(["callgrind_control", "-i", switch, str(os.getpid())], check=True, stdout=subprocess.DEVNULL)


def _run(kind: str, viewers: int, frames: int, way: str, *wrap: str) -> subprocess.CompletedProcess[bytes]:
    command = [*wrap, sys.executable, "-m", "bench.viewer_cost", str(viewers), str(frames), way]
    return subprocess.run(command, input=pickle.dumps(messages(kind)), capture_output=True, check=True)


def cpu_us(kind: str, viewers: int, frames: int, way: str) -> float:
    """CPU time of one frame to all viewers of its camera, in microseconds."""
    return 1e6 * float(_run(kind, viewers, frames, way).stdout.split()[0]) / frames / CAMERAS


def instructions(kind: str, viewers: int, way: str) -> float:
    """Instructions in user mode for one frame to one viewer, over one GOP."""
    frames = int(KINDS[kind].encoding["gop"])
    valgrind = ("valgrind", "--tool=callgrind", "--instr-atstart=no", "--callgrind-out-file=/dev/null")
    done = _run(kind, viewers, frames, way, "env", "CALLGRIND=1", *valgrind)
    found = re.search(rb"Collected : (\d+)", done.stderr)
    assert found, done.stderr[-300:]
    return int(found[1]) / frames / CAMERAS / viewers


async def run(*, quick: bool) -> bool:
    """Prints both; False where the instructions are over their bound."""
    rounds, frames = (2, 50) if quick else (ROUNDS, 250)
    ways = ("kernel", "python") if not isinstance(usable_kernel(), str) else ("python",)
    rows: list[list[object]] = []
    for kind in BOUNDS:
        taken: dict[tuple[str, int], list[float]] = {}
        for _ in range(rounds):
            for way in ways:
                for viewers in (10, 40):
                    taken.setdefault((way, viewers), []).append(cpu_us(kind, viewers, frames, way))
        for way in ways:
            few, many = (statistics.median(taken[way, viewers]) for viewers in (10, 40))
            rows.append([kind, way, few / 10, many / 40, (many - few) / 30])
    note = f"Frame after frame, without waiting; user and system. Medians of {rounds} runs in turns."
    columns = ["stream", "sent by", "10 viewers", "40 viewers", "a further viewer"]
    print(table("CPU time for one frame to one viewer, µs", columns, rows, note))
    if shutil.which("valgrind") is None:
        print("\nno valgrind here: instructions are not counted")
        return True
    counts: list[list[object]] = []
    for kind, bound in BOUNDS.items():
        for way in ways:
            found = instructions(kind, 40, way)
            counts.append([kind, way, found, bound if way == "kernel" else "–", found <= bound or way == "python"])
    note = "By callgrind, of the whole process, libsrtp and OpenSSL included; one GOP."
    columns = ["stream", "sent by", "count", "bound", "held"]
    print(table("Instructions in user mode for one frame to one of 40 viewers", columns, counts, note))
    return all(bool(row[-1]) for row in counts)


if __name__ == "__main__":
    uvloop.run(one(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
