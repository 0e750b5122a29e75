import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.media import h264, h265, nal
from services.media.output_order import OutputOrder, Placement
from tests.media import encoded

AVC, HEVC = "h264", "hevc"


def payloads(stream: encoded.Stream, codec: str) -> list[bytes]:
    """Access units as on the bus: length-prefixed, keyframes with their parameter sets."""
    is_set = h264.is_parameter_set if codec == AVC else h265.is_parameter_set
    sets = [unit for unit in nal.split_annex_b(stream.extradata) if is_set(unit)]
    made = []
    for packet in stream.packets:
        slices = [unit for unit in nal.split_annex_b(packet.data) if not is_set(unit)]
        made.append(nal.join_length_prefixed([*sets, *slices] if packet.keyframe else slices))
    return made


def placed(stream: encoded.Stream, codec: str) -> list[Placement]:
    order = OutputOrder()
    return [
        order.place(codec, payload, keyframe=packet.keyframe)
        for packet, payload in zip(stream.packets, payloads(stream, codec), strict=True)
    ]


def avc(b_frames: int, *, frames: int = 60, gop: int = 20, **x264: object) -> encoded.Stream:
    params = {"keyint": gop, "min-keyint": gop, "scenecut": 0, "bframes": b_frames, "b-adapt": 0, **x264}
    text = ":".join(f"{name.replace('_', '-')}={value}" for name, value in params.items())
    options = (("preset", "veryfast"), ("x264-params", text))
    return encoded.video("libx264", size=(160, 96), frames=frames, gop=gop, b_frames=b_frames, options=options)


def expected(stream: encoded.Stream, codec: str) -> list[Placement]:
    """By the encoder's own time stamps and references."""
    found, top = [], 0
    for packet in stream.packets:
        units = nal.split_annex_b(packet.data)
        if packet.keyframe:
            top = packet.pts
            idr = codec == HEVC or any(h264.nal_type(unit) == h264.NalType.IDR for unit in units)
            found.append(Placement.IN_ORDER if idr else Placement.OPEN)
        elif packet.pts > top:
            top = packet.pts
            found.append(Placement.IN_ORDER)
        else:
            disposable = h264.is_disposable(units) if codec == AVC else h265.is_disposable(units)
            found.append(Placement.DROPPABLE if disposable else Placement.REORDERED)
    return found


@settings(max_examples=25, deadline=None)
@given(
    b_frames=st.integers(0, 4),
    pyramid=st.sampled_from([0, 1, 2]),
    open_gop=st.booleans(),
    interlaced=st.booleans(),
    references=st.integers(1, 6),
    gop=st.sampled_from([7, 20, 300]),
)
def test_h264_is_placed_as_its_encoder_ordered_it(
    b_frames: int, pyramid: int, open_gop: bool, interlaced: bool, references: int, gop: int
) -> None:
    more = {"tff": 1} if interlaced else {}
    stream = avc(b_frames, gop=gop, b_pyramid=pyramid, open_gop=int(open_gop), ref=references, **more)
    assert placed(stream, AVC) == expected(stream, AVC)


@settings(max_examples=8, deadline=None)
@given(b_frames=st.integers(0, 4), gop=st.sampled_from([7, 25]), open_gop=st.booleans(), pyramid=st.booleans())
def test_h265_is_placed_as_its_encoder_ordered_it(b_frames: int, gop: int, open_gop: bool, pyramid: bool) -> None:
    params = f"keyint={gop}:min-keyint={gop}:scenecut=0:bframes={b_frames}:b-adapt=0:pools=none:frame-threads=1"
    params += f":open-gop={int(open_gop)}:b-pyramid={int(pyramid)}:log-level=none"
    options = (("x265-params", params),)
    stream = encoded.video("libx265", frames=50, gop=gop, b_frames=b_frames, options=options)
    assert placed(stream, HEVC) == expected(stream, HEVC)


