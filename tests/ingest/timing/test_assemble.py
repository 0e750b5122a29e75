"""Assembling: published frames can be decoded from the first byte on, with any framing and manners of the source."""

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.contracts.frames import Codec
from services.ingest.readers.source import Track
from services.ingest.timing.assemble import assembler
from services.ingest.timing.nal_assembler import MAX_NAL_UNITS
from services.ingest.timing.units import Assembler, Unit
from services.media import h264, h265
from services.media.nal import (
    BitstreamError,
    escape,
    join_annex_b,
    join_length_prefixed,
    length_prefixed_to_annex_b,
    split_annex_b,
    split_length_prefixed,
    unescape,
)
from tests.media.encoded import Stream, audio, video

CODECS = {"libx264": Codec.H264, "libx265": Codec.HEVC}


def parameter_sets(codec: str, stream: Stream) -> list[bytes]:
    module = h264 if codec == "libx264" else h265
    return [unit for unit in split_annex_b(stream.packets[0].data) if module.is_parameter_set(unit)]


def bare(codec: str, data: bytes) -> bytes:
    """A packet without its parameter sets."""
    module = h264 if codec == "libx264" else h265
    return join_annex_b(unit for unit in split_annex_b(data) if not module.is_parameter_set(unit))


def assemble(subject: Assembler, packets: list[bytes]) -> list[Unit]:
    return [unit for packet in packets for unit in subject.assemble(packet)]


def decoded(codec: str, units: list[Unit]) -> int:
    context = av.CodecContext.create("h264" if codec == "libx264" else "hevc", "r")
    assert isinstance(context, av.VideoCodecContext)
    context.options = {"err_detect": "explode"}
    count = 0
    for unit in units:
        count += len(context.decode(av.Packet(length_prefixed_to_annex_b(unit.payload))))
    return count + len(context.decode(None))


@pytest.mark.parametrize("codec", CODECS)
def test_parameter_sets_from_the_description_stand_before_every_keyframe(codec: str) -> None:
    stream = video(codec, gop=10, frames=30)
    sets = parameter_sets(codec, stream)
    packets = [bare(codec, packet.data) for packet in stream.packets]
    units = assemble(assembler(Track("video", CODECS[codec], join_annex_b(sets))), packets)
    assert len(units) == 30
    assert sum(unit.keyframe for unit in units) == 3
    for unit in units:
        if unit.keyframe:
            assert split_length_prefixed(unit.payload)[: len(sets)] == sets
    assert decoded(codec, units) == 30


@pytest.mark.parametrize("codec", CODECS)
def test_parameter_sets_in_the_stream_are_enough(codec: str) -> None:
    stream = video(codec, gop=10, frames=30)
    units = assemble(assembler(Track("video", CODECS[codec], b"")), [packet.data for packet in stream.packets])
    assert decoded(codec, units) == 30
    first = split_length_prefixed(units[0].payload)
    assert len(first) == len(set(first)), "the parameter sets stand there once"


@pytest.mark.parametrize("codec", CODECS)
def test_nothing_leaves_before_parameter_sets_and_a_keyframe(codec: str) -> None:
    stream = video(codec, gop=10, frames=30)
    late = [packet.data for packet in stream.packets[3:]]
    units = assemble(assembler(Track("video", CODECS[codec], b"")), late)
    assert units[0].keyframe
    assert len(units) == 20
    without = [bare(codec, packet.data) for packet in stream.packets]
    assert assemble(assembler(Track("video", CODECS[codec], b"")), without) == []


@pytest.mark.parametrize("codec", CODECS)
def test_length_prefixed_sources_give_the_same_units(codec: str) -> None:
    stream = video(codec, gop=10, frames=30)
    sets = parameter_sets(codec, stream)
    record = h264.avcc(h264.parameter_sets(sets)) if codec == "libx264" else h265.hvcc(h265.parameter_sets(sets))
    prefixed = [join_length_prefixed(split_annex_b(packet.data)) for packet in stream.packets]
    ours = assemble(assembler(Track("video", CODECS[codec], record)), prefixed)
    theirs = assemble(assembler(Track("video", CODECS[codec], b"")), [packet.data for packet in stream.packets])
    assert ours == theirs


