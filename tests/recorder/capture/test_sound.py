"""Sound beside pictures: each packet lasts as long as it says."""

import pytest

from services.contracts.frames import AccessUnit, CaptureClockSource, Codec, Flags
from services.media.g711 import G711Config
from services.media.mp4.tracks import AudioTrack
from services.recorder.capture.sound import SoundAssembler
from tests.recorder.units import START_US

_TOC = {480: 0 << 3, 960: 1 << 3, 1920: 2 << 3, 2880: 3 << 3}
"""SILK, one frame of 10, 20, 40 and 60 ms (RFC 6716, 3.1, table 2)."""


def _packet(number: int, samples: int, payload: bytes) -> AccessUnit:
    at_us = START_US + number * samples * 1_000_000 // 48_000
    at_90k = number * samples * 90_000 // 48_000
    clock = CaptureClockSource.ARRIVAL
    return AccessUnit(Flags.KEYFRAME, Codec.OPUS, 1, number + 1, at_90k, at_90k, at_us, 1000, clock, payload, b"")


@pytest.mark.parametrize("samples", [480, 960, 1920, 2880])
def test_opus_packets_last_as_long_as_they_say_and_none_is_left_out(samples: int) -> None:
    sound = SoundAssembler()
    for number in range(500):
        sound.add_sound(_packet(number, samples, bytes([_TOC[samples], 1, 2])))
    sound.begin_segment(START_US, START_US)
    run = sound.take_until(START_US + 10**9)
    assert run is not None
    assert [sample.duration for sample in run.samples] == [samples] * 500
    assert sound.dropped == 0


def test_a_packet_that_nobody_can_play_is_dropped_and_counted() -> None:
    sound = SoundAssembler()
    for number in range(10):
        payload = b"\x03\x00" if number == 5 else bytes([_TOC[960], 1, 2])
        sound.add_sound(_packet(number, 960, payload))
    sound.begin_segment(START_US, START_US)
    run = sound.take_until(START_US + 10**9)
    assert run is not None
    assert len(run.samples) == 9
    assert sound.dropped == 1


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (16_000, 1), (48_000, 1), (11_025, 1), (8000, 2)])
def test_g711_is_recorded_at_the_rate_that_it_says(rate: int, channels: int) -> None:
    sound, samples = SoundAssembler(), rate // 50
    for number in range(100):
        at_us, at_90k = START_US + number * 20_000, number * 1800
        clock, payload = CaptureClockSource.ARRIVAL, bytes(samples * channels)
        times = (at_90k, at_90k, at_us, 1000, clock)
        config = G711Config(rate, channels).pack()
        sound.add_sound(AccessUnit(Flags.KEYFRAME, Codec.PCM_ALAW, 1, number + 1, *times, payload, config))
    assert sound.begin_segment(START_US, START_US) == AudioTrack("pcm_alaw", rate, channels)
    run = sound.take_until(START_US + 10**9)
    assert run is not None
    assert [sample.duration for sample in run.samples] == [samples] * 100
