"""What a converter leaves out when it is late."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from services.contracts.frames import AccessUnit, CaptureClockSource, Codec, Flags
from services.wall.relay.convert.backlog import HOPELESS_90K, LATE_90K, Backlog


def unit(number: int, *, keyframe: bool = False, step_90k: int = 3600) -> AccessUnit:
    flags = Flags.KEYFRAME if keyframe else Flags.NONE
    at = number * step_90k
    return AccessUnit(flags, Codec.HEVC, 1, number, at, at, 0, 0, CaptureClockSource.ARRIVAL, b"")


def test_who_keeps_up_leaves_nothing_out() -> None:
    backlog = Backlog()
    for number in range(100):
        backlog.add_unit(unit(number, keyframe=number % 50 == 0))
        job = backlog.take_job()
        assert (job.unit.sequence, job.show) == (number, True)
    assert backlog.dropped == 0


def test_late_pictures_are_decoded_but_not_shown_and_the_first_keyframe_is() -> None:
    backlog = Backlog()
    for number in range(60):
        backlog.add_unit(unit(number, keyframe=number == 0))
    jobs = [backlog.take_job() for _ in range(60)]
    assert [job.unit.sequence for job in jobs] == list(range(60))
    assert jobs[0].show
    shown = [job.unit.sequence for job in jobs[1:] if job.show]
    assert shown == list(range(59 - LATE_90K // 3600, 60))
    assert backlog.dropped == 59 - len(shown)


def test_a_late_keyframe_leaves_no_hole_in_the_stream_s_time() -> None:
    """A conversion of 4:2:2 began with a step of 1.2 to 2.0 s between the keyframe and the next picture."""
    backlog = Backlog()
    for number in range(60):
        backlog.add_unit(unit(number, keyframe=number == 0)._replace(capture_us=number, pts_90k=number * 3600 + 900))
    shown = [job.unit for job in (backlog.take_job() for _ in range(60)) if job.show]
    steps = [after.dts_90k - before.dts_90k for before, after in pairwise(shown)]
    assert min(steps) > 0
    assert max(steps) == 3600
    assert (shown[0].capture_us, shown[0].pts_90k - shown[0].dts_90k) == (0, 900)


def test_a_keyframe_that_is_not_late_keeps_its_time() -> None:
    backlog = Backlog()
    for number in range(LATE_90K // 3600):
        backlog.add_unit(unit(number, keyframe=number == 0))
    assert backlog.take_job().unit == unit(0, keyframe=True)


def test_who_is_hopelessly_late_goes_on_at_the_newest_keyframe() -> None:
    backlog = Backlog()
    count = HOPELESS_90K // 3600 + 30
    for number in range(count):
        backlog.add_unit(unit(number, keyframe=number % 50 == 0))
    assert backlog.take_job().unit.sequence == (count - 1) // 50 * 50


def test_of_waiting_pictures_that_stand_alone_only_the_newest_is_converted() -> None:
    backlog = Backlog()
    for number in range(5):
        backlog.add_unit(unit(number, keyframe=True))
    assert backlog.take_job().unit.sequence == 4
    assert not len(backlog)


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(1, 40_000)), max_size=300))
def test_decoding_order_has_no_hole_that_does_not_end_at_a_keyframe(steps: list[tuple[bool, bool, int]]) -> None:
    backlog, at, last = Backlog(), 0, -1
    for number, (keyframe, take, step) in enumerate(steps):
        at += step
        backlog.add_unit(unit(number, keyframe=keyframe or number == 0)._replace(dts_90k=at))
        if take:
            got = backlog.take_job().unit
            assert got.sequence == last + 1 or (got.keyframe and got.sequence > last)
            last = got.sequence