@pytest.mark.parametrize("codec", CODECS)
def test_a_new_picture_size_begins_a_new_run(codec: str) -> None:
    before, after = video(codec, gop=10, frames=10), video(codec, gop=10, frames=10, size=(322, 178))
    subject = assembler(Track("video", CODECS[codec], b""))
    units = assemble(subject, [packet.data for packet in (*before.packets, *after.packets)])
    assert [index for index, unit in enumerate(units) if unit.new_parameters] == [10]
    assert (subject.shape.width_px, subject.shape.height_px) == (322, 178)
    assert decoded(codec, units) == 20


def test_a_broken_parameter_set_does_not_replace_a_good_one() -> None:
    stream = video(gop=10, frames=20)
    sets = parameter_sets("libx264", stream)
    broken = join_annex_b([sets[0][:4], *split_annex_b(bare("libx264", stream.packets[0].data))])
    subject = assembler(Track("video", Codec.H264, join_annex_b(sets)))
    units = assemble(subject, [broken, *(packet.data for packet in stream.packets[1:])])
    assert decoded("libx264", units) == 20


def test_a_wrong_description_does_not_matter_to_a_good_stream() -> None:
    stream = video(gop=10, frames=20)
    for extradata in (b"\1\xff", b"\0\0\1\x67", b"garbage", b"\1" + bytes(40)):
        units = assemble(assembler(Track("video", Codec.H264, extradata)), [packet.data for packet in stream.packets])
        assert decoded("libx264", units) == 20


