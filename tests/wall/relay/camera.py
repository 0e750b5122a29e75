"""A camera on the bus without ingest: publishes a clip's frames, and answers ``want`` as ingest does.

Every picture carries its camera's number and its own, as black and white blocks that survive compression, so that a
test reads from decoded pixels what it sees.
"""

import asyncio
import time
from collections import deque
from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

import av
import numpy as np

from services.contracts import subjects
from services.contracts.frames import AccessUnit, CaptureClockSource, Codec, Flags, encode
from services.contracts.models import WantReply
from services.media.nal import join_length_prefixed, split_annex_b
from services.mesh.bus import Bus, BusMessage

SITE = "city"
BITS = 24
"""8 of the camera's number, 16 of the frame's, most significant first, in a row of blocks at the top."""


class Clip(NamedTuple):
    """Encoded pictures, one GOP after another; it can be repeated from the beginning."""

    frames: tuple[tuple[bytes, bool], ...]
    """Length-prefixed NAL units, and whether it is a keyframe."""
    fps: float
    codec: Codec
    shown: tuple[int, ...] = ()
    """Each frame's place in the order of presentation; empty: as they stand here."""


def picture(camera: int, number: int, width: int, height: int) -> Any:
    """A frame with its numbers, and something that moves."""
    x = np.arange(width)
    y = np.arange(height)[:, None]
    rgb = np.empty((height, width, 3), np.uint8)
    rgb[..., 0] = (x + 4 * number) % 256
    rgb[..., 1] = (y + 2 * number) % 256
    rgb[..., 2] = camera * 37 % 256
    block = width // BITS
    for bit in range(BITS):
        value = camera >> (7 - bit) if bit < 8 else number >> (15 - (bit - 8))
        rgb[: max(block, 16), bit * block : (bit + 1) * block] = 255 * (value & 1)
    return rgb


@cache
def clip(
    camera: int,
    *,
    size: tuple[int, int] = (640, 360),
    fps: int = 25,
    gop: int = 50,
    gops: int = 2,
    bitrate_bps: int = 500_000,
    profile: str = "high",
    encoder: str = "libx264",
    b_pictures: str = "",
    pixel_format: str = "yuv420p",
) -> Clip:
    """Encodes ``gops`` GOPs; frame n of them carries the number n. ``b_pictures``: x264's parameters for them."""
    context = av.CodecContext.create(encoder, "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height = size
    context.pix_fmt = pixel_format
    context.time_base, context.framerate = Fraction(1, fps), Fraction(fps)
    context.gop_size = gop
    context.max_b_frames = 16 if b_pictures else 0
    context.bit_rate = bitrate_bps
    context.thread_count = 1
    options = {"preset": "veryfast", "tune": "zerolatency", "profile": profile}
    if encoder == "libx264":
        common = f"keyint={gop}:min-keyint={gop}:scenecut=0:repeat-headers=1:slices=1"
        options |= {"x264-params": f"{common}:b-adapt=0:{b_pictures}" if b_pictures else common}
        if b_pictures:
            options.pop("tune")
    else:
        options["x265-params"] = (
            f"log-level=none:keyint={gop}:min-keyint={gop}:scenecut=0:bframes=0:repeat-headers=1:pools=none"
        )
        options.pop("profile")
    context.options = options
    packets = []
    for number in range(gop * gops):
        frame = av.VideoFrame.from_ndarray(picture(camera, number, *size), format="rgb24")
        frame.pts = number
        packets += context.encode(frame)
    packets += context.encode(None)
    frames = tuple((join_length_prefixed(split_annex_b(bytes(p))), p.is_keyframe) for p in packets)
    shown = tuple(int(p.pts) for p in packets if p.pts is not None) if b_pictures else ()
    return Clip(frames, fps, Codec.H264 if encoder == "libx264" else Codec.HEVC, shown)


_DELAY = 3
"""Frames from a picture's decoding to its presentation where the order differs."""


class BusCamera:
    """One profile of a camera, live on the bus. Use as an async context manager, or call `run` in a task."""

    def __init__(self, bus: Bus, camera: str, clip: Clip, profile: str = "main", *, on_demand: bool = False) -> None:
        self.camera = camera
        self.clip = clip
        self.sequence = 0
        self.published = 0
        self.wants = 0
        self.flowing = asyncio.Event()
        self.epoch = 1
        self.hold = False
        """While set, frames are made but not sent: they are lost."""
        self.damaged = range(0)
        """The frames that are marked as damaged."""
        self.cut = False
        """Of the GOP it keeps the keyframe alone, as ingest does of one that is too long."""
        self.failing: WantReply | None = None
        self._bus = bus
        self._profile = profile
        self._gop: deque[bytes] = deque()
        self._task: asyncio.Task[None] | None = None
        self._opening_seconds = 0.0
        if not on_demand:
            self.flowing.set()

    async def __aenter__(self) -> "BusCamera":
        want = subjects.want(SITE, self._profile, self.camera)
        self._subscription = await self._bus.subscribe(want, self._on_want)
        self._task = asyncio.create_task(self.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        if self._bus.connected:
            await self._subscription.unsubscribe()

    async def _on_want(self, message: BusMessage) -> None:
        self.wants += 1
        self.flowing.set()
        if not message.reply:
            return
        reply = self.failing or WantReply(status="live" if self._gop else "opening", frames=len(self._gop))
        await self._bus.publish(message.reply, reply.pack())
        for frame in tuple(self._gop):
            await self._bus.publish(message.reply, frame)
        await self._bus.publish(message.reply, b"")

    def next_message(self) -> tuple[bytes, bool]:
        """The next frame's message, and whether it is a keyframe."""
        number = self.sequence
        payload, keyframe = self.clip.frames[number % len(self.clip.frames)]
        flags = (Flags.KEYFRAME if keyframe else Flags.NONE) | (Flags.DISCONTINUITY if number == 0 else Flags.NONE)
        if number in self.damaged:
            flags |= Flags.DAMAGED
        dts = int(number * 90_000 / self.clip.fps)
        length = len(self.clip.frames)
        shown = number // length * length + self.clip.shown[number % length] if self.clip.shown else number
        pts = int((shown + _DELAY) * 90_000 / self.clip.fps) if self.clip.shown else dts
        now_us = time.time_ns() // 1000
        self.sequence += 1
        unit = AccessUnit(
            flags, self.clip.codec, self.epoch, number, pts, dts, now_us, 1000, CaptureClockSource.ARRIVAL, payload
        )  # fmt: skip
        return encode(unit), keyframe

    async def publish_next(self) -> None:
        """Publishes one frame."""
        message, keyframe = self.next_message()
        if keyframe:
            self._gop.clear()
        if keyframe or not self.cut:
            self._gop.append(message)
        if not self.hold:
            await self._bus.publish(subjects.media(SITE, self._profile, self.camera), message)
            self.published += 1

    async def run(self) -> None:
        """Publishes at the clip's rate for ever."""
        await self.flowing.wait()
        begin = time.monotonic()
        sent = 0
        while True:
            await self.publish_next()
            sent += 1
            await asyncio.sleep(max(0.0, begin + sent / self.clip.fps - time.monotonic()))
