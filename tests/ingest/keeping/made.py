"""Messages of a camera with a GOP of five pictures, as ingest encodes them."""

from services.contracts import frames
from services.contracts.frames import AccessUnit, CaptureClockSource, Codec, Flags

GOP = 5
START_US = 1_700_000_000_000_000


def picture(number: int, *, epoch: int = 1, size_bytes: int = 100) -> bytes:
    flags = Flags.KEYFRAME if number % GOP == 0 else Flags.NONE
    unit = AccessUnit(
        flags, Codec.H264, epoch, 1000 + number, number * 3600, number * 3600, START_US + number * 40_000, 1000,
        CaptureClockSource.RTCP, bytes([number % 256]) * size_bytes,
    )  # fmt: skip
    return frames.encode(unit)


def sound(number: int) -> bytes:
    unit = AccessUnit(
        Flags.KEYFRAME, Codec.PCM_ALAW, 1, number, number * 1800, number * 1800, START_US + number * 20_000, 1000,
        CaptureClockSource.RTCP, b"sound",
    )  # fmt: skip
    return frames.encode(unit)


def pictures(first: int, count: int, **options: int) -> list[bytes]:
    return [picture(number, **options) for number in range(first, first + count)]
