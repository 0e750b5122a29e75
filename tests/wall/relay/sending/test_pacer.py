import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.wall.relay.sending.pacer import BURST_BYTES, STAND_BACK_SECONDS, UNSEEN_SECONDS, Pacer


class PacedFrame:
    """A frame of some pieces."""

    def __init__(self, name: str, pieces: int, piece_bytes: int, log: list[tuple[float, str, int]]) -> None:
        self.name, self.left, self.piece_bytes, self.log = name, pieces, piece_bytes, log
        self.size_bytes = pieces * piece_bytes

    def send_next(self, now: float) -> int:
        if not self.left:
            return 0
        self.left -= 1
        self.log.append((now, self.name, self.piece_bytes))
        return self.piece_bytes


def drain(pacer: Pacer, now: float) -> float:
    for _ in range(100_000):
        if not pacer.serve(now):
            return now
        now += 0.001
    raise AssertionError("the pacer never empties")


def test_what_fits_into_the_bucket_goes_out_at_once() -> None:
    log: list[tuple[float, str, int]] = []
    pacer = Pacer(100e6, 0.0)
    assert not pacer.push(0, PacedFrame("a", 3, 1000, log), 0.0)
    assert [entry[1] for entry in log] == ["a"] * 3
    assert pacer.idle


def test_a_burst_keeps_the_rate() -> None:
    log: list[tuple[float, str, int]] = []
    pacer = Pacer(100e6, 0.0)
    pacer.extend(0, [PacedFrame("big", 100, 20_000, log)])
    end = drain(pacer, 0.0)
    assert abs(end - (2_000_000 - BURST_BYTES) / 12.5e6) < 0.01


def test_all_keyframes_go_before_any_second_frame() -> None:
    log: list[tuple[float, str, int]] = []
    pacer = Pacer(10e6, 0.0)
    for lane in range(4):
        pacer.extend(lane, [PacedFrame(f"{lane}.{n}", 2, 10_000, log) for n in range(3)])
    drain(pacer, 0.0)
    order = list(dict.fromkeys(name for _, name, _ in log))
    assert order == [f"{lane}.{n}" for n in range(3) for lane in range(4)]


def test_a_cleared_lane_sends_nothing_more_and_others_go_on() -> None:
    log: list[tuple[float, str, int]] = []
    pacer = Pacer(1e6, 0.0)
    pacer.extend(0, [PacedFrame("a", 50, 1000, log) for _ in range(3)])
    pacer.extend(1, [PacedFrame("b", 50, 1000, log)])
    pacer.serve(0.0)
    assert pacer.clear(0) == 3
    log.clear()
    drain(pacer, 0.0)
    assert {name for _, name, _ in log} == {"b"}
    assert pacer.queued_bytes == 0


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5), st.integers(1, 30_000), st.booleans()), max_size=40))
def test_everything_is_sent_once_and_in_its_lane_s_order(pushes: list[tuple[int, int, int, bool]]) -> None:
    log: list[tuple[float, str, int]] = []
    pacer, now = Pacer(8e6, 0.0), 0.0
    expected: dict[int, list[str]] = {}
    for number, (lane, pieces, size, cleared) in enumerate(pushes):
        if cleared:
            pacer.clear(lane)
        pacer.push(lane, PacedFrame(f"{lane}.{number}", pieces, size, log), now)
        expected.setdefault(lane, []).extend([f"{lane}.{number}"] * pieces)
        now += 0.002
    drain(pacer, now)
    assert pacer.queued_bytes == 0
    for lane, names in expected.items():
        sent = [name for _, name, _ in log if name.startswith(f"{lane}.")]
        if not any(cleared for _, _, _, cleared in pushes):
            assert sent == names
        assert sent == sorted(sent, key=lambda name: int(name.split(".")[1]))


def test_past_the_queues_goes_only_what_the_bucket_has_and_nothing_waits_before() -> None:
    pacer = Pacer(100e6, 0.0)
    assert pacer.take(BURST_BYTES - 1000, 0.0)
    assert not pacer.take(1001, 0.0), "more than the bucket has left"
    assert pacer.take(1000, 0.0)
    assert pacer.take(12_500, 0.001), "a millisecond at 100 Mbit/s"
    pacer.extend(3, [PacedFrame("waits", 1, 10, [])])
    assert not pacer.take(1, 1.0), "before something that waits"


@given(st.lists(st.tuples(st.floats(0, 0.01), st.integers(1, 40_000)), max_size=50))
def test_what_is_taken_keeps_the_rate(asked: list[tuple[float, int]]) -> None:
    pacer, now, taken = Pacer(100e6, 0.0), 0.0, 0
    for pause, cost in asked:
        now += pause
        taken += cost * pacer.take(cost, now)
    assert taken <= BURST_BYTES + 12.5e6 * now + 1


