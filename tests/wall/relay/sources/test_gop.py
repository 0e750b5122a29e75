from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from services.contracts.frames import AccessUnit, CaptureClockSource, Codec, Flags, encode
from services.wall.relay.sending.frame import Frame
from services.wall.relay.sources.gop import FRAME_BYTES, MAX_BYTES, FrameVerdict, GopBuffer

PAYLOAD = b"\0\0\0\x02\x41\x9a"
GOP = 10


def frame(sequence: int, *, epoch: int = 1, flags: Flags = Flags.NONE) -> Frame:
    if sequence % GOP == 0:
        flags |= Flags.KEYFRAME
    return Frame(
        AccessUnit(flags, Codec.H264, epoch, sequence, sequence, sequence, 0, 0, CaptureClockSource.ARRIVAL, PAYLOAD)
    )


def sequences(frames: list[Frame]) -> list[int]:
    return [f.unit.sequence for f in frames]


def test_it_begins_with_a_keyframe_and_keeps_the_newest_gop() -> None:
    gop = GopBuffer()
    verdicts = [gop.accept_frame(frame(n)) for n in range(8, 23)]
    assert verdicts == [FrameVerdict.HELD] * 2 + [FrameVerdict.RESTART] + [FrameVerdict.SHOW] * 12
    assert sequences(gop.frames) == [20, 21, 22]


def test_a_hole_is_mended_by_the_ingests_copy_and_nothing_is_shown_twice() -> None:
    gop = GopBuffer()
    for n in range(10, 14):
        gop.accept_frame(frame(n))
    assert gop.accept_frame(frame(16)) is FrameVerdict.HOLE
    assert gop.accept_frame(frame(17)) is FrameVerdict.HELD
    mended = gop.mend_hole([frame(n) for n in range(10, 17)])
    assert mended is not None
    assert (sequences(mended[0]), mended[1]) == ([14, 15, 16, 17], False)
    assert gop.accept_frame(frame(18)) is FrameVerdict.SHOW
    assert sequences(gop.frames) == list(range(10, 19))


def test_a_keyframe_ends_a_hole_and_the_loss_is_counted() -> None:
    gop = GopBuffer()
    for n in (10, 11, 15, 16, 20):
        gop.accept_frame(frame(n))
    assert gop.whole
    assert gop.lost == 6
    assert sequences(gop.frames) == [20]


def test_a_copy_that_does_not_reach_to_what_is_held_does_not_help() -> None:
    gop = GopBuffer()
    for n in (10, 11, 15):
        gop.accept_frame(frame(n))
    assert gop.mend_hole([frame(n) for n in range(10, 13)]) is None
    assert gop.mend_hole([]) is None
    assert gop.mend_hole([frame(n) for n in range(13, 16)]) is None
    assert not gop.whole


def test_another_ingest_begins_anew_and_the_old_one_is_not_heard_any_more() -> None:
    gop = GopBuffer()
    gop.accept_frame(frame(10))
    assert gop.accept_frame(frame(500, epoch=2)) is FrameVerdict.RESTART
    assert gop.accept_frame(frame(11)) is FrameVerdict.OLD


def test_an_ingest_that_goes_on_under_a_new_epoch_is_shown_on_without_a_new_beginning() -> None:
    gop = GopBuffer()
    gop.accept_frame(frame(10))
    assert gop.accept_frame(frame(11)) is FrameVerdict.SHOW
    assert gop.accept_frame(frame(12, epoch=2)) is FrameVerdict.SHOW
    assert gop.accept_frame(frame(13)) is FrameVerdict.OLD
    assert gop.accept_frame(frame(13, epoch=2, flags=Flags.KEYFRAME | Flags.DISCONTINUITY)) is FrameVerdict.RESTART
    assert gop.lost == 0


def test_a_gop_without_end_is_not_kept_but_still_flows() -> None:
    gop = GopBuffer()
    gop.accept_frame(frame(10))
    many = MAX_BYTES // (len(PAYLOAD) + FRAME_BYTES)
    for n in range(11, 10 + many):
        assert gop.accept_frame(Frame(frame(11).unit._replace(sequence=n))) is FrameVerdict.SHOW
    assert len(gop.frames) == many > 20_000
    assert gop.accept_frame(Frame(frame(11).unit._replace(sequence=10 + many))) is FrameVerdict.SHOW
    assert gop.frames == []
    assert gop.accept_frame(frame(30_000)) is FrameVerdict.SHOW
    assert sequences(gop.frames) == [30_000]


def test_what_is_held_behind_a_hole_is_bounded_in_bytes() -> None:
    gop = GopBuffer()
    gop.accept_frame(frame(10))
    many = MAX_BYTES // (len(PAYLOAD) + FRAME_BYTES)
    verdicts = {gop.accept_frame(Frame(frame(11).unit._replace(sequence=n))) for n in range(13, 14 + many)}
    assert verdicts == {FrameVerdict.HOLE, FrameVerdict.HELD}
    assert gop.mend_hole([frame(10), *(Frame(frame(11).unit._replace(sequence=n)) for n in range(11, 14))]) is None


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=120))
def test_whatever_is_lost_what_is_shown_can_be_decoded(events: list[tuple[bool, bool]]) -> None:
    """Every frame shown follows the one before it, or is a keyframe; a mended GOP too."""
    gop = GopBuffer()
    shown: list[int] = []
    for number, (lost, mend) in enumerate(events):
        if not lost and gop.accept_frame(frame(number)) in (FrameVerdict.SHOW, FrameVerdict.RESTART):
            shown.append(number)
        if mend:
            begin = number - number % GOP
            if (mended := gop.mend_hole([frame(n) for n in range(begin, number + 1)])) is not None:
                shown += sequences(mended[0])
                assert not mended[1] or mended[0][0].keyframe
    assert all(after == before + 1 or after % GOP == 0 for before, after in pairwise(shown))
    kept = sequences(gop.frames)
    assert not kept or kept == list(range(kept[0], kept[0] + len(kept)))
    assert not kept or kept[0] % GOP == 0


PLAN = st.lists(st.tuples(st.sampled_from([1, 1, 1, 1, 1, 2, 3, 0]), st.booleans()), max_size=60)


@given(PLAN)
def test_frames_that_c_took_are_the_gop_s_as_others_are(plan: list[tuple[int, bool]]) -> None:
    """``plan``: how far each frame is behind the one before, and whether C would take it."""
    mine, theirs, number = GopBuffer(), GopBuffer(), GOP
    for step, by_c in plan:
        number += step
        verdict = theirs.accept_frame(frame(number))
        if by_c and verdict is FrameVerdict.SHOW and not frame(number).keyframe:
            mine.add_taken(encode(frame(number).unit))
        else:
            assert mine.accept_frame(frame(number)) is verdict
            assert mine.room_bytes == theirs.room_bytes
        assert [mine.has(frame(n)) for n in (number, number + 1)] == [
            theirs.has(frame(n)) for n in (number, number + 1)
        ]
    assert (mine.lost, mine.whole) == (theirs.lost, theirs.whole)
    copy = [frame(n) for n in range(number // GOP * GOP, number + 1)]
    mended = [gop.mend_hole(copy) for gop in (mine, theirs)]
    first, second = [(sequences(found[0]), found[1]) if found else None for found in mended]
    assert first == second
    assert sequences(mine.frames) == sequences(theirs.frames)
    assert mine.room_bytes == theirs.room_bytes