def test_what_remains_without_droppable_pictures_decodes_without_delay() -> None:
    stream = avc(1, frames=60)
    found = placed(stream, AVC)
    assert set(found) == {Placement.IN_ORDER, Placement.DROPPABLE}
    decoder = av.CodecContext.create("h264", "r")
    shown = 0
    for payload, placement in zip(payloads(stream, AVC), found, strict=True):
        if placement is Placement.IN_ORDER:
            shown += len(decoder.decode(av.Packet(nal.length_prefixed_to_annex_b(payload))))
    shown += len(decoder.decode(None))
    assert shown == found.count(Placement.IN_ORDER) == 33


def test_pictures_that_count_as_decoded_are_in_order() -> None:
    stream = encoded.video(frames=30)  # ultrafast without B-pictures: pic_order_cnt_type 2
    assert h264.parse_sps(h264.parameter_sets(nal.split_annex_b(stream.extradata)).sps[0]).order_type == 2
    assert set(placed(stream, AVC)) == {Placement.IN_ORDER}


@pytest.mark.parametrize("pixels", ["gray", "yuv422p", "yuv444p", "yuv420p10le"])
def test_a_keyframe_of_pictures_that_few_decoders_know_is_not_for_every_decoder(pixels: str) -> None:
    stream = encoded.video(frames=4, pixel_format=pixels)
    assert placed(stream, AVC)[0] is Placement.OPEN
    assert placed(encoded.video("libx265", frames=4, pixel_format=pixels), HEVC)[0] is Placement.OPEN


def test_counts_that_wrap_are_followed() -> None:
    stream = avc(1, frames=200, gop=200)
    assert placed(stream, AVC) == expected(stream, AVC)


def test_counts_that_wrap_and_counts_that_begin_anew_are_in_order() -> None:
    stream = avc(0, frames=200, gop=200, bframes=0)
    assert set(placed(stream, AVC)) == {Placement.IN_ORDER}
    order = OutputOrder()
    first, *rest = payloads(stream, AVC)
    assert order.place(AVC, first, keyframe=True) is Placement.IN_ORDER
    for payload in (*rest[:150], *rest):
        assert order.place(AVC, payload, keyframe=False) is Placement.IN_ORDER


@pytest.mark.parametrize("codec", [AVC, HEVC, "mjpeg"])
@given(st.binary(max_size=60), st.booleans())
def test_any_bytes_are_placed_without_error(codec: str, payload: bytes, keyframe: bool) -> None:
    order = OutputOrder()
    stream = avc(1) if codec == AVC else encoded.video("libx265", frames=30, b_frames=2)
    order.place(codec, payloads(stream, codec)[0] if codec != "mjpeg" else b"", keyframe=True)
    # passes if nothing raises
    order.place(codec, payload, keyframe=keyframe)
    order.place(codec, len(payload).to_bytes(4, "big") + payload, keyframe=keyframe)


@pytest.mark.parametrize(("b_frames", "settled"), [(0, True), (2, False)])
def test_pictures_need_not_be_looked_at_where_their_order_is_promised(b_frames: int, settled: bool) -> None:
    stream, order = avc(b_frames), OutputOrder()
    for packet, payload in zip(stream.packets, payloads(stream, AVC), strict=True):
        placement = order.place(AVC, payload, keyframe=packet.keyframe)
        assert order.is_settled is settled
        assert placement is Placement.IN_ORDER or not settled


def test_pictures_without_parameter_sets_are_in_order_until_these_come() -> None:
    stream, order = avc(2), OutputOrder()
    first, *others = payloads(stream, AVC)
    bare = nal.join_length_prefixed([u for u in nal.split_length_prefixed(first) if not h264.is_parameter_set(u)])
    order.place(AVC, bare, keyframe=True)
    assert order.is_settled
    assert {order.place(AVC, payload, keyframe=False) for payload in others[:10]} == {Placement.IN_ORDER}
    order.place(AVC, first, keyframe=True)
    assert not order.is_settled