def begin_four(log: list[tuple[float, str, int]]) -> tuple[Pacer, float]:
    """Four lanes' first frames are out, at 0, 2, 4 and 6 ms."""
    pacer, now = Pacer(100e6, 0.0), 0.0
    for lane in range(4):
        pacer.extend(lane, [PacedFrame(f"{lane}.{n}", 1, 1000, log) for n in range(3)], first_seconds=0.006)
        pacer.serve(now)
        now += 0.002
    return pacer, now


def test_catch_ups_stand_back_until_every_first_frame_was_seen() -> None:
    log: list[tuple[float, str, int]] = []
    pacer, now = begin_four(log)
    pacer.push(9, PacedFrame("other", 1, 1000, log), now)
    for lane in (2, 0, 3):
        pacer.seen(lane)
        assert pacer.serve(now + 0.02)
    assert [name for _, name, _ in log] == ["0.0", "1.0", "2.0", "3.0", "other"]
    pacer.seen(1)
    drain(pacer, now + 0.03)
    assert log[5][0] == pytest.approx(now + 0.03)
    assert len(log) == 13


def test_what_leads_on_from_first_frames_stands_back_with_them() -> None:
    log: list[tuple[float, str, int]] = []
    pacer = Pacer(100e6, 0.0)
    for lane in range(2):
        pacer.extend(lane, [PacedFrame(f"{lane}.0", 1, 1000, log)], first_seconds=0.006)
    assert not pacer.serve(0.0)
    for lane in range(2):
        pacer.extend(lane, [PacedFrame(f"{lane}.{n}", 1, 1000, log) for n in (1, 2)])
    assert pacer.serve(0.05)
    assert len(log) == 2
    pacer.seen(0)
    pacer.seen(1)
    pacer.serve(0.06)
    assert len(log) == 6


def test_a_lane_that_is_not_seen_is_sent_its_next_frame_and_the_others_are_not() -> None:
    log: list[tuple[float, str, int]] = []
    pacer, now = begin_four(log)
    for lane in (0, 1, 3):
        pacer.seen(lane)
    assert pacer.serve(now + UNSEEN_SECONDS)
    assert pacer.serve(now + UNSEEN_SECONDS + 0.01)
    assert [name for _, name, _ in log[4:]] == ["2.1"]
    pacer.seen(2)
    assert not pacer.serve(now + 0.2)
    assert len(log) == 12


def test_a_receiver_that_says_nothing_is_not_waited_for_long() -> None:
    log: list[tuple[float, str, int]] = []
    pacer, now = begin_four(log)
    assert pacer.serve(0.002 + STAND_BACK_SECONDS - 0.001)
    assert "1.2" not in [name for _, name, _ in log]
    drain(pacer, 0.002 + STAND_BACK_SECONDS)
    assert len(log) == 12
    pacer.extend(5, [PacedFrame(f"5.{n}", 1, 1000, log) for n in range(2)], first_seconds=0.006)
    pacer.serve(now + 1)
    pacer.serve(now + 1.006)
    assert [name for _, name, _ in log[12:]] == ["5.0", "5.1"], "nor waited for again"


def test_a_catch_up_that_is_alone_stands_back_for_its_own_first_frame_only() -> None:
    log: list[tuple[float, str, int]] = []
    pacer = Pacer(100e6, 0.0)
    pacer.extend(0, [PacedFrame(f"0.{n}", 1, 1000, log) for n in range(3)], first_seconds=0.006)
    pacer.serve(0.0)
    drain(pacer, 0.0)
    assert [name for _, name, _ in log] == ["0.0", "0.1", "0.2"]
    assert log[1][0] == pytest.approx(0.0065, abs=0.0011)


def test_a_first_frame_of_which_nothing_is_left_is_not_waited_for() -> None:
    log: list[tuple[float, str, int]] = []
    pacer, now = begin_four(log)
    for lane in (0, 1, 3):
        pacer.seen(lane)
    pacer.clear(2)
    assert not pacer.serve(now)
    assert len(log) == 10


def test_nothing_stands_back_for_ever() -> None:
    log: list[tuple[float, str, int]] = []
    pacer, now = Pacer(100e6, 0.0), 0.0
    pacer.extend(0, [PacedFrame(f"0.{n}", 1, 1000, log) for n in range(2)], first_seconds=0.006)
    for lane in range(1, 64):
        pacer.extend(lane, [PacedFrame(f"{lane}.0", 1, 1000, log)], first_seconds=0.006)
    began = now
    drain(pacer, now)
    (second,) = [at for at, name, _ in log if name == "0.1"]
    assert second - began <= STAND_BACK_SECONDS + 0.01


def test_a_lane_that_stands_back_can_be_cleared() -> None:
    log: list[tuple[float, str, int]] = []
    pacer = Pacer(100e6, 0.0)
    pacer.extend(0, [PacedFrame(f"0.{n}", 1, 1000, log) for n in range(3)], first_seconds=0.006)
    assert pacer.serve(0.0)
    assert not pacer.take(1, 0.0)
    assert pacer.clear(0) == 2
    assert pacer.idle
    assert not pacer.serve(0.01)
    assert [name for _, name, _ in log] == ["0.0"]