def renumbered(unit: bytes, header_bytes: int, *at_bits: int) -> bytes:
    """A parameter set whose ids of 0, the Exp-Golomb codes ``1`` at these bits of its payload, are 1 (``010``)."""
    rbsp = unescape(unit[header_bytes:])
    bits = f"{int.from_bytes(rbsp, 'big'):0{8 * len(rbsp)}b}"
    for at in reversed(at_bits):
        assert bits[at] == "1"
        bits = f"{bits[:at]}010{bits[at + 1 :]}"
    bits = bits.rstrip("0")  # the last 1 is rbsp_stop_one_bit
    bits = bits.ljust(-(-len(bits) // 8) * 8, "0")
    return unit[:header_bytes] + escape(int(bits, 2).to_bytes(len(bits) // 8, "big"))


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("unused_first", [False, True])
def test_of_two_sequence_parameter_sets_the_one_in_use_tells_the_size_and_both_are_kept(
    codec: str, unused_first: bool
) -> None:
    """../shared/cases/h265-two-sps: set 0 is used by the pictures, set 1 describes a smaller size and is unused."""
    stream = video(codec=codec, size=(192, 128), gop=10, frames=20)
    small = parameter_sets(codec, video(codec=codec, size=(96, 64), gop=10, frames=10))
    if codec == "libx265":  # behind 4 + 3 + 1 bits and 12 bytes of profile, tier and level
        unused = [renumbered(small[1], 2, 8 + 96), renumbered(small[2], 2, 0, 1)]
    else:  # behind profile, constraints and level
        unused = [renumbered(small[0], 1, 24), renumbered(small[1], 1, 0, 1)]
    sets = parameter_sets(codec, stream)
    vps, own = (sets[:1], sets[1:]) if codec == "libx265" else ([], sets)
    both = [*vps, *unused, *own] if unused_first else [*vps, *own, *unused]
    packets = [bare(codec, packet.data) for packet in stream.packets]
    packets[0] = join_annex_b(both) + packets[0]
    subject = assembler(Track("video", CODECS[codec], b""))
    units = assemble(subject, packets)
    assert (subject.shape.width_px, subject.shape.height_px) == (192, 128)
    ahead = split_length_prefixed(units[0].payload)[: len(both)]
    assert set(ahead) == set(both)
    assert ahead.index(own[0]) < ahead.index(unused[0]), "readers of the first set see the size of the pictures"
    assert decoded(codec, units) == 20


def test_several_picture_parameter_sets_are_all_kept() -> None:
    stream = video(gop=10, frames=20)
    sps, pps = parameter_sets("libx264", stream)
    # pps_pic_parameter_set_id is the first Exp-Golomb code: ue(0) is "1", ue(1) is "010".
    bits = "010" + f"{int.from_bytes(pps[1:], 'big'):0{8 * len(pps[1:])}b}"[1:]
    bits = bits.rstrip("0").ljust(-(-len(bits.rstrip("0")) // 8) * 8, "0")
    second = pps[:1] + int(bits, 2).to_bytes(len(bits) // 8, "big")
    subject = assembler(Track("video", Codec.H264, join_annex_b([sps, pps, second])))
    units = assemble(subject, [bare("libx264", packet.data) for packet in stream.packets])
    assert split_length_prefixed(units[0].payload)[:3] == [sps, pps, second]
    assert decoded("libx264", units) == 20


def test_delimiters_and_filler_do_not_travel() -> None:
    stream = video(gop=10, frames=1)
    padded = join_annex_b([b"\x09\xf0", *split_annex_b(stream.packets[0].data), b"\x0c" + b"\xff" * 50 + b"\x80"])
    (unit,) = assembler(Track("video", Codec.H264, b"")).assemble(padded)
    kinds = [h264.nal_type(each) for each in split_length_prefixed(unit.payload)]
    assert h264.NalType.AUD not in kinds
    assert h264.NalType.FILLER not in kinds


def test_b_pictures_nobody_refers_to_are_disposable() -> None:
    stream = video(gop=12, frames=24, b_frames=2, options=(("b-pyramid", "none"), ("b-adapt", "0")))
    subject = assembler(Track("video", Codec.H264, b""))
    units = assemble(subject, [packet.data for packet in stream.packets])
    assert sum(unit.disposable for unit in units) > 8
    assert all(subject.is_b_picture(unit) for unit in units if unit.disposable)
    assert not any(subject.is_b_picture(unit) for unit in units if unit.keyframe)
    assert decoded("libx264", [unit for unit in units if not unit.disposable]) == len(
        [unit for unit in units if not unit.disposable]
    )


def test_garbage_full_of_start_codes_is_refused_quickly() -> None:
    subject = assembler(Track("video", Codec.H264, b""))
    with pytest.raises(BitstreamError):
        subject.assemble(b"\0\0\1\x65" * (MAX_NAL_UNITS + 1))


def test_mjpeg_tells_its_size_and_a_change_of_it() -> None:
    subject = assembler(Track("video", Codec.MJPEG, b""))
    small = video("mjpeg", size=(64, 48), frames=1, pixel_format="yuvj420p").packets[0].data
    large = video("mjpeg", size=(128, 96), frames=1, pixel_format="yuvj420p").packets[0].data
    units = assemble(subject, [small, small, large])
    assert [unit.new_parameters for unit in units] == [False, False, True]
    assert all(unit.keyframe for unit in units)
    assert (subject.shape.width_px, subject.shape.height_px) == (128, 96)
    with pytest.raises(BitstreamError):
        subject.assemble(b"not a picture")


def test_aac_leaves_its_adts_headers_and_brings_its_configuration() -> None:
    stream = audio("aac")
    raw = assemble(assembler(Track("audio", Codec.AAC, stream.extradata)), [packet.data for packet in stream.packets])
    assert {unit.extradata for unit in raw} == {stream.extradata}
    config = stream.extradata
    object_type, rate, channels = config[0] >> 3, (config[0] & 7) << 1 | config[1] >> 7, (config[1] >> 3) & 15

    def adts(payload: bytes) -> bytes:
        length = len(payload) + 7
        return bytes(
            (0xFF, 0xF1, (object_type - 1) << 6 | rate << 2 | channels >> 2, (channels & 3) << 6 | length >> 11,
             length >> 3 & 0xFF, (length & 7) << 5 | 0x1F, 0xFC)
        ) + payload  # fmt: skip

    framed = assemble(assembler(Track("audio", Codec.AAC, b"")), [adts(packet.data) for packet in stream.packets])
    assert [unit.payload for unit in framed] == [unit.payload for unit in raw]
    assert framed[0].extradata[:2] == stream.extradata[:2]
    with pytest.raises(BitstreamError):
        assembler(Track("audio", Codec.AAC, b"")).assemble(b"raw")
    with pytest.raises(BitstreamError):
        assembler(Track("audio", Codec.AAC, b"")).assemble(adts(stream.packets[0].data)[:-1])


def test_g711_goes_as_it_comes() -> None:
    (unit,) = assembler(Track("audio", Codec.PCM_ALAW, b"")).assemble(b"\xd5" * 160)
    assert unit == Unit(b"\xd5" * 160, keyframe=True)


@pytest.mark.parametrize(("rate", "channels", "config"), [(0, 1, b""), (8000, 1, b""), (16_000, 1, b"\0\0\x3e\x80\1")])
def test_g711_says_its_rate_where_it_is_not_the_usual_one(rate: int, channels: int, config: bytes) -> None:
    (unit,) = assembler(Track("audio", Codec.PCM_ALAW, b"", rate, channels)).assemble(b"\xd5" * 160)
    assert unit == Unit(b"\xd5" * 160, keyframe=True, extradata=config)


@settings(max_examples=200)
@given(
    st.sampled_from((Codec.H264, Codec.HEVC, Codec.MJPEG, Codec.AAC)),
    st.binary(max_size=40),
    st.lists(st.one_of(st.binary(max_size=80), st.binary(max_size=40).map(lambda data: b"\0\0\1" + data)), max_size=8),
)
def test_garbage_raises_nothing_but_bitstream_errors(codec: Codec, extradata: bytes, packets: list[bytes]) -> None:
    # passes if nothing raises
    subject = assembler(Track("video" if codec.is_video else "audio", codec, extradata))
    for packet in packets:
        try:
            for unit in subject.assemble(packet):
                subject.is_b_picture(unit)
        except BitstreamError:
            continue


@settings(max_examples=60)
@given(st.data())
def test_damaged_packets_never_damage_the_framing(data: st.DataObject) -> None:
    codec = data.draw(st.sampled_from(tuple(CODECS)))
    stream = video(codec, gop=10, frames=30)
    subject = assembler(Track("video", CODECS[codec], b""))
    for packet in stream.packets[:12]:
        damaged = bytearray(packet.data)
        for _ in range(data.draw(st.integers(0, 3))):
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
        try:
            units = subject.assemble(bytes(damaged[: data.draw(st.integers(0, len(damaged)))]))
        except BitstreamError:
            continue
        for unit in units:
            assert split_length_prefixed(unit.payload)


def with_ids(unit: bytes, at_bit: int, *identifiers: int) -> bytes:
    """A parameter set whose first ids, all of them 0 and from ``at_bit`` of the RBSP on, are others."""
    bits = "".join(f"{byte:08b}" for byte in unescape(unit))
    bits = bits[: bits.rindex("1")]
    codes = [f"{identifier + 1:b}" for identifier in identifiers]
    ids = "".join("0" * (len(code) - 1) + code for code in codes)
    changed = bits[:at_bit] + ids + bits[at_bit + len(identifiers) :] + "1"
    padded = changed + "0" * (-len(changed) % 8)
    return escape(int(padded, 2).to_bytes(len(padded) // 8, "big"))


@pytest.mark.parametrize("codec", CODECS)
def test_of_two_sequence_parameter_sets_the_one_that_pictures_use_says_their_size(codec: str) -> None:
    stream, other = video(codec, gop=10, frames=20), video(codec, gop=10, frames=1, size=(80, 48))
    sps, pps = parameter_sets(codec, other)[-2:]
    sps_at, pps_at = (32, 8) if codec == "libx264" else (16 + 8 + 96, 16)
    extra = [with_ids(sps, sps_at, 1), with_ids(pps, pps_at, 1, 1)]
    packets = []
    for packet in stream.packets:
        sets = parameter_sets(codec, stream) if packet.keyframe else []
        picture = split_annex_b(bare(codec, packet.data))
        packets.append(join_annex_b([*sets, *(extra if sets else ()), *picture]))
    subject = assembler(Track("video", CODECS[codec], b""))
    units = assemble(subject, packets)
    assert (subject.shape.width_px, subject.shape.height_px) == (162, 90)
    assert not any(unit.new_parameters for unit in units)
    assert set(extra) <= set(split_length_prefixed(units[10].payload))
    assert decoded(codec, units) == 20
