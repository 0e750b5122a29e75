"""The access-unit message: its bytes are a promise, and nothing but them is taken for one."""

from contextlib import suppress

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.contracts.frames import (
    HEADER_BYTES,
    INBOX_PAYLOAD_BYTES,
    INBOX_PICTURES,
    MAX_PAYLOAD_BYTES,
    AccessUnit,
    CaptureClockSource,
    Codec,
    Flags,
    FrameError,
    PictureInbox,
    SequenceTracker,
    decode,
    encode,
)

KEYFRAME = AccessUnit(
    flags=Flags.KEYFRAME | Flags.DISCONTINUITY,
    codec=Codec.H264,
    epoch=7,
    sequence=258,
    pts_90k=90_000,
    dts_90k=-3_600,
    capture_us=1_700_000_000_123_456,
    uncertainty_us=2_000,
    clock=CaptureClockSource.RTCP,
    payload=b"\x00\x00\x00\x02\x65\x88",
)
GOLDEN = bytes.fromhex(
    "9c cc01 cc03 cc01 ce00000007 cf0000000000000102 d30000000000015f90 d3fffffffffffff1f0"
    "d300060a2418202240 ce000007d0 cc01 c50000 c600000006 000000026588"
)

signed = st.integers(-(2**63), 2**63 - 1)
units = st.builds(
    AccessUnit,
    flags=st.sampled_from([Flags(bits) for bits in range(8)]),
    codec=st.sampled_from(Codec),
    epoch=st.integers(0, 2**32 - 1),
    sequence=st.integers(0, 2**64 - 1),
    pts_90k=signed,
    dts_90k=signed,
    capture_us=signed,
    uncertainty_us=st.integers(0, 2**32 - 1),
    clock=st.sampled_from(CaptureClockSource),
    payload=st.binary(max_size=200),
    extradata=st.binary(max_size=40),
)


def test_the_bytes_on_the_wire_do_not_change() -> None:
    assert encode(KEYFRAME) == GOLDEN
    assert decode(GOLDEN) == KEYFRAME


def test_any_msgpack_reader_understands_it() -> None:
    assert msgpack.unpackb(GOLDEN) == [
        1, 3, 1, 7, 258, 90_000, -3_600, 1_700_000_000_123_456, 2_000, 1, b"", KEYFRAME.payload
    ]  # fmt: skip


@given(units)
def test_what_was_encoded_is_decoded_the_same(unit: AccessUnit) -> None:
    message = encode(unit)
    assert decode(message) == unit
    assert len(message) == HEADER_BYTES + len(unit.payload) + len(unit.extradata)


@given(st.binary(max_size=300))
@example(b"")
@example(GOLDEN[:HEADER_BYTES])
def test_garbage_is_refused_and_nothing_else_happens(garbage: bytes) -> None:
    try:
        unit = decode(garbage)
    except FrameError:
        return
    assert encode(unit)[:3] == garbage[:3]  # what is taken has our header


@given(units, st.data())
def test_a_cut_or_lengthened_message_is_refused(unit: AccessUnit, data: st.DataObject) -> None:
    message = encode(unit)
    cut = data.draw(st.integers(0, len(message) - 1))
    for broken in (message[:cut], message + b"\x00"):
        with pytest.raises(FrameError):
            decode(broken)


@given(units, st.data())
def test_a_flipped_byte_is_refused_or_decoded_but_never_raises_anything_else(
    unit: AccessUnit, data: st.DataObject
) -> None:
    # passes if nothing raises
    message = bytearray(encode(unit))
    message[data.draw(st.integers(0, len(message) - 1))] ^= data.draw(st.integers(1, 255))
    with suppress(FrameError):
        decode(bytes(message))


@pytest.mark.parametrize(("at", "value"), [(0, 0x9B), (2, 2), (2, 0), (6, 99), (54, 9)])
def test_another_version_codec_or_clock_is_refused(at: int, value: int) -> None:
    message = bytearray(GOLDEN)
    message[at] = value
    with pytest.raises(FrameError):
        decode(bytes(message))


def test_flags_of_a_later_writer_are_ignored() -> None:
    message = bytearray(GOLDEN)
    message[4] |= 0xF0
    assert decode(bytes(message)) == KEYFRAME


def test_a_frame_over_the_buss_limit_is_refused_whole() -> None:
    largest = KEYFRAME._replace(payload=bytes(MAX_PAYLOAD_BYTES))
    assert len(encode(largest)) < 8 * 1024 * 1024
    with pytest.raises(FrameError, match="over the bus's limit"):
        encode(KEYFRAME._replace(payload=bytes(MAX_PAYLOAD_BYTES + 1)))


