"""The stamp in an access unit."""

from hypothesis import given
from hypothesis import strategies as st

from services.sim.pictures import stamp
from services.sim.pictures.stamp import Stamp

STAMPS = st.builds(Stamp, st.integers(0, 0xFFFF), st.integers(0, 2**40 - 1), st.integers(0, 2**56 - 1))


@given(STAMPS, st.sampled_from([stamp.h264_sei(), stamp.hevc_sei()]), st.binary(max_size=50), st.binary(max_size=50))
def test_a_stamp_is_found_wherever_it_stands(value: Stamp, sei: bytes, before: bytes, after: bytes) -> None:
    unit = bytearray(before + sei + after)
    at = stamp.text_offset(bytes(unit))
    unit[at : at + stamp.TEXT_BYTES] = stamp.text(*value)
    assert stamp.parse(bytes(unit)) == value


@given(STAMPS)
def test_a_stamp_never_needs_emulation_prevention(value: Stamp) -> None:
    for sei in (stamp.h264_sei(), stamp.hevc_sei()):
        at = stamp.text_offset(sei)
        patched = sei[:at] + stamp.text(*value) + sei[at + stamp.TEXT_BYTES :]
        assert len(patched) == len(sei)
        assert not any(patched[i : i + 2] == b"\x00\x00" and patched[i + 2] <= 3 for i in range(len(patched) - 2))


@given(st.binary(max_size=200))
def test_garbage_has_no_stamp(data: bytes) -> None:
    assert stamp.parse(data) is None
    assert stamp.parse(stamp.UUID + data[:20]) is None


def test_the_message_says_its_own_size() -> None:
    for header, sei in ((1, stamp.h264_sei()), (2, stamp.hevc_sei())):
        kind, size = sei[header], sei[header + 1]
        assert kind == 5
        assert len(sei) == header + 2 + size + 1
        assert sei.endswith(b"\x80")
