"""AAC (ISO/IEC 14496-3): reading the AudioSpecificConfig."""

from typing import Final, NamedTuple

from services.media.nal import BitReader, BitstreamError

_SAMPLE_RATES: Final = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)


class AudioConfig(NamedTuple):
    """The findings of an AudioSpecificConfig (1.6.2.1)."""

    object_type: int
    sample_rate_hz: int
    channels: int


def parse_config(config: bytes) -> AudioConfig:
    """Reads an AudioSpecificConfig; raises `BitstreamError` for other bytes."""
    bits = BitReader(config)
    object_type = bits.u(5)
    if object_type == 31:
        object_type = 32 + bits.u(6)
    index = bits.u(4)
    if index == 15:
        rate = bits.u(24)
    elif index < len(_SAMPLE_RATES):
        rate = _SAMPLE_RATES[index]
    else:
        raise BitstreamError(f"sampling frequency index {index} does not exist")
    channels = bits.u(4)
    if not rate:
        raise BitstreamError("a sampling frequency of 0 Hz")
    return AudioConfig(object_type, rate, 8 if channels == 7 else channels)
