"""The instant picture: which frames of replays go out when, what may follow, and which requests are answered."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.wall.relay.kernel.structs import new_peer
from services.wall.relay.sending.catch_up import (
    REPLAY_PAUSE_SECONDS,
    STAND_BACK_SECONDS,
    STAND_IN_SECONDS,
    STILL_SECONDS,
    UNSEEN_SECONDS,
    CatchUp,
    CatchUps,
    Phase,
)
from services.wall.relay.sending.pacer import Pacer

FIRST_SECONDS = 0.006


class Frame:
    """A frame in a slot's lane, which takes one piece to send."""

    size_bytes = 1

    def __init__(self, wall: "Wall", slot: int, number: int) -> None:
        self.wall, self.slot, self.number = wall, slot, number
        self.sent = False

    def send_next(self, now: float) -> int:
        if not self.sent:
            self.sent = True
            return 1
        self.wall.frame_out(self.slot, self.number, now)
        return 0


class Wall:
    """Slots with their lanes of a pacer that has bytes enough. A replay's frames are numbered from 0."""

    def __init__(self, slots: int) -> None:
        self.now = 0.0
        self.pacer = Pacer(1e9, self.now, new_peer())
        self.group = CatchUps()
        self.slots = [CatchUp(lane, self.group) for lane in range(slots)]
        self.out: list[tuple[float, int, int]] = []
        """When which slot's which frame went out."""
        self.caught_up: list[int] = []
        self.dropped = 0

    def frame_out(self, slot: int, number: int, now: float) -> None:
        """As the track does it."""
        self.out.append((now, slot, number))
        if self.slots[slot].frame_out(now, more=self.pacer.waiting(slot) > 1):
            self.caught_up.append(slot)
        if self.slots[slot].held:
            self.pacer.hold(slot)

    def queue(self, slot: int, *numbers: int) -> None:
        self.pacer.queue_frames(slot, [Frame(self, slot, number) for number in numbers])

    def begin(self, slot: int, frames: int, first_seconds: float = FIRST_SECONDS) -> None:
        self.drop(slot)
        self.queue(slot, *range(frames))
        self.slots[slot].begin(1000, self.now, first_seconds, whole=True)

    def go_on(self, slot: int, frames: int) -> None:
        self.queue(slot, *range(100, 100 + frames))
        self.slots[slot].go_on(self.now)
        if self.slots[slot].held:
            self.pacer.hold(slot)

    def drop(self, slot: int) -> None:
        self.dropped += bool(self.slots[slot].waiting)
        self.slots[slot].drop()
        self.pacer.clear(slot)

    def seen(self, *slots: int) -> None:
        for slot in slots:
            self.slots[slot].seen(1000)

    def serve(self, seconds: float = 0.0) -> list[tuple[int, int]]:
        """Lets time pass, a millisecond at a time, and sends; returns slot and frame of what went out."""
        count, end = len(self.out), self.now + seconds
        while True:
            for slot in self.group.let_on(self.now):  # as the connection does it
                self.pacer.release(slot.lane)
            self.pacer.serve(self.now)
            if self.now >= end:
                return [(slot, frame) for _, slot, frame in self.out[count:]]
            self.now = min(end, self.now + 0.001)


def begin_four(frames: int = 3) -> Wall:
    """Four slots' first frames are out, at 0, 2, 4 and 6 ms."""
    wall = Wall(4)
    for slot in range(4):
        wall.begin(slot, frames)
        wall.serve()
        wall.now += 0.002
    assert [(slot, frame) for _, slot, frame in wall.out] == [(slot, 0) for slot in range(4)]
    return wall


def test_the_rest_of_several_waits_until_the_page_has_seen_every_first_picture() -> None:
    wall = begin_four()
    wall.seen(2, 0, 3)
    assert wall.serve(0.02) == []
    wall.seen(1)
    assert sorted(wall.serve()) == [(slot, frame) for slot in range(4) for frame in (1, 2)]
    assert sorted(wall.caught_up) == [0, 1, 2, 3]
    assert {slot.phase for slot in wall.slots} == {Phase.NONE}


def test_what_leads_on_from_first_pictures_stands_back_with_them() -> None:
    wall = Wall(2)
    for slot in range(2):
        wall.begin(slot, 1)
    wall.serve()
    assert wall.caught_up == [0, 1]
    for slot in range(2):
        wall.go_on(slot, 2)
    assert wall.serve(0.05) == []
    wall.seen(0, 1)
    assert sorted(wall.serve()) == [(slot, 100 + frame) for slot in range(2) for frame in (0, 1)]


