"""Opus (RFC 6716): how long a packet is."""

from typing import Final

from services.media.nal import BitstreamError

SAMPLE_RATE_HZ: Final = 48_000
"""Of Opus in RTP and MP4, at every bandwidth (RFC 7587, 4.1)."""
MAX_PACKET_SAMPLES: Final = 5_760
"""120 ms (RFC 6716, 3.4, R5)."""
_FRAME_SAMPLES: Final = (
    *((480, 960, 1920, 2880) * 3),  # SILK: 10, 20, 40, 60 ms
    *((480, 960) * 2),  # hybrid
    *((120, 240, 480, 960) * 4),  # CELT: 2.5, 5, 10, 20 ms
)
"""A frame's length by the configuration in the TOC byte (RFC 6716, 3.1, table 2)."""


def packet_samples(packet: bytes) -> int:
    """How many samples at 48 kHz ``packet`` lasts. Raises `BitstreamError` for what is no Opus packet (3.2)."""
    if not packet:
        raise BitstreamError("an empty Opus packet")
    code = packet[0] & 3
    if code < 3:
        frames = 1 if code == 0 else 2
    elif len(packet) > 1 and packet[1] & 0x3F:
        frames = packet[1] & 0x3F
    else:
        raise BitstreamError("an Opus packet without a frame count")
    samples = frames * _FRAME_SAMPLES[packet[0] >> 3]
    if samples > MAX_PACKET_SAMPLES:
        raise BitstreamError(f"an Opus packet of {samples} samples, over 120 ms")
    return samples
