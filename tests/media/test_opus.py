"""Opus packets: their length stands in their first two bytes."""

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.media.nal import BitstreamError
from services.media.opus import MAX_PACKET_SAMPLES, packet_samples


@pytest.mark.parametrize("milliseconds", [10, 20, 40, 60])
def test_a_packet_lasts_as_long_as_the_encoder_made_it(milliseconds: int) -> None:
    encoder = av.CodecContext.create("libopus", "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format = 48_000, "mono", "s16"
    encoder.options = {"frame_duration": str(milliseconds)}
    encoder.open()
    step = 48 * milliseconds
    tone = (np.sin(2 * np.pi * 440 * np.arange(step * 8) / 48_000) * 12_000).astype(np.int16)
    packets = []
    for start in range(0, len(tone), step):
        frame = av.AudioFrame.from_ndarray(tone[start : start + step].reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts = 48_000, start
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    assert packets
    assert {packet_samples(packet) for packet in packets} == {step}


@pytest.mark.parametrize(
    ("packet", "samples"),
    [
        (bytes([1 << 3]), 960),  # SILK 20 ms, one frame
        (bytes([16 << 3 | 1]), 240),  # CELT 2.5 ms, two frames
        (bytes([31 << 3 | 3, 3]), 2880),  # CELT 20 ms, three frames
        (bytes([15 << 3 | 3, 0xC0 | 2]), 1920),  # hybrid 20 ms, two frames, padded, of different lengths
    ],
)
def test_frames_are_counted_by_the_code_in_the_first_byte(packet: bytes, samples: int) -> None:
    assert packet_samples(packet) == samples


@pytest.mark.parametrize("packet", [b"", bytes([3]), bytes([3, 0]), bytes([3 << 3 | 3, 3])])
def test_what_is_no_packet_is_refused(packet: bytes) -> None:
    with pytest.raises(BitstreamError):
        packet_samples(packet)


@given(st.binary(max_size=8))
def test_any_bytes_have_a_bounded_length_or_are_refused(packet: bytes) -> None:
    try:
        samples = packet_samples(packet)
    except BitstreamError:
        return
    assert 0 < samples <= MAX_PACKET_SAMPLES