def test_a_first_picture_seen_counts_for_what_leads_on_from_it_too() -> None:
    """The page tells once. Where the rest came into the lane before, it does not wait for a second word."""
    wall = Wall(2)
    for slot in range(2):
        wall.begin(slot, 1)
    wall.serve()
    wall.go_on(0, 2)
    wall.seen(0, 1)
    assert wall.serve() == [(0, 100), (0, 101)]


def test_a_slot_that_is_not_seen_is_sent_its_next_frame_and_the_others_are_not() -> None:
    wall = begin_four()
    wall.seen(0, 1, 3)
    assert wall.serve(UNSEEN_SECONDS + 0.01) == [(2, 1)]
    wall.seen(2)
    assert len(wall.serve()) == 7


def test_a_receiver_that_says_nothing_is_not_waited_for_long() -> None:
    wall = begin_four(frames=20)
    second_at = 0.002
    wall.serve(second_at + STAND_BACK_SECONDS - 0.001 - wall.now)
    assert len(wall.out) <= 4 * (1 + round(STAND_BACK_SECONDS / UNSEEN_SECONDS))
    wall.serve(0.002)
    assert len(wall.out) == 80
    wall.begin(0, 2)
    assert wall.serve() == [(0, 0)]
    assert wall.serve(FIRST_SECONDS + 0.001) == [(0, 1)], "nor waited for again"


def test_a_replay_that_is_alone_stands_back_for_its_own_first_picture_only() -> None:
    wall = Wall(1)
    wall.begin(0, 3)
    assert wall.serve(FIRST_SECONDS - 0.001) == [(0, 0)]
    assert wall.serve(0.002) == [(0, 1), (0, 2)]


def test_a_first_picture_that_was_dropped_is_not_waited_for() -> None:
    wall = begin_four()
    wall.seen(0, 1, 3)
    wall.drop(2)
    assert len(wall.serve()) == 6


def test_a_picture_from_before_the_replay_is_not_its_first_one() -> None:
    wall = begin_four()
    for slot in range(4):
        wall.slots[slot].seen(999)
    assert wall.serve(0.02) == []


def test_nothing_stands_back_for_ever_although_others_go_on_beginning() -> None:
    wall = Wall(64)
    wall.begin(0, 2)
    for slot in range(1, 64):
        wall.begin(slot, 1)
    wall.serve(STAND_BACK_SECONDS + 0.01)
    (second,) = [at for at, slot, frame in wall.out if (slot, frame) == (0, 1)]
    assert second <= STAND_BACK_SECONDS + 0.01


steps = st.lists(
    st.tuples(
        st.sampled_from(["begin", "go on", "drop", "seen", "live"]),
        st.integers(0, 3),
        st.integers(1, 5),
        st.none() | st.floats(0, 0.3),
    ),
    max_size=40,
)


@settings(max_examples=500)
@example([("begin", 0, 2, 0.0), ("begin", 1, 2, 0.25)])
@example([("begin", 0, 1, 0.0), ("begin", 1, 1, 0.0), ("go on", 0, 1, 0.0), ("drop", 1, 1, None), ("go on", 0, 1, 0.0)])
@given(steps)
def test_first_pictures_never_wait_and_what_stands_back_always_goes_on(
    steps: list[tuple[str, int, int, float | None]],
) -> None:
    wall = Wall(4)
    replays = 0
    for what, slot, frames, seconds in steps:
        replays += what in ("begin", "go on")
        if what == "begin":
            wall.begin(slot, frames)
        elif what == "go on":
            wall.go_on(slot, frames)
        elif what == "drop":
            wall.drop(slot)
        elif what == "seen":
            wall.seen(slot)
        else:
            wall.queue(slot, 1000)  # a live frame, for which the bucket had too little
        if seconds is None:  # the next thing happens before the pacer is served
            continue
        wall.serve(seconds)
        for each in wall.slots:
            assert each.phase is not Phase.FIRST, "a first frame waits"
            assert each.held == bool(wall.pacer.waiting(each.lane)), (
                "a lane waits and is not held, or is held and empty"
            )
            assert each.phase is not Phase.NONE or not (each.held or each.waiting)
    wall.serve(STAND_BACK_SECONDS + 0.01)
    assert not wall.pacer.frames_waiting, "a lane is held for ever"
    assert {each.phase for each in wall.slots} <= {Phase.NONE}
    assert not any(each.waiting for each in wall.slots)
    assert len(wall.caught_up) + wall.dropped <= replays


