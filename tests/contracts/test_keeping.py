"""The messages about kept footage."""

import pytest

from services.contracts.frames import (
    AccessUnit,
    CaptureClockSource,
    Codec,
    Flags,
    begins_gop,
    capture_us_of,
    encode,
    is_picture,
    order_of,
)
from services.contracts.keeping import (
    KeepingError,
    KeptReport,
    KeptRun,
    SafeFootage,
    SafeReport,
    join_messages,
    split_messages,
)


def test_reports_come_back_as_they_were() -> None:
    kept = KeptReport("w-1", (KeptRun("city", "cam-1", 7, 100, 200, 5, 6, True),), spooled=True)
    assert KeptReport.unpack(kept.pack()) == kept
    safe = SafeReport("rec-1", (SafeFootage("cam-1", 7, 150), SafeFootage("cam-2", 8, 1 << 60)))
    assert SafeReport.unpack(safe.pack()) == safe


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x90", b"\x92\x01\x90", b"\x92\xa1w\x91\x91\x01", b"\x92\xa1w\x01"])
def test_other_bytes_are_refused(data: bytes) -> None:
    for report in (KeptReport, SafeReport):
        with pytest.raises(KeepingError):
            report.unpack(data)


def test_messages_are_joined_and_split_and_a_cut_is_noticed() -> None:
    messages = [b"", b"one", b"two" * 1000]
    joined = join_messages(messages)
    assert list(split_messages(joined)) == messages
    for cut in (1, 5, len(joined) - 1):
        with pytest.raises(KeepingError):
            list(split_messages(joined[:cut]))


@pytest.mark.parametrize("codec", [Codec.H264, Codec.PCM_ALAW])
@pytest.mark.parametrize("flags", [Flags.KEYFRAME, Flags.NONE, Flags.DAMAGED])
def test_a_message_tells_what_it_is_without_being_unpacked(codec: Codec, flags: Flags) -> None:
    unit = AccessUnit(flags, codec, 77, 1 << 50, -5, -6, 1_700_000_000_123_456, 1, CaptureClockSource.RTCP, b"x", b"y")
    message = encode(unit)
    assert is_picture(message) is codec.is_video
    assert begins_gop(message) is (codec.is_video and unit.keyframe)
    assert order_of(message) == unit.order
    assert capture_us_of(message) == unit.capture_us
