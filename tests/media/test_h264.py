import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.media import h264, nal
from services.media.nal import BitstreamError
from tests.media import encoded


@pytest.mark.parametrize("size", [(162, 90), (640, 360), (1920, 1080)])
@pytest.mark.parametrize(("b_frames", "pixel_format"), [(0, "yuv420p"), (2, "yuv420p"), (0, "yuv444p")])
def test_sps_tells_the_size_that_was_encoded(size: tuple[int, int], b_frames: int, pixel_format: str) -> None:
    stream = encoded.video(size=size, frames=3, b_frames=b_frames, pixel_format=pixel_format)
    sets = h264.parameter_sets(nal.split_annex_b(stream.extradata))
    sps = h264.parse_sps(sets.sps[0])
    assert (sps.width_px, sps.height_px) == size
    assert sps.frame_rate == 25
    assert sps.chroma_format_idc == (3 if pixel_format == "yuv444p" else 1)
    assert sps.codec_string.startswith(f"avc1.{sets.sps[0][1:4].hex()}")


def test_reordering_is_told_by_the_vui() -> None:
    plain = h264.parameter_sets(nal.split_annex_b(encoded.video(frames=3).extradata))
    reordered = h264.parameter_sets(nal.split_annex_b(encoded.video(frames=3, b_frames=2).extradata))
    assert h264.parse_sps(plain.sps[0]).reorder_frames == 0
    assert (h264.parse_sps(reordered.sps[0]).reorder_frames or 0) > 0


def test_keyframes_and_slice_types_agree_with_the_encoder() -> None:
    stream = encoded.video(frames=60, gop=25, b_frames=2)
    kinds = set()
    for packet in stream.packets:
        units = nal.split_annex_b(packet.data)
        assert h264.is_keyframe(units) == packet.keyframe
        slices = [unit for unit in units if h264.is_vcl(unit)]
        assert h264.begins_picture(slices[0])
        kind = h264.slice_type(slices[0])
        kinds.add(kind)
        assert (kind == "I") == packet.keyframe
        assert not (h264.is_disposable(units) and packet.keyframe)
    assert kinds == {"I", "P", "B"}
    assert any(h264.is_disposable(nal.split_annex_b(packet.data)) for packet in stream.packets)


def test_open_gop_recovery_points_are_keyframes() -> None:
    stream = encoded.video(frames=60, gop=20, b_frames=2, options=(("x264-params", "open-gop=1"),))
    keys = [packet for packet in stream.packets if h264.is_keyframe(nal.split_annex_b(packet.data))]
    idr = [
        packet
        for packet in stream.packets
        if any(h264.nal_type(unit) == h264.NalType.IDR for unit in nal.split_annex_b(packet.data))
    ]
    assert len(idr) < len(keys) == 3


def test_avcc_gives_back_its_parameter_sets() -> None:
    for pixel_format in ("yuv420p", "yuv444p"):
        sets = h264.parameter_sets(nal.split_annex_b(encoded.video(frames=3, pixel_format=pixel_format).extradata))
        assert h264.parse_avcc(h264.avcc(sets)) == (sets, 4)


def test_a_parameter_set_given_twice_is_kept_once() -> None:
    units = nal.split_annex_b(encoded.video(frames=3).extradata)
    assert h264.parameter_sets([*units, *units]) == h264.parameter_sets(units)


def test_interlaced_rows_count_twice() -> None:
    stream = encoded.video(size=(176, 144), frames=3, options=(("x264-params", "interlaced=1"),))
    sps = h264.parse_sps(h264.parameter_sets(nal.split_annex_b(stream.extradata)).sps[0])
    assert (sps.width_px, sps.height_px) == (176, 144)


def test_custom_scaling_lists_and_a_hypothetical_decoder_are_read_over() -> None:
    stream = encoded.video(
        size=(176, 144),
        frames=3,
        options=(("x264-params", "cqm=jvt:nal-hrd=cbr:vbv-maxrate=500:vbv-bufsize=500"), ("b", "500k")),
    )
    sps = h264.parse_sps(h264.parameter_sets(nal.split_annex_b(stream.extradata)).sps[0])
    assert (sps.width_px, sps.height_px, sps.frame_rate, sps.reorder_frames) == (176, 144, 25, 0)


@given(st.binary(max_size=64))
@example(b"")
@example(b"\x67")
def test_any_bytes_as_sps_are_read_or_refused(tail: bytes) -> None:
    for unit in (b"\x67" + tail, tail):
        try:
            sps = h264.parse_sps(unit)
        except BitstreamError:
            continue
        assert 0 < sps.width_px <= 16384


@given(st.integers(0, 400), st.integers(0, 7))
def test_a_damaged_sps_is_read_or_refused(position: int, bit: int) -> None:
    # passes if nothing raises
    damaged = bytearray(h264.parameter_sets(nal.split_annex_b(encoded.video(frames=3).extradata)).sps[0])
    damaged[position % len(damaged)] ^= 1 << bit
    for unit in (bytes(damaged), bytes(damaged[: position % len(damaged)])):
        try:
            h264.parse_sps(unit)
        except BitstreamError:
            continue


@given(st.binary(max_size=64))
def test_any_bytes_as_avcc_are_read_or_refused(data: bytes) -> None:
    try:
        sets, size = h264.parse_avcc(b"\1" + data)
    except BitstreamError:
        return
    assert 1 <= size <= 4
    assert all(sets.sps)


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=4))
def test_any_units_are_classified_without_error(units: list[bytes]) -> None:
    h264.is_keyframe(units)
    h264.is_disposable(units)
    h264.parameter_sets(units)
    h264.is_keyframe([b"\6" + unit for unit in units])
    for unit in units:
        h264.begins_picture(unit)
        try:
            assert h264.slice_type(unit) in "IPB"
        except BitstreamError:
            continue
