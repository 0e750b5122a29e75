import itertools

from hypothesis import given
from hypothesis import strategies as st

from services.wall.relay.kernel.structs import new_stream
from services.wall.relay.sending.timeline import RESET_TICKS, RtpTimeline

FRAME = 3600


def test_cached_frames_stand_one_tick_apart_and_live_ones_go_on_at_their_own_pace() -> None:
    timeline = RtpTimeline(new_stream(), 1000)
    stamps = timeline.stamp_replay([n * FRAME for n in range(50)], 10.0, compressed=True)
    assert [b - a for a, b in itertools.pairwise(stamps)] == [1] * 49
    assert timeline.stamp_live(50 * FRAME, 10.04) == stamps[-1] + FRAME


def test_a_new_source_goes_on_where_the_clock_has_come_to() -> None:
    timeline = RtpTimeline(new_stream(), 0)
    first = timeline.stamp_live(5_000_000, 10.0)
    stamps = timeline.stamp_replay([7, 7 + FRAME, 7 + 2 * FRAME], 11.0, compressed=True)
    assert stamps[-1] == first + 90_000
    assert timeline.stamp_live(7 + 3 * FRAME, 11.04) == stamps[-1] + FRAME


def test_without_compression_a_warm_slot_jumps_an_hour_and_a_new_one_does_not() -> None:
    timeline = RtpTimeline(new_stream(), 500)
    first = timeline.stamp_replay([0, FRAME], 10.0, compressed=False)
    assert first == [500, 500 + FRAME]
    again = timeline.stamp_replay([0, FRAME], 11.0, compressed=False)
    assert again[0] == first[-1] + RESET_TICKS
    assert again[1] - again[0] == FRAME


def test_a_source_that_steps_back_does_not_take_the_slot_with_it() -> None:
    timeline = RtpTimeline(new_stream(), 0)
    last = timeline.stamp_live(10_000_000, 1.0)
    assert timeline.stamp_live(100, 1.04) == last + FRAME
    assert timeline.stamp_live(100 + FRAME, 1.08) == last + 2 * FRAME


# I0 P3 B1 B2 P6 B4 B5 …, decoded in this order, each shown three frames after the place that its number tells.
B_PICTURES = [0, 3, 1, 2, 6, 4, 5, 9, 7, 8, 12, 10, 11]


def b_pictures(count: int) -> tuple[list[int], list[int]]:
    """Decoding times of the first ``count`` frames, and how much later each is shown."""
    dts = [n * FRAME for n in range(count)]
    return dts, [(B_PICTURES[n] + 3 - n) * FRAME for n in range(count)]


def test_timestamps_are_of_presentation_where_there_are_b_pictures() -> None:
    timeline = RtpTimeline(new_stream(), 1000)
    stamps = [
        timeline.stamp_live(dts, 10.0 + n / 25, shift)
        for n, (dts, shift) in enumerate(zip(*b_pictures(13), strict=True))
    ]
    assert [(stamp - stamps[0]) // FRAME for stamp in stamps] == B_PICTURES


@given(st.integers(1, 13), st.booleans())
def test_a_replayed_gop_with_b_pictures_is_shown_in_order_and_so_is_what_follows(cached: int, compressed: bool) -> None:
    timeline, (dts, shifts) = RtpTimeline(new_stream(), 1000), b_pictures(13)
    stamps = timeline.stamp_replay(dts[:cached], 10.0, shifts[:cached], compressed=compressed)
    stamps += [timeline.stamp_live(dts[n], 10.0 + (n - cached + 1) / 25, shifts[n]) for n in range(cached, 13)]
    assert sorted(range(13), key=lambda n: stamps[n]) == sorted(range(13), key=lambda n: B_PICTURES[n])
    assert len(set(stamps)) == 13
    after = timeline.stamp_live(7, 20.0, 3 * FRAME, anew=True)
    assert after > max(stamps)


steps = st.lists(
    st.tuples(st.sampled_from(["live", "anew", "replay", "spaced"]), st.integers(-(1 << 40), 1 << 40), st.floats(0, 5)),
    max_size=30,
)


@given(steps)
def test_timestamps_never_go_back_whatever_the_sources_say(steps: list[tuple[str, int, float]]) -> None:
    timeline, now, last = RtpTimeline(new_stream(), 7), 100.0, -1
    for what, dts, passed in steps:
        now += passed
        if what in ("live", "anew"):
            stamps = [timeline.stamp_live(dts, now, anew=what == "anew")]
        else:
            stamps = timeline.stamp_replay([dts + n * FRAME for n in range(5)], now, compressed=what == "replay")
        for stamp in stamps:
            assert stamp > last
            last = stamp