@given(steps)
def test_while_a_first_picture_is_not_seen_others_get_a_frame_each_tenth_of_a_second_at_most(
    steps: list[tuple[str, int, int, float | None]],
) -> None:
    wall = Wall(4)
    for what, slot, frames, seconds in steps:
        if what == "begin":
            wall.begin(slot, frames)
        elif what == "seen":
            wall.seen(slot)
        unseen = {each.lane for each in wall.slots if each.phase is Phase.UNSEEN}
        if len(unseen) < 2 or what == "begin":
            wall.serve(seconds or 0.0)
            continue
        sent = [slot for slot, _ in wall.serve(min(seconds or 0.0, UNSEEN_SECONDS * 0.9))]
        over = {each.phase for each in wall.slots} <= {Phase.NONE, Phase.REST}
        assert over or max((sent.count(lane) for lane in unseen), default=0) <= 1


def test_after_a_frame_that_was_left_out_only_a_keyframe_or_a_replay_may_follow() -> None:
    slot = CatchUp(0, CatchUps())

    def any_frame() -> bool:
        return slot.whole

    assert not any_frame(), "nothing was sent yet"
    slot.frame_sent(1.0)
    assert any_frame()
    slot.leave_out()
    assert not any_frame()
    slot.begin(0, 2.0, 0.0, whole=True)
    assert any_frame()
    slot.begin(0, 3.0, 0.0, whole=False)
    assert not any_frame(), "a picture alone is not the present"
    slot.go_on(3.1)
    assert any_frame()
    slot.aim()
    assert not any_frame()


def test_a_stand_in_is_sent_by_keyframes_for_a_while_or_until_the_slot_is_aimed_elsewhere() -> None:
    slot = CatchUp(0, CatchUps())
    slot.stand_in(5.0)
    assert slot.by_keyframes
    assert not slot.stand_in_is_over(5.0 + STAND_IN_SECONDS - 0.01)
    assert slot.stand_in_is_over(5.0 + STAND_IN_SECONDS)
    slot.aim()
    assert not slot.by_keyframes


def replayed() -> CatchUp:
    """A slot whose replay began at 10 s and is out."""
    slot = CatchUp(0, CatchUps())
    slot.begin(0, 10.0, 0.0, whole=True)
    assert slot.frame_out(10.0, more=False)
    return slot


@pytest.mark.parametrize(
    ("after", "answered"),
    [(REPLAY_PAUSE_SECONDS - 0.01, False), (REPLAY_PAUSE_SECONDS + 0.01, True), (STILL_SECONDS + 0.1, True)],
)
def test_a_browser_that_asks_again_and_again_is_answered_with_pauses(after: float, answered: bool) -> None:
    assert replayed().answers_request(10.0 + after) == answered


def test_a_long_replay_is_not_sent_again_before_it_can_have_been_decoded() -> None:
    slot = CatchUp(0, CatchUps())
    slot.begin(0, 10.0, 0.0, whole=True, frames=1500)
    slot.drop()
    slot.frame_sent(15.9)
    assert not slot.answers_request(15.9)
    slot.frame_sent(16.1)
    assert slot.answers_request(16.1)


def test_a_request_is_not_answered_while_a_replay_is_on_its_way() -> None:
    slot = CatchUp(0, CatchUps())
    slot.begin(0, 10.0, 0.0, whole=True)
    assert not slot.answers_request(99.0)
    slot.drop()
    assert slot.answers_request(99.0)


def test_a_browser_that_asks_out_of_silence_is_answered_once_until_something_follows() -> None:
    slot = replayed()
    at = 10.0 + STILL_SECONDS + 1
    assert slot.answers_request(at)
    slot.begin(0, at, 0.0, whole=True)
    slot.frame_out(at, more=False)
    slot.answered_while_still()
    assert not slot.answers_request(at + STILL_SECONDS + 1)
    assert slot.answers_request(at + 1.0), "it could not decode what it was sent"
    slot.frame_sent(at + 20)
    assert slot.answers_request(at + 20 + STILL_SECONDS + 1)
