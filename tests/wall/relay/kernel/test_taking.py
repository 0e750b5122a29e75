"""C takes from the bus what follows and is usual, and leaves all else to Python untouched."""

import asyncio
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from services.contracts.frames import CaptureClockSource, Codec, Flags, encode
from services.media.rtp import abs_send_time
from services.wall.relay.engine.kernel_batch import StreamArray
from services.wall.relay.engine.send_batch import probe_offload
from services.wall.relay.kernel.structs import NOT_TAKEN, SLOW, TAKEN_LOOK, TAKEN_SERIALS, Stream, ffi, new_stream
from services.wall.relay.sending.frame import MAX_TIME_90K, Frame
from services.wall.relay.sending.history import KEEP_SECONDS
from services.wall.relay.sources.gop import FRAME_BYTES
from tests.wall.relay.kernel.built import kernel, needs_compiler
from tests.wall.relay.kernel.lent import Lent, is_usual
from tests.wall.relay.kernel.twins import Twin, access_unit, twins, unit_of

pytestmark = needs_compiler

OFFLOAD: Final = not probe_offload()

CHANGES = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"flags": st.sampled_from([Flags(bits) for bits in range(16)])}),
    st.fixed_dictionaries({"codec": st.sampled_from(Codec)}),
    st.fixed_dictionaries({"epoch": st.integers(0, 3)}),
    st.fixed_dictionaries({"sequence": st.integers(5, 12)}),
    st.fixed_dictionaries({"dts_90k": st.sampled_from([MAX_TIME_90K, -MAX_TIME_90K, 1 - MAX_TIME_90K])}),
    st.fixed_dictionaries({"pts_90k": st.sampled_from([MAX_TIME_90K, -MAX_TIME_90K, (1 << 63) - 1])}),
    st.fixed_dictionaries({"clock": st.sampled_from(CaptureClockSource)}),
    st.fixed_dictionaries({"extradata": st.sampled_from([b"", b"x"])}),
    st.fixed_dictionaries({"payload": st.sampled_from([b"", b"\0", b"\0\0\0\5abc", b"\0\0\0\1\x09", b"\0\0\0\3abc"])}),
)
EDITS = st.lists(st.tuples(st.integers(0, 70), st.integers(0, 255)), max_size=2)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(CHANGES, EDITS, st.integers(0, 3)), max_size=20), st.sampled_from([Codec.H264, Codec.HEVC]))
def test_c_takes_what_python_finds_usual_and_nothing_is_changed_by_what_it_leaves(
    plan: list[tuple[dict[str, object], list[tuple[int, int]], int]], codec: Codec
) -> None:
    async def compare() -> None:
        with twins(kernel(), offload=OFFLOAD) as (twin, _):
            lent = Lent(twin, codec)
            for changes, edits, cut in plan:
                message = bytearray(encode(lent.next_unit()._replace(**changes)))  # type: ignore[arg-type]  # by name
                for at, value in edits:
                    message[at % len(message)] = value
                made = bytes(message[: len(message) - cut])
                usual, before, taken_before = is_usual(made, lent), twin.state(), int(twin.sent_layouts.serials[0])
                # A source's clock that jumps is Python's, but the frame is taken all the same.
                assert bool(lent.take(made)) is usual
                assert twin.sent_layouts.serials[0] - taken_before == usual
                if not usual:
                    assert twin.state() == before

    asyncio.run(compare())


async def test_c_sends_what_it_takes_as_python_would_and_remembers_it() -> None:
    with twins(kernel(), offload=OFFLOAD) as (mine, theirs):
        lent = Lent(mine)
        theirs.peer.burst_bytes = theirs.peer.tokens = 1e9
        theirs.show(Frame(access_unit([unit_of(500, 0x41, 1)], 0, key=True)), 1.0, 0)
        for size in (20, 500, 3000, 40_000, 1193):
            unit = lent.next_unit(size)
            assert lent.take(encode(unit))
            theirs.show(Frame(unit), lent.now, abs_send_time(lent.now))
        assert mine.state() == theirs.state()
        last = int(mine.track.stream.sequence)
        for twin in (mine, theirs):
            twin.track.retransmit([(last - back) & 0xFFFF for back in range(1, 40)])
        assert mine.received() == theirs.received()


async def test_a_frame_for_which_the_gop_has_no_room_is_left() -> None:
    with twins(kernel(), offload=OFFLOAD) as (twin, _):
        lent = Lent(twin)
        size = len(lent.next_unit().payload) + FRAME_BYTES
        lent.lend(2 * size)
        assert [bool(lent.take(encode(lent.next_unit()))) for _ in range(3)] == [True, True, False]


async def test_who_was_not_simply_sent_a_frame_is_told() -> None:
    with twins(kernel(), offload=OFFLOAD) as (twin, _):
        lent = Lent(twin)
        twin.peer.waiting = 1
        assert lent.take(encode(lent.next_unit())) == TAKEN_LOOK
        assert lent.loan.left() == [(0, 0)]
        assert twin.track.stream.status == SLOW
        twin.peer.waiting = 0
        lent.take(encode(lent.next_unit()))
        assert lent.loan.left() == []


async def test_nothing_is_taken_when_the_loan_is_over() -> None:
    with twins(kernel(), offload=OFFLOAD) as (twin, _):
        lent = Lent(twin)
        message = encode(lent.next_unit())
        lent.loan.end_loan()
        assert lent.take(message) == NOT_TAKEN
        lent.lend()
        assert lent.take(message)


async def test_more_viewers_than_one_call_takes_are_all_sent_what_c_takes() -> None:
    with twins(kernel(), offload=OFFLOAD) as (twin, _):
        lent = Lent(twin)
        streams = [twin.track.stream, *(copy_of(twin, n) for n in range(150))]
        streams[100].started = 0
        lent.calls = (lent.calls[0]._replace(array=StreamArray(streams)),)
        lent.lend()
        assert lent.take(encode(lent.next_unit(500))) == TAKEN_LOOK
        assert lent.loan.left() == [(0, 100)]
        assert len(twin.received()) == 1 + 150


async def test_numbers_of_taken_frames_go_round_and_what_is_old_is_forgotten() -> None:
    with twins(kernel(), offload=OFFLOAD) as (twin, _):
        lent = Lent(twin)
        layouts, first = twin.sent_layouts, TAKEN_SERIALS - 2
        layouts.serials[0] = first
        for _ in range(5):
            assert lent.take(encode(lent.next_unit(500)))
        assert layouts.serials[0] % TAKEN_SERIALS == 3
        stream = twin.track.stream
        serials = [stream.past[(stream.past_count - back) & stream.past_mask].serial for back in range(5, 0, -1)]
        assert serials == [TAKEN_SERIALS + (first + n) % TAKEN_SERIALS for n in range(5)]
        found = [layouts.find(serial) for serial in serials]
        assert [layout.runs[0].payload(0)[1] for layout in found if layout is not None] == [7, 8, 9, 10, 11]
        assert layouts.find(TAKEN_SERIALS + 3) is None, "it was not taken yet"
        assert layouts.find(TAKEN_SERIALS + first - 1) is None, "it was never taken"
        layouts.forget(lent.now + KEEP_SECONDS + 0.1)
        assert layouts.find(serials[0]) is None


def copy_of(twin: Twin, ssrc: int) -> Stream:
    """Another stream of the same viewer."""
    copy = new_stream()
    ffi.memmove(copy, twin.track.stream, ffi.sizeof("pk_stream"))
    copy.ssrc = ssrc
    return copy