def test_an_uncertainty_beyond_its_field_is_as_uncertain_as_can_be() -> None:
    assert decode(encode(KEYFRAME._replace(uncertainty_us=2**40))).uncertainty_us == 2**32 - 1


def test_every_lost_frame_is_counted_and_no_hole_before_a_new_run_is() -> None:
    tracker = SequenceTracker()
    frame = KEYFRAME._replace(flags=Flags.NONE)
    assert tracker.accept(frame._replace(sequence=10))
    assert tracker.accept(frame._replace(sequence=14))
    assert tracker.lost == 3
    assert not tracker.accept(frame._replace(sequence=14))
    assert not tracker.accept(frame._replace(sequence=11))
    assert tracker.accept(frame._replace(sequence=90, flags=Flags.DISCONTINUITY))
    assert tracker.accept(frame._replace(epoch=8, sequence=0))
    assert not tracker.accept(frame._replace(epoch=7, sequence=91))
    assert tracker.lost == 3


@given(st.integers(1, 9), units, st.none() | st.tuples(units, st.booleans()), st.data())
def test_a_run_is_what_each_of_its_messages_says_and_none_stands_in_it_that_does_not_follow(
    count: int, like: AccessUnit, other: tuple[AccessUnit, bool] | None, data: st.DataObject
) -> None:
    first = like._replace(codec=Codec.HEVC, flags=Flags.DAMAGED, extradata=b"", sequence=min(like.sequence, 2**64 - 9))
    run_of = [first._replace(sequence=first.sequence + at, pts_90k=like.pts_90k // (at + 1)) for at in range(count)]
    messages = [encode(unit) for unit in run_of]
    if other is not None:
        unit, cut = other
        messages.insert(data.draw(st.integers(0, count)), encode(unit)[: -1 if cut else None])
    inbox = PictureInbox()
    assert inbox.newest == (-1, -1)
    taken = [message for message in messages if inbox.put(message)]
    newest, run = inbox.newest, inbox.take()
    if other is None:
        assert taken == messages
    if run is not None:
        each = [decode(message) for message in taken]
        assert newest == each[-1].order
        assert [run.unit(at) for at in range(len(run))] == each
        assert [run.order(at) for at in range(len(run))] == [unit.order for unit in each]
        assert all(run.epoch == unit.epoch and unit.codec is each[0].codec for unit in each)
        payloads = map(bytes, run.payloads)
        columns = zip(run.pts_90k, run.dts_90k, run.capture_us, payloads, run.damaged, strict=True)
        assert list(columns) == [
            (unit.pts_90k, unit.dts_90k, unit.capture_us, unit.payload, unit.damaged) for unit in each
        ]
        assert len(run.behind(1)) == len(run) - 1
        assert all(run.behind(1).unit(at) == run.unit(at + 1) for at in range(len(run) - 1))
    assert inbox.take() is None


def test_messages_of_another_length_version_or_kind_stand_in_no_run() -> None:
    picture = encode(KEYFRAME._replace(flags=Flags.NONE))
    assert PictureInbox().put(picture)
    for broken in (
        picture + b"\0",
        picture[:-1],
        picture[:40],
        b"\x9d" + picture[1:],
        picture[:2] + b"\2" + picture[3:],
        encode(KEYFRAME),
        encode(KEYFRAME._replace(flags=Flags.DISCONTINUITY)),
        encode(KEYFRAME._replace(flags=Flags.NONE, payload=bytes(INBOX_PAYLOAD_BYTES + 1))),
    ):
        assert not PictureInbox().put(broken)
    for at, value in ((6, 9), (6, 16), (54, 7), (57, 1), (58, 0xC4)):  # codec, sound, clock, extradata, bin 32
        assert not PictureInbox().put(picture[:at] + bytes((value,)) + picture[at + 1 :])


def test_an_inbox_takes_no_more_than_it_has_room_for() -> None:
    inbox = PictureInbox()
    unit = KEYFRAME._replace(flags=Flags.NONE)
    pictures = [unit._replace(sequence=unit.sequence + at) for at in range(INBOX_PICTURES + 1)]
    assert [inbox.put(encode(each)) for each in pictures] == [*[True] * INBOX_PICTURES, False]
    assert len(inbox.take() or ()) == INBOX_PICTURES
    large = [each._replace(payload=bytes(INBOX_PAYLOAD_BYTES // 2)) for each in pictures[:3]]
    assert [inbox.put(encode(each)) for each in large] == [True, True, False]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30))))
def test_what_is_accepted_only_ever_grows(orders: list[tuple[int, int]]) -> None:
    tracker = SequenceTracker()
    accepted = [order for order in orders if tracker.accept(KEYFRAME._replace(epoch=order[0], sequence=order[1]))]
    assert accepted == sorted(set(accepted))
