"""A camera's sound on the bus without ingest: a tone, in any codec that cameras send."""

import time
from fractions import Fraction
from functools import cache
from typing import NamedTuple

import av
import numpy as np

from services.contracts.frames import AccessUnit, CaptureClockSource, Codec, Flags, encode
from services.mesh.bus import Bus
from tests.wall.relay.camera import BusCamera, Clip

TONE_HZ = 500
_RATE = 8000
_NAMES = {Codec.PCM_MULAW: "pcm_mulaw", Codec.PCM_ALAW: "pcm_alaw", Codec.AAC: "aac"}


class Tone(NamedTuple):
    """Frames of a tone."""

    frames: tuple[bytes, ...]
    samples: int
    """In each."""
    config: bytes


@cache
def tone(codec: Codec, seconds: float = 4.0) -> Tone:
    """Encodes a tone at 8 kHz."""
    encoder = av.AudioCodecContext.create(_NAMES[codec], "w")
    assert isinstance(encoder, av.AudioCodecContext)
    aac = codec is Codec.AAC
    encoder.sample_rate, encoder.layout, encoder.format = _RATE, "mono", "fltp" if aac else "s16"
    encoder.time_base = Fraction(1, _RATE)
    encoder.open()
    samples = 1024 if aac else 160
    frames: list[bytes] = []
    for number in range(round(seconds * _RATE / samples)):
        wave = 0.4 * np.sin(2 * np.pi * TONE_HZ * (np.arange(samples) + samples * number) / _RATE)[None]
        data = wave.astype(np.float32) if aac else (wave * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(data, format=encoder.format.name, layout="mono")
        frame.sample_rate = _RATE
        frames += [bytes(packet) for packet in encoder.encode(frame)]
    return Tone(tuple(frames), samples, bytes(encoder.extradata or b""))


class Microphone(BusCamera):
    """Publishes a tone as a camera's ``audio``."""

    def __init__(self, bus: Bus, camera: str, codec: Codec) -> None:
        self._tone = tone(codec)
        super().__init__(bus, camera, Clip((), _RATE / self._tone.samples, codec), "audio")

    def next_message(self) -> tuple[bytes, bool]:
        """See `BusCamera.next_message`: every frame stands alone."""
        number, samples = self.sequence, self._tone.samples
        payload = self._tone.frames[number % len(self._tone.frames)]
        pts, now_us = number * samples * 90_000 // _RATE, time.time_ns() // 1000
        self.sequence += 1
        unit = AccessUnit(
            Flags.KEYFRAME, self.clip.codec, self.epoch, number, pts, pts, now_us, 1000, CaptureClockSource.ARRIVAL,
            payload, self._tone.config,
        )  # fmt: skip
        return encode(unit), True
