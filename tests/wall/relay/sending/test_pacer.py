from hypothesis import given
from hypothesis import strategies as st

from services.wall.relay.kernel.structs import new_peer
from services.wall.relay.sending.pacer import BURST_BYTES, Pacer


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
    pacer = Pacer(100e6, 0.0, new_peer())
    assert not pacer.push_frame(0, PacedFrame("a", 3, 1000, log), 0.0)
    assert [entry[1] for entry in log] == ["a"] * 3
    assert not pacer.frames_waiting


def test_a_burst_keeps_the_rate() -> None:
    log: list[tuple[float, str, int]] = []
    pacer = Pacer(100e6, 0.0, new_peer())
    pacer.queue_frames(0, [PacedFrame("big", 100, 20_000, log)])
    end = drain(pacer, 0.0)
    assert abs(end - (2_000_000 - BURST_BYTES) / 12.5e6) < 0.01


def test_all_keyframes_go_before_any_second_frame() -> None:
    log: list[tuple[float, str, int]] = []
    pacer = Pacer(10e6, 0.0, new_peer())
    for lane in range(4):
        pacer.queue_frames(lane, [PacedFrame(f"{lane}.{n}", 2, 10_000, log) for n in range(3)])
    drain(pacer, 0.0)
    order = list(dict.fromkeys(name for _, name, _ in log))
    assert order == [f"{lane}.{n}" for n in range(3) for lane in range(4)]


def test_a_cleared_lane_sends_nothing_more_and_others_go_on() -> None:
    log: list[tuple[float, str, int]] = []
    pacer = Pacer(1e6, 0.0, new_peer())
    pacer.queue_frames(0, [PacedFrame("a", 50, 1000, log) for _ in range(3)])
    pacer.queue_frames(1, [PacedFrame("b", 50, 1000, log)])
    pacer.serve(0.0)
    assert pacer.clear(0) == 3
    log.clear()
    drain(pacer, 0.0)
    assert {name for _, name, _ in log} == {"b"}
    assert pacer.queued_bytes == 0


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5), st.integers(1, 30_000), st.booleans()), max_size=40))
def test_everything_is_sent_once_and_in_its_lane_s_order(pushes: list[tuple[int, int, int, bool]]) -> None:
    log: list[tuple[float, str, int]] = []
    pacer, now = Pacer(8e6, 0.0, new_peer()), 0.0
    expected: dict[int, list[str]] = {}
    for number, (lane, pieces, size, cleared) in enumerate(pushes):
        if cleared:
            pacer.clear(lane)
        pacer.push_frame(lane, PacedFrame(f"{lane}.{number}", pieces, size, log), now)
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
    pacer = Pacer(100e6, 0.0, new_peer())
    assert pacer.spend_bytes(BURST_BYTES - 1000, 1000, 0.0)
    assert not pacer.spend_bytes(2000, 1000, 0.0), "nothing would be left before the last run"
    assert pacer.spend_bytes(13_500, 12_501, 0.0), "something is left before the last run"
    assert not pacer.spend_bytes(1, 1, 0.001), "what was taken in advance has not come"
    assert pacer.spend_bytes(12_500, 12_500, 0.0011)
    pacer.queue_frames(3, [PacedFrame("waits", 1, 10, [])])
    assert not pacer.spend_bytes(1, 1, 1.0), "before something that waits"


@given(st.lists(st.tuples(st.floats(0, 0.01), st.integers(0, 40_000), st.integers(1, 30_000)), max_size=50))
def test_what_is_taken_keeps_the_rate_but_for_one_run(asked: list[tuple[float, int, int]]) -> None:
    pacer, now, taken = Pacer(100e6, 0.0, new_peer()), 0.0, 0
    for pause, cost, last in asked:
        now += pause
        taken += (cost + last) * pacer.spend_bytes(cost + last, last, now)
        assert taken <= BURST_BYTES + 12.5e6 * now + 30_000


@given(st.integers(-30_000, BURST_BYTES), st.integers(1, 5), st.integers(1, 30_000))
def test_a_frame_goes_past_the_queues_where_it_would_leave_them_in_the_same_moment(
    tokens: int, pieces: int, piece_bytes: int
) -> None:
    log: list[tuple[float, str, int]] = []
    past, queued = Pacer(100e6, 0.0, spent := new_peer()), Pacer(100e6, 0.0, served := new_peer())
    spent.tokens = served.tokens = tokens
    queued.push_frame(0, PacedFrame("a", pieces, piece_bytes, log), 0.0)
    goes = past.spend_bytes(pieces * piece_bytes, piece_bytes, 0.0)
    assert goes is (len(log) == pieces)
    assert not goes or spent.tokens == served.tokens


def test_a_lane_that_is_held_waits_and_the_others_are_served() -> None:
    log: list[tuple[float, str, int]] = []
    pacer = Pacer(100e6, 0.0, new_peer())
    for lane in range(2):
        pacer.queue_frames(lane, [PacedFrame(f"{lane}.{n}", 1, 1000, log) for n in range(2)])
    pacer.hold(0)
    pacer.queue_frames(0, [PacedFrame("0.2", 1, 1000, log)])
    assert pacer.serve(0.0)
    assert not pacer.spend_bytes(1, 1, 0.0)
    assert [name for _, name, _ in log] == ["1.0", "1.1"]
    pacer.release(0)
    assert not pacer.serve(0.01)
    assert [name for _, name, _ in log[2:]] == ["0.0", "0.1", "0.2"]


def test_a_lane_that_is_held_can_be_cleared_and_is_served_again() -> None:
    log: list[tuple[float, str, int]] = []
    pacer = Pacer(100e6, 0.0, new_peer())
    pacer.queue_frames(0, [PacedFrame(f"0.{n}", 1, 1000, log) for n in range(2)])
    pacer.hold(0)
    assert pacer.clear(0) == 2
    assert not pacer.frames_waiting
    assert not pacer.serve(0.01)
    pacer.queue_frames(0, [PacedFrame("new", 1, 1000, log)])
    pacer.serve(0.02)
    assert [name for _, name, _ in log] == ["new"]


class Holding(PacedFrame):
    """Holds its lane when it is out, as `CatchUp` does after a first frame."""

    def __init__(self, pacer: Pacer, log: list[tuple[float, str, int]]) -> None:
        super().__init__("first", 1, 1000, log)
        self.pacer = pacer

    def send_next(self, now: float) -> int:
        if not (sent := super().send_next(now)):
            self.pacer.hold(0)
        return sent


def test_a_frame_may_hold_its_own_lane_when_it_is_out() -> None:
    log: list[tuple[float, str, int]] = []
    pacer = Pacer(100e6, 0.0, new_peer())
    pacer.queue_frames(0, [Holding(pacer, log), PacedFrame("second", 1, 1000, log)])
    pacer.queue_frames(1, [PacedFrame("other", 1, 1000, log)])
    assert pacer.serve(0.0)
    assert [name for _, name, _ in log] == ["first", "other"]
    assert (pacer.frames_waiting, pacer.queued_bytes) == (1, 1000)
    pacer.release(0)
    assert not pacer.serve(0.0)
    assert (pacer.frames_waiting, pacer.queued_bytes) == (0, 0)
