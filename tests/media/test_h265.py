import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.media import h265, nal
from services.media.nal import BitstreamError
from tests.media import encoded


@pytest.mark.parametrize("size", [(162, 90), (1920, 1080)])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv420p10le"])
def test_sps_tells_the_size_and_depth_that_were_encoded(size: tuple[int, int], pixel_format: str) -> None:
    stream = encoded.video("libx265", size=size, frames=3, pixel_format=pixel_format)
    sps = h265.parse_sps(h265.parameter_sets(nal.split_annex_b(stream.extradata)).sps[0])
    assert (sps.width_px, sps.height_px) == size
    assert sps.bit_depth_luma == (10 if pixel_format.endswith("10le") else 8)
    assert sps.profile_idc == (2 if pixel_format.endswith("10le") else 1)
    assert sps.codec_string.startswith("hvc1.2.4." if pixel_format.endswith("10le") else "hvc1.1.6.")
    assert f".L{sps.level_idc}" in sps.codec_string


def test_keyframes_and_slice_types_agree_with_the_encoder() -> None:
    stream = encoded.video("libx265", frames=60, gop=25, b_frames=2)
    sets = h265.parameter_sets(nal.split_annex_b(stream.extradata))
    assert h265.parse_sps(sets.sps[0]).reorder_frames > 0
    extra = h265.parse_pps(sets.pps[0]).extra_bits
    kinds = set()
    for packet in stream.packets:
        units = nal.split_annex_b(packet.data)
        assert h265.is_keyframe(units) == packet.keyframe
        first = next(unit for unit in units if h265.begins_picture(unit))
        kind = h265.slice_type(first, extra)
        kinds.add(kind)
        assert (kind == "I") == packet.keyframe
        assert not (h265.is_disposable(units) and packet.keyframe)
    assert kinds >= {"I", "B"}


def test_hvcc_gives_back_its_parameter_sets_and_is_what_ffmpeg_writes() -> None:
    sets = h265.parameter_sets(nal.split_annex_b(encoded.video("libx265", frames=3).extradata))
    record = h265.hvcc(sets)
    assert sets.complete
    assert h265.parse_hvcc(record) == (sets, 4)
    assert record[1:13] == h265.parse_sps(sets.sps[0]).profile_tier_level


@given(st.binary(max_size=64))
def test_any_bytes_as_sps_are_read_or_refused(tail: bytes) -> None:
    for unit in (b"\x42\x01" + tail, tail):
        try:
            sps = h265.parse_sps(unit)
        except BitstreamError:
            continue
        assert 0 < sps.height_px <= 16384


@given(st.data())
def test_a_damaged_sps_is_read_or_refused(data: st.DataObject) -> None:
    # passes if nothing raises
    sps = h265.parameter_sets(nal.split_annex_b(encoded.video("libx265", frames=3).extradata)).sps[0]
    damaged = bytearray(sps)
    damaged[data.draw(st.integers(0, len(sps) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    for unit in (bytes(damaged), bytes(damaged[: data.draw(st.integers(0, len(sps)))])):
        try:
            h265.parse_sps(unit)
        except BitstreamError:
            continue


@given(st.binary(max_size=80))
def test_any_bytes_as_hvcc_are_read_or_refused(data: bytes) -> None:
    try:
        _, size = h265.parse_hvcc(b"\1" + data)
    except BitstreamError:
        return
    assert 1 <= size <= 4


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=4))
def test_any_units_are_classified_without_error(units: list[bytes]) -> None:
    h265.is_keyframe(units)
    h265.is_disposable(units)
    h265.is_skipped_leading(units)
    h265.parameter_sets(units)
    for unit in units:
        try:
            assert h265.slice_type(unit) in "IPB"
        except BitstreamError:
            continue
